//! Runs that are taken up again: what is left to do, what is not, and what a folder that two runs filled looks like.

use super::ask;
use crate::common::golden::{case, golden, time};
use crate::common::sim::Sim;
use crate::common::{bash, command, run_with};
use serde_json::Value;
use std::collections::BTreeSet;

fn kept(sim: &Sim, name: &str, text: &str) -> String {
    let path = sim.path(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn when_nothing_is_left_that_is_said_and_nothing_is_sent_loaded_or_checked() {
    let good = Sim::start("lmstudio", &[]);
    let flags = ["--warmup", "1", "--repeat", "2", "--nonce", "off"];
    let first = ask(&good, "lmstudio", "aviary/finch-4b", &flags).exits(0);
    let file = kept(&good, "first", &first.stdout);
    let again = ask(&good, "lmstudio", "aviary/finch-4b", &[&flags[..], &["--resume", &file]].concat()).exits(0);
    golden!("resume-nothing-left", again.stderr, time());
    for kind in ["load", "start", "result"] {
        assert_eq!(again.of_type(kind).len(), 0, "{kind}");
    }
    // One more model: only that is loaded, warmed up and asked.
    let both = "aviary/finch-4b\naviary/heron-12b";
    let more = ask(&good, "lmstudio", both, &[&flags[..], &["--resume", &file]].concat()).exits(0);
    let models: BTreeSet<String> =
        more.of_type("result").iter().map(|r| r["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(models, ["aviary/heron-12b".to_owned()].into());
    assert_eq!((more.of_type("load").len(), more.of_type("result").len()), (1, 3));

    let router = Sim::start("openrouter", &["--api-key", "sk-or-v1-k"]);
    let run = |key: &str, more: &[&str]| {
        let mut ask = command("llm-run");
        ask.args(["--source", "openrouter", "--base-url", &router.url, "--prompt", "x"]).args(more);
        ask.env("OPENROUTER_API_KEY", key);
        run_with(ask, "aviary/finch-4b\n")
    };
    let file = kept(&router, "first", &run("sk-or-v1-k", &[]).exits(0).stdout);
    run("sk-or-v1-wrong", &["--resume", &file]).exits(0);
    run("sk-or-v1-wrong", &["--resume", &file, "--provider", "roost"]).exits(2);
}

#[test]
fn what_only_warmed_the_server_does_not_stand_for_what_was_to_be_measured() {
    let sim = Sim::start("openai", &[]);
    let flags = ["--warmup", "2", "--repeat", "2", "--nonce", "off"];
    let first = ask(&sim, "openai", "finch-4b", &flags).exits(0);
    let warm = |line: &&str| !line.contains(r#""type":"result""#) || line.contains(r#""phase":"warmup""#);
    let interrupted: Vec<&str> = first.stdout.lines().filter(warm).collect();
    let file = kept(&sim, "interrupted", &(interrupted.join("\n") + "\n"));
    let second = ask(&sim, "openai", "finch-4b", &[&flags[..], &["--resume", &file]].concat()).exits(0);
    let measured = second.of_type("result").iter().filter(|r| r["phase"] == "measure").count();
    assert_eq!(measured, 2);
}

#[test]
fn what_a_question_is_decides_whether_it_was_answered() {
    let sim = Sim::start("openai", &["--models", "a,b"]);
    let file = kept(&sim, "first", &ask(&sim, "openai", "a", &["--temperature", "0.5"]).exits(0).stdout);
    for (model, flags, left) in [
        ("a", &["--temperature", "0.5"][..], 0),
        ("a", &["--temperature", "0.6"], 1),
        ("a", &["--temperature", "0.5", "--max-tokens", "5"], 1),
        ("a", &["--temperature", "0.5", "--repeat", "3"], 2),
        ("a", &["--temperature", "0.5", "--concurrency", "1,2"], 1),
        ("a", &["--temperature", "0.5", "--retries", "9", "--grace", "1s"], 0),
        ("b", &["--temperature", "0.5"], 1),
        ("a\nb", &["--temperature", "0.5"], 1),
    ] {
        let ran = ask(&sim, "openai", model, &[flags, &["--resume", &file]].concat()).exits(0);
        assert_eq!(ran.of_type("result").len(), left, "{model:?} {flags:?}");
    }
}

#[test]
fn a_folder_that_two_runs_filled_has_every_answer_and_every_name_once() {
    let sim = Sim::start("openrouter", &["--fault", "http-500:1x"]);
    let folder = tempfile::tempdir().unwrap();
    let run = r#"printf 'aviary/finch-4b\naviary/heron-12b\n' | llm-run --source openrouter --base-url $SIM --suite website \
        --retries 0 --artifacts run $MORE | tee -a run.ndjson | bench-join --json-dir run >> run/results.ndjson"#;
    let go = |more: &str| {
        let mut script = bash(run);
        script.current_dir(folder.path()).env("SIM", &sim.url).env("MORE", more);
        run_with(script, "").status
    };
    std::fs::create_dir(folder.path().join("run")).unwrap();
    assert_eq!(go(""), Some(1));
    assert_eq!(go("--resume run.ndjson"), Some(0));
    let text = std::fs::read_to_string(folder.path().join("run/results.ndjson")).unwrap();
    let results: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["type"] == "result")
        .collect();
    assert_eq!(results.len(), 3);
    let ids: BTreeSet<u64> = results.iter().map(|result| result["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 3, "numbers go on");
    let good: Vec<&Value> = results.iter().filter(|result| result["error"].is_null()).collect();
    for result in &good {
        for kind in ["html", "text", "json"] {
            let name = result["files"][kind].as_str().unwrap();
            assert!(!name.starts_with('/') && folder.path().join("run").join(name).is_file(), "{name}");
        }
        let json =
            std::fs::read_to_string(folder.path().join("run").join(result["files"]["json"].as_str().unwrap())).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["id"], result["id"]);
    }
    assert_eq!(good.len(), 2);
}

#[test]
fn hostile_ids_get_files_of_their_own_through_the_whole_line() {
    let names = ["../../escape", "..", "UPPER", "upper", "a/b", "a_b", "ünï/cödé", "con", "-rf", &"x".repeat(300)];
    let sim = Sim::start("openai", &["--models", &names.join(",")]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    let mut script = bash(
        r#"llm-run --source openai --base-url $SIM --suite website --artifacts run | bench-join --json-dir run > ../joined"#,
    );
    script.current_dir(folder.path().join("in")).env("SIM", &sim.url);
    run_with(script, names.join("\n")).exits(0);
    let text = std::fs::read_to_string(folder.path().join("joined")).unwrap();
    let results =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|r| r["type"] == "result");
    let mut files = BTreeSet::new();
    for result in results {
        for kind in ["html", "text", "json"] {
            let name = result["files"][kind].as_str().unwrap();
            assert!(folder.path().join("in/run").join(name).is_file() && name.len() < 200, "{name}");
            assert!(files.insert(name.to_lowercase()), "{name} twice");
        }
    }
    assert_eq!(files.len(), 3 * names.len());
    assert_eq!(
        std::fs::read_dir(folder.path().join("in/run")).unwrap().count(),
        files.len(),
        "no half-written file is left"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing escaped");
}

#[test]
fn what_cannot_be_read_of_an_old_run_is_told_and_another_file_is_refused() {
    let sim = Sim::start("openai", &[]);
    let folder = tempfile::tempdir().unwrap();
    let (old, other) = (folder.path().join("old"), folder.path().join("other"));
    let first = super::ask(&sim, "openai", "finch-4b", &["--repeat", "2", "--nonce", "off"]).exits(0);
    let torn_in_the_middle = first.stdout.replacen("{\"type\":\"result\"", "{\"type\":\"resu", 1);
    std::fs::write(&old, torn_in_the_middle).unwrap();
    std::fs::write(&other, "finch-4b\nheron-12b\n").unwrap();
    let resume = |file: &std::path::Path, more: &[&str]| {
        let flags = ["--repeat", "2", "--nonce", "off", "--resume", file.to_str().unwrap()];
        super::ask(&sim, "openai", "finch-4b", &[&flags[..], more].concat())
    };
    let again = resume(&old, &[]).exits(0);
    let told = case("torn", &again.lines_with("old:"));
    assert_eq!(again.of_type("result").len(), 1);
    assert_eq!(resume(&old, &["--strict"]).exits(2).of_type("start").len(), 0);
    let refused = resume(&other, &[]).exits(2);
    golden!("resume-file-unreadable", told + &case("no records", &refused.stderr));
}
