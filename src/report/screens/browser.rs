//! A headless Chromium on a leash: the DevTools protocol over the pipe that it offers, no port, no network, no profile.
//!
//! What it is shown was written by a model and is hostile. Every host name leads nowhere, every address goes through a
//! proxy that is not there, loopback too; the profile is a folder of its own that is removed; the process and all that it
//! starts form a group that is killed.

use crate::process_group::Group;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The names under which a Chromium is looked for on PATH.
pub const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// Where macOS keeps them instead.
const APPS: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// How long a browser may take to start.
const START: Duration = Duration::from_secs(60);

/// How long its killed children may take to be gone.
const GONE: Duration = Duration::from_secs(3);

/// What shuts the browser in, and what keeps it from doing anything that it was not asked for.
const FLAGS: [&str; 19] = [
    "--headless",
    "--remote-debugging-pipe",
    // Port 1 needs privileges to listen on, and nobody does; without the exception, loopback would bypass the proxy.
    "--proxy-server=127.0.0.1:1",
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    // Its handler of crashes would leave the group.
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--mute-audio",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// The first Chromium on this PATH, or where macOS keeps it.
pub fn find(path: Option<&OsStr>) -> Option<PathBuf> {
    let folders = || std::env::split_paths(path.unwrap_or_default());
    let on_path = NAMES.iter().flat_map(|name| folders().map(move |folder| folder.join(name)));
    on_path.chain(APPS.iter().map(PathBuf::from)).find(|program| is_program(program))
}

/// Whether a file can be run.
pub fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Whether the browser's own sandbox must be left out: it refuses to start as root with it.
pub fn unboxed() -> bool {
    rustix::process::geteuid().is_root()
}

/// A running browser.
pub struct Browser {
    // Killed first: its profile is removed last.
    _group: Group,
    to: ChildStdin,
    from: Receiver<Value>,
    next: u64,
    said: PathBuf,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Errors
    /// When it does not start, with the last thing that it said.
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        let profile = tempfile::tempdir().context("a folder for the browser's profile")?;
        let said = profile.path().join("said");
        let mut command = Command::new("sh");
        // Chromium reads commands from descriptor 3 and answers on 4.
        command.args(["-c", r#"exec "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#, "sh"]).arg(program).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().join("profile").display()));
        if unboxed() {
            command.arg("--no-sandbox");
        }
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        // What it leaves when it is killed is left in there.
        command.env("TMPDIR", profile.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&said)?);
        let mut group = Group::spawn(command, GONE).with_context(|| program.display().to_string())?;
        let (Some(to), Some(back)) = (group.leader().stdin().take(), group.leader().stdout().take()) else {
            bail!("{}: no pipes to it", program.display());
        };
        let (send, from) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(back);
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if send.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self { _group: group, to, from, next: 0, said, _profile: profile };
        // What is gone already is told below, with its last words.
        let id = browser.send("Browser.getVersion", json!({}), None).unwrap_or_default();
        let until = Instant::now() + START;
        loop {
            let message = browser
                .receive(until)
                .with_context(|| format!("{}: does not start: {}", program.display(), browser.last_words()))?;
            if message["id"] == json!(id) {
                return Ok(browser);
            }
        }
    }

    /// Sends a command; its answer has the number that is returned.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn send(&mut self, method: &str, params: Value, session: Option<&str>) -> anyhow::Result<u64> {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.to.write_all(&bytes).context("the browser is gone")?;
        Ok(self.next)
    }

    /// The next message.
    ///
    /// # Errors
    /// When none comes in time, or the browser is gone.
    pub fn receive(&self, until: Instant) -> anyhow::Result<Value> {
        let left = until.saturating_duration_since(Instant::now());
        self.from.recv_timeout(left).map_err(|why| match why {
            RecvTimeoutError::Timeout => anyhow::anyhow!("the page was not done in time"),
            RecvTimeoutError::Disconnected => anyhow::anyhow!("the browser is gone"),
        })
    }

    /// The last line that the browser wrote of itself.
    fn last_words(&self) -> String {
        let said = std::fs::read(&self.said).unwrap_or_default();
        let lines = crate::text::lines(&String::from_utf8_lossy(&said));
        lines.last().map(|line| crate::text::cut(line, 300)).unwrap_or_else(|| "it said nothing".into())
    }
}
