//! What people see while llm-run works: lines on a terminal and nothing elsewhere, one last line, and what a signal does.

use crate::common::golden::{case, golden, numbers, numbers_in, rate, redacted, time};
use crate::common::sim::Sim;
use crate::common::{self, Ran, bash, run_with};
use serde_json::Value;
use std::collections::BTreeSet;
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

/// The rows of the terminal, of which several are drawn at once.
fn rows(lines: &[String]) -> Vec<String> {
    let cut = |line: &String| {
        let chars: Vec<char> = line.chars().collect();
        chars.chunks(100).map(|row| String::from_iter(row).trim().to_owned()).collect::<Vec<_>>()
    };
    lines.iter().flat_map(cut).collect()
}

/// The forms of lines, without their numbers, in order; one that goes on in another is not yet all there is to know.
fn forms<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    let forms: BTreeSet<String> = lines
        .map(|line| redacted(line, &[(r"\d+ seconds?".into(), "[time]"), numbers(), ("[█░]+".into(), "[bar]")]))
        .collect();
    let whole = |form: &&String| !forms.iter().any(|other| other != *form && other.starts_with(*form));
    forms.iter().filter(whole).map(String::as_str).collect::<Vec<_>>().join("\n")
}

const ASK: &str = "llm-run --prompt hello --nonce off --settle 600ms";

#[test]
fn on_a_terminal_each_running_request_has_a_line_with_its_phase_and_the_total_tells_the_cost() {
    let sim = Sim::start("openrouter", &["--ttft", "900ms", "--itl", "30ms", "--tokens", "60"]);
    let run = format!("llm-models openrouter --base-url $SIM | {ASK} --concurrency 3 --repeat 2 > $OUT");
    let Some(ran) = on_a_terminal(&sim, 30, &run) else { return };
    let lines = lines(&ran);
    let (last, drawn) = lines.split_last().unwrap();
    let drawn = rows(drawn);
    let told: String = ["aviary/finch-4b", "aviary/heron-12b", "nocturne/owl-20b", "/6 "]
        .map(|key| case(key, &forms(drawn.iter().filter(|line| line.contains(key)))))
        .concat();
    golden!("progress", told + last, time());
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
    let rows = rows(&lines);
    let of_the_model = rows.iter().find(|row| row.contains("aviary/finch-4b")).unwrap();
    golden!("progress-loading", of_the_model, time());
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
    golden!("progress-more-than-rows", rows(&seen).iter().find(|row| numbers_in(row) == [2.0]).unwrap());
}

#[test]
fn nothing_is_drawn_where_nobody_looks_and_nothing_is_said_when_quiet() {
    let sim = Sim::start("openai", &["--ttft", "500ms"]);
    let ran = super::ask(&sim, "openai", "finch-4b", &[]).exits(0);
    assert!(!ran.stderr.contains('\x1b') && ran.stderr.lines().count() == 1, "{:?}", ran.stderr);
    golden!("run-of-one-request", ran.stderr, time());
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
    let waiting: BTreeSet<String> = rows(&lines(&ran)).into_iter().filter(|row| numbers_in(row) == [1.0]).collect();
    golden!("progress-ledger", Vec::from_iter(waiting).join("\n"));
    let Some(ran) = on_a_terminal(&sim, 30, &run) else { return };
    let told = lines(&ran);
    let (last, records) = told.split_last().unwrap();
    golden!("run-of-one-request-with-a-cost", last, time());
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
    let mut told = String::new();
    for (grace, script) in [
        ("--grace 1s", "kill -INT $run"),
        ("--grace 1s", "kill -TERM $run"),
        ("--grace 0s", "kill -TERM $run"),
        ("", "kill -TERM $run; sleep 0.3; kill -TERM $run"),
        ("", "kill -HUP $run"),
    ] {
        let (took, results, stderr) = signalled(grace, script);
        assert!(took < Duration::from_secs(8), "{grace} {script}: {took:?}");
        // A loaded machine says that it was late itself.
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.contains("--threads")).collect();
        told += &case((grace, script), &lines.join("\n"));
        assert_eq!(results.len(), 3);
        for result in results {
            assert_eq!(
                (&result["error"]["kind"], result["ttft_seconds"].is_f64()),
                (&"cancelled".into(), true),
                "{result}"
            );
        }
    }
    golden!("signals", told, time(), rate(), (r"\d: cancelled".into(), "[id]: cancelled"));
}

#[test]
fn a_request_that_ends_within_the_grace_is_a_good_result() {
    let sim = Sim::start("openai", &["--ttft", "2s"]);
    let mut run = bash(
        "echo finch-4b | llm-run --source openai --base-url $SIM --prompt x --repeat 2 > $OUT & run=$!; sleep 1; kill -TERM $run; wait $run",
    );
    run.env("SIM", &sim.url).env("OUT", sim.path("out"));
    let ran = run_with(run, "").exits(1);
    golden!("signal-grace-kept", ran.stderr, time());
}
