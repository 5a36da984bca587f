//! LM Studio and Ollama: listed, loaded, verified, asked, unloaded; on every age of them, with and without `lms`, whatever goes
//! wrong on the way. `lms` is `tests/fake/lms`, which behaves as the real one does.

mod detect;
mod generation;
mod listing;
mod loads;
mod ollama;
mod program;

use crate::common::sim::Sim;
use crate::common::{Ran, bin_dir, command, root, run_with, wait_until};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

/// A folder of its own for a fake `lms`, and what it writes there.
pub struct Lms {
    folder: TempDir,
}

impl Lms {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A program that finds this `lms` on its PATH, and no other; it speaks to `url`.
    pub fn command(&self, name: &str, url: &str) -> Command {
        let mut command = bare(name);
        let fake = root().join("tests/fake");
        let path = std::env::join_paths([bin_dir().to_owned(), fake, "/usr/bin".into(), "/bin".into()]).unwrap();
        command.env("PATH", path).env("FAKE_LMS_URL", url).env("FAKE_LMS_FOLDER", self.folder.path());
        command
    }

    /// Every call so far, its arguments joined.
    pub fn calls(&self) -> Vec<String> {
        self.read("calls")
    }

    /// The keys that it could see in its environment.
    pub fn keys(&self) -> Vec<String> {
        self.read("keys")
    }

    /// Waits until neither it nor anything that it started runs any more. (Where that can be seen: Linux.)
    #[track_caller]
    pub fn is_over(&self) {
        let folder = self.folder.path().as_os_str().as_encoded_bytes();
        let lives = || {
            std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok).any(|entry| {
                let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
                let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                name.trim() != "llm-run" && environ.windows(folder.len()).any(|window| window == folder)
            })
        };
        wait_until("the end of lms and its children", || !lives());
    }

    fn read(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Lms {
    fn drop(&mut self) {
        for pid in self.read("pids") {
            let _ = Command::new("kill").arg(pid).status();
        }
    }
}

/// A program on a machine without `lms`: neither on PATH nor where LM Studio puts it.
pub fn bare(name: &str) -> Command {
    let mut command = command(name);
    let path = std::env::join_paths([bin_dir(), "/usr/bin".as_ref(), "/bin".as_ref()]).unwrap();
    command.env("PATH", path).env("HOME", "/nonexistent");
    command
}

/// An LM Studio, as light as may be.
pub fn lmstudio(flags: &[&str]) -> Sim {
    Sim::start("lmstudio", &with(&["--load-bytes", "1MB"], flags))
}

/// A flag and its value, unless it is given.
fn with<'a>(usual: &[&'a str; 2], flags: &[&'a str]) -> Vec<&'a str> {
    if flags.contains(&usual[0]) { flags.to_vec() } else { [usual, flags].concat() }
}

/// llm-run with models of LM Studio, and little patience.
pub fn ask(mut command: Command, sim: &Sim, models: &str, flags: &[&str]) -> Ran {
    command.args(["--source", "lmstudio", "--base-url", &sim.url, "--prompt", "Tell me a story"]);
    command.args(with(&["--settle", "10ms"], flags));
    run_with(command, format!("{models}\n"))
}

/// The only record of a type.
#[track_caller]
pub fn one(ran: &Ran, kind: &str) -> Value {
    let mut records = ran.of_type(kind);
    assert_eq!(records.len(), 1, "{kind}: stdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
    records.remove(0)
}

/// What the server holds, by its own listing.
pub fn held(sim: &Sim) -> Vec<String> {
    let mut list = bare("llm-models");
    list.args(["lmstudio", "--all", "--base-url", &sim.url]);
    let models = run_with(list, "").exits(0).of_type("model");
    models.iter().filter(|m| m["loaded"] == true).map(|m| m["id"].as_str().unwrap().to_owned()).collect()
}

pub const FINCH: &str = "aviary/finch-4b";
pub const HERON: &str = "aviary/heron-12b";
