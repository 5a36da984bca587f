//! bench-join as a user runs it: files, pipes, FIFOs, signals.

use crate::common::golden::{case, golden};
use crate::common::{self, bash, command, run, run_with, signal, wait_until};
use llm_bench::record::{SamplerEvent, Timing, fixture};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn head(boot: &str) -> Value {
    fixture::run("r").set(|run| run.boot = Some(boot.into())).value()
}

fn start(id: u64, at: f64) -> Value {
    fixture::start(id, at).value()
}

fn result(id: u64, model: &str, from: f64, to: f64) -> Value {
    let (first, end) = (Some(0.25), Some(to - from));
    let timing = Timing { first_token: first, last_token: end, end, ..Timing::default() };
    fixture::result(id, model).sent(from).timing(timing).tokens(5, 20).prompt("p").value()
}

fn sampler(event: SamplerEvent) -> Value {
    fixture::sampler(event, "b", 0.5).value()
}

fn power(at: f64, watts: f64) -> Value {
    fixture::power(at, 0.5, watts).value()
}

fn memory(at: f64, rss: u64) -> Value {
    fixture::memory(at, rss).set(|memory| memory.processes = Some(1)).value()
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Ten seconds of 20 W, from 0; `ended` as a sampler ends.
fn powers(ended: bool) -> String {
    let mut lines = vec![sampler(SamplerEvent::Start)];
    lines.extend((1..=20).map(|i| power(f64::from(i) / 2.0, 20.0)));
    if ended {
        lines.push(sampler(SamplerEvent::End));
    }
    text(&lines)
}

fn requests() -> String {
    let prompt = json!({"type": "prompt", "v": 1, "id": "p", "text": "Say <b>\"hi\"</b>\n", "sha256": "0"});
    let (a, b) = (result(1, "org/model:8b", 1.0, 3.0), result(2, "org/model:8b", 4.0, 5.0));
    text(&[head("b"), prompt, start(1, 1.0), a, start(2, 4.0), b])
}

fn spawn(mut command: Command) -> (Child, impl Iterator<Item = Value>) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
}

#[test]
fn finished_files_are_joined_at_once_and_the_summary_is_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("power"), powers(true)).unwrap();
    fs::write(path("mem"), text(&[memory(0.9, 100), memory(2.0, 300), memory(3.1, 200), memory(5.2, 250)])).unwrap();
    fs::write(path("results"), requests()).unwrap();
    let mut command = command("bench-join");
    command
        .arg("--power")
        .arg(path("power"))
        .arg("--mem")
        .arg(path("mem"))
        .args(["--wait", "30s"])
        .arg(path("results"));
    // The memory file has no end record, and its last reading covers the last result: nothing is waited for.
    let started = Instant::now();
    let ran = run_with(command, "").exits(0);
    assert!(started.elapsed() < Duration::from_secs(15));
    let kinds: Vec<_> = ran.records().iter().map(|r| r["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["run", "prompt", "result", "result", "join_summary"]);
    let first = &ran.of_type("result")[0];
    assert_eq!(first["power"]["energy_joules"], 40.0);
    assert_eq!(first["power"]["clock"], "mono");
    assert_eq!(first["memory"]["baseline"]["rss_bytes"], 100);
    assert_eq!(first["memory"]["high_water"]["rss_bytes"], 300);
    assert_eq!(first["memory"]["after_generation"]["distance_seconds"], 0.1);
    assert_eq!(ran.of_type("join_summary")[0]["power"]["span_energy_joules"], 80.0);
}

#[test]
fn a_result_goes_out_while_the_run_goes_on_as_soon_as_a_growing_file_covers_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("power");
    fs::write(&path, text(&[sampler(SamplerEvent::Start), power(0.5, 20.0)])).unwrap();
    let mut command = command("bench-join");
    command.args(["--wait", "60s", "--power"]).arg(&path);
    let (mut child, mut lines) = spawn(command);
    let mut to = child.stdin.take().unwrap();
    to.write_all(text(&[head("b"), start(1, 0.0), result(1, "m", 0.0, 2.0)]).as_bytes()).unwrap();
    assert_eq!(lines.next().unwrap()["type"], "run");
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    for i in 2..=4 {
        std::thread::sleep(Duration::from_millis(60));
        // Torn in the middle of a line, as a reader may see it.
        let line = format!("{}\n", power(f64::from(i) / 2.0, 20.0));
        let (one, two) = line.split_at(30);
        file.write_all(one.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(60));
        file.write_all(two.as_bytes()).unwrap();
    }
    let joined = lines.next().unwrap();
    assert_eq!((&joined["power"]["energy_joules"], &joined["power"]["coverage"]), (&json!(40.0), &json!(1.0)));
    drop(to);
    assert_eq!(lines.next().unwrap()["type"], "join_summary");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_sampler_that_falls_silent_is_not_waited_for_beyond_the_wait() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("power");
    fs::write(&path, text(&[sampler(SamplerEvent::Start), power(0.5, 20.0)])).unwrap();
    let input = text(&[head("b"), start(1, 0.0), result(1, "m", 0.0, 1.0)]);
    let started = Instant::now();
    let mut command = command("bench-join");
    command.args(["--wait", "300ms", "--power"]).arg(&path);
    let ran = run_with(command, &input).exits(0);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let power = &ran.of_type("result")[0]["power"];
    assert_eq!((&power["quality"], &power["coverage"]), (&json!("partial"), &json!(0.5)));
}

#[test]
fn process_substitution_and_fifos_are_read_like_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("power"), powers(true)).unwrap();
    fs::write(folder.path().join("results"), requests()).unwrap();
    let mut script = bash(
        "cd \"$DIR\"; mkfifo fifo; cat power > fifo & \
         bench-join --wait 30s --power <(cat power) results > a; bench-join --wait 30s --power fifo < results > b; \
         bench-join --power power results > c; cmp a b; cmp a c; wc -l < a",
    );
    script.env("DIR", folder.path());
    assert_eq!(run_with(script, "").exits(0).stdout.trim(), "5");
}

#[test]
fn several_meters_are_merged_and_no_total_is_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a"), powers(true)).unwrap();
    fs::write(path("b"), powers(true)).unwrap();
    let gpu = powers(true).replace("\"cpu\"", "\"gpu0\"").replace("20.0", "100.0");
    fs::write(path("c"), gpu).unwrap();
    for (files, joules, total) in
        [(&["a", "b"][..], 40.0, "cpu"), (&["a", "c"], 240.0, "cpu+gpu0"), (&["c", "b", "a"], 240.0, "cpu+gpu0")]
    {
        let mut command = command("bench-join");
        for name in files {
            command.arg("--power").arg(path(name));
        }
        let power = run_with(command, requests()).exits(0).of_type("result")[0]["power"].clone();
        assert_eq!((&power["energy_joules"], &power["total_domain"]), (&json!(joules), &json!(total)), "{files:?}");
        assert_eq!(power["coverage"], 1.0);
    }
}

#[test]
fn a_clock_that_is_off_is_set_right_for_all_files_or_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Another boot than the requests', so that the wall counts, and a wall that is 100 s ahead.
    let foreign = |name: &str, domain: &str, ahead: f64| {
        let lines = powers(true).replace("\"b\"", &format!("\"{name}\"")).replace("\"cpu\"", &format!("\"{domain}\""));
        let shifted = lines.lines().map(|line| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            value["ts"] = json!(value["ts"].as_f64().unwrap() + ahead);
            format!("{value}\n")
        });
        fs::write(path(name), shifted.collect::<String>()).unwrap();
    };
    foreign("a", "cpu", 100.0);
    foreign("c=d", "gpu0", -3.0);
    let (a, c) = (path("a"), path("c=d"));
    let (a, c) = (a.to_str().unwrap(), c.to_str().unwrap());
    for (offsets, joules) in [
        (vec!["-100".to_owned(), format!("{c}=3")], json!(80.0)),
        (vec![format!("{a}=-100"), format!("{c}=3")], json!(80.0)),
        (vec![format!("{a}=7"), format!("{c}=3"), format!("{a}=-100")], json!(80.0)),
        (vec!["-100".to_owned()], Value::Null),
        (vec![], Value::Null),
    ] {
        let mut command = command("bench-join");
        command.args(["--wait", "50ms", "--power", a, "--power", c]);
        offsets.iter().for_each(|offset| _ = command.args(["--offset", offset]));
        let first = run_with(command, requests()).exits(0).of_type("result")[0].clone();
        assert_eq!(first["power"]["energy_joules"], joules, "{offsets:?}: {first}");
    }
}

#[test]
fn a_log_that_is_no_records_is_told_once_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("power.log");
    let sample =
        "\n*** Sampled system activity (Thu Sep 18 11:43:04 2025 +0300) (1019.49ms elapsed) ***\n\nCPU Power: 5 mW\n";
    fs::write(&log, format!("Machine model: Mac16,5\n{}", sample.repeat(500))).unwrap();
    let name = log.to_str().unwrap();
    let mut told = String::new();
    for flag in ["--power", "--idle-file"] {
        told += &case(flag, &run("bench-join", [flag, name], requests()).exits(2).stderr);
    }
    let mut script = bash("bench-join --power <(cat \"$LOG\")");
    script.env("LOG", &log);
    let ran = run_with(script, requests()).exits(2);
    let pipe = (r"/dev/fd/\d+".into(), "[pipe]");
    golden!("power-log-is-no-records", told + &case("a pipe", &ran.stderr), pipe);
    // And what it says to do works.
    let mut script = bash("bench-join --power <(power-sample --from \"$LOG\")");
    script.env("LOG", &log);
    run_with(script, requests()).exits(0);
}

#[test]
fn readings_that_nothing_can_draw_are_left_out_and_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("power");
    let absurd = (0..50).map(|i| power(2.75 + f64::from(i) / 1000.0, 1e308)).collect::<Vec<_>>();
    fs::write(&path, powers(false) + &text(&absurd) + &text(&[sampler(SamplerEvent::End)])).unwrap();
    let ran = run("bench-join", ["--power", path.to_str().unwrap()], requests()).exits(0);
    golden!("readings-left-out", ran.stderr);
    let power = &ran.of_type("result")[0]["power"];
    assert_eq!((&power["energy_joules"], &power["quality"]), (&json!(40.0), &json!("exact")));
    assert_eq!(ran.of_type("join_summary")[0]["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn each_result_becomes_a_file_with_its_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let power = folder.path().join("power");
    fs::write(&power, powers(true)).unwrap();
    let run = folder.path().join("run");
    let mut command = command("bench-join");
    command.arg("--power").arg(&power).arg("--json-dir").arg(&run);
    let results = run_with(command, requests()).exits(0).of_type("result");
    let names: Vec<_> = results.iter().map(|r| r["files"]["json"].as_str().unwrap()).collect();
    assert_eq!(names, ["org_model-8b.json", "org_model-8b.2.json"]);
    for (name, line) in names.iter().zip(&results) {
        let file = fs::read_to_string(run.join(name)).unwrap();
        assert!(file.starts_with("{\n  \"type\": \"result\",\n"), "{file}");
        let mut value: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(value["prompt"]["text"], "Say <b>\"hi\"</b>\n");
        value["prompt"].as_object_mut().unwrap().remove("text");
        assert_eq!(&value, line, "all else is what went down the stream");
    }
    assert_eq!(fs::read_dir(&run).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn without_a_source_the_stream_passes_and_only_starts_are_consumed() {
    let weather = "{\"type\":\"weather\",  \"v\":1}\n";
    let newer = "{\"type\":\"result\",\"v\":99,\"model\":3}\n";
    let ran = run("bench-join", [] as [&str; 0], format!("{}{weather}{newer}", requests())).exits(0);
    let expect: String = requests().lines().filter(|l| !l.contains("\"start\"")).map(|l| format!("{l}\n")).collect();
    assert_eq!(ran.stdout, format!("{expect}{weather}{newer}"));
    golden!("newer-contract-version", ran.stderr);
}

#[test]
fn bad_lines_are_told_counted_and_skipped_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("power");
    fs::write(&path, powers(true).replacen('\n', "\n{\"type\":\"power\",\"v\":1}\n", 1)).unwrap();
    let ran = run("bench-join", ["--power", path.to_str().unwrap()], format!("nonsense\n{}", requests())).exits(1);
    let mut told: Vec<&str> = ran.stderr.lines().collect();
    told.sort_unstable();
    golden!("join-bad-lines", told.join("\n"));
    assert_eq!(ran.of_type("result")[1]["power"]["energy_joules"], 20.0);
    let strict = run("bench-join", ["--strict", "--power", path.to_str().unwrap()], requests()).exits(2);
    assert!(strict.stderr.contains(":2: "), "{}", strict.stderr);
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let mut told = String::new();
    for args in [
        &["--power", "/no/such/file"][..],
        &["--power", "/"],
        &["--power", "-"],
        &["--follow"],
        &["--wait", "3"],
        &["--wait", "-3s"],
        &["--idle-watts", "-1"],
        &["--idle-watts=-1"],
        &["--pue", "0.5"],
        &["--offset", "NaN"],
        &["--offset", "1e300"],
        &["--offset", "nowhere=1"],
        &["--price-per-kwh", "1e308"],
        &["--pue", "1e10"],
        &["--idle-watts", "1e308"],
        &["--price-per-kwh", "dear"],
        &["--idle", "auto", "--idle-watts", "3"],
        &["--attribution", "luck"],
        &["--idle-file", "/dev/null"],
    ] {
        let ran = run("bench-join", args, "").exits(2);
        told += &case(args, &ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    golden!("join-flags-refused", told);
}

#[test]
fn net_energy_money_and_carbon_are_told_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("power"), powers(true)).unwrap();
    fs::write(path("idle"), powers(true).replace("20.0", "5.0")).unwrap();
    let mut command = command("bench-join");
    command.arg("--power").arg(path("power")).arg("--idle-file").arg(path("idle"));
    command.args(["--price-per-kwh", "0.36", "--carbon-g-per-kwh", "360"]);
    let ran = run_with(command, requests()).exits(0);
    let power = ran.of_type("result")[0]["power"].clone();
    assert_eq!((&power["idle_watts"], &power["net_energy_joules"]), (&json!(5.0), &json!(30.0)));
    assert_eq!(power["idle"]["method"], "file");
    assert_eq!(power["cost"], json!({"amount": 4e-6, "per_kwh": 0.36}));
    assert_eq!(power["carbon"], json!({"amount": 0.004, "per_kwh": 360.0}));
}

/// A running llm-sim; it ends with the test.
struct Sim(Child, String);

impl Sim {
    fn start(truth: &Path) -> Self {
        let mut command = command("llm-sim");
        command
            .args(["--profile", "openai", "--ttft", "40ms", "--itl", "4ms", "--tokens", "20", "--ground-truth"])
            .arg(truth);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self(child, url.trim().to_owned())
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn what_was_measured_is_held_against_what_the_simulator_wrote_while_both_run() {
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("ground_truth");
    let sim = Sim::start(&truth);
    let mut script = bash(
        "echo owl-20b | llm-run --source openai --base-url \"$URL\" --prompt hi --repeat 3 --concurrency 2 --settle 10ms |
         bench-join --wait 30s --ground-truth \"$TRUTH\"",
    );
    script.env("URL", &sim.1).env("TRUTH", &truth);
    let ran = run_with(script, "").exits(0);
    let results = ran.of_type("result");
    assert_eq!((results.len(), &ran.of_type("join_summary")[0]["ground_truths"]), (3, &json!(3)));
    for result in &results {
        let of = |key: &str| result["ground_truth"][key].as_f64().unwrap_or_else(|| panic!("{key}: {result}"));
        // What was measured is what was done and the error.
        let measured = result["ttft_seconds"].as_f64().unwrap();
        assert!((of("ttft_seconds") + of("ttft_error_seconds") - measured).abs() < 2e-6, "{result}");
        assert!(of("ttft_seconds") > 0.039 && of("gap_seconds") > 0.0, "{result}");
        assert!(of("end_seconds") > of("ttft_seconds"), "{result}");
        for key in ["ttft_error_seconds", "gap_error_seconds", "gap_p99_error_seconds", "end_error_seconds"] {
            assert!(of(key).abs() < 5.0, "{key}: {result}");
        }
    }
}

#[test]
fn a_file_of_results_is_followed_until_a_signal_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("power"), powers(false)).unwrap();
    fs::write(path("results"), "").unwrap();
    let mut command = command("bench-join");
    command.args(["--follow", "--power"]).arg(path("power")).arg(path("results"));
    let (mut child, mut lines) = spawn(command);
    let mut file = OpenOptions::new().append(true).open(path("results")).unwrap();
    file.write_all(requests().as_bytes()).unwrap();
    let kinds: Vec<_> = lines.by_ref().take(4).map(|line| line["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["run", "prompt", "result", "result"]);
    file.write_all(text(&[start(3, 6.0), result(3, "m", 6.0, 7.0)]).as_bytes()).unwrap();
    assert_eq!(lines.next().unwrap()["power"]["energy_joules"], 20.0);
    signal(&child, "INT");
    assert_eq!(lines.next().unwrap()["results"], 3);
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_interrupt_loses_nothing_of_a_run_that_is_still_being_written() {
    let (mut child, mut lines) = spawn(command("bench-join"));
    let mut to = child.stdin.take().unwrap();
    to.write_all(text(&[head("b")]).as_bytes()).unwrap();
    assert_eq!(lines.next().unwrap()["type"], "run");
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(100));
    to.write_all(text(&[start(1, 1.0), result(1, "m", 1.0, 2.0)]).as_bytes()).unwrap();
    assert_eq!(lines.next().unwrap()["type"], "result");
    drop(to);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_termination_ends_the_input_and_what_has_come_goes_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("power");
    fs::write(&path, powers(true)).unwrap();
    let mut command = command("bench-join");
    command.arg("--power").arg(&path);
    let (mut child, mut lines) = spawn(command);
    let mut to = child.stdin.take().unwrap();
    to.write_all(requests().as_bytes()).unwrap();
    assert_eq!(lines.by_ref().take(4).count(), 4);
    signal(&child, "TERM");
    assert_eq!(lines.next().unwrap()["type"], "join_summary");
    assert!(child.wait().unwrap().success());
    drop(to);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly_and_a_full_disk_does_not() {
    let ran = run_with(
        bash("set +e +o pipefail; yes '{\"type\":\"weather\"}' | bench-join | head -1; echo \"${PIPESTATUS[1]}\""),
        "",
    );
    assert_eq!(ran.stdout.lines().last(), Some("0"));
    assert_eq!(ran.stderr, "");
    let full = run_with(bash("bench-join > /dev/full"), requests()).exits(2);
    assert!(full.stderr.contains("No space left"), "{}", full.stderr);
}

/// The peak of resident memory while `n` requests are joined with six readings each, in bytes.
fn peak(folder: &Path, n: u64) -> u64 {
    let path = folder.join(format!("power-{n}"));
    let mut to = std::io::BufWriter::new(File::create(&path).unwrap());
    writeln!(to, "{}", sampler(SamplerEvent::Start)).unwrap();
    (1..=n * 3 + 3).for_each(|i| writeln!(to, "{}", power(i as f64 / 2.0, 20.0)).unwrap());
    writeln!(to, "{}", sampler(SamplerEvent::End)).unwrap();
    drop(to);
    let mut command = command("bench-join");
    command.args(["--wait", "60s", "--power"]).arg(&path);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        writeln!(to, "{}", head("b")).unwrap();
        for id in 1..=n {
            let at = id as f64 * 1.5;
            to.write_all(text(&[start(id, at), result(id, "m", at, at + 1.75)]).as_bytes()).unwrap();
        }
        to
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let last = lines.by_ref().nth(n as usize).unwrap().unwrap();
    assert!(last.contains("\"coverage\":1.0"), "{last}");
    // It still waits for its input, so that its memory can be looked at.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = high.trim().trim_end_matches(" kB").parse().unwrap();
    drop(feeder.join().unwrap());
    assert_eq!(lines.count(), 1, "the summary");
    assert!(child.wait().unwrap().success());
    kilobytes * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (few, many) = (peak(folder.path(), 8_000), peak(folder.path(), 64_000));
    eprintln!("peak resident memory: {few} bytes for 8 000 results, {many} for 64 000");
    assert!(many < 64 << 20, "{many}");
    // How far one side runs ahead is chance, and worth a few MB; 168 000 readings more, or 56 000 results, would be more.
    assert!(many < few + (8 << 20), "{few} bytes for 8 000 results, {many} for 64 000");
}

#[test]
fn a_live_sampler_is_never_blocked_by_us() {
    // More than a pipe holds, all of the present, and no result that needs it.
    let folder = tempfile::tempdir().unwrap();
    let script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo \"{\\\"type\\\":\\\"power\\\",\\\"v\\\":1,\\\"ts\\\":$(date +%s),\\\"seq\\\":$i,\\\"meter\\\":\\\"x\\\",\\\"kind\\\":\\\"instant\\\",\\\"watts\\\":{\\\"cpu\\\":1}}\"; done; touch \"$DIR/done\"";
    let script = script.replace("$(date +%s)", "$EPOCHSECONDS");
    let mut script = bash(&format!("bench-join --power <({script}; true)"));
    script.env("DIR", folder.path()).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = script.spawn().unwrap();
    wait_until("the sampler to have written everything", || folder.path().join("done").exists());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn help_says_what_it_holds_and_how_it_ends() {
    let help = run("bench-join", ["--help"], "").exits(0).stdout;
    for word in ["--attribution", "--json-dir"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(common::root().join("docs/joining.md").is_file());
}

#[test]
fn what_an_earlier_join_measured_is_kept_where_this_one_measured_nothing() {
    let power = json!({"energy_joules": 12.5, "coverage": 1.0, "quality": "good", "samples": 3, "clock": "wall"});
    let old = fixture::result(1, "m").sent(1000.0).timing(Timing { end: Some(1.0), ..Timing::default() });
    let old = old.merge(json!({ "power": power })).line();
    let folder = tempfile::tempdir().unwrap();
    let far = folder.path().join("power.ndjson");
    std::fs::write(&far, fixture::power(5000.0, 1.0, 9.0).line()).unwrap();
    let ran = run("bench-join", ["--wait", "100ms", "--power", far.to_str().unwrap()], old).exits(0);
    assert_eq!(ran.of_type("result")[0]["power"]["energy_joules"], 12.5, "{}", ran.stdout);
}

#[test]
fn readings_of_this_machine_say_nothing_of_a_request_that_another_one_served() {
    let folder = tempfile::tempdir().unwrap();
    let power = folder.path().join("power.ndjson");
    let reading = fixture::power(5.0, 5.0, 9.0).value();
    std::fs::write(&power, text(&[sampler(SamplerEvent::Start), reading, sampler(SamplerEvent::End)])).unwrap();
    let served_by = |id, endpoint: &str| {
        let mut result = result(id, "m", 1.0, 3.0);
        result["endpoint"] = endpoint.into();
        result
    };
    let (here, elsewhere) = (served_by(1, "http://127.0.0.1:1/v1"), served_by(2, "https://openrouter.ai/api/v1"));
    let input = text(&[head("b"), here, elsewhere]);
    let results = run("bench-join", ["--attribution", "time", "--power", power.to_str().unwrap()], input)
        .exits(0)
        .of_type("result");
    assert!(results[0]["power"]["energy_joules"].as_f64().unwrap() > 0.0);
    assert!(results[1]["power"].is_null());
    golden!("power-of-another-machine", results[1]["power_reason"].as_str().unwrap());
}

#[test]
fn a_sampler_s_file_that_is_made_a_moment_later_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let script = "(sleep 0.3; echo '{\"type\":\"power\",\"v\":1,\"ts\":1,\"seq\":1,\"meter\":\"x\",\"kind\":\"instant\",\"watts\":{\"cpu\":1}}' > late) & \
         echo '{\"type\":\"note\",\"v\":1}' | bench-join --wait 0s --power late";
    let mut join = bash(script);
    join.current_dir(folder.path());
    assert!(run_with(join, "").exits(0).stdout.contains("\"note\""));
    let missing = run("bench-join", ["--mem", "/no/such/file"], "").exits(2);
    assert!(missing.stderr.contains("/no/such/file"), "{}", missing.stderr);
}

#[test]
fn a_file_without_usable_records_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, lines: &[Value]| {
        let path = folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        path
    };
    let results = at("results", &[head("b"), result(1, "m", 0.0, 1.0)]);
    let memory = at("memory", &vec![memory(0.5, 1); 20]);
    let power = at("power", &[power(0.5, 1.0)]);
    let empty = at("empty", &[]);
    let (results, memory, power, empty) = (results.as_str(), memory.as_str(), power.as_str(), empty.as_str());
    let mut told = String::new();
    for args in [
        &[memory][..],
        &[results, empty, memory],
        &["--power", memory, results],
        &["--power", empty, "--ground-truth", memory, results],
        &["--mem", power, results],
        // No result needed them, so nobody looked.
        &["--power", results, memory],
        &["--power", power, "--mem", memory, results],
    ] {
        let ran = run("bench-join", ["--wait", "50ms"].iter().chain(args), "").exits(0);
        let mut lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains(": 0 ")).collect();
        lines.sort_unstable();
        told += &case(args, &lines.join("\n"));
        if args.last() == Some(&memory) {
            // The lines pass all the same.
            assert_eq!(ran.stdout.matches("\"type\":\"memory\"").count(), 20);
        }
    }
    golden!("file-without-usable-records", told);
    let quiet = run("bench-join", ["-q", memory], "").exits(0);
    assert_eq!(quiet.stderr, "");
}
