//! An exchange until the head of its response.

use super::body::{BodyReader, BodyResult};
use super::error_body;
use super::limits::{Cancellation, Limits, cancelled};
use super::request::HttpRequest;
use super::response::Response;
use super::timer::{TimedOut, Timer};
use crate::clock::{self, Stamp};
use crate::http::{Connection, ConnectionPool, Head, failure_of, leads_to, no_response, wait_in_headers};
use crate::protocol::answer::StreamedAnswer;
use crate::record::{Failure, FailureKind};
use http::Uri;
use serde_json::Value;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// An event before the body.
pub enum HeadEvent {
    /// The request was written.
    Sent(Stamp),
    /// The response has begun.
    Responding(Box<BodyReader>),
    /// It failed, and nothing follows.
    Failed,
}

/// An exchange until its body begins, and what is left of it afterwards.
pub struct HeadExchange {
    connections: Arc<ConnectionPool>,
    call: HttpRequest,
    response: Response,
    failure: Option<Failure>,
    limits: Limits,
    cancellation: Cancellation,
    written: Option<Written>,
    /// The start that was reported last, in monotonic nanoseconds.
    reported_ns: Option<u64>,
}

/// A request that was written and waits for the head of its response.
struct Written {
    connection: Connection,
    timer: Timer,
    deadline: Instant,
    /// When the head must be there.
    wait: Instant,
    /// A server may have closed a connection that was kept or that waited, and has not read the
    /// request: it is sent once more.
    may_repeat: bool,
    reads_before: u64,
    /// The head, where it came with the writing.
    head: Option<io::Result<Head>>,
}

impl HeadExchange {
    pub fn new(
        connections: Arc<ConnectionPool>,
        call: HttpRequest,
        limits: Limits,
        cancellation: Cancellation,
    ) -> Self {
        Self {
            connections,
            call,
            response: Response::default(),
            failure: None,
            limits,
            cancellation,
            written: None,
            reported_ns: None,
        }
    }

    /// Waits for the next event; after `Failed` there is none.
    pub async fn next(&mut self) -> HeadEvent {
        if self.failure.is_none() {
            let Cancellation { before_sent, after_sent } = &self.cancellation;
            let token = if self.reported_ns.is_some() { after_sent } else { before_sent }.clone();
            let advanced = tokio::select! {
                biased;
                advanced = self.advance() => advanced,
                () = token.cancelled() => Err(cancelled()),
            };
            match advanced {
                Ok(HeadEvent::Sent(start)) => {
                    self.reported_ns = Some(start.mono_ns);
                    return HeadEvent::Sent(start);
                }
                Ok(event) => return event,
                Err(failure) => self.failure = Some(failure),
            }
        }
        // A request that could not be written has a start too.
        match self.response.start.filter(|start| self.reported_ns != Some(start.mono_ns)) {
            Some(start) => {
                self.reported_ns = Some(start.mono_ns);
                HeadEvent::Sent(start)
            }
            None => HeadEvent::Failed,
        }
    }

    /// Takes the response from a body that ended, and releases its connection.
    pub async fn finish_body(&mut self, body: BodyReader, ended: Result<(), Failure>) {
        let BodyResult { connection, reusable, answer, reads, end_ns, outcome } = body.finish(ended).await;
        (self.response.answer, self.response.reads, self.response.end_ns) = (answer, reads, end_ns);
        self.failure = outcome.err();
        if reusable && let Ok(uri) = self.call.uri() {
            self.connections.release(&uri, connection).await;
        }
    }

    /// The answer until now, where no body has begun.
    pub fn answer(&self) -> &StreamedAnswer {
        &self.response.answer
    }

    /// The response, its request, and why it failed.
    pub fn finish(self) -> (Response, HttpRequest, Option<Failure>) {
        (self.response, self.call, self.failure)
    }

    async fn advance(&mut self) -> Result<HeadEvent, Failure> {
        match self.written.take() {
            Some(written) => self.wait_for_head(written).await,
            None => self.connect_and_write().await,
        }
    }

    async fn connect_and_write(&mut self) -> Result<HeadEvent, Failure> {
        let uri = self.call.uri()?;
        let connection = Box::pin(self.connections.acquire(&uri, self.limits.connect)).await?;
        let waited = wait_until(self.call.not_before_ns).await;
        let deadline = Instant::now() + self.limits.total;
        let may_repeat = connection.used() || waited;
        self.write(&uri, connection, (Timer::new(deadline), deadline), may_repeat).await
    }

    async fn write(
        &mut self,
        uri: &Uri,
        mut connection: Connection,
        (timer, deadline): (Timer, Instant),
        may_repeat: bool,
    ) -> Result<HeadEvent, Failure> {
        self.response.connect_seconds = (!connection.used()).then(|| connection.opened_seconds());
        let request = self.call.http(uri)?;
        let wait = deadline.min(Instant::now() + self.limits.idle);
        let reads_before = connection.last_read().number;
        let start = Stamp::now();
        self.response.start = Some(start);
        connection.begin(request).map_err(|error| no_response(&error))?;
        // The first poll writes. The start is reported after it, because counting it takes locks.
        let head = poll_fn(|cx| match connection.poll_head(cx) {
            Poll::Ready(head) => Poll::Ready(Some(head)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        self.written = Some(Written { connection, timer, deadline, wait, may_repeat, reads_before, head });
        Ok(HeadEvent::Sent(start))
    }

    async fn wait_for_head(&mut self, written: Written) -> Result<HeadEvent, Failure> {
        let Written { mut connection, mut timer, deadline, wait, may_repeat, reads_before, head } = written;
        let head = match head {
            Some(head) => head,
            None => timer
                .before(wait, |cx| connection.poll_head(cx))
                .await
                .map_err(|TimedOut| self.limits.timed_out(deadline, "before any answer"))?,
        };
        match head {
            Ok(head) => self.begin_body(connection, &head, (timer, deadline)).await,
            Err(_) if may_repeat && connection.last_read().number == reads_before => {
                let uri = self.call.uri()?;
                self.connections.mark_no_keepalive(&uri);
                self.response.answer.metadata.warnings.insert("reused_connection_died");
                let connection = Box::pin(self.connections.open(&uri, self.limits.connect)).await?;
                self.write(&uri, connection, (timer, deadline), false).await
            }
            Err(error) => Err(no_response(&error)),
        }
    }

    /// # Errors
    /// When the response is an error, or compressed.
    async fn begin_body(
        &mut self,
        mut connection: Connection,
        head: &Head,
        (timer, deadline): (Timer, Instant),
    ) -> Result<HeadEvent, Failure> {
        let (read, response) = (connection.last_read(), &mut self.response);
        (response.headers_ns, response.reads, response.end_ns) = (Some(read.ns), 1, read.ns);
        take_headers(head, &self.call, response)?;
        if !head.status.is_success() {
            return Err(error_body::read(&mut connection, &self.call, (self.limits, deadline), response).await);
        }
        let (answer, status) = (std::mem::take(&mut response.answer), head.status.as_u16());
        let connection = (connection, self.call.dialect, status);
        let limits = (self.limits, deadline, timer);
        let body = BodyReader::new(connection, answer, limits, self.cancellation.after_sent.clone());
        Ok(HeadEvent::Responding(Box::new(body)))
    }
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
