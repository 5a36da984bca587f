//! One request, ready to be sent, and its HTTP form.

use crate::http::{Secret, io_failure, shown};
use crate::protocol::interface::Protocol;
use crate::record::{Failure, FailureKind};
use bytes::Bytes;
use http::{Request, Uri};

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// How the response is parsed.
    pub dialect: &'static Protocol,
    /// Its URL.
    pub url: String,
    /// The body, JSON.
    pub body: Bytes,
    /// The header `x-request-id`.
    pub request_id: String,
    /// The key that goes along, already known to belong to the server.
    pub key: Option<Secret>,
    /// More headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// The earliest moment to send it, in monotonic nanoseconds. Its connection is opened before.
    pub not_before_ns: Option<u64>,
}

impl HttpRequest {
    /// The URL, parsed.
    ///
    /// # Errors
    /// When it is not a URL.
    pub fn uri(&self) -> Result<Uri, Failure> {
        self.url.parse().map_err(|error| io_failure(FailureKind::Connect, &shown(&self.url), &error))
    }

    /// The HTTP request to `uri`.
    ///
    /// # Errors
    /// When a header cannot be written.
    pub fn http(&self, uri: &Uri) -> Result<Request<Bytes>, Failure> {
        let host = uri.authority().map_or("", |authority| authority.as_str());
        // User and password of a URL are never sent.
        let host = host.rsplit('@').next().unwrap_or(host);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header("host", host)
            .header("content-type", "application/json")
            .header("accept", "text/event-stream, application/x-ndjson, application/json")
            // A compressed stream is a buffered stream.
            .header("accept-encoding", "identity")
            .header("user-agent", concat!("llm-bench/", env!("CARGO_PKG_VERSION")))
            .header("x-request-id", &self.request_id);
        if let Some(key) = &self.key {
            request = request.header("authorization", key.bearer());
        }
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        request.body(self.body.clone()).map_err(|error| io_failure(FailureKind::Connect, &shown(&self.url), &error))
    }
}
