//! Logs of powermetrics, read after the fact or as they grow.

use super::{next, spawn};
use crate::common::golden::golden;
use crate::common::{Ran, command, root, run, testdata};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;

fn from(file: &Path) -> Ran {
    run("power-sample", ["--from".as_ref(), file.as_os_str()], "").exits(0)
}

fn column(records: &[Value], pointer: &str) -> Vec<f64> {
    records.iter().map(|record| record.pointer(pointer).and_then(Value::as_f64).unwrap()).collect()
}

fn close(got: f64, expect: f64, what: &str) {
    assert!((got - expect).abs() <= 1e-6 * expect.abs().max(1.0), "{what}: {got} is not {expect}");
}

#[test]
fn real_logs_give_the_numbers_that_a_correct_reader_gets() {
    let captures = root().join("../shared/captures/powermetrics");
    let Ok(truth) = fs::read_to_string(captures.join("truth.json")) else {
        eprintln!("SKIPPED: no captures at {}", captures.display());
        return;
    };
    let truth: Value = serde_json::from_str(&truth).unwrap();
    for (name, truth) in truth.as_object().unwrap() {
        let ran = from(&captures.join(name));
        let records = ran.of_type("power");
        assert_eq!(records.len() as u64, truth["samples"].as_u64().unwrap(), "{name}");
        if records.is_empty() {
            golden!("power-log-without-readings", ran.stderr);
            continue;
        }
        let elapsed: f64 = column(&records, "/window_seconds").iter().sum();
        close(elapsed, truth["total_elapsed_s"].as_f64().unwrap(), name);
        for (domain, key) in [("cpu", "cpu"), ("gpu", "gpu"), ("ane", "ane"), ("soc", "combined")] {
            let watts = column(&records, &format!("/watts/{domain}"));
            let energy: f64 = column(&records, &format!("/joules/{domain}")).iter().sum();
            for (got, field) in [
                (energy, "energy_j"),
                (energy / elapsed, "avg_w"),
                (watts.iter().sum::<f64>() / watts.len() as f64, "mean_unweighted_w"),
                (watts.iter().copied().fold(f64::INFINITY, f64::min), "min_w"),
                (watts.iter().copied().fold(0.0, f64::max), "max_w"),
            ] {
                close(got, truth[key][field].as_f64().unwrap(), &format!("{name} {domain} {field}"));
            }
        }
        let ends = column(&records, "/ts");
        let within = column(std::slice::from_ref(truth), "/first_window_end_fraction_s/0")[0]
            ..=column(std::slice::from_ref(truth), "/first_window_end_fraction_s/1")[0];
        assert!(within.contains(&ends[0].fract()), "{name}: {} not in {within:?}", ends[0]);
        let start = &ran.of_type("sampler")[0];
        assert_eq!(start["total_label"], "Combined Power (CPU + GPU + ANE)");
        assert!(start.get("boot").is_none() && records[0].get("mono").is_none(), "a record is of no boot");
    }
}

#[test]
fn a_recorded_log_is_read_to_the_last_sample() {
    let ran = from(&testdata("powermetrics/five.log"));
    let records = ran.of_type("power");
    let sum = |pointer: &str| column(&records, pointer).iter().sum::<f64>();
    // By hand: the sum of milliwatts × milliseconds of the five samples.
    for (pointer, expect) in
        [("/joules/cpu", 8.236425), ("/joules/gpu", 36.88425), ("/joules/ane", 0.01518), ("/joules/soc", 45.135855)]
    {
        close(sum(pointer), expect, pointer);
    }
    close(sum("/window_seconds"), 5.052, "window");
    let samplers = ran.of_type("sampler");
    assert_eq!((&samplers[0]["event"], &samplers[0]["machine"]), (&"start".into(), &"Mac99,1".into()));
    assert_eq!(samplers[0]["total_domain"], "soc");
    let end = &samplers[1];
    assert_eq!((&end["samples"], &end["gaps"], &end["truncated_samples"]), (&5.into(), &0.into(), &0.into()));
    assert!(end["cpu_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_pipe_of_a_recorded_log_says_the_same_as_the_file() {
    let log = fs::read(testdata("powermetrics/five.log")).unwrap();
    let piped = run("power-sample", ["--meter", "powermetrics", "--from", "-"], &log).exits(0);
    assert_eq!(piped.of_type("power"), from(&testdata("powermetrics/five.log")).of_type("power"));
    let mut command = command("power-sample");
    command.args(["--from", "-"]).stdin(fs::File::open(testdata("powermetrics/five.log")).unwrap());
    let stdout = command.output().unwrap().stdout;
    assert_eq!(String::from_utf8(stdout).unwrap().lines().count(), 7);
}

#[test]
fn a_log_that_was_cut_loses_only_its_torn_sample() {
    let log = fs::read_to_string(testdata("powermetrics/five.log")).unwrap();
    let cut = &log[..log.rfind("ANE Power").unwrap()];
    let ran = run("power-sample", ["--from", "-"], cut).exits(0);
    let end = &ran.of_type("sampler")[1];
    assert_eq!((&end["samples"], &end["truncated_samples"]), (&4.into(), &1.into()));
    run("power-sample", ["--strict", "--from", "-"], cut).exits(2);
}

#[test]
fn each_generation_of_macs_is_read_by_its_own_words() {
    let head = "Machine model: X\n\n\n\n*** Sampled system activity (Fri Feb  6 10:00:00 2026 +0000) (1000.00ms elapsed) ***\n\n\n**** Processor usage ****\n\n";
    for (lines, label, domains, watts) in [
        (
            "Intel energy model derived package power (CPUs+GT+SA): 48.61W\n\nLLC flushed residency: 0%\n",
            "Intel energy model derived package power (CPUs+GT+SA)",
            &["soc"][..],
            48.61,
        ),
        (
            "E-Cluster Power: 27 mW\nP-Cluster Power: 50 mW\nANE Power: 0 mW\nDRAM Power: 688 mW\nCPU Power: 742 mW\nGPU Power: 26 mW\nPackage Power: 2151 mW\n",
            "Package Power",
            &["ane", "cpu", "dram", "gpu", "soc"],
            2.151,
        ),
        (
            "P0-Cluster HW active frequency: 1 MHz\nP1-Cluster HW active residency: .71% (1182 MHz: .5% 1182 MHz: .2%)\nS-Cluster idle residency: 100.00%\n\nCPU Power: 900 mW\nGPU Power: 2500 mW\nANE Power: 10 mW\nCombined Power (CPU + GPU + ANE): 3410 mW\n\n**** GPU usage ****\n\nGPU Power: 9999 mW\n",
            "Combined Power (CPU + GPU + ANE)",
            &["ane", "cpu", "gpu", "soc"],
            3.41,
        ),
    ] {
        let ran = run("power-sample", ["--from", "-"], format!("{head}{lines}")).exits(0);
        let power = &ran.of_type("power")[0];
        let read: Vec<&String> = power["watts"].as_object().unwrap().keys().collect();
        assert_eq!(read, domains, "{label}");
        close(power["watts"]["soc"].as_f64().unwrap(), watts, label);
        assert_eq!(ran.of_type("sampler")[0]["total_label"], label);
    }
}

#[test]
fn a_log_of_the_preamble_alone_is_no_reading_and_no_error() {
    let ran =
        run("power-sample", ["--from", "-"], "Machine model: Mac16,5\nOS version: 24G90\nBoot arguments: \n").exits(0);
    assert_eq!((ran.of_type("power").len(), ran.of_type("sampler")[1]["samples"].clone()), (0, 0.into()));
    golden!("power-log-without-readings", ran.stderr);
}

#[test]
fn a_log_that_grows_is_followed_from_its_present_end_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("asitop.csv");
    let columns = "timestamp,CPU Power (W),GPU Power (W),ANE Power (W),Package Power (W)\n";
    let row = |watts: u32| format!("2026-02-06 10:00:0{watts},{watts},0,0,{watts}\n");
    fs::write(&log, format!("{columns}{}", row(1))).unwrap();
    let mut command = command("power-sample");
    command.arg("--from").arg(&log).args(["--follow", "--count", "2"]);
    let (mut child, mut lines) = spawn(command);
    // Whoever follows has opened the file: what is written from then on is new.
    let opened = format!("/proc/{}/fd", child.id());
    crate::common::wait_until("the log to be opened", || {
        let links =
            fs::read_dir(&opened).into_iter().flatten().flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        links.into_iter().any(|link| link == log)
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut file = fs::File::options().append(true).open(&log).unwrap();
    file.write_all(row(2).as_bytes()).unwrap();
    let start = next(&mut lines);
    assert_eq!((&start["meters"][0], start["boot"].is_string()), (&"asitop".into(), true));
    let second = next(&mut lines);
    assert_eq!(
        (&second["watts"]["soc"], second["mono"].is_number()),
        (&2.0.into(), true),
        "what was there is not of now"
    );
    // Whoever writes it begins another.
    fs::write(folder.path().join("new"), format!("{columns}{}", row(3))).unwrap();
    fs::rename(folder.path().join("new"), &log).unwrap();
    assert_eq!(next(&mut lines)["watts"]["soc"], 3.0);
    assert_eq!(next(&mut lines)["samples"], 2);
    assert!(child.wait().unwrap().success());
    for args in [&["--follow"][..], &["--follow", "--from", "-"], &["--follow", "--from", "/dev/null"]] {
        run("power-sample", args, "").exits(2);
    }
}
