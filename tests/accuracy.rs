//! `make accuracy`, and what the reports of later runs make of what it left.

use crate::common::{Ran, bash, run, run_with, testdata};
use crate::flows::{desk, flow, folder};
use llm_bench::record::fixture::{self, Fixture};
use llm_bench::record::{Outcome, Phase};
use serde_json::{Value, json};

fn report(flags: &[&str]) -> Ran {
    run("bench-report", flags, "")
}

#[test]
fn a_accuracy_leaves_a_folder_with_the_curve_and_says_up_to_where_it_is_right() {
    let desk = desk();
    let variables =
        [("LEVELS", "1,8"), ("SECONDS", "1"), ("RAMP", "200ms"), ("TTFT", "50ms"), ("TOKENS", "20"), ("ITL", "5ms")];
    let ran = flow(desk.path(), "accuracy", &variables).exits(0);
    let folder = folder(desk.path(), "accuracy-");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for name in ["truth-1.ndjson", "run-8.ndjson", "results.ndjson", "summary.json", "index.html"] {
        assert!(!text(name).is_empty(), "{name}");
    }
    let accuracy: Value = serde_json::from_str(&text("accuracy.ndjson")).unwrap();
    let levels = accuracy["levels"].as_array().unwrap();
    assert_eq!(levels.iter().map(|level| level["concurrency"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 8]);
    for level in levels {
        // How large the errors are is the machine's business; that they are there, small against a second, is ours.
        let error = &level["ttft_error_seconds"];
        assert_eq!(error["count"], level["requests"]);
        assert!(
            error["mean"].as_f64().unwrap().abs() < 1.0 && error["p50"].as_f64() <= error["p99"].as_f64(),
            "{level}"
        );
        assert!(level["gap_p99_error_seconds"]["p99"].is_f64() && level["accurate"].is_boolean(), "{level}");
        assert_eq!(level["uncertain"], level["requests"].as_u64().unwrap() < 100, "{level}");
        assert!(level["cpu_seconds_per_chunk"].as_f64().unwrap() > 0.0 && level["simulator_late_max_seconds"].is_f64());
        assert!(level["chunks"].as_u64().unwrap() >= 20 * level["requests"].as_u64().unwrap());
    }
    assert!(accuracy["host"]["cores"].is_u64() && accuracy["tool"]["name"] == "llm-run");
    let sentence = ["measures right up to", "was not seen to measure right"];
    assert!(sentence.iter().any(|word| ran.stdout.contains(word)), "{}", ran.stdout);
    assert!(ran.stdout.contains("ttft error p99") && ran.stdout.contains("CPU per chunk"), "{}", ran.stdout);
    assert!(text("index.html").contains("How right this machine measures"));
    // Another accuracy does not go into the same folder.
    let again = flow(desk.path(), "accuracy", &[("DIR", folder.to_str().unwrap()), ("LEVELS", "1")]);
    assert!(again.stderr.contains("holds results already"), "{}", again.stderr);
}

#[test]
fn levels_for_which_there_are_not_enough_files_are_left_out_with_a_sentence() {
    let desk = desk();
    let mut script = bash("ulimit -n 150; make -s accuracy");
    script.current_dir(desk.path()).env("BIN", crate::common::bin_dir());
    script.envs([("LEVELS", "2,64"), ("DURATION", "300ms"), ("RAMP", "100ms"), ("TTFT", "20ms"), ("TOKENS", "4")]);
    let ran = run_with(script, "").exits(0);
    assert!(
        ran.stderr.contains("64 streams are left out: a process of this user may open 150 files"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.contains("64 was left out"), "{}", ran.stdout);
    let text = std::fs::read_to_string(folder(desk.path(), "accuracy-").join("accuracy.ndjson")).unwrap();
    let accuracy: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(accuracy["not_measured"][0]["concurrency"], 64);
    let wrong = flow(desk.path(), "accuracy", &[("LEVELS", "1,many")]);
    assert!(wrong.stderr.contains("numbers of streams"), "{}", wrong.stderr);
}

fn level(concurrency: u64, p99: f64) -> Value {
    let error = json!({ "count": 1000, "mean": 0.0002, "p50": 0.0003, "p99": p99, "max": p99 * 2.0 });
    json!({
        "concurrency": concurrency, "requests": 1000, "failed": 0, "ttft_error_seconds": error,
        "gap_p99_error_seconds": error, "accurate": p99 < 0.005, "chunks": 50_000, "cpu_seconds_per_chunk": 9e-6,
        "peak_bytes": 20_000_000,
    })
}

fn accuracy(cpu: &str) -> String {
    let record = json!({
        "type": "accuracy", "v": 1, "ts": 1e9, "host": { "cpu": cpu, "cores": 2, "ram_bytes": 8u64 << 30 },
        "limit_seconds": 0.005, "accurate_up_to": 64, "levels": [level(1, 0.0004), level(64, 0.0008), level(512, 0.02)],
    });
    format!("{record}\n")
}

fn results(load: Value, cpu: &str) -> String {
    let run = fixture::run("r").merge(json!({ "host": { "cpu": cpu, "cores": 2, "ram_bytes": 8u64 << 30 } }));
    let results = (1..=3).map(|id| result(id).sent(id as f64 + 0.5).merge(load.clone()).line());
    run.line() + &results.collect::<String>()
}

fn result(id: u64) -> Fixture<Outcome> {
    fixture::result(id, "m").phase(Phase::Measure).ttft(0.1).e2e(1.0)
}

#[test]
fn the_report_of_a_later_run_says_whether_it_was_within_what_is_measured_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("accuracy.ndjson"), accuracy("Quick")).unwrap();
    for (load, cpu, right, badge, sentence, at) in [
        (
            json!({ "concurrency": 8 }),
            "Quick",
            true,
            "measures right up to 64 streams",
            "This machine (2 processors, Quick, 8 GiB) measures right up to 64 streams at once: the 99th percentile of the error is under 5.00 ms over 1000 requests; at 512 it is 20.0 ms (p99 error 0.80 ms at 64; this run used 8).",
            "8 at once: measured right: p99 error 0.80 ms at 64 streams",
        ),
        (
            json!({ "concurrency": 256 }),
            "Quick",
            false,
            "beyond the 64 streams measured right",
            "this run used 256",
            "256 at once: not measured right: p99 error 20.0 ms at 512 streams",
        ),
        (
            json!({ "concurrency": 4096 }),
            "Quick",
            false,
            "beyond the 64 streams measured right",
            "this run used 4096",
            "4096 at once: beyond what was calibrated, which ends at 512",
        ),
        (
            json!({ "rate": 20.0, "in_flight": 33 }),
            "Quick",
            true,
            "measures right up to 64 streams",
            "this run used 33",
            "20/s, at most 33 at once: measured right",
        ),
        (
            json!({ "concurrency": 8 }),
            "Other",
            false,
            "calibrated on another machine",
            "But this run was on another machine (This machine (2 processors, Other, 8 GiB)): that says nothing of this run.",
            "8 at once: measured right",
        ),
    ] {
        let file = path("results");
        std::fs::write(&file, results(load.clone(), cpu)).unwrap();
        // The folder, or the file in it.
        let flags = |format| {
            [
                file.clone(),
                "--accuracy".into(),
                folder.path().to_str().unwrap().into(),
                "--format".into(),
                String::from(format),
            ]
        };
        let with = |format| run("bench-report", flags(format), "").exits(0).stdout;
        let text = with("text");
        assert!(text.contains(sentence) && text.contains(at), "{text}");
        let json: Value = serde_json::from_str(&with("json")).unwrap();
        assert_eq!(json["accuracy_says"]["right"], right, "{load} {cpu}");
        assert_eq!(json["accuracy"]["accurate_up_to"], 64);
        let page = with("html");
        assert!(page.contains(badge) && page.contains("How right this machine measures"), "{badge}");
        let markdown = with("markdown");
        assert!(markdown.contains("| streams | n |") && markdown.contains(at), "{markdown}");
    }
    let file = path("accuracy.ndjson");
    let none = run("bench-report", [&path("results"), "--accuracy", &path("results")], "").exits(2);
    assert!(none.stderr.contains("no accuracy record in it"), "{}", none.stderr);
    run("bench-report", [&path("results"), "--accuracy", &file, "--format", "text"], "").exits(0);
    run("bench-report", [&path("results"), "--accuracy", &path("missing")], "").exits(2);
}

#[test]
fn a_level_of_three_requests_is_right_with_a_question_mark_wherever_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let measured = |n: u64| {
        let lines = (1..=n).map(|id| {
            let truth = json!({ "ttft_error_seconds": 0.001, "gap_p99_error_seconds": 0.001 });
            result(id).concurrency(8).sent(0.0).merge(json!({ "ground_truth": truth })).line()
        });
        std::fs::write(path("measured"), lines.collect::<String>()).unwrap();
        let record = report(&[&path("measured"), "--format", "accuracy"]).exits(0).stdout;
        std::fs::write(path("accuracy"), &record).unwrap();
        std::fs::write(path("results"), results(json!({ "concurrency": 8 }), "Quick")).unwrap();
        let held = |file| report(&[&path(file), "--accuracy", &path("accuracy"), "--format", "text"]).exits(0);
        let (later, itself) = (held("results"), held("measured"));
        (serde_json::from_str::<Value>(&record).unwrap()["levels"][0].clone(), itself.stdout, later.stdout)
    };
    let (level, itself, later) = measured(3);
    assert_eq!((&level["accurate"], &level["uncertain"], &level["requests"]), (&json!(true), &json!(true), &json!(3)));
    for said in [&itself, &later] {
        assert!(said.contains("measures right up to 8 streams? at once"), "{said}");
        assert!(said.contains("over 3 requests, and fewer than 100 cannot tell it"), "{said}");
        assert!(said.contains("yes?") && said.contains("too few to say whether it is right"), "{said}");
    }
    assert!(later.contains("8 at once: measured right?: p99 error"), "{later}");
    let (level, itself, later) = measured(100);
    assert_eq!((&level["accurate"], &level["uncertain"]), (&json!(true), &json!(false)));
    for said in [&itself, &later] {
        assert!(
            said.contains("measures right up to 8 streams at once") && said.contains("over 100 requests"),
            "{said}"
        );
        assert!(!said.contains("yes?") && !said.contains("cannot tell"), "{said}");
    }
}

#[test]
fn without_truth_there_is_nothing_to_calibrate_by() {
    let file = testdata("report/one.ndjson");
    let ran = report(&[file.to_str().unwrap(), "--format", "accuracy"]).exits(2);
    assert!(ran.stderr.contains("bench-join --ground-truth") && ran.stdout.is_empty(), "{}", ran.stderr);
    // A page without an accuracy curve says nothing of one.
    let page = report(&[file.to_str().unwrap()]).exits(0);
    assert!(!page.stdout.contains("How right this machine measures"));
}

#[test]
fn a_hostile_accuracy_is_shown_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("accuracy"), accuracy("<script>alert(1)</script>\\u001b[31m")).unwrap();
    std::fs::write(path("results"), results(json!({ "concurrency": 8 }), "x")).unwrap();
    let page = run("bench-report", [&path("results"), "--accuracy", &path("accuracy")], "").exits(0).stdout;
    assert!(!page.contains("<script>alert"), "markup is text");
    let text = run("bench-report", [&path("results"), "--accuracy", &path("accuracy"), "--format", "text"], "");
    assert!(!text.exits(0).stdout.contains('\u{1b}'));
}
