//! power-sample, as its user sees it.

mod children;
mod logs;

use crate::common::golden::{case, golden};
use crate::common::{command, run, run_with, scripts, wait_until};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SUDO: (&str, &str) = ("sudo", "shift; exec \"$@\"");

fn with_fakes(folder: &tempfile::TempDir, args: &[&str]) -> Command {
    let mut command = command("power-sample");
    let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).unwrap().to_owned();
    let mut paths = vec![folder.path().to_owned()];
    paths.extend(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(paths).unwrap()).args(args);
    command
}

fn spawn(mut command: Command) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

fn next(lines: &mut impl BufRead) -> Value {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line:?}"))
}

fn signal(child: &Child, name: &str) {
    let killed = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

fn alive(pid: &str) -> bool {
    // A dead process whose parent has not asked after it is dead all the same.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_running_meter_is_stamped_on_arrival_and_each_sample_comes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut command = command("power-sample");
    command.arg("--from").arg(&fifo);
    let (mut child, mut lines) = spawn(command);
    let mut meter = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    writeln!(meter, "Machine model: llm-sim\nOS version: simulated\nBoot arguments: \nBoot time: x\n").unwrap();
    for round in 0..2 {
        let now = Command::new("date").args(["+%a %b %e %H:%M:%S %Y %z"]).env("LC_ALL", "C").output().unwrap().stdout;
        let now = String::from_utf8(now).unwrap();
        write!(
            meter,
            "\n\n*** Sampled system activity ({}) (250.00ms elapsed) ***\n\n\n**** Processor usage ****\n\n\
             CPU Power: 1000 mW\nGPU Power: 2000 mW\nANE Power: 0 mW\nCombined Power (CPU + GPU + ANE): 3000 mW\n\n",
            now.trim()
        )
        .unwrap();
        // The meter says nothing more until its sample was read here.
        if round == 0 {
            let start = next(&mut lines);
            assert_eq!((&start["event"], &start["simulated"]), (&"start".into(), &true.into()));
            assert_eq!((&start["machine"], &start["interval_seconds"]), (&"llm-sim".into(), &0.25.into()));
            assert!(start["boot"].is_string());
        }
        let power = next(&mut lines);
        assert_eq!(power["watts"]["soc"], 3.0);
        assert!(power["mono"].is_number());
    }
    drop(meter);
    assert_eq!(next(&mut lines)["samples"], 2);
    assert!(child.wait().unwrap().success());
}

const METER: &str = "\
echo $$ > \"$0.pid\"
printf 'Machine model: Mac99,1\\n\\n'
while :; do
  sleep 0.1
  printf '\\n\\n*** Sampled system activity (%s) (100.00ms elapsed) ***\\n\\n\\n**** Processor usage ****\\n\\nCPU Power: 5 mW\\nCombined Power (CPU + GPU + ANE): 5 mW\\n\\n' \"$(LC_ALL=C date '+%a %b %e %H:%M:%S %Y %z')\"
done";

#[test]
fn a_signal_ends_the_stream_with_its_last_record_and_the_meter_with_it() {
    for (name, trap) in [("INT", ""), ("TERM", "trap '' TERM INT HUP\n")] {
        let folder = scripts(&[SUDO, ("powermetrics", &format!("{trap}{METER}"))]);
        let (mut child, mut lines) = spawn(with_fakes(&folder, &["--meter", "powermetrics", "-i", "100ms"]));
        assert_eq!(next(&mut lines)["event"], "start");
        assert_eq!(next(&mut lines)["watts"]["cpu"], 0.005);
        signal(&child, name);
        let started = Instant::now();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(started.elapsed() < Duration::from_secs(8));
        let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], last.get("reason")), (&"end".into(), None));
        let pid = fs::read_to_string(folder.path().join("powermetrics.pid")).unwrap();
        assert!(!alive(pid.trim()), "the meter outlived its reader");
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly_even_while_nothing_is_written() {
    let folder = scripts(&[SUDO, ("powermetrics", "echo $$ > \"$0.pid\"; exec sleep 60")]);
    let (mut child, lines) = spawn(with_fakes(&folder, &["--meter", "powermetrics"]));
    let pid_file = folder.path().join("powermetrics.pid");
    wait_until("the meter to start", || fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n')));
    drop(lines);
    wait_until("power-sample to end", || child.try_wait().unwrap().is_some());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    assert!(!alive(fs::read_to_string(pid_file).unwrap().trim()));
}

#[test]
fn without_the_right_to_measure_both_ways_out_are_said() {
    let mut told = String::new();
    for (sudo, meter) in [
        (
            "echo 'sudo: a password is required' >&2; exit 1",
            "echo 'powermetrics must be invoked as the superuser' >&2; exit 1",
        ),
        ("shift; exec \"$@\"", "echo 'powermetrics must be invoked as the superuser'; exit 1"),
    ] {
        let folder = scripts(&[("sudo", sudo), ("powermetrics", meter)]);
        let ran = run_with(with_fakes(&folder, &["--meter", "powermetrics"]), "").exits(2);
        told += &ran.stderr;
    }
    golden!("powermetrics-without-the-right", told);
}

#[test]
fn a_meter_that_dies_on_the_way_leaves_what_it_said_and_the_reason() {
    let script = METER.replace("while :; do", "for n in 1 2; do") + "\necho 'out of order' >&2; exit 7";
    let folder = scripts(&[SUDO, ("powermetrics", &script)]);
    let ran = run_with(with_fakes(&folder, &["--meter", "powermetrics", "-i", "100ms"]), "").exits(1);
    assert_eq!(ran.of_type("power").len(), 2);
    golden!("meter-died", ran.of_type("sampler")[1]["reason"].as_str().unwrap());
}

fn powercap(root: &Path, zones: &[(&str, &str, u64)]) {
    for (zone, name, energy) in zones {
        let folder = root.join("class/powercap").join(zone);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("name"), name).unwrap();
        fs::write(folder.join("max_energy_range_uj"), "262143328850\n").unwrap();
        fs::write(folder.join("energy_uj"), format!("{energy}\n")).unwrap();
    }
}

#[test]
fn processors_are_read_by_their_counters() {
    let sys = tempfile::tempdir().unwrap();
    powercap(sys.path(), &[("intel-rapl:0", "package-0", 1_000_000), ("intel-rapl:0:0", "dram", 500_000)]);
    let mut command = command("power-sample");
    command.args(["-i", "100ms", "--count", "5", "--sysfs-root"]).arg(sys.path());
    let (mut child, mut lines) = spawn(command);
    let start = next(&mut lines);
    assert_eq!((&start["meters"][0], &start["total_domain"]), (&"rapl".into(), &"package-0+dram-0".into()));
    let mut last = next(&mut lines);
    assert_eq!(last["watts"].as_object().unwrap().len(), 0, "one reading of a counter is no power");
    for step in 1..5u64 {
        powercap(sys.path(), &[("intel-rapl:0", "package-0", 1_000_000 * (1 + step))]);
        let power = next(&mut lines);
        assert_eq!(power["kind"], "counter");
        let joules = |power: &Value| power["joules"]["package-0"].as_f64().unwrap();
        let watts = (joules(&power) - joules(&last)) / power["window_seconds"].as_f64().unwrap();
        match power["watts"]["package-0"].as_f64() {
            Some(said) => assert!((said - watts).abs() < 0.01, "{said} {watts}"),
            None => assert_eq!(watts, 0.0, "read before the counter moved: {power}"),
        }
        last = power;
    }
    let end = next(&mut lines);
    assert_eq!((&end["event"], &end["samples"]), (&"end".into(), &5.into()));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_counter_that_stands_still_or_vanishes_is_unavailable_and_never_zero() {
    let sys = tempfile::tempdir().unwrap();
    powercap(sys.path(), &[("intel-rapl:0", "package-0", 1_000_000), ("intel-rapl:1", "psys", 7_000_000)]);
    fs::remove_file(sys.path().join("class/powercap/intel-rapl:1/max_energy_range_uj")).unwrap();
    let mut command = command("power-sample");
    command.args(["--meter", "rapl", "-i", "100ms", "--count", "6", "--sysfs-root"]).arg(sys.path());
    let (mut child, mut lines) = spawn(command);
    next(&mut lines);
    next(&mut lines);
    fs::remove_file(sys.path().join("class/powercap/intel-rapl:1/energy_uj")).unwrap();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    let records: Vec<Value> = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = &records[records.len() - 2];
    assert_eq!((&last["watts"]["package-0"], &last["joules"]["package-0"]), (&Value::Null, &Value::Null));
    let reasons = ["package-0", "psys"].map(|domain| case(domain, last["unavailable"][domain].as_str().unwrap()));
    golden!("counter-unavailable", reasons.concat());
    assert!(!rest.contains(":0.0,\"psys\"") && !rest.contains("\"package-0\":0.0"), "{rest}");
}

#[test]
fn without_a_meter_it_says_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = command("power-sample");
    command.env("PATH", empty.path()).arg("--sysfs-root").arg(empty.path());
    let ran = run_with(command, "").exits(2);
    assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{}", ran.stderr);
    golden!("no-power-meter", ran.stderr);
}

#[test]
fn it_ends_with_the_process_it_was_told_to_watch() {
    let sys = tempfile::tempdir().unwrap();
    powercap(sys.path(), &[("intel-rapl:0", "package-0", 1_000_000)]);
    let mut watched = Command::new("sleep").arg("0.5").spawn().unwrap();
    let pid = watched.id().to_string();
    let mut command = command("power-sample");
    command.args(["-i", "1h", "--while-pid", &pid, "--sysfs-root"]).arg(sys.path());
    let started = Instant::now();
    // Nobody waits for the process: to the system it is a zombie, to the sampler it has ended.
    let ran = run_with(command, "").exits(0);
    assert!(started.elapsed() >= Duration::from_millis(300) && started.elapsed() < Duration::from_secs(20));
    assert_eq!(ran.of_type("sampler").len(), 2);
    watched.wait().unwrap();
}

#[test]
fn an_interval_out_of_range_is_refused() {
    for interval in ["99ms", "2h", "1", "-1s", "soon"] {
        let ran = run("power-sample", [format!("--interval={interval}")], "").exits(2);
        assert!(ran.stderr.starts_with("power-sample: "), "{}", ran.stderr);
    }
}
