//! One request over the wire: sent once, every read stamped, the answer read to its end or to the failure that ended it.

use super::Dialect;
use super::answer::Answer;
use crate::clock::{self, Stamp};
use crate::http::wire::{Connection, Connections};
use crate::http::{Broke, Secret, failure_of, io_failure, leads_to, retry_after, shown, unanswered, wait_asked};
use crate::record::{Failure, FailureKind};
use bytes::Bytes;
use hyper::{Request, Uri};
use serde_json::Value;
use std::future::{Future, poll_fn};
use std::task::Context;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

mod alarm;
mod body;
mod refusal;

use alarm::{Alarm, Late};
use body::{Body, late};
use refusal::refused;

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// How the answer is read.
    pub dialect: Dialect,
    /// Where it goes.
    pub url: String,
    /// The body, JSON.
    pub body: Bytes,
    /// `x-request-id`.
    pub request_id: String,
    /// The key that goes along, already known to belong there.
    pub key: Option<Secret>,
    /// Headers besides.
    pub headers: Vec<(&'static str, String)>,
    /// Not sent before this moment, in monotonic nanoseconds; its connection is open by then, if that can be.
    pub not_before_ns: Option<u64>,
}

/// How long anything may take, and how large it may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Opening a connection.
    pub connect: Duration,
    /// Between two pieces of the answer, and before the first. Comments and white space do not count as pieces.
    pub idle: Duration,
    /// The whole request.
    pub total: Duration,
    /// The most text of an answer, in bytes.
    pub text_bytes: usize,
}

/// What came of a request.
#[derive(Debug, Default)]
pub struct Told {
    /// When it was written; `None` when no connection could be opened.
    pub start: Option<Stamp>,
    /// How long opening the connection took, in seconds, where a fresh one was opened.
    pub connect_seconds: Option<f64>,
    /// The response's headers, in monotonic nanoseconds.
    pub headers_ns: Option<u64>,
    /// The end of the answer, or of the attempt, in monotonic nanoseconds.
    pub end_ns: u64,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What was answered.
    pub answer: Answer,
    /// How many reads brought bytes of the response.
    pub reads: u64,
    /// Whether it went over HTTP/2.
    pub http2: bool,
    /// Why it failed.
    pub error: Option<Failure>,
    /// How long the server asks to wait before the next try.
    pub retry_after: Option<Duration>,
}

/// Asks. When `cancelled` comes first, what has arrived until then is kept. `on_start` is told of each request that is
/// written, as soon as it was: that may be twice when a kept connection was dead. `on_piece` is told after each piece that brought
/// the answer forward.
pub async fn ask(
    connections: &Connections,
    call: &Call,
    limits: Limits,
    cancelled: impl Future<Output = ()> + Unpin + Send + 'static,
    mut on_start: impl FnMut(Stamp),
    on_piece: impl FnMut(&Answer) + Send + 'static,
) -> Told {
    let mut told = Told::default();
    let mut said = None;
    let mut say = |start: Stamp| {
        said = Some(start.mono_ns);
        on_start(start);
    };
    let outcome = exchange(connections, call, limits, &mut told, cancelled, &mut say, on_piece).await;
    if let Some(start) = told.start.filter(|start| said != Some(start.mono_ns)) {
        // Cancelled in the moment between.
        on_start(start);
    }
    if told.end_ns == 0 {
        told.end_ns = clock::mono_ns();
    }
    told.answer.close();
    if let Some(key) = &call.key {
        told.answer.redact(key);
    }
    told.error = outcome.err().or_else(|| told.answer.said.error.take());
    if let (Some(error), Some(key)) = (&mut told.error, &call.key) {
        error.message = key.redact_message(&error.message);
    }
    told
}

/// Asks, and reads the answer to its end.
async fn exchange(
    connections: &Connections,
    call: &Call,
    limits: Limits,
    told: &mut Told,
    mut cancelled: impl Future<Output = ()> + Unpin + Send + 'static,
    on_start: &mut impl FnMut(Stamp),
    on_piece: impl FnMut(&Answer) + Send + 'static,
) -> Result<(), Failure> {
    let uri: Uri = call.url.parse().map_err(|why| io_failure(FailureKind::Connect, &shown(&call.url), &why))?;
    // It is large, and not held for as long as the answer takes.
    let beginning = Box::pin(begin(connections, call, &uri, limits, told, on_start));
    let Begun { connection, deadline, alarm } = tokio::select! {
        biased;
        begun = beginning => begun?,
        () = &mut cancelled => return Err(body::cancelled()),
    };
    let status = told.status.unwrap_or_default();
    let (answer, about) = (std::mem::take(&mut told.answer), (limits, deadline, alarm));
    let mut body = Body::new((connection, call.dialect, status), answer, about, on_piece, cancelled);
    let (body, outcome) = apart(async move {
        let outcome = poll_fn(|cx| body.poll_end(cx)).await;
        (body, outcome)
    })
    .await;
    let came = body.finish(outcome).await;
    (told.answer, told.reads, told.end_ns) = (came.answer, came.reads, came.end_ns);
    if came.reusable {
        connections.give_back(&uri, came.connection).await;
    }
    came.outcome
}

/// Runs a future as a task of its own in the same event loop, for as long as somebody waits for it. With many streams most of what a
/// piece costs is memory that is cold by the time it comes: it wakes a small task, and what waits for the end is not looked at.
async fn apart<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(future);
    match task.join_next().await {
        Some(Ok(output)) => output,
        Some(Err(why)) if why.is_panic() => std::panic::resume_unwind(why.into_panic()),
        // The event loop ends, and nobody goes on in it.
        Some(Err(_)) | None => std::future::pending().await,
    }
}

/// A request whose answer has begun.
struct Begun {
    connection: Connection,
    deadline: Instant,
    alarm: Alarm,
}

/// Sends the request and reads the head of the answer; what is left to read of it, unless there is nothing but a refusal.
async fn begin(
    connections: &Connections,
    call: &Call,
    uri: &Uri,
    limits: Limits,
    told: &mut Told,
    on_start: &mut impl FnMut(Stamp),
) -> Result<Begun, Failure> {
    // What opening takes is not held for as long as the answer takes.
    let mut connection = Box::pin(connections.take(uri, limits.connect)).await?;
    let mut waited = false;
    while let Some(early) = call.not_before_ns.and_then(|due| due.checked_sub(clock::mono_ns())).filter(|ns| *ns > 0) {
        tokio::time::sleep(Duration::from_nanos(early)).await;
        waited = true;
    }
    let deadline = Instant::now() + limits.total;
    let mut alarm = Alarm::new(deadline);
    told.http2 = connection.is_http2();
    let mut again = false;
    let head = loop {
        // One that waited for its time may have been closed meanwhile, as one that was kept.
        let kept = connection.used() || waited;
        told.connect_seconds = (!connection.used()).then(|| connection.opened_seconds());
        let reads_before = connection.last_read().number;
        let request = request(call, uri)?;
        let wait = deadline.min(Instant::now() + limits.idle);
        let (mut waits, mut said) = (told.http2, false);
        let start = Stamp::now();
        told.start = Some(start);
        connection.begin(request).map_err(|why| unanswered(&why))?;
        let written = |cx: &mut Context<'_>| {
            let head = connection.poll_head(cx);
            if head.is_pending() && std::mem::take(&mut waits) {
                // With HTTP/2 a task of the connection writes, and has its turn first.
                cx.waker().wake_by_ref();
            } else if !std::mem::replace(&mut said, true) {
                // What is counted and written down of the sending takes locks, and waits until the bytes are gone.
                on_start(start);
            }
            head
        };
        match alarm.before(wait, written).await {
            Ok(Ok(head)) => break head,
            Ok(Err(why)) => {
                // The server closed a connection it had promised to keep, and has not read the request; or it says itself that it
                // did nothing with it. It is sent once more.
                let died = kept && connection.last_read().number == reads_before;
                let unprocessed = told.http2 && Broke::of(&why) == Broke::Unprocessed;
                if again || !(died || unprocessed) {
                    return Err(unanswered(&why));
                }
                again = true;
                connections.distrust(uri);
                told.answer.said.warnings.insert("reused_connection_died");
                connection = Box::pin(connections.open(uri, limits.connect)).await?;
            }
            Err(Late) => return Err(late(deadline, limits, "before any answer")),
        }
    };
    let head_read = connection.last_read();
    told.headers_ns = Some(head_read.ns);
    let status = head.status.as_u16();
    told.status = Some(status);
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    told.retry_after = header("retry-after").and_then(|value| retry_after(&value, clock::wall())).or_else(|| {
        header("x-ratelimit-reset").and_then(|reset| wait_asked(&Value::Null, Some(&reset), clock::wall()))
    });
    if let Some(id) = header("x-generation-id") {
        told.answer.said.generation_id = Some(id);
    }
    if let Some(place) = header("location").filter(|place| (300..400).contains(&status) && !place.is_empty()) {
        let place = leads_to(&call.url, &place);
        let message = format!("the server is elsewhere: {place}: give that address as --base-url");
        return Err(Failure { kind: FailureKind::Http, status: Some(status), message, retryable: false });
    }
    for name in TIMES_IN_HEADERS {
        if let Some(value) = header(name) {
            let number = value.parse::<f64>().is_ok_and(f64::is_finite);
            told.answer.server_field(name, &if number { value } else { serde_json::Value::from(value).to_string() });
        }
    }
    (told.reads, told.end_ns) = (1, head_read.ns);
    let coding = header("content-encoding").filter(|coding| !["", "identity"].contains(&&*coding.to_ascii_lowercase()));
    if let Some(coding) = coding {
        let compressed = format!("the answer is compressed ({coding}), which was not asked for");
        if !head.status.is_success() {
            // A status says what it says, whatever its body is.
            return Err(failure_of(status, &compressed));
        }
        let message = format!("{compressed}: no time in it could be told");
        return Err(Failure { kind: FailureKind::Protocol, status: Some(status), message, retryable: false });
    }
    if !head.status.is_success() {
        return Err(refused(&mut connection, call, deadline, limits, told).await);
    }
    Ok(Begun { connection, deadline, alarm })
}

/// What servers and gateways tell of a request's times in headers: TGI, OpenAI, LiteLLM, Envoy.
const TIMES_IN_HEADERS: [&str; 12] = [
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

fn request(call: &Call, uri: &Uri) -> Result<Request<Bytes>, Failure> {
    let host = uri.authority().map_or("", |authority| authority.as_str());
    // User and password of a URL are for nobody but the server that it names, and no server here asks for them.
    let host = host.rsplit('@').next().unwrap_or(host);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header("host", host)
        .header("content-type", "application/json")
        .header("accept", "text/event-stream, application/x-ndjson, application/json")
        // A compressed stream is a buffered stream.
        .header("accept-encoding", "identity")
        .header("user-agent", concat!("llm-bench/", env!("CARGO_PKG_VERSION")))
        .header("x-request-id", &call.request_id);
    if let Some(key) = &call.key {
        request = request.header("authorization", key.bearer());
    }
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    request.body(call.body.clone()).map_err(|why| io_failure(FailureKind::Connect, &shown(&call.url), &why))
}

#[cfg(test)]
mod tests;
