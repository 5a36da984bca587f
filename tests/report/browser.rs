//! A real browser, driven over the pipe that Chromium offers for it (the DevTools protocol, messages ended by NUL).

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a browser may take for one thing on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    session: Option<String>,
    next: u64,
    events: VecDeque<Value>,
    _profile: TempDir,
}

/// The browser's name on PATH; `None`, said aloud, where there is none. In CI there must be one.
fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome", "chrome"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no Chromium on PATH, and in CI there must be one");
        eprintln!("skipped: no Chromium on PATH");
    }
    found
}

impl Browser {
    /// Starts a browser with an empty page; `None` where none is installed.
    pub fn start() -> Option<Self> {
        let program = chromium()?;
        let profile = tempfile::tempdir().unwrap();
        let (there, back) = (profile.path().join("there"), profile.path().join("back"));
        let made = Command::new("mkfifo").args([&there, &back]).status().unwrap();
        assert!(made.success(), "mkfifo");
        let child = Command::new("bash")
            .args(["-c", r#"exec "$@" 3<"$THERE" 4>"$BACK""#, "bash", program])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-pipe", "--window-size=1400,1000"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .env("THERE", &there)
            .env("BACK", &back)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = OpenOptions::new().write(true).open(&there).unwrap();
        let mut reader = BufReader::new(File::open(&back).unwrap());
        let (send, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                if send.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let events = VecDeque::new();
        let mut browser = Self { child, to, from, session: None, next: 0, events, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Calls a method of the protocol and waits for what it returns.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(until, method);
            if message["id"] == json!(self.next) {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    #[track_caller]
    fn receive(&self, until: Instant, what: &str) -> Value {
        let left = until.saturating_duration_since(Instant::now());
        self.from.recv_timeout(left).unwrap_or_else(|why| panic!("waiting for {what}: {why}"))
    }

    /// Opens a file, with a hash, and waits until it is loaded.
    #[track_caller]
    pub fn open(&mut self, file: &Path, hash: &str) {
        // Another hash alone would not load the page again.
        self.load("about:blank".into());
        self.events.clear();
        self.load(format!("file://{}{hash}", file.display()));
        // Two frames later everything that the load began is drawn.
        self.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    }

    #[track_caller]
    fn load(&mut self, url: String) {
        self.events.clear();
        self.call("Page.navigate", json!({ "url": url }));
        let until = Instant::now() + PATIENCE;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let message = self.receive(until, "the page to load");
            self.events.push_back(message);
        }
    }

    /// The value of an expression in the page, awaited.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Moves the pointer to the middle of an element, and clicks there if asked to.
    #[track_caller]
    pub fn point(&mut self, element: &str, click: bool) {
        let place = self.eval(&format!(
            "(() => {{ const e = {element}; e.scrollIntoView({{ block: 'center', behavior: 'instant' }}); const b = e.getBoundingClientRect(); \
             return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        ));
        let kinds: &[&str] = if click { &["mouseMoved", "mousePressed", "mouseReleased"] } else { &["mouseMoved"] };
        for kind in kinds {
            let params = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", params);
        }
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        while self.eval(expression) != json!(true) {
            assert!(Instant::now() < until, "waited for {expression}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// What the page asked for since it was opened, and what it complained of.
    pub fn requests_and_complaints(&mut self) -> (Vec<String>, Vec<String>) {
        self.eval("new Promise((done) => setTimeout(done, 300))");
        let (mut asked, mut said) = (Vec::new(), Vec::new());
        for event in &self.events {
            match event["method"].as_str() {
                Some("Network.requestWillBeSent") => {
                    asked.push(event["params"]["request"]["url"].as_str().unwrap_or_default().to_owned());
                }
                Some(
                    "Runtime.exceptionThrown"
                    | "Runtime.consoleAPICalled"
                    | "Log.entryAdded"
                    | "Page.javascriptDialogOpening",
                ) => {
                    said.push(event["params"].to_string());
                }
                _ => {}
            }
        }
        (asked, said)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
