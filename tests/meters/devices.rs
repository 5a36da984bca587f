//! Meters that are files of the kernel, in copies of `/sys` and `/proc`.

use super::write;
use crate::common::golden::golden;
use crate::common::{command, run};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

fn sampled(sys: &Path, args: &[&str]) -> Vec<Value> {
    let root = ["--sysfs-root", sys.to_str().unwrap(), "-i", "100ms"];
    run("power-sample", root.iter().chain(args), "").exits(0).records()
}

#[test]
fn sensors_mean_what_their_driver_says() {
    let sys = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("hwmon0/name", "nvme"),
        ("hwmon0/power1_input", "9000000"),
        ("hwmon1/name", "amdgpu"),
        ("hwmon1/power1_input", "35000000"),
        ("hwmon2/name", "i915"),
        ("hwmon2/energy1_input", "7000000"),
        ("hwmon3/name", "power_meter"),
        ("hwmon3/power1_average", "300000000"),
        ("hwmon3/device/power1_oem_info", "Module Power Socket 0"),
        ("hwmon4/name", "power_meter"),
        ("hwmon4/power1_average", "120000000"),
        ("hwmon4/device/power1_oem_info", "Grace Power Socket 0"),
        ("hwmon5/name", "ina3221"),
        ("hwmon5/in1_label", "VDD_GPU_SOC"),
        ("hwmon5/in1_input", "5000"),
        ("hwmon5/curr1_input", "2000"),
    ] {
        write(sys.path(), &format!("class/hwmon/{file}"), &format!("{text}\n"));
    }
    let records = sampled(sys.path(), &["--meter", "hwmon", "--count", "2"]);
    assert_eq!(records[0]["total_domain"], "module-0", "the module holds what is beside it");
    assert_eq!(
        records[1]["watts"],
        json!({ "gpu0": 35.0, "module-0": 300.0, "package-0": 120.0, "vdd_gpu_soc": 10.0 })
    );
    assert_eq!((&records[2]["kind"], &records[2]["joules"]), (&"counter".into(), &json!({ "gpu1": 7.0 })));
}

#[test]
fn a_total_that_reads_zero_or_no_number_is_unavailable_whatever_the_meter() {
    let (sys, proc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(sys.path(), "class/hwmon/hwmon0/name", "power_meter\n");
    write(sys.path(), "class/hwmon/hwmon0/power1_average", "0\n");
    write(sys.path(), "class/power_supply/BAT0/type", "Battery\n");
    write(sys.path(), "class/power_supply/BAT0/status", "Discharging\n");
    write(sys.path(), "class/power_supply/BAT0/power_now", "0\n");
    write(proc.path(), "stat", "cpu  5 0 0 5 0 0 0 0 0 0\n");
    let proc = proc.path().to_str().unwrap();
    for (args, domain) in [
        (&["--meter", "hwmon"][..], "system"),
        (&["--meter", "battery"], "system"),
        (&["--meter", "estimate", "--tdp-watts", "65", "--proc-root", proc], "cpu"),
    ] {
        let all: Vec<&str> = args.iter().copied().chain(["--count", "2"]).collect();
        let records = sampled(sys.path(), &all);
        let power = records.iter().find(|record| record["type"] == "power").unwrap();
        assert_eq!(power["watts"][domain], Value::Null, "{power}");
        assert!(power["unavailable"][domain].is_string(), "{power}");
    }
    // Where it is the battery that has no number, and the sensor is beside it, the machine is measured once.
    let records = sampled(sys.path(), &["--count", "2"]);
    assert_eq!(records[0]["meters"], json!(["hwmon"]));
}

#[test]
fn a_sensor_that_vanishes_comes_back_or_says_nonsense_is_null_for_that_time() {
    let sys = tempfile::tempdir().unwrap();
    let file = "class/hwmon/hwmon0/power1_average";
    write(sys.path(), "class/hwmon/hwmon0/name", "amdgpu\n");
    write(sys.path(), file, "35000000\n");
    let mut command = command("power-sample");
    command.args(["--meter", "hwmon", "-i", "200ms", "--sysfs-root"]).arg(sys.path());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| {
        let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        (record["watts"]["gpu0"].as_f64(), record["unavailable"]["gpu0"].as_str().map(str::to_owned))
    });
    // Why there is none, where that is another reason than the one before.
    let mut until = |watts: Option<f64>, before: &str| {
        let found = lines.by_ref().take(40).find(|read| read.0 == watts && read.1.as_deref() != Some(before));
        found.unwrap_or_else(|| panic!("{watts:?} {before}")).1.unwrap_or_default()
    };
    until(Some(35.0), "");
    fs::remove_file(sys.path().join(file)).unwrap();
    let gone = until(None, "");
    write(sys.path(), file, "much\n");
    let nonsense = until(None, &gone);
    golden!("sensor-unavailable", gone + "\n" + &nonsense);
    write(sys.path(), file, "0\n");
    until(Some(0.0), "");
    write(sys.path(), file, "36000000\n");
    until(Some(36.0), "");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_contains_another_is_never_added_to_it() {
    let sys = tempfile::tempdir().unwrap();
    for (zone, name) in [
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "dram"),
        ("intel-rapl:1", "psys"),
        ("intel-rapl-mmio:0", "package-0"),
    ] {
        write(sys.path(), &format!("class/powercap/{zone}/name"), &format!("{name}\n"));
        write(sys.path(), &format!("class/powercap/{zone}/energy_uj"), "1000000\n");
    }
    let start = &sampled(sys.path(), &["--count", "1"])[0];
    assert_eq!(start["measures"], json!(["core-0", "dram-0", "package-0", "psys"]));
    assert_eq!(start["total_domain"], "psys");
    fs::remove_dir_all(sys.path().join("class/powercap/intel-rapl:1")).unwrap();
    assert_eq!(sampled(sys.path(), &["--count", "1"])[0]["total_domain"], "package-0+dram-0");
}

#[test]
fn the_grid_does_not_drift_and_every_record_tells_its_own_time() {
    let sys = tempfile::tempdir().unwrap();
    write(sys.path(), "class/powercap/intel-rapl:0/name", "package-0\n");
    write(sys.path(), "class/powercap/intel-rapl:0/energy_uj", "1000000\n");
    let records = sampled(sys.path(), &["--duration", "2s"]);
    let powers: Vec<&Value> = records.iter().filter(|record| record["type"] == "power").collect();
    let mono = |record: &Value| record["mono"].as_f64().unwrap();
    let end = records.last().unwrap();
    assert_eq!(powers.len() as u64 + end["gaps"].as_u64().unwrap(), 21, "at 0, 100 ms … 2 s, or told as a gap");
    for pair in powers.windows(2) {
        let window = pair[1]["window_seconds"].as_f64().unwrap();
        assert!((mono(pair[1]) - mono(pair[0]) - window).abs() < 2e-6, "{}", pair[1]);
    }
    // However late single readings were, the last is where the grid has it: late by less than the next one.
    let first = mono(&records[0]);
    let place = (mono(powers[powers.len() - 1]) - first) / 0.1;
    assert!(place - place.floor() < 0.9 && place.floor() <= 20.0, "{place}");
}
