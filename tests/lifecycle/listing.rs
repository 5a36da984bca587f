//! `llm-models lmstudio`: whichever listing answers, a server that must be started first, and one that has no list at all.

use super::{FINCH, Lms, ask, bare, lmstudio};
use crate::common::golden::{case, golden, known};
use crate::common::sim::Sim;
use crate::common::{Ran, run_with, wait_until};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;

fn list(sim: &Sim, flags: &[&str]) -> Ran {
    let mut list = bare("llm-models");
    list.args(["lmstudio", "--base-url", &sim.url]).args(flags);
    run_with(list, "")
}

#[test]
fn the_best_listing_that_answers_is_believed_by_its_shape() {
    for (age, told, untold) in [
        ("v1", &["name", "size_bytes", "parameters", "loaded", "quantization"][..], &[][..]),
        ("v0", &["loaded", "quantization", "arch", "context_length"], &["size_bytes", "name"]),
        ("openai", &[], &["loaded", "quantization", "context_length"]),
    ] {
        for quirk in [&[][..], &["--quirk", "true-404"]] {
            let sim = lmstudio(&[&["--lmstudio-api", age], quirk].concat());
            let models = list(&sim, &[]).exits(0).of_type("model");
            let ids: Vec<_> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
            assert_eq!(ids, [FINCH, "aviary/heron-12b", "nocturne/owl-20b"], "{age}");
            for field in told {
                assert!(!models[0][field].is_null(), "{age} {field}: {}", models[0]);
            }
            for field in untold {
                assert!(models[0].get(field).is_none(), "{age} {field}: absent, not guessed");
            }
            assert_eq!(list(&sim, &["--all"]).exits(0).of_type("model").len(), 4, "{age}");
        }
    }
}

#[test]
fn the_state_of_the_older_listing_is_merged_into_the_native_one() {
    for quirks in [&[][..], &["no-instances"], &["no-instances", "no-vendor"]] {
        let flags: Vec<&str> = quirks.iter().flat_map(|quirk| ["--quirk", quirk]).collect();
        let sim = lmstudio(&flags);
        ask(bare("llm-run"), &sim, FINCH, &["--no-load", "--context-length", "2048"]).exits(0);
        let models = list(&sim, &[]).exits(0).of_type("model");
        assert_eq!(
            (&models[0]["loaded"], &models[0]["loaded_context_length"]),
            (&true.into(), &2048.into()),
            "{quirks:?}"
        );
        assert_eq!(models[1]["loaded"], false);
        assert!(models[0]["size_bytes"].is_u64() && models[0]["context_length"] == 32768, "the base is v1's");
    }
}

#[test]
fn a_second_instance_is_no_second_model() {
    for age in ["v0", "openai"] {
        let (sim, lms) = (lmstudio(&["--lmstudio-api", age, "--models", "a,a:2,b:3"]), Lms::new());
        drop(lms);
        let ids = list(&sim, &["--format", "ids"]).exits(0).stdout;
        assert_eq!(ids, "a\nb:3\n", "{age}");
    }
}

#[test]
fn the_list_comes_as_records_a_table_or_ids() {
    let sim = lmstudio(&[]);
    assert_eq!(
        list(&sim, &["--format", "ids"]).exits(0).stdout,
        "aviary/finch-4b\naviary/heron-12b\nnocturne/owl-20b\n"
    );
    let table = list(&sim, &["--format", "text"]).exits(0).stdout;
    golden!("model-table", table);
    assert!(list(&sim, &["--format", "ndjson"]).exits(0).records().iter().all(|record| record["v"] == 1));
}

#[test]
fn a_key_is_taken_from_the_environment_and_its_lack_is_said() {
    let mut told = String::new();
    for age in ["v1", "v0", "openai"] {
        let sim = lmstudio(&["--api-key", "sk-lm-x", "--lmstudio-api", age]);
        let refused = list(&sim, &[]).exits(2);
        told += &case(age, &refused.stderr);
        let mut keyed = bare("llm-models");
        keyed.args(["lmstudio"]).env("LM_API_TOKEN", "sk-lm-x").env("LMSTUDIO_API_BASE", format!("{}/v1/", sim.url));
        assert_eq!(run_with(keyed, "").exits(0).of_type("model").len(), 3, "{age}");
    }
    golden!("lm-studio-wants-a-key", told);
}

/// A port on which nothing listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_server_that_is_down_is_started_waited_for_and_said_so() {
    let (lms, port) = (Lms::new(), free_port());
    let mut list = lms.command("llm-models", "");
    list.args(["lmstudio", "--base-url", &format!("http://127.0.0.1:{port}")]);
    let ran = run_with(list, "").exits(0);
    assert_eq!(ran.of_type("model").len(), 3);
    golden!("lm-studio-started", ran.stderr, known(port, "[port]"));
    assert!(lms.calls().contains(&format!("server start --port {port}")), "{:?}", lms.calls());
}

#[test]
fn without_a_named_server_lms_says_where_it_is_or_where_it_started_it() {
    // It runs, on another port than the usual one.
    let (sim, lms) = (lmstudio(&[]), Lms::new());
    if std::net::TcpStream::connect("127.0.0.1:1234").is_ok() {
        return eprintln!("skipped: something listens on port 1234");
    }
    let mut list = lms.command("llm-models", &sim.url);
    let ran = run_with(
        {
            list.arg("lmstudio");
            list
        },
        "",
    )
    .exits(0);
    assert_eq!(ran.of_type("model")[0]["base_url"], sim.url.as_str());
    golden!("lm-studio-on-another-port", ran.stderr, known(sim.url.rsplit(':').next().unwrap(), "[port]"));
    assert_eq!(lms.calls(), ["server status --json"], "nothing is started");
    // It does not, and is started where it was last.
    let (lms, port) = (Lms::new(), free_port());
    let mut list = lms.command("llm-models", "");
    list.arg("lmstudio").env("FAKE_LMS_PORT", port.to_string());
    let ran = run_with(list, "").exits(0);
    assert_eq!(ran.of_type("model")[0]["base_url"], format!("http://127.0.0.1:{port}"));
}

#[test]
fn starting_can_be_forbidden_and_can_fail() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let lms = Lms::new();
    let mut forbidden = lms.command("llm-models", "");
    forbidden.args(["lmstudio", "--no-start", "--base-url", &url]);
    let ran = run_with(forbidden, "").exits(2);
    assert!(lms.calls().is_empty(), "{:?}", lms.calls());
    let mut told = case("--no-start", &ran.stderr);

    let mut none = bare("llm-models");
    none.args(["lmstudio", "--base-url", &url]);
    let ran = run_with(none, "").exits(2);
    told += &case("no lms", &ran.stderr);

    let mut fails = lms.command("llm-models", "");
    fails.args(["lmstudio", "--base-url", &url]).env("FAKE_LMS_FAULT", "fail-server-start noise");
    let ran = run_with(fails, "").exits(2);
    assert!(!ran.stderr.contains('\x1b'), "{}", ran.stderr);
    told += &case("lms fails", &ran.stderr);

    // Nobody starts a server on another machine, whatever it says.
    let mut far = lms.command("llm-models", "");
    let before = lms.calls().len();
    far.args(["lmstudio", "--base-url", "http://no-such-host.invalid:9"]);
    told += &case("far", &run_with(far, "").exits(2).stderr);
    golden!("lm-studio-not-started", told, known(url.rsplit(':').next().unwrap(), "[port]"));
    assert_eq!(lms.calls().len(), before);
}

/// A server that answers everything with a 200 that says nothing, as an LM Studio without any listing would.
fn mute() -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let body = r#"{"error":"Unexpected endpoint or method. (GET /x)"}"#;
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        }
    });
    (url, server)
}

#[test]
fn where_no_listing_answers_lms_lists() {
    let (url, server) = mute();
    let (sim, lms) = (lmstudio(&[]), Lms::new());
    let mut list = lms.command("llm-models", &sim.url);
    list.args(["lmstudio", "--base-url", &url]);
    let ran = run_with(list, "").exits(0);
    server.join().unwrap();
    let models = ran.of_type("model");
    assert_eq!((models.len(), &models[0]["id"], &models[0]["format"]), (3, &FINCH.into(), &"mlx".into()));
    assert_eq!(models[0]["base_url"], url.as_str());
    assert_eq!(lms.calls(), ["ls --json"]);
    let told = case("lms", &ran.stderr);
    let (url, server) = mute();
    let mut none = bare("llm-models");
    none.args(["lmstudio", "--base-url", &url]);
    let ran = run_with(none, "").exits(2);
    server.join().unwrap();
    golden!("lm-studio-lists-nothing", told + &case("no lms", &ran.stderr));
}

#[test]
fn another_kind_of_server_is_listed_and_doubted() {
    let (other, own) = (Sim::start("openai", &[]), lmstudio(&["--lmstudio-api", "openai"]));
    let ran = list(&other, &[]).exits(0);
    assert_eq!(ran.of_type("model").len(), 3);
    golden!("listed-as-lm-studio", ran.stderr);
    assert_eq!(list(&own, &[]).exits(0).stderr, "");
}

#[test]
fn an_interrupt_ends_the_lms_that_is_waited_for() {
    let lms = Lms::new();
    let mut list = lms.command("llm-models", "");
    list.args(["lmstudio", "--base-url", &format!("http://127.0.0.1:{}", free_port())]);
    let mut child = list.env("FAKE_LMS_FAULT", "hang-server-start").spawn().unwrap();
    wait_until("lms server start", || lms.calls().iter().any(|call| call.starts_with("server start")));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(2), "dies of the signal");
    lms.is_over();
}

#[test]
fn no_models_is_one_line_with_the_fix() {
    let sim = lmstudio(&["--models", "text-embedding-wren-v1"]);
    let ran = list(&sim, &[]).exits(2);
    golden!("lm-studio-has-no-models", ran.stderr);
    assert_eq!(list(&sim, &["--all"]).exits(0).of_type("model").len(), 1);
}

#[test]
fn minimax_is_its_service_or_a_server_of_one_s_own() {
    let mut far = bare("llm-models");
    let ran = run_with(
        {
            far.arg("minimax");
            far
        },
        "",
    )
    .exits(2);
    golden!("minimax-without-a-key", ran.stderr);
    let mut run = bare("llm-run");
    run.args(["--source", "minimax", "--prompt", "x", "-n"]).env("MINIMAX_API_KEY", "k");
    assert_eq!(
        run_with(run, "MiniMax-M3\n").exits(0).records()[0]["url"],
        "https://api.minimax.io/v1/chat/completions"
    );
    for profile in ["minimax", "openai"] {
        let sim = Sim::start(profile, &[]);
        let mut near = bare("llm-models");
        near.args(["minimax", "--base-url", &sim.url]);
        let models = run_with(near, "").exits(0).of_type("model");
        assert!(models.len() == 3 && models.iter().all(|model| model["source"] == "minimax"), "{profile}");
    }
}

#[test]
fn a_list_is_read_line_by_line_and_json_is_no_id() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("models.txt");
    let good = "# mine\nacme/small   # note\nacme/small\n\nacme/large\n";
    std::fs::write(&file, format!("{good}[\"a\"]\n{{\"id\":\"b\"}}\n")).unwrap();
    let file = file.to_str().unwrap();
    let list = |flags: &[&str]| {
        run_with(
            {
                let mut list = bare("llm-models");
                list.args(["file", file]).args(flags);
                list
            },
            "",
        )
    };
    let ran = list(&["--format", "ids"]).exits(1);
    assert_eq!(ran.stdout, "acme/small\nacme/large\n");
    let told = case("models.txt", &ran.stderr);
    assert_eq!(list(&["--strict"]).exits(2).stdout, "");
    let mut stdin = bare("llm-models");
    stdin.args(["file", "-", "--source", "ollama"]);
    assert_eq!(run_with(stdin, "owl\n").exits(0).of_type("model")[0]["base_url"], "http://127.0.0.1:11434");
    let mut run = bare("llm-run");
    run.args(["--source", "openai", "--base-url", "http://127.0.0.1:1", "--prompt", "x", "-n"]);
    let ran = run_with(run, "[\"a\"]\nreal\n\"quoted\"\n").exits(1);
    assert_eq!(ran.records().iter().map(|r| r["body"]["model"].clone()).collect::<Vec<Value>>(), ["real"]);
    golden!("json-is-no-model-id", told + &case("llm-run", &ran.stderr));
}

#[test]
fn bash_completes_the_flags_of_a_subcommand() {
    let script = r#"source <(llm-models --generate bash)
        COMP_WORDS=(llm-models lmstudio --no); COMP_CWORD=2
        _llm__models llm-models --no lmstudio
        printf '%s\n' "${COMPREPLY[@]}""#;
    assert_eq!(run_with(crate::common::bash(script), "").exits(0).stdout, "--no-start\n");
}
