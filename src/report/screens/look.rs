//! One page in the browser: how it looks, what its scripts complain of, whom it asks for.
//!
//! The page is not opened as a file, whose scripts could show other files, but handed to the browser as the answer of a host
//! that does not exist. Every other request is noted and refused before it leaves the browser. Time is virtual: four
//! seconds of timers and animations pass as fast as they can be computed, and the page sees them as four seconds.

use super::browser::Browser;
use crate::summary::Screen;
use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Where the page says that it is from.
const HOME: &str = "page.invalid";
/// How wide and high the window is, in pixels.
const WINDOW: (u32, u32) = (1280, 800);
/// The picture's size against the window's.
const SCALE: f64 = 0.375;
/// How much time passes for the page, in milliseconds.
const PASSES: u32 = 4000;
/// How long a page may take in all.
const LIMIT: Duration = Duration::from_secs(20);
/// The most hosts that are noted of one page, and the longest name.
const HOSTS: usize = 50;
const LONGEST: usize = 120;

/// Looks at a page: what was seen, and its picture as PNG.
///
/// # Errors
/// When the browser does not get to an end with the page; it should not be used any further then.
pub fn look(browser: &mut Browser, html: &[u8]) -> anyhow::Result<(Screen, Vec<u8>)> {
    let mut look = Look {
        browser,
        body: BASE64.encode(html),
        until: Instant::now() + LIMIT,
        page: String::new(),
        errors: 0,
        hosts: BTreeSet::new(),
        expired: false,
    };
    // A context of its own: no cookie and no cache of the page before.
    let context = look.call("Target.createBrowserContext", json!({}), None)?["browserContextId"].take();
    let target = json!({
        "url": "about:blank", "browserContextId": context, "width": WINDOW.0, "height": WINDOW.1,
    });
    let target = look.call("Target.createTarget", target, None)?["targetId"].take();
    let attached = look.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }), None)?;
    let page = attached["sessionId"].as_str().context("no session")?.to_owned();
    look.page.clone_from(&page);
    look.call("Page.enable", json!({}), Some(&page))?;
    look.watch(&page)?;
    look.call("Page.navigate", json!({ "url": format!("http://{HOME}/") }), Some(&page))?;
    let policy = json!({
        "policy": "pauseIfNetworkFetchesPending", "budget": PASSES, "maxVirtualTimeTaskStarvationCount": 100_000,
    });
    look.call("Emulation.setVirtualTimePolicy", policy, Some(&page))?;
    while !look.expired {
        look.next()?;
    }
    let clip = json!({ "x": 0, "y": 0, "width": WINDOW.0, "height": WINDOW.1, "scale": SCALE });
    let mut shot = look.call("Page.captureScreenshot", json!({ "format": "png", "clip": clip }), Some(&page))?;
    look.call("Target.disposeBrowserContext", json!({ "browserContextId": context }), None)?;
    let Value::String(picture) = shot["data"].take() else { bail!("the browser made no picture") };
    let picture = BASE64.decode(picture).context("the browser's picture")?;
    let screen = Screen {
        rendered: super::png::shows_anything(&picture),
        console_errors: Some(look.errors),
        hosts: look.hosts,
        ..Screen::default()
    };
    Ok((screen, picture))
}

struct Look<'a> {
    browser: &'a mut Browser,
    /// The page, in base64.
    body: String,
    until: Instant,
    /// The session of the page itself; frames and workers have their own.
    page: String,
    errors: u64,
    hosts: BTreeSet<String>,
    expired: bool,
}

impl Look<'_> {
    /// Calls a method and waits for what it returns, attending to everything that happens meanwhile.
    fn call(&mut self, method: &str, params: Value, session: Option<&str>) -> anyhow::Result<Value> {
        let id = self.browser.send(method, params, session)?;
        loop {
            let mut message = self.browser.receive(self.until)?;
            if message["id"] == json!(id) {
                if let Some(why) = message["error"]["message"].as_str() {
                    bail!("{method}: {why}");
                }
                return Ok(message["result"].take());
            }
            self.attend(&message)?;
        }
    }

    fn next(&mut self) -> anyhow::Result<()> {
        let message = self.browser.receive(self.until)?;
        self.attend(&message)
    }

    /// Hears of every request, complaint and child of a session; nothing is waited for.
    fn watch(&mut self, session: &str) -> anyhow::Result<()> {
        for domain in ["Network", "Runtime", "Log"] {
            self.browser.send(&format!("{domain}.enable"), json!({}), Some(session))?;
        }
        self.browser.send("Fetch.enable", json!({ "patterns": [{ "urlPattern": "*" }] }), Some(session))?;
        let children = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        self.browser.send("Target.setAutoAttach", children, Some(session))?;
        Ok(())
    }

    fn attend(&mut self, message: &Value) -> anyhow::Result<()> {
        let (params, session) = (&message["params"], message["sessionId"].as_str());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match message["method"].as_str().unwrap_or_default() {
            "Fetch.requestPaused" => self.answer(params, session)?,
            "Network.webSocketCreated" | "Network.webTransportCreated" | "Page.windowOpen" => {
                self.note(&text(&params["url"]));
            }
            "Target.attachedToTarget" => {
                let child = text(&params["sessionId"]);
                self.watch(&child)?;
                self.browser.send("Runtime.runIfWaitingForDebugger", json!({}), Some(&child))?;
            }
            "Page.javascriptDialogOpening" => {
                self.browser.send("Page.handleJavaScriptDialog", json!({ "accept": false }), session)?;
            }
            "Runtime.exceptionThrown" => self.errors += 1,
            "Runtime.consoleAPICalled" if matches!(params["type"].as_str(), Some("error" | "assert")) => {
                self.errors += 1;
            }
            // That a request failed is our doing.
            "Log.entryAdded" if params["entry"]["level"] == "error" && params["entry"]["source"] != "network" => {
                self.errors += 1;
            }
            "Emulation.virtualTimeBudgetExpired" => self.expired = true,
            "Inspector.targetCrashed" => bail!("the page crashed the browser's process for it"),
            _ => {}
        }
        Ok(())
    }

    /// The page gets itself; everything else gets nothing.
    fn answer(&mut self, params: &Value, session: Option<&str>) -> anyhow::Result<()> {
        let url = params["request"]["url"].as_str().unwrap_or_default();
        let id = &params["requestId"];
        let home = host(url) == Some(HOME);
        if !home {
            self.note(url);
        }
        let document = params["resourceType"] == "Document" && session == Some(&self.page);
        if home && document {
            let headers = json!([{ "name": "content-type", "value": "text/html; charset=utf-8" }]);
            let answer = json!({ "requestId": id, "responseCode": 200, "responseHeaders": headers, "body": self.body });
            self.browser.send("Fetch.fulfillRequest", answer, session)?;
        } else {
            // Aborted, a page that wants to go elsewhere stays what it is.
            let why = if document { "Aborted" } else { "AddressUnreachable" };
            self.browser.send("Fetch.failRequest", json!({ "requestId": id, "errorReason": why }), session)?;
        }
        Ok(())
    }

    fn note(&mut self, url: &str) {
        if let Some(host) = host(url).filter(|host| *host != HOME && self.hosts.len() < HOSTS) {
            self.hosts.insert(crate::text::cut(host, LONGEST));
        }
    }
}

/// The host of a web address, with its port where it names one: what stands between `//` and the path, without a user.
fn host(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    if !["http", "https", "ws", "wss"].contains(&scheme) {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn a_host_is_what_a_request_would_go_to() {
        for (url, expect) in [
            ("https://cdn.example/x.js?a#b", Some("cdn.example")),
            ("http://127.0.0.1:1234/api", Some("127.0.0.1:1234")),
            ("wss://user:secret@ws.example", Some("ws.example")),
            ("http://[::1]:80/", Some("[::1]:80")),
            ("https://q.example?x@y", Some("q.example")),
            ("data:text/html,http://no.example/", None),
            ("blob:http://page.invalid/1", None),
            ("file:///etc/passwd", None),
            ("https:///x", None),
        ] {
            assert_eq!(host(url), expect, "{url}");
        }
    }
}
