//! API calls: listings, loads, checks. Not for anything that is timed to the millisecond.

use super::api_error::failure_of;
use super::failure::io_failure;
use super::secret::{KeyRule, Secret};
use super::tls::install_provider;
use super::url::{is_loopback, root_of, shown};
use crate::locks::locked;
use crate::record::{Failure, FailureKind};
use serde_json::Value;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The most of an answer that is held, in bytes; OpenRouter's catalogue has two million.
const LARGEST: usize = 64 << 20;

/// A server's JSON API, with the key that may go there.
#[derive(Debug, Clone)]
pub struct Api {
    /// Made for the first call: the system's certificates take longer to read than a request to this machine takes, and most
    /// runs have nothing to call.
    client: Arc<OnceLock<reqwest::Client>>,
    base: String,
    key: Option<Secret>,
    /// What the `server` header of the last answer said.
    server: Arc<Mutex<Option<String>>>,
}

/// An answer that arrived, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl Reply {
    /// The body as JSON, when it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.body.trim()).ok()
    }

    /// The body as JSON of a success; any other answer as its failure.
    ///
    /// # Errors
    /// For a status that is an error, and for a body that is not JSON.
    pub fn success(self) -> Result<Value, Failure> {
        if !(200..300).contains(&self.status) {
            return Err(failure_of(self.status, &self.body));
        }
        self.json().ok_or_else(|| Failure {
            kind: FailureKind::Protocol,
            status: Some(self.status),
            message: "answered with something that is not JSON".into(),
            retryable: false,
            ..Failure::default()
        })
    }
}

impl Api {
    /// The API at `base` (no trailing slash). The key goes along only where `rule` lets it; where it does not, the second is why.
    pub fn new(base: &str, key: Option<Secret>, rule: &KeyRule) -> (Self, Option<String>) {
        let refused = key.as_ref().and_then(|_| rule.allows(base).err());
        let key = key.filter(|_| refused.is_none());
        (Self { client: Arc::default(), base: base.to_owned(), key, server: Arc::default() }, refused)
    }

    fn client(&self) -> Result<&reqwest::Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        install_provider();
        let mut builder = reqwest::Client::builder();
        if is_loopback(&self.base) {
            // A proxy of the environment is for other machines.
            builder = builder.no_proxy();
        }
        let client = builder
            .user_agent(concat!("llm-bench/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            // A kept connection may be dying when the next call is written (LM Studio closes what idled for five seconds), and a
            // load is nothing to send twice; calls are few.
            .pool_max_idle_per_host(0)
            // A redirect must never carry a key to another host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|why| io_failure(FailureKind::Connect, &shown(&self.base), &why))?;
        Ok(self.client.get_or_init(|| client))
    }

    /// The base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same server without the path of an API version.
    pub fn at_root(&self) -> Self {
        Self { base: root_of(&self.base).to_owned(), ..self.clone() }
    }

    /// What the server last called itself in the `server` header.
    pub fn server_header(&self) -> Option<String> {
        locked(&self.server).clone()
    }

    /// GET `path`.
    ///
    /// # Errors
    /// When no answer arrives within `limit`.
    pub async fn get(&self, path: &str, limit: Duration) -> Result<Reply, Failure> {
        self.send(reqwest::Method::GET, path, None, limit).await
    }

    /// POST `body` to `path`.
    ///
    /// # Errors
    /// When no answer arrives within `limit`.
    pub async fn post(&self, path: &str, body: &Value, limit: Duration) -> Result<Reply, Failure> {
        self.send(reqwest::Method::POST, path, Some(body), limit).await
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<Reply, Failure> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client()?.request(method, &url).timeout(limit);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", key.bearer());
        }
        let failed = |why: reqwest::Error| {
            let kind = match () {
                () if why.is_connect() => FailureKind::Connect,
                () if why.is_timeout() => FailureKind::Timeout,
                () => FailureKind::Protocol,
            };
            io_failure(kind, &shown(&url), &why.without_url())
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let server = response.headers().get("server").and_then(|value| value.to_str().ok()).map(str::to_owned);
        *locked(&self.server) = server;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return Err(Failure {
                    kind: FailureKind::TooLarge,
                    status: Some(status),
                    message: format!("{}: the answer is larger than {LARGEST} bytes", shown(&url)),
                    retryable: false,
                    ..Failure::default()
                });
            }
        }
        let mut body = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(key) = &self.key {
            body = key.redact(&body);
        }
        Ok(Reply { status, body })
    }
}
