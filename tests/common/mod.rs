//! Running the built programs as a user runs them.

pub mod golden;
pub mod sim;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The programs of the package, as `src/bin` has them.
pub const PROGRAMS: [(&str, &str); 7] = [
    ("llm-models", env!("CARGO_BIN_EXE_llm-models")),
    ("llm-run", env!("CARGO_BIN_EXE_llm-run")),
    ("power-sample", env!("CARGO_BIN_EXE_power-sample")),
    ("mem-sample", env!("CARGO_BIN_EXE_mem-sample")),
    ("bench-join", env!("CARGO_BIN_EXE_bench-join")),
    ("bench-report", env!("CARGO_BIN_EXE_bench-report")),
    ("llm-sim", env!("CARGO_BIN_EXE_llm-sim")),
];

/// The path of a built program.
pub fn program(name: &str) -> &'static str {
    PROGRAMS.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no program {name}")).1
}

/// The folder of the built programs.
pub fn bin_dir() -> &'static Path {
    Path::new(program("llm-run")).parent().unwrap()
}

/// The package's own folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `testdata/`.
pub fn testdata(name: &str) -> PathBuf {
    root().join("testdata").join(name)
}

/// A program with an environment that holds no keys, no proxies and no habits of the developer.
pub fn command(name: &str) -> Command {
    clean(Command::new(program(name)))
}

/// A bash script in which the programs are on PATH.
pub fn bash(script: &str) -> Command {
    let mut command = clean(Command::new("bash"));
    command.args(["-euo", "pipefail", "-c", script]);
    command
}

/// Runs a command line on a terminal of so many rows and columns, with these variables; what the terminal got is the standard
/// output. `None`, and a word on it, where there is nothing to make a terminal with.
pub fn on_a_terminal(rows: u32, columns: u32, run: &str, variables: &[(&str, &OsStr)]) -> Option<Ran> {
    if !Path::new("/usr/bin/script").exists() {
        eprintln!("SKIPPED: there is no script(1) here to make a terminal");
        return None;
    }
    let mut script = bash(r#"script -qec "stty rows $ROWS cols $COLS; $RUN" /dev/null"#);
    script.env("ROWS", rows.to_string()).env("COLS", columns.to_string()).env("RUN", run);
    script.env("TERM", "xterm-256color").env("SHELL", "/bin/bash").envs(variables.iter().copied());
    Some(run_with(script, ""))
}

fn clean(mut command: Command) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = vec![bin_dir().to_owned()];
    paths.extend(std::env::split_paths(&path));
    command.env_clear().env("PATH", std::env::join_paths(paths).unwrap()).env("LC_ALL", "C.UTF-8");
    for keep in ["HOME", "TMPDIR", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"] {
        if let Some(value) = std::env::var_os(keep) {
            command.env(keep, value);
        }
    }
    command
}

/// What a program did.
pub struct Ran {
    /// The exit status; `None` after a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit status, showing everything when it is another.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The records on standard output.
    #[track_caller]
    pub fn records(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}")))
            .collect()
    }

    /// The records of one type.
    #[track_caller]
    pub fn of_type(&self, kind: &str) -> Vec<serde_json::Value> {
        self.records().into_iter().filter(|record| record["type"] == kind).collect()
    }
}

/// Runs a command to its end with `stdin` as its input.
#[track_caller]
pub fn run_with(mut command: Command, stdin: impl AsRef<[u8]>) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let mut to = child.stdin.take().unwrap();
    let input = stdin.as_ref().to_vec();
    let feeder = std::thread::spawn(move || {
        // A program that leaves early is not the feeder's failure.
        let _ = to.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Ran::from(output)
}

/// Runs a program with arguments and input.
#[track_caller]
pub fn run<I: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = I>, stdin: impl AsRef<[u8]>) -> Ran {
    let mut command = command(name);
    command.args(args);
    run_with(command, stdin)
}

/// A program or library of `testdata/samplers` in C, compiled by the compiler that linked this test.
#[track_caller]
pub fn compiled(source: &str, to: PathBuf, args: &[&str]) -> PathBuf {
    let source = testdata("samplers").join(source);
    let cc = Command::new("cc").args(["-O1", "-o"]).arg(&to).arg(source).args(args).status().unwrap();
    assert!(cc.success());
    to
}

/// A copy of a program under a name of the test's own.
///
/// Another process writes it: were it written here, a test beside this one could fork at that moment, and as long as its
/// child holds the file open for writing nobody can start it ("text file busy").
#[track_caller]
pub fn copied(from: impl AsRef<Path>, to: PathBuf) -> PathBuf {
    let copy = Command::new("cp").arg(from.as_ref()).arg(&to).status().unwrap();
    assert!(copy.success(), "{} is copied to {}", from.as_ref().display(), to.display());
    to
}

/// A folder with shell scripts that can be started, written by another process as in [`copied`].
#[track_caller]
pub fn scripts(scripts: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in scripts {
        let mut write = Command::new("sh");
        write.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(folder.path().join(name));
        run_with(write, format!("#!/bin/sh\n{script}\n")).exits(0);
    }
    folder
}

/// Sends a signal: INT, TERM …
#[track_caller]
pub fn signal(child: &std::process::Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits until `done` says so; panics with `what` after ten seconds.
#[track_caller]
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "waited ten seconds for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
