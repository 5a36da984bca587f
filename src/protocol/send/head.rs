//! Sends a request and reads the head of its response.

use super::error_body;
use super::limits::Limits;
use super::request::HttpRequest;
use super::response::Response;
use super::timer::{TimedOut, Timer};
use crate::clock::{self, Stamp};
use crate::http::{Connection, ConnectionPool, Head, failure_of, leads_to, no_response, wait_in_headers};
use crate::record::{Failure, FailureKind};
use http::Uri;
use serde_json::Value;
use std::io;
use std::task::Context;
use std::time::Duration;
use tokio::time::Instant;

/// A request whose response has begun.
pub struct StartedResponse {
    /// The connection that the rest of the response comes on.
    pub connection: Connection,
    /// When the whole request must be over.
    pub deadline: Instant,
    /// The timer of the request.
    pub timer: Timer,
}

/// Sends the request and reads the head of the response, and of an error status the body, too.
///
/// # Errors
/// When no response begins, or it is an error or compressed.
pub async fn begin(
    connections: &ConnectionPool,
    call: &HttpRequest,
    uri: &Uri,
    limits: Limits,
    response: &mut Response,
    on_start: &mut impl FnMut(Stamp),
) -> Result<StartedResponse, Failure> {
    // What opening takes is not held for as long as the response takes.
    let mut connection = Box::pin(connections.acquire(uri, limits.connect)).await?;
    let waited = wait_until(call.not_before_ns).await;
    let deadline = Instant::now() + limits.total;
    let mut timer = Timer::new(deadline);
    // A server may have closed a connection that was kept or that waited, and has not read the request: it is sent once more.
    let mut may_repeat = connection.used() || waited;
    let head = loop {
        let reads_before = connection.last_read().number;
        match send((&mut connection, &mut timer), (call, uri), (limits, deadline), response, on_start).await? {
            Ok(head) => break head,
            Err(_) if may_repeat && connection.last_read().number == reads_before => {
                may_repeat = false;
                connections.mark_no_keepalive(uri);
                response.answer.metadata.warnings.insert("reused_connection_died");
                connection = Box::pin(connections.open(uri, limits.connect)).await?;
            }
            Err(error) => return Err(no_response(&error)),
        }
    };
    let read = connection.last_read();
    (response.headers_ns, response.reads, response.end_ns) = (Some(read.ns), 1, read.ns);
    take_headers(&head, call, response)?;
    if !head.status.is_success() {
        return Err(error_body::read(&mut connection, call, (limits, deadline), response).await);
    }
    Ok(StartedResponse { connection, deadline, timer })
}

/// Waits for a moment of the monotonic clock; whether there was anything to wait for.
async fn wait_until(moment_ns: Option<u64>) -> bool {
    let mut waited = false;
    while let Some(early) = moment_ns.and_then(|due| due.checked_sub(clock::mono_ns())).filter(|ns| *ns > 0) {
        tokio::time::sleep(Duration::from_nanos(early)).await;
        waited = true;
    }
    waited
}

/// Writes the request and waits for the head of its response; the inner error is the connection's.
async fn send(
    (connection, timer): (&mut Connection, &mut Timer),
    (call, uri): (&HttpRequest, &Uri),
    (limits, deadline): (Limits, Instant),
    response: &mut Response,
    on_start: &mut impl FnMut(Stamp),
) -> Result<io::Result<Head>, Failure> {
    response.connect_seconds = (!connection.used()).then(|| connection.opened_seconds());
    let request = call.http(uri)?;
    let wait = deadline.min(Instant::now() + limits.idle);
    let mut reported = false;
    let start = Stamp::now();
    response.start = Some(start);
    connection.begin(request).map_err(|error| no_response(&error))?;
    let poll = |cx: &mut Context<'_>| {
        let head = connection.poll_head(cx);
        if !std::mem::replace(&mut reported, true) {
            // Counting and recording the start takes locks, and waits until the bytes are written.
            on_start(start);
        }
        head
    };
    timer.before(wait, poll).await.map_err(|TimedOut| limits.timed_out(deadline, "before any answer"))
}

/// Reads the headers that are recorded.
///
/// # Errors
/// For a redirect, and for a compressed body.
fn take_headers(head: &Head, call: &HttpRequest, response: &mut Response) -> Result<(), Failure> {
    let status = head.status.as_u16();
    response.status = Some(status);
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    response.retry_after = wait_in_headers(header, clock::wall());
    if let Some(id) = header("x-generation-id") {
        response.answer.metadata.generation_id = Some(id);
    }
    if let Some(place) = header("location").filter(|place| (300..400).contains(&status) && !place.is_empty()) {
        let place = leads_to(&call.url, &place);
        let message = format!("the server is elsewhere: {place}: give that address as --base-url");
        return Err(Failure {
            kind: FailureKind::Http,
            status: Some(status),
            message,
            retryable: false,
            ..Failure::default()
        });
    }
    for name in TIMING_HEADERS {
        if let Some(value) = header(name) {
            let number = value.parse::<f64>().is_ok_and(f64::is_finite);
            response.answer.server_field(name, &if number { value } else { Value::from(value).to_string() });
        }
    }
    let coding = header("content-encoding").filter(|coding| !["", "identity"].contains(&&*coding.to_ascii_lowercase()));
    let Some(coding) = coding else { return Ok(()) };
    let compressed = format!("the answer is compressed ({coding}), which was not asked for");
    if !head.status.is_success() {
        // An error status stands, whatever its body is.
        return Err(failure_of(status, &compressed));
    }
    let message = format!("{compressed}: no time in it could be told");
    Err(Failure { kind: FailureKind::Protocol, status: Some(status), message, retryable: false, ..Failure::default() })
}

/// The headers in which servers and gateways report times of a request: TGI, OpenAI, LiteLLM, Envoy.
const TIMING_HEADERS: [&str; 12] = [
    "x-total-time",
    "x-compute-time",
    "x-validation-time",
    "x-queue-time",
    "x-inference-time",
    "x-time-per-token",
    "x-prompt-tokens",
    "x-generated-tokens",
    "openai-processing-ms",
    "x-litellm-response-duration-ms",
    "x-litellm-overhead-duration-ms",
    "x-envoy-upstream-service-time",
];
