//! Meters that are programs, with stand-ins for the programs.

use crate::common::golden::golden;
use crate::common::{Ran, command, run, run_with, scripts};
use serde_json::{Value, json};
use std::fs;

/// Runs power-sample with this script in a program's place.
fn with(name: &str, script: &str, args: &[&str]) -> Ran {
    let folder = scripts(&[(name, script)]);
    let mut command = command("power-sample");
    let paths = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{paths}", folder.path().display())).args(args);
    run_with(command, "")
}

#[test]
fn cards_by_the_running_nvidia_smi_are_counted_as_cards_and_not_as_lines() {
    let script = "echo 'timestamp, index, power.draw [W]'
        while :; do printf '2026/03/01 00:00:00.000, 0, 61.50 W\\n2026/03/01 00:00:00.000, 1, [N/A]\\n'; sleep 0.1; done";
    let ran = with("nvidia-smi", script, &["--meter", "nvidia-smi", "-i", "100ms", "--count", "3"]).exits(0);
    let records = ran.of_type("power");
    let of = |card: &str| records.iter().filter(|record| record["watts"].get(card).is_some()).collect::<Vec<_>>();
    assert_eq!((of("gpu0").len(), of("gpu1").len()), (3, 3));
    assert_eq!(ran.of_type("sampler")[0]["total_domain"], "gpu0+gpu1");
    assert_eq!((&of("gpu0")[2]["watts"]["gpu0"], &of("gpu1")[0]["watts"]["gpu1"]), (&61.5.into(), &Value::Null));
    assert!(records.iter().all(|record| record["mono"].is_number()), "a running meter is of now");
}

#[test]
fn a_driver_that_does_not_answer_is_told_in_its_own_words() {
    let script = "echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\"; exit 9";
    let ran = with("nvidia-smi", script, &["--meter", "nvidia-smi"]).exits(2);
    assert!(ran.stderr.contains("communicate with the NVIDIA driver"), "{}", ran.stderr);
    let ran = with("nvidia-smi", "echo 'No devices were found'; exit 6", &["--meter", "nvidia-smi"]).exits(2);
    assert!(ran.stderr.contains("No devices were found"), "{}", ran.stderr);
    let ran = run("power-sample", ["--meter", "nvidia-smi"], "");
    assert!(ran.status == Some(2) || ran.stderr.is_empty(), "{}", ran.stderr);
}

#[test]
fn macmon_is_read_wherever_it_runs() {
    let script = "[ \"$1 $2 $3\" = 'pipe -i 200' ] || exit 1
        while :; do echo '{\"cpu_power\":0.0,\"gpu_power\":0.5,\"ane_power\":0.0,\"all_power\":0.5,\"sys_power\":0.0}'; sleep 0.2; done";
    let ran = with("macmon", script, &["--meter", "macmon", "-i", "200ms", "--count", "2"]).exits(0);
    let records = ran.of_type("power");
    assert_eq!(records.len(), 4, "two lines, each of a window and a moment");
    assert_eq!(records[2]["watts"], json!({ "ane": 0.0, "cpu": null, "gpu": 0.5, "soc": null }));
    assert_eq!((&records[2]["kind"], &records[3]["watts"]["system"]), (&"window".into(), &Value::Null));
    golden!("power-of-exactly-0", records[2]["unavailable"]["cpu"].as_str().unwrap());
}

#[test]
fn exporters_are_read_by_the_metrics_that_are_known() {
    let text = "# HELP node_rapl_package_joules_total Current RAPL package value in joules\n\
        node_rapl_package_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl:0\"} 1234.5\n\
        node_rapl_package_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl-mmio:0\"} 99\n\
        node_rapl_dram_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl:0:0\"} 34.5\n\
        node_load1 0.5\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics");
    fs::write(&file, text).unwrap();
    let scrape = format!("cat {}", file.display());
    let args = ["--meter", "command", "-i", "100ms", "--count", "1", "--command", &scrape];
    let ran = run("power-sample", args, "").exits(0);
    let joules: Vec<Value> = ran.of_type("power").iter().map(|record| record["joules"].clone()).collect();
    assert_eq!(joules, [json!({ "dram-0": 34.5 }), json!({ "package-0": 1234.5 })]);
    assert!(ran.of_type("sampler").iter().all(|sampler| sampler["total_domain"] == "package-0+dram-0"));
    // One that is not known is found by its name and its labels.
    let other = "printf 'rack_power{feed=\"a\"} 700\\nrack_power{feed=\"b\"} 800\\n'";
    let pattern = r#"^rack_power\{feed="(?P<domain>\w+)"\} (?P<value>\S+)"#;
    let args = ["--meter", "command", "-i", "100ms", "--count", "1", "--command", other, "--pattern", pattern];
    let watts: Vec<Value> =
        run("power-sample", args, "").exits(0).of_type("power").iter().map(|record| record["watts"].clone()).collect();
    assert_eq!(watts, [json!({ "a": 700.0 }), json!({ "b": 800.0 })]);
}

#[test]
fn a_plug_that_counts_in_large_steps_is_no_lightning() {
    // A watt hour each 300 ms: 12 kW, in steps of 3600 J between which the counter stands still.
    let counter = "i=0; while :; do echo $((100 + i / 6)); i=$((i + 1)); sleep 0.05; done";
    let ran = run(
        "power-sample",
        ["--meter", "command", "--command", counter, "--unit", "watt-hours", "--count", "40", "-i", "100ms"],
        "",
    )
    .exits(0);
    for power in ran.of_type("power") {
        if let Some(watts) = power["watts"]["wall"].as_f64() {
            assert!(watts > 1_000.0 && watts < 25_000.0, "{power}");
        }
    }
}
