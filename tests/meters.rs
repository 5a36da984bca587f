//! The meters of power-sample beside powermetrics' log and the processors' counters, through the program.

mod devices;
mod programs;

use crate::common::{Ran, command, run, run_with, scripts, testdata};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn from(source: &str, file: &str) -> Ran {
    let file = testdata("meters").join(file);
    run("power-sample", ["--meter".as_ref(), source.as_ref(), "--from".as_ref(), file.as_os_str()], "").exits(0)
}

fn near(got: &Value, expect: f64) {
    let got = got.as_f64().unwrap_or(f64::NAN);
    assert!((got - expect).abs() < 1e-6, "{got} is not {expect}");
}

fn write(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

#[test]
fn a_recorded_text_shows_which_meter_it_is() {
    for (file, source, total, samples) in [
        ("powermetrics.plist", "powermetrics", "soc", 3),
        ("macmon.ndjson", "macmon", "system", 6),
        ("asitop.csv", "asitop", "soc", 3),
        ("nvidia-smi.csv", "nvidia-smi", "gpu0+gpu1", 4),
    ] {
        let known = from(source, file);
        let shown = from("auto", file);
        assert_eq!(known.of_type("power"), shown.of_type("power"), "{file}");
        let start = &known.of_type("sampler")[0];
        assert_eq!(start["meters"], serde_json::json!([source]), "{file}");
        let end = &known.of_type("sampler")[1];
        assert_eq!((&end["total_domain"], &end["samples"]), (&total.into(), &samples.into()), "{file}");
        assert!(known.of_type("power").iter().all(|power| power.get("mono").is_none()), "a record is of no boot");
    }
}

#[test]
fn property_lists_are_dated_by_their_windows() {
    let records = from("powermetrics", "powermetrics.plist").of_type("power");
    near(&records[0]["watts"]["soc"], 3.248);
    near(&records[0]["joules"]["gpu"], 0.2695 * 1.25);
    let apart = records[1]["ts"].as_f64().unwrap() - records[0]["ts"].as_f64().unwrap();
    assert!((apart - records[1]["window_seconds"].as_f64().unwrap()).abs() < 1e-5, "{apart}");
}

#[test]
fn macmons_windows_are_the_time_between_its_lines_and_its_silence_is_no_zero() {
    let records = from("macmon", "macmon.ndjson").of_type("power");
    let (windows, instants): (Vec<&Value>, Vec<&Value>) = records.iter().partition(|power| power["kind"] == "window");
    assert_eq!((windows.len(), instants.len()), (2, 4), "nobody knows how long the first window was");
    near(&windows[0]["window_seconds"], 1.1);
    near(&windows[0]["joules"]["cpu"], 1.25 * 1.1);
    assert_eq!(instants[2]["watts"]["system"], 5.5);
    // The system controller did not answer, and the processor's counters stood still.
    assert_eq!((&instants[3]["watts"]["system"], &windows[1]["watts"]["cpu"]), (&Value::Null, &Value::Null));
    assert_eq!(windows[1]["watts"]["soc"], Value::Null, "a total without its part is none");
    assert!(windows[1]["unavailable"]["soc"].as_str().unwrap().contains("cpu"));
    assert_eq!(windows[1]["watts"]["gpu"], 0.5);
}

#[test]
fn cards_by_nvidia_smi() {
    let records = from("nvidia-smi", "nvidia-smi.csv").of_type("power");
    near(&records[0]["watts"]["gpu0"], 412.53);
    assert_eq!(records[1]["watts"]["gpu1"], Value::Null);
    assert!(records[1]["unavailable"]["gpu1"].as_str().unwrap().contains("[N/A]"));
}

#[test]
fn asitops_last_row_may_be_unfinished() {
    let ran = from("asitop", "asitop.csv");
    assert_eq!(ran.of_type("sampler")[1]["truncated_samples"], 1);
    near(&ran.of_type("power")[0]["watts"]["soc"], 9.25);
}

#[test]
fn a_program_that_prints_is_a_meter() {
    let one = run(
        "power-sample",
        ["--meter", "command", "--command", "echo 'now: 220 Watts'", "-i", "100ms", "--count", "3", "--domain", "psu"],
        "",
    )
    .exits(0);
    let records = one.of_type("power");
    assert_eq!(records.iter().map(|p| p["watts"]["psu"].as_f64().unwrap()).collect::<Vec<_>>(), [220.0; 3]);
    let running = "i=0; while :; do i=$((i+100)); echo \"total $i\"; sleep 0.05; done";
    let counted = run(
        "power-sample",
        ["--meter", "command", "--command", running, "--pattern", "total (\\d+)", "--unit", "joules", "--count", "4"],
        "",
    )
    .exits(0);
    let records = counted.of_type("power");
    assert_eq!(records[3]["joules"]["wall"], 400.0);
    assert_eq!((&records[3]["kind"], records[0]["watts"].as_object().unwrap().len()), (&"counter".into(), 0));
    assert!(records[3]["watts"]["wall"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_scrape_of_dcgm_is_read_at_each_interval() {
    let scrape = testdata("meters").join("dcgm.prom");
    let command = format!("cat {}", scrape.display());
    let ran =
        run("power-sample", ["--meter", "command", "--command", &command, "-i", "100ms", "--count", "2"], "").exits(0);
    let records = ran.of_type("power");
    assert_eq!((&records[0]["watts"]["gpu0"], &records[0]["joules"]["gpu0"]), (&61.5.into(), &2000.25.into()));
    assert_eq!(records[1]["watts"]["gpu1"], 65.25);
}

#[test]
fn a_program_that_fails_is_told_with_what_it_said() {
    let ran = run("power-sample", ["--meter", "command", "--command", "echo 'no BMC' >&2; exit 3", "-i", "100ms"], "")
        .exits(2);
    assert!(ran.stderr.contains("no BMC") && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    run("power-sample", ["--meter", "command"], "").exits(2);
    run("power-sample", ["--meter", "command", "--command", "true", "--domain", "a b"], "").exits(2);
}

#[test]
fn several_meters_are_one_total() {
    let sys = tempfile::tempdir().unwrap();
    write(sys.path(), "class/powercap/intel-rapl:0/name", "package-0\n");
    write(sys.path(), "class/powercap/intel-rapl:0/energy_uj", "1000000\n");
    write(sys.path(), "class/hwmon/hwmon0/name", "amdgpu\n");
    write(sys.path(), "class/hwmon/hwmon0/power1_average", "35000000\n");
    write(sys.path(), "class/power_supply/BAT0/type", "Battery\n");
    write(sys.path(), "class/power_supply/BAT0/status", "Charging\n");
    let args = ["-i", "100ms", "--count", "2", "--sysfs-root", sys.path().to_str().unwrap()];
    let start = &run("power-sample", args, "").exits(0).of_type("sampler")[0];
    assert_eq!(start["meters"], serde_json::json!(["hwmon", "rapl"]));
    assert_eq!(start["total_domain"], "package-0+gpu0");
    write(sys.path(), "class/power_supply/BAT0/status", "Discharging\n");
    write(sys.path(), "class/power_supply/BAT0/power_now", "61500000\n");
    let ran = run("power-sample", args, "").exits(0);
    assert_eq!(ran.of_type("sampler")[0]["total_domain"], "system");
    let battery = ran.of_type("power").into_iter().find(|power| power["meter"] == "battery").unwrap();
    assert_eq!((&battery["watts"]["system"], &battery["kind"]), (&61.5.into(), &"instant".into()));
    assert_eq!(ran.of_type("sampler")[1]["samples"], 6, "two of each");
}

#[test]
fn a_guess_says_that_it_is_one() {
    let args = ["--meter", "estimate", "--tdp-watts", "65", "-i", "200ms", "--count", "2"];
    let ran = run("power-sample", args, "").exits(0);
    assert_eq!(ran.of_type("sampler")[0]["estimated"], true);
    for power in ran.of_type("power") {
        assert_eq!(power["estimated"], true);
        assert!(power["watts"]["cpu"].as_f64().is_none_or(|watts| watts > 0.0 && watts <= 65.0), "{power}");
    }
    run("power-sample", ["--meter", "estimate"], "").exits(2);
    run("power-sample", ["--meter", "estimate", "--tdp-watts", "-5"], "").exits(2);
}

#[test]
fn every_meter_is_listed_and_says_why_it_is_not_there() {
    let empty = tempfile::tempdir().unwrap();
    let bin = scripts(&[("powermetrics", "exit 1"), ("sudo", "exit 1")]);
    let list = run("power-sample", ["--list"], "").exits(0).stdout;
    let mut command = command("power-sample");
    command.env("PATH", bin.path()).arg("--probe").arg("--sysfs-root").arg(empty.path());
    let probe = run_with(command, "").exits(0).stdout;
    assert_eq!(list.lines().count(), probe.lines().count());
    for (listed, probed) in list.lines().zip(probe.lines()) {
        let fields: Vec<&str> = probed.split('\t').collect();
        assert_eq!((fields.len(), fields[0]), (3, listed.split('\t').next().unwrap()), "{probed}");
        assert!(["yes", "no"].contains(&fields[1]) && !fields[2].is_empty(), "{probed}");
    }
    assert!(probe.contains("rapl\tno\t") && probe.contains("estimate\tno\t"), "{probe}");
}

#[test]
fn a_text_of_no_meter_is_refused() {
    for text in ["", "hello\n", "{\"type\":\"power\"}\n", "\u{1b}[2J\0\0\n"] {
        let ran = run("power-sample", ["--from", "-"], text).exits(2);
        assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{text:?}: {}", ran.stderr);
    }
    run("power-sample", ["--from", "/nowhere"], "").exits(2);
    run("power-sample", ["--from", "/"], "").exits(2);
    run("power-sample", ["--meter", "rapl", "--from", "-"], "").exits(2);
}
