//! The fake itself: a stand-in that behaves otherwise than the real one would prove nothing.

use super::{FINCH, Lms, bare, lmstudio, one};
use crate::common::golden::{case, golden};
use crate::common::run_with;

#[test]
fn the_fake_answers_as_the_real_one_does_unhelpful_statuses_included() {
    let (sim, lms) = (lmstudio(&[]), Lms::new());
    let call = |args: &[&str]| {
        let mut command = std::process::Command::new("bash");
        let like = lms.command("llm-run", &sim.url);
        command.env_clear().envs(like.get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.arg(crate::common::root().join("tests/fake/lms")).args(args);
        run_with(command, "")
    };
    for (args, status, stdout, stderr) in [
        (&["ps", "--json"][..], 0, "[]\n", ""),
        (&["unload", "--all"], 0, "", "No models to unload."),
        (&["unload", "nothing"], 0, "", "Model Not Found"),
        (&["load", "finch", "-y"], 0, "", "use the identifier \"aviary/finch-4b\"."),
        (&["load", "aviary/finch-4b", "-y"], 0, "", "use the identifier \"aviary/finch-4b:2\"."),
        // Letters in order are a match, and the best one is loaded.
        (&["load", "er", "-y", "--identifier", "x"], 0, "", "Loading the first one."),
        (&["load", "aviary/finch-4b", "-y", "--identifier", "x"], 1, "", "already taken"),
        (&["load", "zzz", "-y"], 1, "", "No model found that matches model key \"zzz\"."),
        (&["load", "aviary/finch-4b"], 1, "", "Select a model"),
        (&["load", "aviary/finch-4b", "-y", "--gpu", "auto"], 1, "", "invalid"),
        (&["load", "aviary/finch-4b", "-y", "--ttl", "0"], 1, "", "at least 1"),
        (&["unload", "--all"], 0, "", "Unloaded 3 models."),
        (&["fly"], 1, "", "unknown command"),
    ] {
        let ran = call(args).exits(status);
        assert_eq!(ran.stdout, stdout, "{args:?}");
        assert!(ran.stderr.contains(stderr), "{args:?}: {}", ran.stderr);
    }
    let listed: serde_json::Value = serde_json::from_str(&call(&["ls", "--json"]).exits(0).stdout).unwrap();
    assert_eq!((&listed[0]["modelKey"], &listed[0]["format"]), (&FINCH.into(), &"safetensors".into()));
    assert!(call(&["server", "status", "--json"]).exits(0).stdout.contains("\"running\":true"));
}

#[test]
fn no_key_is_in_the_arguments_of_lms_nor_another_service_s_key_in_its_sight() {
    let (sim, lms) = (lmstudio(&["--api-key", "sk-lm-secret"]), Lms::new());
    let mut run = lms.command("llm-run", &sim.url);
    run.env("LM_API_TOKEN", "sk-lm-secret").env("OPENROUTER_API_KEY", "sk-or-other").env("OPENAI_API_KEY", "sk-oa");
    let ran = super::ask(run, &sim, FINCH, &["--gpu", "max"]).exits(0);
    assert_eq!(one(&ran, "load")["loader"], "lms");
    let calls = lms.calls();
    assert!(calls.iter().any(|call| call.starts_with("load aviary/finch-4b -y --gpu max")), "{calls:?}");
    assert!(!format!("{calls:?}{}{}", ran.stdout, ran.stderr).contains("sk-"));
    assert!(!lms.keys().is_empty() && lms.keys().iter().all(|name| name == "LM_API_TOKEN"), "{:?}", lms.keys());
}

#[test]
fn without_lms_what_only_lms_can_do_is_a_failed_load_that_says_so() {
    let sim = lmstudio(&[]);
    let mut errors = String::new();
    for flags in [&["--gpu", "0.5"][..], &["--ttl", "60s"], &["--parallel", "2"], &["--identifier", "me"]] {
        let ran = super::ask(bare("llm-run"), &sim, FINCH, flags).exits(1);
        let result = one(&ran, "result");
        errors += &case(flags, result["errors"]["load"].as_str().unwrap());
        assert_eq!(result["error"]["kind"], "load");
    }
    golden!("flags-without-lms", errors);
}
