//! A real browser, driven as its makers mean it: WebDriver, spoken by fantoccini to a chromedriver of this machine.
//!
//! One driver and one browser serve all tests, one test at a time: each begins with a page of its own. Both end with the
//! process of the tests, whose end closes the pipe that a shell waits on. Nothing here waits for a length of time: what a test
//! waits for is a condition, and patience is only for giving up.

use crate::common::wait_until;
use fantoccini::actions::{InputSource, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Url;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long a browser may take for one thing on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

static SHARED: LazyLock<Option<Mutex<Browser>>> = LazyLock::new(|| found().then(|| Mutex::new(Browser::start())));

/// The browser, for one test; `None`, said aloud, where there is none. In CI there must be one.
pub fn browser() -> Option<MutexGuard<'static, Browser>> {
    let shared = SHARED.as_ref();
    if shared.is_none() {
        eprintln!("skipped: no chromedriver, or no Chromium, on PATH");
    }
    // A test that failed leaves a browser that the next one begins anew with.
    shared.map(|browser| browser.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether there are a driver and a browser.
pub fn found() -> bool {
    let there = |name: &str| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let chromium = ["chromium", "chromium-browser", "google-chrome", "chrome"].into_iter().any(there);
    let found = chromium && there("chromedriver");
    assert!(found || std::env::var_os("CI").is_none(), "no chromedriver and Chromium on PATH, and in CI there must be");
    found
}

/// A browser with one page.
pub struct Browser {
    runtime: Runtime,
    client: Client,
    folder: TempDir,
}

/// A command of chromedriver that WebDriver does not have.
#[derive(Debug)]
struct Own(&'static str, Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("driver");
        // The shell reads until this process is gone, whatever ended it, and then ends the driver with all that it started.
        let script = "trap '' TERM INT HUP; set -m; chromedriver --port=0 > \"$LOG\" 2>&1 < /dev/null & read -r _; kill -KILL -- -$!; rm -rf \"$FOLDER\"";
        let mut shell = Command::new("bash");
        shell.args(["-c", script]).env("LOG", &log).env("FOLDER", folder.path()).stdin(Stdio::piped());
        let shell = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::mem::forget(shell);
        let mut port = None;
        wait_until("chromedriver to say its port", || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            port = said.split("on port ").filter_map(|rest| rest.split('.').next()?.trim().parse::<u16>().ok()).last();
            port.is_some()
        });
        let args = [
            "--headless",
            // What it is told comes over a pipe, so that it ends with the driver.
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--window-size=1400,1000",
        ];
        let asked = json!({
            "goog:chromeOptions": { "args": args, "prefs": { "download.default_directory": folder.path().join("saved") } },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "unhandledPromptBehavior": "ignore",
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(asked.as_object().unwrap().clone());
            builder.connect(&format!("http://127.0.0.1:{}", port.unwrap())).await.unwrap()
        });
        Self { runtime, client, folder }
    }

    /// Opens a file, with a hash.
    #[track_caller]
    pub fn open(&mut self, file: &Path, hash: &str) {
        // Another hash alone would not load the page again.
        self.runtime.block_on(self.client.goto("about:blank")).unwrap();
        self.log("browser");
        self.log("performance");
        self.runtime.block_on(self.client.goto(&format!("file://{}{hash}", file.display()))).unwrap();
        // A report says when its script is through; packed data are unpacked first.
        self.wait("document.documentElement.dataset.ready !== undefined || !document.querySelector('#data')");
        self.settle();
    }

    /// Two frames later everything that was begun is drawn.
    pub fn settle(&mut self) {
        self.eval("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
    }

    /// The value of an expression in the page, awaited.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        self.asked(expression).unwrap_or_else(|why| panic!("{expression}: {why}"))
    }

    /// The same, or why there is none.
    fn asked(&mut self, expression: &str) -> Result<Value, String> {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let own = Own("goog/cdp/execute", json!({ "cmd": "Runtime.evaluate", "params": params }));
        let result = self.runtime.block_on(self.client.issue_cmd(own)).map_err(|why| why.to_string())?;
        match result.get("exceptionDetails") {
            Some(_) => Err(result.to_string()),
            None => Ok(result["result"]["value"].clone()),
        }
    }

    /// Calls a method of the DevTools protocol, for what WebDriver has no word for.
    #[track_caller]
    pub fn devtools(&mut self, method: &str, params: Value) -> Value {
        let own = Own("goog/cdp/execute", json!({ "cmd": method, "params": params }));
        self.runtime.block_on(self.client.issue_cmd(own)).unwrap()
    }

    #[track_caller]
    fn find(&mut self, css: &str) -> Element {
        self.runtime.block_on(self.client.find(Locator::Css(css))).unwrap_or_else(|why| panic!("{css}: {why}"))
    }

    /// Brings an element into the middle of the window, at once: the page itself would glide there.
    #[track_caller]
    fn reach(&mut self, css: &str) {
        let place = "scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' })";
        self.eval(&format!("document.querySelector({}).{place}", json!(css)));
        self.settle();
    }

    /// Clicks in the middle of an element, as a person would: it must be there, and nothing may lie over it.
    #[track_caller]
    pub fn click(&mut self, css: &str) {
        self.reach(css);
        let element = self.find(css);
        self.runtime.block_on(element.click()).unwrap_or_else(|why| panic!("{css}: {why}"));
    }

    /// Moves the pointer to the middle of an element.
    #[track_caller]
    pub fn hover(&mut self, css: &str) {
        self.reach(css);
        let element = self.find(css);
        let there = PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 };
        let mouse = MouseActions::new("mouse".into()).then(there);
        self.runtime.block_on(self.client.perform_actions(mouse)).unwrap();
    }

    /// Types into an element; what it held is gone.
    #[track_caller]
    pub fn write(&mut self, css: &str, text: &str) {
        let element = self.find(css);
        self.runtime.block_on(async {
            element.clear().await.unwrap();
            element.send_keys(text).await.unwrap();
        });
    }

    /// Presses a key where the focus is: a name as WebDriver's code points have it.
    #[track_caller]
    pub fn press(&mut self, key: char) {
        self.runtime.block_on(async {
            let focused = self.client.active_element().await.unwrap();
            focused.send_keys(&key.to_string()).await.unwrap();
        });
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        // A page that is read again has for a moment nothing to ask.
        while self.asked(expression).ok().filter(|value| *value == json!(true)).is_none() {
            assert!(Instant::now() < until, "waited for {expression}, which is {:?}", self.asked(expression));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A picture of what the window shows, as PNG.
    #[track_caller]
    pub fn picture(&mut self) -> Vec<u8> {
        self.runtime.block_on(self.client.screenshot()).unwrap()
    }

    /// How wide and high the page believes the window to be; nothing for the window as it is.
    #[track_caller]
    pub fn size(&mut self, size: Option<(u32, u32)>) {
        match size {
            None => self.devtools("Emulation.clearDeviceMetricsOverride", json!({})),
            Some((width, height)) => {
                let of = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
                self.devtools("Emulation.setDeviceMetricsOverride", of)
            }
        };
    }

    /// Takes saved files away, so that the next may have their names.
    pub fn forget_saved(&mut self) -> PathBuf {
        let folder = self.folder.path().join("saved");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// What a log of the driver has that it had not when it was last asked.
    fn log(&mut self, kind: &str) -> Vec<Value> {
        let answer = self.runtime.block_on(self.client.issue_cmd(Own("se/log", json!({ "type": kind })))).unwrap();
        answer.as_array().cloned().unwrap_or_default()
    }

    /// What the page asked for since it was opened or this was last called, and what it complained of.
    pub fn requests_and_complaints(&mut self) -> (Vec<String>, Vec<String>) {
        self.settle();
        let said = self.log("browser").iter().map(|entry| entry["message"].to_string()).collect();
        let events = self.log("performance");
        let events = events.iter().filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        let asked = events.filter_map(|event| {
            let (method, params) = (event["message"]["method"].as_str()?, &event["message"]["params"]);
            match method {
                "Network.requestWillBeSent" => params["request"]["url"].as_str().map(str::to_owned),
                "Network.webSocketCreated" | "Page.windowOpen" => params["url"].as_str().map(str::to_owned),
                _ => None,
            }
        });
        // A picture that is in the page is no request, whatever the protocol calls it.
        (asked.filter(|url| !url.starts_with("data:")).collect(), said)
    }
}
