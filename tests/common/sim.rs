//! A simulated server for the length of a test.

use super::{command, wait_until};
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// llm-sim, running; it ends with the test.
pub struct Sim {
    child: Child,
    folder: TempDir,
    /// Where it answers.
    pub url: String,
}

impl Sim {
    /// Starts a server of a profile, with quick timing, and more flags.
    #[track_caller]
    pub fn start(profile: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = folder.path().join("url");
        let quick = ["--ttft", "20ms", "--itl", "1ms", "--tokens", "12", "--load-time", "30ms", "--seed", "1"];
        let given = |flag: &str| flags.contains(&flag);
        let mut sim = command("llm-sim");
        sim.args(["--profile", profile, "--port-file", port.to_str().unwrap()]);
        for pair in quick.chunks(2).filter(|pair| !given(pair[0])) {
            sim.args(pair);
        }
        let child = sim.args(flags).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut sim = Self { child, folder, url: String::new() };
        wait_until("llm-sim to listen", || port.exists());
        sim.url = std::fs::read_to_string(&port).unwrap().trim().to_owned();
        sim
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A path in the server's own folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
