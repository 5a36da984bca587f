//! mem-sample, as its user sees it.

mod servers;

use crate::common::{Ran, command, compiled, copied, program, run, run_with, wait_until};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const MIB: f64 = 1024.0 * 1024.0;

fn once(args: &[&str]) -> Value {
    let ran = run("mem-sample", ["--once"].iter().chain(args), "").exits(0);
    assert_eq!(ran.stdout.lines().count(), 1, "one snapshot is one line");
    ran.records().remove(0)
}

/// A process that holds memory, and its end.
struct Holder(Child);

impl Holder {
    fn start(folder: &Path, anon: u32, file_mib: usize, inner: u32) -> Self {
        compiled("hold.c", folder.join("hold-memory"), &[]);
        fs::write(folder.join("weights"), vec![7; file_mib << 20]).unwrap();
        Self::another(folder, anon, inner)
    }

    /// One more of the same program, with the same file.
    fn another(folder: &Path, anon: u32, inner: u32) -> Self {
        let (program, file) = (folder.join("hold-memory"), folder.join("weights"));
        let child = Command::new(program)
            .arg(anon.to_string())
            .arg(file)
            .arg(inner.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut holder = Self(child);
        holder.expect("ready");
        holder
    }

    fn expect(&mut self, word: &str) {
        // One byte at a time, so that nothing is read ahead.
        let mut line = String::new();
        let mut byte = [0];
        let stdout = self.0.stdout.as_mut().unwrap();
        while stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        assert_eq!(line, word);
    }

    fn go_on(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mib(memory: &Value, field: &str) -> f64 {
    memory[field].as_f64().unwrap_or_else(|| panic!("{field} of {memory}")) / MIB
}

#[test]
fn memory_is_told_apart_and_the_peak_outlives_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Holder::start(folder.path(), 120, 80, 40);
    let full = once(&["--pid", &holder.pid(), "--per-process"]);
    assert_eq!(full["processes"], 2, "its child is counted");
    // A process of C has some MiB of its own.
    assert!((160.0..175.0).contains(&mib(&full, "anon_bytes")), "{full}");
    assert!((80.0..95.0).contains(&mib(&full, "file_bytes")), "{full}");
    let whole = mib(&full, "anon_bytes") + mib(&full, "file_bytes");
    assert!((mib(&full, "rss_bytes") - whole).abs() < 0.01);
    let list = full["process_list"].as_array().unwrap();
    assert_eq!((list.len(), list[0]["name"].as_str()), (2, Some("hold-memory")));
    assert_eq!(list[1]["parent"], list[0]["pid"]);
    assert!(mib(&list[1], "anon_bytes") < 50.0);

    holder.go_on();
    holder.expect("freed");
    let freed = once(&["--pid", &holder.pid()]);
    assert!(mib(&freed, "anon_bytes") < 55.0, "{freed}");
    assert!(mib(&freed, "peak_bytes") >= 120.0 + 80.0 + 40.0, "the peak stays: {freed}");
    assert!(freed.get("process_list").is_none() && freed.get("pss_bytes").is_none());
}

#[test]
fn shared_pages_count_once_in_the_proportional_share() {
    let folder = tempfile::tempdir().unwrap();
    let _one = Holder::start(folder.path(), 1, 64, 1);
    let _other = Holder::another(folder.path(), 1, 1);
    let both = once(&["--exe", folder.path().to_str().unwrap(), "--pss"]);
    assert_eq!(both["processes"], 4);
    assert!(mib(&both, "file_bytes") > 128.0, "{both}");
    assert!((60.0..90.0).contains(&mib(&both, "pss_bytes")), "{both}");
}

#[test]
fn the_machine_is_always_told() {
    let memory = once(&[]);
    let system = &memory["system"];
    let number = |field: &str| system[field].as_u64().unwrap();
    assert_eq!(number("used_bytes") + number("available_bytes"), number("total_bytes"));
    assert!(number("used_bytes") > 0 && system["cached_bytes"].is_u64());
    assert!(memory.get("processes").is_none(), "none was asked for");
}

#[test]
fn who_is_not_there_yet_is_null_and_is_found_when_it_comes_and_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = copied("/bin/sleep", folder.path().join("served-model"));
    let mut command = command("mem-sample");
    command.args(["--name", "^served-model$", "-i", "100ms"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut next = || -> Value {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let start = next();
    assert_eq!((&start["event"], &start["measures"][1]), (&"start".into(), &"name ^served-model$".into()));
    assert!(start["boot"].is_string() && start["interval_seconds"] == 0.1);
    let first = next();
    assert_eq!(
        (&first["processes"], &first["rss_bytes"], &first["peak_bytes"]),
        (&0.into(), &Value::Null, &Value::Null)
    );
    for _ in 0..2 {
        let mut served = Command::new(&program).arg("60").spawn().unwrap();
        wait_until("the process to be found", || next()["processes"] == 1);
        served.kill().unwrap();
        served.wait().unwrap();
        wait_until("the process to be gone", || next()["processes"] == 0);
    }
    let killed = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let end: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(end["event"], "end");
    assert!(end["cpu_seconds"].as_f64().unwrap() < 5.0 && end["samples"].as_u64().unwrap() > 4);
}

#[test]
fn neither_itself_nor_its_parents_are_ever_counted() {
    // Both under names of their own: other tests run mem-sample too, and a test that is just starting a program is for a
    // moment two processes of the same file.
    let folder = tempfile::tempdir().unwrap();
    let own = copied(program("mem-sample"), folder.path().join("sampler-of-this-test"));
    let parent = copied("/bin/sh", folder.path().join("parent-of-this-test"));
    for chosen in ["--name ^sampler-of-this", "--exe sampler-of-this-test", "--exe parent-of-this-test", "--pid $$"] {
        let script = format!("{} --once --per-process {chosen}; true", own.display());
        let mut command = Command::new(&parent);
        command.args(["-c", &script]);
        let memory = run_with(command, "").exits(0).records().remove(0);
        assert_eq!(memory["processes"], 0, "{chosen}: {memory}");
    }
}

#[test]
fn whoever_listens_on_a_port_is_found() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    // The listener is this test, a parent of mem-sample, and so left out; its socket is found all the same.
    assert_eq!(once(&["--port", &port])["processes"], 0);
    drop(free);
    let sim = Command::new("sh").args(["-c", "command -v python3"]).output().unwrap();
    if !sim.status.success() {
        eprintln!("SKIPPED: no python3 to listen");
        return;
    }
    let mut server = Command::new("python3")
        .args(["-c", "import socket,sys,time\ns=socket.create_server(('127.0.0.1',0))\nprint(s.getsockname()[1],flush=True)\ntime.sleep(60)"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let memory = once(&["--port", port.trim(), "--per-process"]);
    assert_eq!((&memory["processes"], &memory["process_list"][0]["pid"]), (&1.into(), &server.id().into()));
    server.kill().unwrap();
    server.wait().unwrap();
}

/// A process table of our making.
fn fake_process(root: &Path, pid: u32, parent: u32, start: u64, exe: &str, rss: u64) {
    let folder = root.join(pid.to_string());
    fs::create_dir_all(&folder).unwrap();
    let comm = exe.rsplit('/').next().unwrap();
    fs::write(folder.join("stat"), format!("{pid} ({comm}) S {parent} {}{start} 0\n", "0 ".repeat(17))).unwrap();
    fs::write(
        folder.join("status"),
        format!("VmHWM:\t{rss} kB\nVmRSS:\t{rss} kB\nRssAnon:\t{rss} kB\nRssFile:\t0 kB\nRssShmem:\t0 kB\n"),
    )
    .unwrap();
    fs::write(folder.join("cmdline"), format!("{exe}\0")).unwrap();
    let _ = fs::remove_file(folder.join("exe"));
    symlink(exe, folder.join("exe")).unwrap();
}

fn fake_table() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(
        root.path().join("meminfo"),
        "MemTotal: 1000 kB\nMemAvailable: 400 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n",
    )
    .unwrap();
    fake_process(root.path(), 1, 0, 1, "/sbin/init", 1);
    fake_process(root.path(), 50, 1, 10, "/home/u/.lmstudio/llmster/0.4/llmster", 100);
    fake_process(root.path(), 51, 50, 11, "/usr/bin/node", 800);
    fake_process(root.path(), 52, 1, 12, "/home/u/.lmstudio/bin/lms", 7);
    fake_process(root.path(), 60, 1, 13, "/usr/bin/films", 9);
    root
}

#[test]
fn lm_studio_is_followed_where_it_runs_and_nothing_was_asked_for() {
    let root = fake_table();
    let proc = root.path().to_str().unwrap();
    for args in [&["--proc-root", proc][..], &["--preset", "lmstudio", "--proc-root", proc]] {
        let memory = once(args);
        assert_eq!((&memory["processes"], &memory["rss_bytes"]), (&2.into(), &(900 * 1024).into()), "{args:?}");
        assert_eq!(memory["system"]["swap_used_bytes"], 6 * 1024);
    }
    fs::remove_dir_all(root.path().join("50")).unwrap();
    assert!(once(&["--proc-root", proc]).get("processes").is_none());
}

#[test]
fn another_process_under_the_same_number_is_another_process() {
    let root = fake_table();
    let mut command = command("mem-sample");
    command.args(["--pid", "50", "-i", "100ms", "--proc-root"]).arg(root.path());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut next = || -> Value {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    next();
    assert_eq!(next()["rss_bytes"], 900 * 1024);
    // The server ends; its child goes to init; a stranger gets its number. Named by its number, the stranger is meant.
    fake_process(root.path(), 51, 1, 11, "/usr/bin/node", 800);
    fake_process(root.path(), 50, 1, 999, "/usr/bin/vi", 3);
    wait_until("the stranger", || next()["rss_bytes"] == 3 * 1024);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    for args in [
        &["--pid", "1", "--name", "x"][..],
        &["--port", "0"],
        &["--port", "70000"],
        &["--name", "("],
        &["--preset", "emacs"],
        &["--once", "--count", "3"],
        &["-i", "1ms"],
        &["--proc-root", "/nowhere"],
    ] {
        let ran = run("mem-sample", args, "").exits(2);
        assert!(ran.stderr.starts_with("mem-sample: "), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn it_keeps_its_time_and_ends_when_told() {
    let ran = run("mem-sample", ["-i", "100ms", "--duration", "1s"], "").exits(0);
    let readings = ran.of_type("memory");
    let end = &ran.of_type("sampler")[1];
    let gaps = end["gaps"].as_u64().unwrap();
    assert_eq!(readings.len() as u64 + gaps, 11, "at 0, 100 ms … 1 s, or told as a gap");
    let counted = run("mem-sample", ["-i", "100ms", "--count", "3"], "").exits(0);
    assert_eq!(counted.of_type("memory").iter().map(|m| m["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut command = command("mem-sample");
    command.args(["-i", "1h"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    wait_until("mem-sample to end", || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

fn with_cards(program: &str, folder: &Path, args: &[&str], held_by: &str) -> Ran {
    run_with(cards(program, folder, args, held_by), "").exits(0)
}

fn cards(program: &str, folder: &Path, args: &[&str], held_by: &str) -> Command {
    compiled("libnvidia-ml.c", folder.join("libnvidia-ml.so.1"), &["-shared", "-fPIC"]);
    let mut command = command(program);
    command.env("LD_LIBRARY_PATH", folder).env("HELD_BY", held_by).args(args);
    command
}

#[test]
fn unified_memory_cards_tell_the_processes() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = holder.id().to_string();
    let mut command = cards("mem-sample", folder.path(), &["--once", "--pid", &pid], &pid);
    command.env("UNIFIED", "1");
    let memory = &run_with(command, "").exits(0).records()[0];
    assert_eq!(memory["gpu"]["gpu0"], serde_json::json!({ "process_bytes": 5u64 << 30 }));
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn cards_are_read_by_their_drivers_library() {
    let folder = tempfile::tempdir().unwrap();
    let own = std::process::id().to_string();
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = other.id().to_string();
    let memory = &with_cards("mem-sample", folder.path(), &["--once", "--pid", &pid], &pid).records()[0];
    assert_eq!(memory["gpu"]["gpu0"], serde_json::json!({ "used_bytes": 6u64 << 30, "process_bytes": 5u64 << 30 }));
    assert_eq!(memory["gpu"]["gpu1"], serde_json::json!({ "used_bytes": 0, "process_bytes": 0 }));
    let memory = &with_cards("mem-sample", folder.path(), &["--once", "--pid", &pid], &own).records()[0];
    assert_eq!(memory["gpu"]["gpu0"]["process_bytes"], 0, "held by another");
    other.kill().unwrap();
    other.wait().unwrap();

    let ran = with_cards("power-sample", folder.path(), &["--meter", "nvml", "-i", "300ms", "--count", "3"], &own);
    let start = &ran.of_type("sampler")[0];
    assert_eq!((&start["meters"][0], &start["total_domain"]), (&"nvml".into(), &"gpu0+gpu1".into()));
    let records = ran.of_type("power");
    let (counted, told): (Vec<_>, Vec<_>) = records.iter().partition(|power| power["kind"] == "counter");
    assert_eq!((counted.len(), told.len()), (3, 3));
    let energy = |power: &Value| power["joules"]["gpu0"].as_f64().unwrap();
    let watts = (energy(counted[2]) - energy(counted[0]))
        / (counted[2]["mono"].as_f64().unwrap() - counted[0]["mono"].as_f64().unwrap());
    assert!((watts - 250.0).abs() < 25.0, "{watts}");
    assert_eq!(told[0]["watts"]["gpu1"], 75.5);
}
