//! The life of a model in LM Studio: unload, settle, load, verify, ask, unload.

use super::{FINCH, HERON, Lms, ask, bare, held, lmstudio, one};
use crate::common::golden::{case, golden, time};
use crate::common::sim::Sim;
use crate::common::{Ran, run_with, wait_until};
use serde_json::Value;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

#[test]
fn rest_loads_and_the_server_s_own_time_is_the_load_time() {
    let sim = lmstudio(&["--load-time", "200ms"]);
    let ran = ask(bare("llm-run"), &sim, FINCH, &["--context-length", "4096", "--settle", "150ms"]).exits(0);
    let (load, result) = (one(&ran, "load"), one(&ran, "result"));
    assert_eq!(
        (&load["loader"], &load["load_time_method"], &load["error"]),
        (&"rest".into(), &"server".into(), &Value::Null)
    );
    assert_eq!((&load["context_length"], &load["gpu_setting"]), (&4096.into(), &Value::Null));
    let number = |value: &Value| value.as_f64().unwrap();
    let seconds = number(&load["load_time_seconds"]);
    assert!((0.19..2.0).contains(&seconds), "{load}");
    let [from, to] = [&load["baseline_ts"][0], &load["baseline_ts"][1]].map(number);
    assert!(to - from >= 0.149 && number(&load["started_ts"]) >= to, "{load}");
    let took = number(&load["ended_ts"]) - number(&load["started_ts"]);
    // The record spans the load, and neither the listing before it nor the verification after it.
    assert!(took >= seconds - 0.002, "{load}");
    assert!(number(&load["ended_mono"]) <= number(&result["start_mono"]));
    assert_eq!(result["load_time_seconds"], load["load_time_seconds"]);
    assert_eq!(held(&sim), Vec::<String>::new());
}

#[test]
fn lms_loads_what_rest_cannot_say_and_requests_use_the_name_it_gave() {
    let (sim, lms) = (lmstudio(&["--load-time", "150ms", "--ground-truth", "/dev/null"]), Lms::new());
    let flags =
        ["--gpu", "0.5", "--ttl", "90s", "--parallel", "2", "--identifier", "bench-1", "--context-length", "2048"];
    let ran = ask(lms.command("llm-run", &sim.url), &sim, FINCH, &flags).exits(0);
    let (load, result) = (one(&ran, "load"), one(&ran, "result"));
    assert_eq!(
        lms.calls().iter().find(|call| call.starts_with("load")).unwrap(),
        "load aviary/finch-4b -y --gpu 0.5 --context-length 2048 --ttl 90 --parallel 2 --identifier bench-1"
    );
    assert_eq!((&load["loader"], &load["load_time_method"]), (&"lms".into(), &"wall".into()));
    assert_eq!((&load["instance"], &load["context_length"]), (&"bench-1".into(), &2048.into()));
    assert_eq!((&load["gpu_setting"], &result["prompt"]["gpu_setting"]), (&"0.5".into(), &"0.5".into()));
    // The time that lms itself tells, without its own start.
    let seconds = load["load_time_seconds"].as_f64().unwrap();
    assert!(seconds >= 0.14 && (seconds * 100.0 - (seconds * 100.0).round()).abs() < 1e-6, "{seconds}");
    assert_eq!((&result["model"], &result["served_model"]), (&FINCH.into(), &"bench-1".into()));
    assert!(!result["warnings"].to_string().contains("served_other_model"), "{result}");
    assert_eq!(held(&sim), Vec::<String>::new());
}

#[test]
fn what_lms_draws_for_a_terminal_is_read_all_the_same() {
    let (sim, lms) = (lmstudio(&["--load-time", "150ms"]), Lms::new());
    let mut run = lms.command("llm-run", &sim.url);
    run.env("FAKE_LMS_FAULT", "noise banner");
    let ran = ask(run, &sim, FINCH, &["--identifier", "x-y"]).exits(0);
    let load = one(&ran, "load");
    assert_eq!(load["instance"], "x-y");
    assert!(load["load_time_seconds"].as_f64().unwrap() >= 0.14);
    let mut run = lms.command("llm-run", &sim.url);
    run.env("FAKE_LMS_FAULT", "noise fail-load");
    let why = one(&ask(run, &sim, FINCH, &["--gpu", "max"]).exits(1), "load")["error"].to_string();
    assert!(why.contains("engine exited") && !why.contains("\\u001b") && !why.contains("[39m"), "{why}");
}

/// Whatever makes a wrong model out of a right name: it fails loudly, the wrong one is unloaded, and the next one goes on.
#[test]
fn the_wrong_model_is_a_failed_load_though_lms_exits_0() {
    let (sim, lms) = (lmstudio(&[]), Lms::new());
    let mut run = lms.command("llm-run", &sim.url);
    run.env("FAKE_LMS_KEY", HERON);
    let ran = ask(run, &sim, &format!("{FINCH}\n{HERON}"), &["--gpu", "max"]).exits(1);
    let results = ran.of_type("result");
    assert_eq!(results.len(), 2);
    let why = results[0]["errors"]["load"].as_str().unwrap();
    assert_eq!((&results[1]["model"], &results[1]["error"]), (&HERON.into(), &Value::Null));
    let line = ran.lines_with(why);
    golden!("wrong-model-loaded", line);
    assert_eq!(held(&sim), Vec::<String>::new());
}

#[test]
fn lms_is_told_where_a_server_on_another_machine_is() {
    // An address that is not loopback, and yet this machine.
    let (sim, lms) = (lmstudio(&["--listen", "0.0.0.0:0"]), Lms::new());
    let ran =
        ask(lms.command("llm-run", &sim.url.replace("0.0.0.0", "127.0.0.1")), &sim, FINCH, &["--gpu", "off"]).exits(0);
    let port = sim.url.rsplit(':').next().unwrap();
    let call = format!("load aviary/finch-4b -y --gpu off --host 0.0.0.0 --port {port}");
    assert!(lms.calls().contains(&call), "{:?} {}", lms.calls(), ran.stderr);
}

#[test]
fn a_partial_name_never_reaches_lms() {
    let sim = lmstudio(&["--models", "qwen3-4b-thinking,vendor/owl,a/twin,b/twin"]);
    let mut errors = String::new();
    for (asked, call) in [
        ("qwen3-4b", None),
        ("owl", Some("load vendor/owl -y --gpu max")),
        ("vendor/owl:2", Some("load vendor/owl -y --gpu max")),
        ("twin", None),
        ("other/owl", None),
        ("vendor/owl@q8_0", None),
        ("--host", None),
    ] {
        let lms = Lms::new();
        let ran = ask(lms.command("llm-run", &sim.url), &sim, asked, &["--gpu", "max"]);
        let loads: Vec<String> = lms.calls().into_iter().filter(|call| call.starts_with("load")).collect();
        assert_eq!(loads, Vec::from_iter(call.map(str::to_owned)), "{asked}: {}", ran.stderr);
        let error = one(&ran, "load")["error"].clone();
        assert_eq!(error.is_null(), call.is_some(), "{asked}: {error}");
        errors += &case(asked, error.as_str().unwrap_or_default());
    }
    golden!("model-name-not-found", errors);
}

#[test]
fn what_is_loaded_is_compared_with_what_was_asked_whoever_loaded_it() {
    let mut errors = String::new();
    for (quirk, flags) in [("half-context", &["--context-length", "4096"][..]), ("other-model", &[])] {
        let sim = lmstudio(&["--quirk", quirk]);
        let load = one(&ask(bare("llm-run"), &sim, FINCH, flags).exits(1), "load");
        errors += &case(quirk, load["error"].as_str().unwrap());
        assert!(load["load_time_seconds"].is_null() && load["load_time_method"].is_null());
        assert_eq!(held(&sim), Vec::<String>::new());
    }
    for (variable, value) in [
        ("FAKE_LMS_CONTEXT", "1024"),
        ("FAKE_LMS_FAULT", "nothing"),
        ("FAKE_LMS_FAULT", "fail-load"),
        ("FAKE_LMS_FAULT", "fail-ls"),
    ] {
        let (sim, lms) = (lmstudio(&[]), Lms::new());
        let mut run = lms.command("llm-run", &sim.url);
        run.env(variable, value);
        let load = one(&ask(run, &sim, FINCH, &["--gpu", "max", "--context-length", "4096"]).exits(1), "load");
        errors += &case((variable, value), load["error"].as_str().unwrap());
    }
    golden!("load-verified-and-failed", errors);
}

#[test]
fn a_variant_is_asked_for_by_its_name_and_verified() {
    let sim = lmstudio(&["--quirk", "variants"]);
    let mut list = bare("llm-models");
    list.args(["lmstudio", "--base-url", &sim.url, "--match", "finch"]);
    let models = run_with(list, "").exits(0);
    let ids: Vec<_> = models.of_type("model").iter().map(|m| (m["id"].clone(), m["quantization"].clone())).collect();
    assert_eq!(
        ids,
        [("aviary/finch-4b@q4_k_m".into(), "Q4_K_M".into()), ("aviary/finch-4b@q8_0".into(), "Q8_0".into())]
    );
    let ran = ask(bare("llm-run"), &sim, "aviary/finch-4b@q4_k_m", &[]).exits(0);
    assert_eq!((&one(&ran, "load")["error"], &one(&ran, "result")["error"]), (&Value::Null, &Value::Null));
    assert_eq!(one(&ran, "load")["instance"], FINCH);
}

/// Each age of LM Studio, with `lms` and without.
#[test]
fn every_age_is_loaded_by_what_it_has() {
    let mut notices = String::new();
    for (age, with_lms, loader, api) in [
        ("v1", false, "rest", "lmstudio-v1"),
        ("v1", true, "rest", "lmstudio-v1"),
        ("v0", true, "lms", "lmstudio-v0"),
        ("v0", false, "jit", "lmstudio-v0"),
        ("openai", true, "lms", "chat"),
        ("openai", false, "jit", "chat"),
    ] {
        for quirk in [&[][..], &["--quirk", "true-404"]] {
            let (sim, lms) = (lmstudio(&[&["--lmstudio-api", age], quirk].concat()), Lms::new());
            let run = if with_lms { lms.command("llm-run", &sim.url) } else { bare("llm-run") };
            let ran = ask(run, &sim, FINCH, &[]).exits(0);
            let (load, result) = (one(&ran, "load"), one(&ran, "result"));
            assert_eq!(
                (&load["loader"], &result["api"]),
                (&loader.into(), &api.into()),
                "{age} {quirk:?} {}",
                ran.stderr
            );
            assert_eq!((&load["error"], &result["error"]), (&Value::Null, &Value::Null), "{age}");
            assert_eq!(result["tokens"]["output"], 12, "{age}");
            assert!(load["load_time_seconds"].as_f64().unwrap() > 0.0);
            // An age that cannot say what is loaded, alone, has no baseline either: something may have been loaded.
            let blind = age == "openai" && !with_lms;
            assert_eq!(load["baseline_ts"].is_null(), blind, "{age} {with_lms}: {load}");
            let before_the_last: Vec<&str> = ran.stderr.lines().rev().skip(1).collect();
            notices += &case((age, with_lms, quirk), &before_the_last.join("\n"));
        }
    }
    golden!("load-notices", notices);
}

#[test]
fn a_context_length_that_nobody_can_set_or_verify_is_a_failed_load() {
    let sim = lmstudio(&["--lmstudio-api", "openai"]);
    let load = one(&ask(bare("llm-run"), &sim, FINCH, &["--context-length", "4096"]).exits(1), "load");
    let errors = case("without lms", load["error"].as_str().unwrap());
    let sim = lmstudio(&["--lmstudio-api", "v0"]);
    let load = one(&ask(bare("llm-run"), &sim, FINCH, &["--context-length", "4096"]).exits(1), "load");
    golden!("context-length-not-settable", errors + &case("other", load["error"].as_str().unwrap()));
}

#[test]
fn listings_that_forget_or_shorten_do_not_hide_what_is_loaded() {
    for quirks in [&["no-instances"][..], &["no-vendor"], &["no-instances", "no-vendor"], &["vlm", "no-instances"]] {
        let flags: Vec<&str> = quirks.iter().flat_map(|quirk| ["--quirk", quirk]).collect();
        let (sim, lms) = (lmstudio(&flags), Lms::new());
        let ran =
            ask(lms.command("llm-run", &sim.url), &sim, &format!("{FINCH}\n{HERON}"), &["--context-length", "2048"])
                .exits(0);
        let loads = ran.of_type("load");
        assert!(loads.iter().all(|load| load.get("instance").is_none()), "{quirks:?}: {loads:?}");
        assert_eq!(loads.iter().map(|load| &load["context_length"]).collect::<Vec<_>>(), [2048, 2048], "{quirks:?}");
        assert!(loads.iter().all(|load| load["baseline_ts"].is_array()), "{quirks:?}: {}", ran.stderr);
        assert_eq!(held(&sim), Vec::<String>::new(), "{quirks:?}");
    }
}

#[test]
fn everything_is_unloaded_first_whoever_loaded_it_and_however_often() {
    let (sim, lms) = (lmstudio(&[]), Lms::new());
    let chat = |model: &str| ask(bare("llm-run"), &sim, model, &["--no-load"]).exits(0);
    chat(HERON);
    for _ in 0..2 {
        let mut load = std::process::Command::new("bash");
        load.envs(lms.command("llm-run", &sim.url).get_envs().filter_map(|(k, v)| Some((k, v?))));
        load.arg(crate::common::root().join("tests/fake/lms")).args(["load", "nocturne/owl-20b", "-y"]);
        run_with(load, "").exits(0);
    }
    assert_eq!(held(&sim).len(), 2);
    let ran = ask(bare("llm-run"), &sim, FINCH, &[]).exits(0);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert_eq!(one(&ran, "result")["served_model"], FINCH, "and not a second instance");
    assert_eq!(held(&sim), Vec::<String>::new());
}

#[test]
fn a_model_that_left_between_two_requests_and_came_back_is_told() {
    let (sim, lms) = (lmstudio(&["--load-time", "200ms"]), Lms::new());
    let flags = ["--ttl", "1s", "--rate", "0.4", "--arrival", "constant", "--requests", "2"];
    let ran = ask(lms.command("llm-run", &sim.url), &sim, FINCH, &flags).exits(0);
    let doubted = |result: &Value| result["warnings"].to_string().contains("loaded_by_request");
    assert_eq!(ran.of_type("result").iter().map(doubted).collect::<Vec<_>>(), [false, true], "{}", ran.stdout);
    let loaders: Vec<Value> = ran.of_type("load").iter().map(|load| load["loader"].clone()).collect();
    assert_eq!(loaders, ["lms", "jit"]);
}

#[test]
fn a_load_that_takes_too_long_fails_and_is_unloaded_when_it_ends() {
    let sim = lmstudio(&["--load-time", "900ms"]);
    let ran = ask(bare("llm-run"), &sim, FINCH, &["--load-timeout", "200ms"]).exits(1);
    let (load, result) = (one(&ran, "load"), one(&ran, "result"));
    golden!("load-timeout", load["error"].as_str().unwrap());
    assert_eq!(result["error"]["kind"], "load");
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(held(&sim), Vec::<String>::new(), "the server went on loading, and that was unloaded too");
}

#[test]
fn an_lms_that_hangs_is_ended_with_all_it_started() {
    for (fault, flags) in [("hang-load", &["--gpu", "max"][..]), ("hang-ls", &["--gpu", "max"])] {
        let (sim, lms) = (lmstudio(&[]), Lms::new());
        let mut run = lms.command("llm-run", &sim.url);
        run.env("FAKE_LMS_FAULT", fault);
        let began = Instant::now();
        let ran =
            ask(run, &sim, &format!("{FINCH}\n{HERON}"), &[flags, &["--load-timeout", "400ms"]].concat()).exits(1);
        assert!(began.elapsed() < Duration::from_secs(30), "{fault}");
        assert_eq!(ran.of_type("load").len(), 2, "{fault}: the next model goes on");
        assert!(ran.of_type("load").iter().all(|load| load["error"].is_string()));
        lms.is_over();
    }
}

#[test]
fn an_unload_that_hangs_is_a_notice_and_not_a_hang() {
    let (sim, lms) = (lmstudio(&["--lmstudio-api", "v0"]), Lms::new());
    ask(bare("llm-run"), &sim, HERON, &["--no-load"]).exits(0);
    let mut run = lms.command("llm-run", &sim.url);
    run.env("FAKE_LMS_FAULT", "hang-unload");
    let ran = ask(run, &sim, FINCH, &["--load-timeout", "3s"]).exits(0);
    golden!("unload-hangs", ran.stderr, time());
    assert!(one(&ran, "load").get("baseline_ts").is_none());
}

#[test]
fn a_name_is_verified_where_the_listing_forgets_it_and_its_loss_is_loud() {
    let (sim, lms) = (lmstudio(&["--quirk", "no-instances"]), Lms::new());
    let ran = ask(lms.command("llm-run", &sim.url), &sim, FINCH, &["--identifier", "bench-2"]).exits(0);
    assert_eq!(
        (&one(&ran, "load")["instance"], &one(&ran, "result")["served_model"]),
        (&"bench-2".into(), &"bench-2".into())
    );
    let mut run = lms.command("llm-run", &sim.url);
    run.env("FAKE_LMS_IDENTIFIER", "other");
    let ran = ask(run, &sim, FINCH, &["--identifier", "bench-3"]).exits(1);
    let load = one(&ran, "load");
    golden!("identifier-not-kept", load["error"].as_str().unwrap());
}

#[test]
fn a_listing_that_fails_is_not_taken_for_an_older_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let body = r#"{"error":{"message":"the engine is restarting"}}"#;
            let _ =
                write!(stream, "HTTP/1.1 500 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        }
    });
    let mut list = bare("llm-models");
    list.args(["lmstudio", "--base-url", &url]);
    assert!(run_with(list, "").exits(2).stderr.contains("the engine is restarting"));
    let mut run = bare("llm-run");
    run.args(["--source", "lmstudio", "--base-url", &url, "--prompt", "x", "--settle", "0s", "--retries", "0"]);
    let ran = run_with(run, "m\n").exits(1);
    assert_eq!(one(&ran, "load")["error"], "the engine is restarting");
}

fn spawn(mut run: std::process::Command, sim: &Sim, model: &str, flags: &[&str]) -> Child {
    run.args(["--source", "lmstudio", "--base-url", &sim.url, "--prompt", "x", "--settle", "10ms"]).args(flags);
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{model}\n").as_bytes()).unwrap();
    child
}

fn end(child: Child) -> (Option<i32>, String, String) {
    let out = child.wait_with_output().unwrap();
    (out.status.code(), String::from_utf8_lossy(&out.stdout).into(), String::from_utf8_lossy(&out.stderr).into())
}

#[test]
fn an_interrupt_during_a_load_ends_lms_and_asks_nothing() {
    let (sim, lms) = (lmstudio(&[]), Lms::new());
    let mut run = lms.command("llm-run", &sim.url);
    run.env("FAKE_LMS_FAULT", "hang-load");
    let child = spawn(run, &sim, &format!("{FINCH}\n{HERON}"), &["--gpu", "max"]);
    wait_until("lms load", || lms.calls().iter().any(|call| call.starts_with("load")));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let began = Instant::now();
    let (status, stdout, stderr) = end(child);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(status, Some(1), "{stderr}");
    let ran = Ran { status, stdout, stderr };
    assert_eq!(ran.of_type("result").len(), 0);
    golden!("load-stopped", ran.stderr, time());
    lms.is_over();
}

#[test]
fn an_interrupt_during_a_load_by_rest_leaves_nothing_loaded() {
    let sim = lmstudio(&["--load-time", "1500ms"]);
    let child = spawn(bare("llm-run"), &sim, FINCH, &[]);
    std::thread::sleep(Duration::from_millis(700));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let (status, stdout, stderr) = end(child);
    let ran = Ran { status, stdout, stderr }.exits(1);
    golden!("load-stopped-error", one(&ran, "load")["error"].as_str().unwrap());
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(held(&sim), Vec::<String>::new());
}

#[test]
fn a_server_that_dies_during_the_load_is_a_failed_load() {
    let sim = lmstudio(&["--load-time", "20s"]);
    let child = spawn(bare("llm-run"), &sim, FINCH, &[]);
    std::thread::sleep(Duration::from_millis(700));
    let began = Instant::now();
    drop(sim);
    let (status, stdout, stderr) = end(child);
    assert!(began.elapsed() < Duration::from_secs(10));
    let ran = Ran { status, stdout, stderr }.exits(1);
    assert_eq!(one(&ran, "result")["error"]["kind"], "load");
    assert!(one(&ran, "load")["error"].is_string());
}

#[test]
fn flags_that_contradict_or_cannot_be_meant_are_refused() {
    let mut told = String::new();
    for flags in [
        &["--no-load", "--gpu", "max"][..],
        &["--no-load", "--identifier", "x"],
        &["--no-load", "--parallel", "2"],
        &["--ttl", "500ms"],
        &["--ttl", "1500ms"],
        &["--parallel", "0"],
        &["--context-length", "0"],
        &["--identifier=-x"],
        &["--identifier", "a b"],
        &["--load-timeout", "0s"],
        &["--gpu", "1.5"],
    ] {
        let mut run = bare("llm-run");
        run.args(["--source", "lmstudio", "--prompt", "x"]).args(flags);
        told += &case(flags, &run_with(run, "m\n").exits(2).stderr);
    }
    golden!("load-of-model-flags-refused", told);
}

#[test]
fn the_join_gets_from_a_load_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let power = path("power.log");
    let sim = lmstudio(&[
        "--load-time",
        "900ms",
        "--load-bytes",
        "40MB",
        "--tokens",
        "200",
        "--itl",
        "5ms",
        "--power-log",
        &power,
        "--power-interval",
        "50ms",
    ]);
    let mut memory = bare("mem-sample");
    memory.args(["--pid", &sim.pid().to_string(), "--interval", "100ms", "--duration", "20s", "-o", &path("memory")]);
    let mut memory = memory.spawn().unwrap();
    let ran = ask(bare("llm-run"), &sim, FINCH, &["--settle", "2500ms"]).exits(0);
    std::thread::sleep(Duration::from_millis(200));
    let _ = std::process::Command::new("kill").args(["-INT", &memory.id().to_string()]).status();
    memory.wait().unwrap();
    let mut sample = bare("power-sample");
    sample.args(["--from", &power, "-o", &path("power")]);
    let sampled = run_with(sample, "");
    assert!(std::path::Path::new(&path("power")).exists(), "{}", sampled.stderr);
    let mut join = bare("bench-join");
    join.args(["--idle", "auto", "--power", &path("power"), "--mem", &path("memory")]);
    let joined = run_with(join, &ran.stdout);
    let result = one(&joined, "result");
    // A load draws 8 W above the 2 W of always, for as long as it takes.
    let (energy, seconds) =
        (&result["power"]["load"]["energy_joules"], one(&ran, "load")["load_time_seconds"].as_f64().unwrap());
    let energy = energy.as_f64().unwrap_or_else(|| panic!("{result}"));
    assert!((energy - 10.0 * seconds).abs() < 2.5, "{energy} J in {seconds} s");
    assert!(
        (1.5..3.0).contains(&result["power"]["idle_watts"].as_f64().unwrap_or_else(|| panic!("{result}"))),
        "{result}"
    );
    assert!(result["memory"]["load"]["samples"].as_u64().unwrap() >= 3, "{result}");
    let memory = &result["memory"];
    let grown = memory["delta_load"]["rss_bytes"].as_f64().unwrap();
    assert!((30e6..80e6).contains(&grown), "{memory}");
    assert!(
        memory["baseline"].is_object() && memory["after_load"].is_object() && memory["after_generation"].is_object()
    );
}
