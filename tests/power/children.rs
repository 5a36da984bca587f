//! Meters that are programs: what becomes of them, and what they may not do.

use super::{METER, alive, next, signal, spawn, with_fakes};
use crate::common::golden::{case, golden};
use crate::common::{command, compiled, copied, program, run, run_with, scripts, wait_until};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

const NOBODY: u32 = 65_534;
const OTHER: u32 = 65_533;

fn pids(folder: &Path, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .map(|name| {
            let file = folder.join(name);
            wait_until("the meter to start", || fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n')));
            fs::read_to_string(file).unwrap().trim().to_owned()
        })
        .collect()
}

/// A program that starts others, which do not listen to anyone, and prints.
fn family(folder: &Path) -> String {
    let path = folder.display();
    format!(
        "trap '' TERM HUP; echo $$ > {path}/one; (sh -c 'echo $$ > {path}/two; sleep 600') & sleep 600 | sh -c 'echo $$ > {path}/three; echo 5; sleep 600'"
    )
}

#[test]
fn what_a_meter_started_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command("power-sample");
    command.args(["--meter", "command", "--command", &family(folder.path())]);
    let (mut child, mut lines) = spawn(command);
    assert_eq!((&next(&mut lines)["event"], &next(&mut lines)["watts"]["wall"]), (&"start".into(), &5.0.into()));
    let family = pids(folder.path(), &["one", "two", "three"]);
    assert!(family.iter().all(|pid| alive(pid)));
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!family.iter().any(|pid| alive(pid)), "someone outlived the program");
}

#[test]
fn even_one_that_is_killed_outright_leaves_no_meter_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command("power-sample");
    command.args(["--meter", "command", "--command", &family(folder.path())]);
    let (mut child, _lines) = spawn(command);
    let family = pids(folder.path(), &["one", "two", "three"]);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the meter to end", || !family.iter().any(|pid| alive(pid)));
}

#[test]
fn a_program_that_does_not_stop_printing_is_stopped() {
    let mut told = None;
    for (flood, numbers) in [("yes", false), ("yes 220", true), ("yes 'total 5 W'", true), ("cat /dev/zero", false)] {
        let ran = run("power-sample", ["--meter", "command", "-i", "100ms", "--command", flood], "");
        // Of numbers, some may have been taken before it showed that they do not stop.
        assert!(ran.status == Some(2) || numbers && ran.status == Some(1), "{flood}: {:?}", ran.status);
        // Where it had begun, that it ended early stands before.
        let message = told.get_or_insert(ran.stderr.clone());
        assert!(ran.stderr.ends_with(message.trim_start_matches("power-sample: ")), "{flood}: {}", ran.stderr);
        assert!(ran.stdout.lines().count() <= 4100, "{flood}: {}", ran.stdout.lines().count());
    }
    golden!("meter-does-not-stop-printing", told.unwrap());
}

#[test]
fn a_program_that_says_nothing_of_use_is_told_what_it_said() {
    let of = |program| run("power-sample", ["--meter", "command", "-i", "100ms", "--command", program], "").exits(2);
    let mut told = String::new();
    for program in [
        "true",
        "echo hello W",
        "exit 4",
        "echo no BMC >&2; exit 1",
        "printf '\\0\\001\\377\\n9\\n'",
        "/nowhere/ipmitool",
    ] {
        told += &case(program, &of(program).stderr);
    }
    golden!("meter-command-of-no-use", told);
    // Whether the shell around it says "Killed" first depends on the scheduler.
    assert!(!of("kill -9 $$").stderr.is_empty());
}

#[test]
fn what_is_no_power_is_null_with_its_reason() {
    for said in ["NaN", "-5", "1e400", "N/A", "inf", "0", "0.0 W"] {
        let print = format!("echo '{said}'");
        let ran = run("power-sample", ["--meter", "command", "-i", "100ms", "--count", "2", "--command", &print], "");
        let power = ran.exits(0).of_type("power").remove(0);
        assert_eq!(power["watts"]["wall"], Value::Null, "{said}: {power}");
        assert!(power["unavailable"]["wall"].is_string(), "{said}: {power}");
    }
}

#[test]
fn a_run_that_hangs_is_ended_and_the_readings_it_cost_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let script = format!("[ -e {path}/pid ] && echo 7 || {{ echo $$ > {path}/pid; sleep 600; }}");
    let ran =
        run("power-sample", ["--meter", "command", "-i", "100ms", "--count", "2", "--command", &script], "").exits(0);
    assert_eq!(ran.of_type("power")[1]["watts"]["wall"], 7.0);
    let gaps = ran.of_type("sampler")[1]["gaps"].as_u64().unwrap();
    assert!((90..200).contains(&gaps), "ten seconds of ten readings each: {gaps}");
    assert!(!alive(fs::read_to_string(folder.path().join("pid")).unwrap().trim()));
}

#[test]
fn a_meter_is_told_how_many_readings_will_be_taken_so_that_it_ends_by_itself() {
    let folder = scripts(&[("powermetrics", "echo \"$@\" > \"$0.args\"; exec sleep 60"), super::SUDO]);
    for (args, told) in [
        (&["--duration", "300ms"][..], Some("-n 5")),
        (&["--count", "3", "--duration", "100ms"], Some("-n 3")),
        (&[], None),
    ] {
        let mut all = vec!["--meter", "powermetrics", "-i", "100ms"];
        all.extend(args);
        let file = folder.path().join("powermetrics.args");
        let _ = fs::remove_file(&file);
        let (mut child, _lines) = spawn(with_fakes(&folder, &all));
        wait_until("the meter to start", || fs::read_to_string(&file).is_ok_and(|args| args.ends_with('\n')));
        let given = fs::read_to_string(&file).unwrap();
        assert!(given.starts_with("-s cpu_power,gpu_power -b 1 -i 100"), "{given}");
        assert_eq!(given.trim_end().split_once(" -n ").map(|(_, n)| format!("-n {n}")).as_deref(), told);
        signal(&child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

/// power-sample as a user who is not root, with a `sudo` that makes the meter another user's: one that this user can no
/// more signal than root's. `None` where this test is not root itself and cannot make that so.
fn unprivileged(meter: &str, sudo: &[&str], args: &[&str]) -> Option<(tempfile::TempDir, Command)> {
    let folder = scripts(&[("powermetrics", meter)]);
    let open = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(folder.path(), 0o777);
    let own = copied(program("power-sample"), folder.path().join("sampler"));
    let stand_in = compiled("become.c", folder.path().join("sudo"), sudo);
    let given = chown(&stand_in, Some(OTHER), None).is_ok();
    open(&stand_in, 0o4755);
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={NOBODY}"), "--clear-groups", "--"]);
        command
    };
    let id = as_nobody().arg(&stand_in).args(["-n", "id", "-u"]).output();
    if !given || !id.is_ok_and(|id| id.stdout == format!("{OTHER}\n").as_bytes()) {
        eprintln!("SKIPPED: nobody here may become another user");
        return None;
    }
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut command = as_nobody();
    command.arg(own).args(args).env("PATH", path);
    Some((folder, command))
}

#[test]
fn a_meter_under_sudo_ends_with_the_program_as_far_as_sudo_lets_it() {
    // The first sudo runs anything; the other only the meter, and so cannot be asked to end it.
    for (sudo, meter) in
        [(&[][..], METER.replace("sleep 0.1", "sleep 3")), (&["-DMETER_ONLY"], METER.replace("sleep 0.1", "sleep 1"))]
    {
        for outright in [false, true] {
            let meter = meter.replacen("sleep", "echo go; sleep", 1);
            let args = ["--meter", "powermetrics", "-i", "1s"];
            let Some((folder, command)) = unprivileged(&meter, sudo, &args) else { return };
            let (mut child, _lines) = spawn(command);
            let pid = pids(folder.path(), &["powermetrics.pid"]).remove(0);
            let owner = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            assert!(owner.contains(&format!("Uid:\t{OTHER}")), "{owner}");
            if outright {
                child.kill().unwrap();
                child.wait().unwrap();
            } else {
                signal(&child, "TERM");
                assert_eq!(child.wait().unwrap().code(), Some(0));
                assert!(!sudo.is_empty() || !alive(&pid), "sudo was there to be asked");
            }
            wait_until("the meter to end, at its next line at the latest", || !alive(&pid));
        }
    }
}

#[test]
fn who_is_not_root_and_has_no_sudo_is_told_both_ways() {
    let Some((_folder, command)) = unprivileged("echo 5", &["-DMETER_ONLY"], &["--meter", "powermetrics"]) else {
        return;
    };
    // This sudo asks for a password.
    let folder =
        scripts(&[("sudo", "echo 'sudo: a password is required' >&2; exit 1"), ("powermetrics", "exec sleep 60")]);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command;
    command.env("PATH", format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap()));
    let ran = run_with(command, "").exits(2);
    assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{}", ran.stderr);
    golden!("powermetrics-wants-a-password", ran.stderr);
}

#[test]
fn counters_that_only_root_may_read_say_how_to_be_allowed() {
    let sys = tempfile::tempdir().unwrap();
    let zone = sys.path().join("class/powercap/intel-rapl:0");
    fs::create_dir_all(&zone).unwrap();
    fs::write(zone.join("name"), "package-0\n").unwrap();
    fs::write(zone.join("energy_uj"), "1\n").unwrap();
    fs::set_permissions(zone.join("energy_uj"), fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(sys.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let args = ["--meter", "rapl", "--sysfs-root", sys.path().to_str().unwrap()];
    let Some((_folder, command)) = unprivileged("echo 5", &["-DMETER_ONLY"], &args) else { return };
    let ran = run_with(command, "").exits(2);
    golden!("counters-only-for-root", ran.stderr);
}

#[test]
fn a_signal_before_the_first_reading_is_an_end_like_any_other() {
    let folder = scripts(&[super::SUDO, ("powermetrics", "echo $$ > \"$0.pid\"; exec sleep 60")]);
    let (mut child, mut lines) = spawn(with_fakes(&folder, &["--meter", "powermetrics"]));
    pids(folder.path(), &["powermetrics.pid"]);
    signal(&child, "INT");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let events: Vec<Value> = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((events.len(), &events[0]["event"], &events[1]["samples"]), (2, &"start".into(), &0.into()));
}
