//! What people see while llm-run works: lines on a terminal and nothing elsewhere, one last line, and what a signal does.

use crate::common::sim::Sim;
use crate::common::{self, Ran, bash, run_with};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Runs a script on a terminal of so many rows and 100 columns.
fn on_a_terminal(sim: &Sim, rows: u32, run: &str) -> Option<Ran> {
    common::on_a_terminal(rows, 100, run, &[("SIM", sim.url.as_ref()), ("OUT", sim.path("out").as_ref())])
}

/// The lines that a terminal was sent, without what moves its cursor.
fn lines(ran: &Ran) -> Vec<String> {
    let mut text = String::new();
    let mut rest = ran.stdout.as_str();
    while let Some(at) = rest.find('\x1b') {
        text.push_str(&rest[..at]);
        let tail = rest[at + 1..].strip_prefix('[').unwrap_or(&rest[at + 1..]);
        let end = tail.find(|c: char| c.is_ascii_alphabetic()).map_or(tail.len(), |end| end + 1);
        // What moves the cursor begins another line.
        text.push('\n');
        rest = &tail[end..];
    }
    text.push_str(rest);
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

const ASK: &str = "llm-run --prompt hello --nonce off --settle 600ms";

#[test]
fn on_a_terminal_each_running_request_has_a_line_with_its_phase_and_the_total_tells_the_cost() {
    let sim = Sim::start("openrouter", &["--ttft", "900ms", "--itl", "30ms", "--tokens", "60"]);
    let run = format!("llm-models openrouter --base-url $SIM | {ASK} --concurrency 3 --repeat 2 > $OUT");
    let Some(ran) = on_a_terminal(&sim, 30, &run) else { return };
    let lines = lines(&ran);
    let some = |words: &[&str]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    for model in ["aviary/finch-4b", "aviary/heron-12b", "nocturne/owl-20b"] {
        assert!(some(&[model, "prompt ", " s"]), "{model}: {lines:?}");
        assert!(some(&[model, "answering", " tokens", " tok/s"]), "{model}: {lines:?}");
    }
    assert!(some(&["nocturne/owl-20b", "thinking"]), "{lines:?}");
    assert!(some(&["/6 ", "eta unknown"]) && some(&["/6 ", "eta ", " tokens, $0.0"]), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("llm-run: 6 ok, 0 failed, 360 output tokens"), "{lines:?}");
    let records = std::fs::read_to_string(sim.path("out")).unwrap();
    assert!(records.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "progress is on stderr only");
}

#[test]
fn a_load_has_a_line_too() {
    let sim = Sim::start("lmstudio", &["--load-time", "900ms", "--models", "aviary/finch-4b"]);
    let Some(ran) = on_a_terminal(&sim, 30, &format!("llm-models lmstudio --base-url $SIM | {ASK} > $OUT")) else {
        return;
    };
    let lines = lines(&ran);
    assert!(lines.iter().any(|line| line.contains("aviary/finch-4b") && line.contains("loading")), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("llm-run: 1 ok, 0 failed"), "{lines:?}");
}

#[test]
fn there_are_no_more_lines_than_the_terminal_has_and_a_hostile_name_is_harmless() {
    let names = ["a\u{202e}b", &"x".repeat(300), "日本/語", "m4", "m5", "m6", "m7", "m8"];
    let sim = Sim::start("openai", &["--models", &names.join(","), "--ttft", "1500ms"]);
    let evil =
        serde_json::json!({"type": "model", "v": 1, "source": "openai", "base_url": sim.url, "id": "e\x1b[2Jvil"});
    std::fs::write(sim.path("in"), format!("{evil}\n")).unwrap();
    // The hostile one first, which does not exist and is told of as a failure too; then six at once on seven rows.
    let file = sim.path("in");
    let run =
        format!("(cat {file}; echo m4) | {ASK} --source openai --base-url $SIM --concurrency 6 --requests 6 > $OUT");
    let Some(ran) = on_a_terminal(&sim, 7, &run) else { return };
    let seen = lines(&ran);
    assert!(!ran.stdout.contains("\x1b[2J"), "{:?}", ran.stdout);
    assert!(seen.iter().any(|line| line.contains("… and 2 more")), "{seen:?}");
}

#[test]
fn nothing_is_drawn_where_nobody_looks_and_nothing_is_said_when_quiet() {
    let sim = Sim::start("openai", &["--ttft", "500ms"]);
    let ran = super::ask(&sim, "openai", "finch-4b", &[]).exits(0);
    assert!(!ran.stderr.contains('\x1b') && ran.stderr.lines().count() == 1, "{:?}", ran.stderr);
    assert!(ran.stderr.starts_with("llm-run: 1 ok, 0 failed"), "{}", ran.stderr);
    let quiet = super::ask(&sim, "openai", "finch-4b", &["--quiet"]).exits(0);
    assert_eq!(quiet.stderr, "");
    let run = format!("echo finch-4b | {ASK} --source openai --base-url $SIM --quiet > $OUT");
    let Some(ran) = on_a_terminal(&sim, 30, &run) else { return };
    assert_eq!(lines(&ran), Vec::<String>::new(), "{:?}", ran.stdout);
    let run = format!("echo finch-4b | {ASK} --source openai --base-url $SIM 2> $OUT.err > $OUT");
    let Some(ran) = on_a_terminal(&sim, 30, &run) else { return };
    assert_eq!(lines(&ran), Vec::<String>::new(), "{:?}", ran.stdout);
    assert_eq!(std::fs::read_to_string(sim.path("out.err")).unwrap().lines().count(), 1);
}

#[test]
fn what_waits_for_the_ledger_is_told_and_records_on_a_terminal_are_not_torn() {
    let sim = Sim::start("openrouter", &["--generation-delay", "1500ms"]);
    let run = format!("echo aviary/finch-4b | {ASK} --source openrouter --base-url $SIM --verify-cost");
    let Some(ran) = on_a_terminal(&sim, 30, &format!("{run} > $OUT")) else { return };
    assert!(
        lines(&ran).iter().any(|line| line.contains("1 results wait for OpenRouter's ledger")),
        "{:?}",
        lines(&ran)
    );
    let Some(ran) = on_a_terminal(&sim, 30, &run) else { return };
    let told = lines(&ran);
    let (last, records) = told.split_last().unwrap();
    assert!(last.starts_with("llm-run: 1 ok"), "{told:?}");
    assert!(records.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{told:?}");
}

/// Sends signals to a run of three slow requests at once, of six; says how long it took after the first signal.
fn signalled(grace: &str, script: &str) -> (Duration, Vec<Value>, String) {
    let sim = Sim::start("openai", &["--ttft", "100ms", "--fault", "stall"]);
    let mut run = bash(&format!(
        "echo finch-4b | llm-run --source openai --base-url $SIM --prompt x --repeat 6 --concurrency 3 --retries 0 {grace} > $OUT & \
         run=$!; sleep 1.5; {script}; wait $run"
    ));
    run.env("SIM", &sim.url).env("OUT", sim.path("out"));
    let began = Instant::now();
    let ran = run_with(run, "").exits(1);
    let took = began.elapsed().saturating_sub(Duration::from_millis(1500));
    let text = std::fs::read_to_string(sim.path("out")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    (took, records.filter(|record| record["type"] == "result").collect(), ran.stderr)
}

#[test]
fn after_a_first_signal_running_requests_have_a_grace_and_no_more() {
    for (grace, script, said) in [
        ("--grace 1s", "kill -INT $run", "3 running may finish within 1s (--grace); once more leaves at once"),
        ("--grace 1s", "kill -TERM $run", "1s are over"),
        ("--grace 0s", "kill -TERM $run", "leaving: what has arrived is written"),
        ("", "kill -TERM $run; sleep 0.3; kill -TERM $run", "leaving: what has arrived is written"),
        ("", "kill -HUP $run", "leaving: what has arrived is written"),
    ] {
        let (took, results, stderr) = signalled(grace, script);
        assert!(took < Duration::from_secs(8), "{grace} {script}: {took:?}");
        assert!(stderr.contains(said), "{grace} {script}: {stderr}");
        assert!(stderr.contains("0 ok, 3 failed, 3 not sent"), "{grace} {script}: {stderr}");
        assert_eq!(results.len(), 3);
        for result in results {
            assert_eq!(
                (&result["error"]["kind"], result["ttft_seconds"].is_f64()),
                (&"cancelled".into(), true),
                "{result}"
            );
        }
    }
}

#[test]
fn a_request_that_ends_within_the_grace_is_a_good_result() {
    let sim = Sim::start("openai", &["--ttft", "2s"]);
    let mut run = bash(
        "echo finch-4b | llm-run --source openai --base-url $SIM --prompt x --repeat 2 > $OUT & run=$!; sleep 1; kill -TERM $run; wait $run",
    );
    run.env("SIM", &sim.url).env("OUT", sim.path("out"));
    let ran = run_with(run, "").exits(1);
    assert!(ran.stderr.contains("1 running may finish within 30s"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 ok, 0 failed, 1 not sent"), "{}", ran.stderr);
}
