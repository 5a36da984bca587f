//! One request over the wire: sent once, every read stamped, the answer read to its end or to the failure that ended it.

use super::Dialect;
use super::answer::{Answer, Arrival};
use super::reader::{Form, Reader};
use crate::clock::{self, Stamp};
use crate::http::wire::{Connection, Connections, Head, Read};
use crate::http::{Broke, Secret, broken_off, failure_of, io_failure, retry_after, shown, unanswered, wait_asked};
use crate::record::{Failure, FailureKind};
use bytes::Bytes;
use hyper::{Request, Uri};
use serde_json::Value;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

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

/// How long the body of an error is read, and how much of it: its status is what was answered, and it says what to mend in a line.
const REFUSAL_TIME: Duration = Duration::from_secs(5);
const REFUSAL_BYTES: usize = 64 << 10;

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
#[derive(Debug)]
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
    cancelled: impl Future<Output = ()>,
    mut on_start: impl FnMut(Stamp),
    mut on_piece: impl FnMut(&Answer),
) -> Told {
    let mut told = Told {
        start: None,
        connect_seconds: None,
        headers_ns: None,
        end_ns: 0,
        status: None,
        answer: Answer::default(),
        reads: 0,
        http2: false,
        error: None,
        retry_after: None,
    };
    let mut said = None;
    let mut say = |start: Stamp| {
        said = Some(start.mono_ns);
        on_start(start);
    };
    let outcome = tokio::select! {
        biased;
        outcome = attempt(connections, call, limits, &mut told, &mut say, &mut on_piece) => outcome,
        () = cancelled => Err(Failure {
            kind: FailureKind::Cancelled,
            status: None,
            message: "cancelled before its end".into(),
            retryable: true,
        }),
    };
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
    told.error = outcome.err().or_else(|| told.answer.error.take());
    if let (Some(error), Some(key)) = (&mut told.error, &call.key) {
        error.message = key.redact(&error.message);
    }
    told
}

async fn attempt(
    connections: &Connections,
    call: &Call,
    limits: Limits,
    told: &mut Told,
    on_start: &mut impl FnMut(Stamp),
    on_piece: &mut impl FnMut(&Answer),
) -> Result<(), Failure> {
    let uri: Uri = call.url.parse().map_err(|why| io_failure(FailureKind::Connect, &shown(&call.url), &why))?;
    // What opening takes is not held for as long as the answer takes.
    let mut connection = Box::pin(connections.take(&uri, limits.connect)).await?;
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
        let reads_before = connection.reads().last().number;
        let request = request(call, &uri)?;
        let wait = deadline.min(Instant::now() + limits.idle);
        let (mut waits, mut said) = (told.http2, false);
        let start = Stamp::now();
        told.start = Some(start);
        connection.begin(request);
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
                let died = kept && connection.reads().last().number == reads_before;
                let unprocessed = told.http2 && Broke::of(&why) == Broke::Unprocessed;
                if again || !(died || unprocessed) {
                    return Err(unanswered(&why));
                }
                again = true;
                connections.distrust(&uri);
                told.answer.warnings.insert("reused_connection_died");
                connection = Box::pin(connections.open(&uri, limits.connect)).await?;
            }
            Err(Late) => return Err(late(deadline, limits, "before any answer")),
        }
    };
    let head_read = connection.reads().last();
    told.headers_ns = Some(head_read.ns);
    let status = head.status.as_u16();
    told.status = Some(status);
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    told.retry_after = header("retry-after").and_then(|value| retry_after(&value, clock::wall())).or_else(|| {
        header("x-ratelimit-reset").and_then(|reset| wait_asked(&Value::Null, Some(&reset), clock::wall()))
    });
    if let Some(id) = header("x-generation-id") {
        told.answer.generation_id = Some(id);
    }
    if let Some(coding) = header("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        let message =
            format!("the answer is compressed ({coding}), which was not asked for: no time in it could be told");
        return Err(Failure { kind: FailureKind::Protocol, status: Some(status), message, retryable: false });
    }
    if let Some(place) = header("location").filter(|_| (300..400).contains(&status)) {
        let message = format!("the server is elsewhere: {}: give that address as --base-url", shown(&place));
        return Err(Failure { kind: FailureKind::Http, status: Some(status), message, retryable: false });
    }
    for name in TIMES_IN_HEADERS {
        if let Some(value) = header(name) {
            let number = value.parse::<f64>().is_ok_and(f64::is_finite);
            told.answer.server_field(name, &if number { value } else { serde_json::Value::from(value).to_string() });
        }
    }
    let answering = Answering { call, limits, deadline, head_read };
    if read_answer(&mut connection, &head, &answering, &mut alarm, told, on_piece).await? {
        connections.give_back(&uri, connection).await;
    }
    Ok(())
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

fn late(deadline: Instant, limits: Limits, when: &str) -> Failure {
    let (kind, message) = if Instant::now() >= deadline {
        (FailureKind::Timeout, format!("no end within {:?} ({when}): --timeout sets the limit", limits.total))
    } else {
        (
            FailureKind::IdleTimeout,
            format!("nothing came for {:?} ({when}): --idle-timeout sets the limit", limits.idle),
        )
    };
    Failure { kind, status: None, message, retryable: true }
}

/// A time limit was passed.
struct Late;

/// The one timer of a request: it is set once and looked at when nothing else is to do, not set anew with each piece.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// When it goes off, if it was set: it will wake this task then, at the moment that is asked for or before. Such moments only
    /// become later. It is what the timer knows, kept where it need not be asked: its memory is cold when a piece comes.
    set: Option<Instant>,
}

impl Alarm {
    fn new(at: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(at)), set: None }
    }

    /// Ready once the moment has passed; wakes whoever asks, then or before.
    fn poll_past(&mut self, cx: &mut Context<'_>, moment: Instant) -> Poll<Late> {
        loop {
            if self.sleep.deadline() > moment {
                self.sleep.as_mut().reset(moment);
            }
            match self.sleep.as_mut().poll(cx) {
                Poll::Pending => {
                    self.set = Some(self.sleep.deadline());
                    return Poll::Pending;
                }
                Poll::Ready(()) if Instant::now() >= moment => return Poll::Ready(Late),
                Poll::Ready(()) => self.sleep.as_mut().reset(moment),
            }
        }
    }

    /// What `other` comes to before the moment.
    async fn before<T>(
        &mut self,
        moment: Instant,
        mut other: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Late> {
        // Whoever has just come here was not woken by the alarm, as long as that cannot have gone off.
        let mut just_come = self.set;
        poll_fn(|cx| match other(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if just_come.take().is_some_and(|at| Instant::now() < at) => Poll::Pending,
            Poll::Pending => self.poll_past(cx, moment).map(Err),
        })
        .await
    }
}

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

/// What is known when the answer begins.
struct Answering<'a> {
    call: &'a Call,
    limits: Limits,
    deadline: Instant,
    head_read: Read,
}

/// Reads the answer to its end; says whether the connection can carry another request.
async fn read_answer(
    connection: &mut Connection,
    head: &Head,
    answering: &Answering<'_>,
    alarm: &mut Alarm,
    told: &mut Told,
    on_piece: &mut impl FnMut(&Answer),
) -> Result<bool, Failure> {
    let Answering { call, limits, deadline, head_read } = *answering;
    let status = head.status.as_u16();
    let success = head.status.is_success();
    let form = if success { Form::Unknown } else { Form::Whole };
    let mut reader = Reader::new(form, call.dialect);
    let (began, mut last_piece_ns) = (Instant::now(), clock::mono_ns());
    let began_ns = last_piece_ns;
    let mut reusable = true;
    let deadline = if success { deadline } else { deadline.min(began + REFUSAL_TIME) };
    if !success {
        // The one of before knows only moments that become later.
        *alarm = Alarm::new(deadline);
    }
    let answer = &mut told.answer;
    let (mut latest, mut of_stream) = (head_read, 1);
    (told.reads, told.end_ns) = (1, head_read.ns);
    while !answer.ended {
        let before = (answer.first_event, answer.chunks.len(), answer.progress);
        let mut forward = false;
        let wait = deadline.min(began + Duration::from_nanos(last_piece_ns.saturating_sub(began_ns)) + limits.idle);
        let mut take = |read: Read, bytes: &[u8]| {
            of_stream += u64::from(read.number != latest.number);
            latest = read;
            forward |= reader.take(answer, Arrival { ns: read.ns, read: read.number }, bytes);
        };
        let Ok(piece) = alarm.before(wait, |cx| connection.poll_piece(cx, &mut take)).await else {
            if !success {
                told.end_ns = clock::mono_ns();
                break;
            }
            return Err(late(deadline, limits, "in the middle of the answer"));
        };
        // Reads of a connection that other streams share are theirs as well.
        let last = if connection.is_http2() { latest } else { connection.reads().last() };
        told.reads = if connection.is_http2() { of_stream } else { last.number - head_read.number + 1 };
        told.end_ns = last.ns;
        if forward || before != (answer.first_event, answer.chunks.len(), answer.progress) {
            last_piece_ns = told.end_ns;
        }
        if (answer.chunks.len(), answer.progress) != (before.1, before.2) {
            on_piece(answer);
        }
        if !success && reader.held() > REFUSAL_BYTES.min(limits.text_bytes) {
            reader.raw.truncate(REFUSAL_BYTES.min(limits.text_bytes));
            told.end_ns = clock::mono_ns();
            break;
        }
        if answer.bytes() + reader.held() > limits.text_bytes {
            return Err(Failure {
                kind: FailureKind::TooLarge,
                status: Some(status),
                message: format!(
                    "the answer is larger than {} bytes: --max-answer-bytes sets the limit",
                    limits.text_bytes
                ),
                retryable: false,
            });
        }
        match piece {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) if !success => {
                told.end_ns = clock::mono_ns();
                break;
            }
            // The answer had come, and what was cut is only the transfer. Of several choices one may be over before the others.
            Err(_) if answer.finish_reason.is_some() && !answer.warnings.contains("several_choices") => {
                answer.warnings.insert("cut_after_the_end");
                reusable = false;
                break;
            }
            Err(why) => {
                told.end_ns = clock::mono_ns();
                return Err(broken_off(&why));
            }
        }
    }
    if answer.ended {
        // The answer is over; what is left is the end of the transfer, and it is not the model's time.
        let mut nobody = |_: Read, _: &[u8]| ();
        let rest = async { while let Ok(true) = poll_fn(|cx| connection.poll_piece(cx, &mut nobody)).await {} };
        reusable = timeout(Duration::from_millis(20), rest).await.is_ok();
    }
    let at = Arrival { ns: told.end_ns, read: latest.number };
    if !success {
        let said = String::from_utf8_lossy(&reader.raw);
        if let Ok(body) = serde_json::from_str::<Value>(said.trim()) {
            told.retry_after = told.retry_after.or_else(|| wait_asked(&body, None, clock::wall()));
            answer.openrouter_metadata = body.get("openrouter_metadata").filter(|said| said.is_object()).cloned();
        }
        // Before it is shortened: of a key that was cut, the rest would not be found.
        return Err(failure_of(status, &call.key.as_ref().map_or_else(|| said.to_string(), |key| key.redact(&said))));
    }
    let had_come = answer.finish_reason.is_some() && answer.error.is_none();
    reader.finish(answer, at);
    if had_come && answer.error.take_if(|error| error.kind == FailureKind::Protocol).is_some() {
        // Half an event after the end: a cut of a body whose length nobody told.
        answer.warnings.insert("cut_after_the_end");
    }
    if answer.error.is_none() {
        judge(answer, status, &reader)?;
    }
    Ok(reusable)
}

/// Whether what came is an answer.
fn judge(answer: &mut Answer, status: u16, reader: &Reader) -> Result<(), Failure> {
    let failed = |kind, message: String| Err(Failure { kind, status: Some(status), message, retryable: true });
    let raw = String::from_utf8_lossy(&reader.raw);
    if answer.first_event.is_none() {
        return match raw.trim() {
            "" => failed(FailureKind::Protocol, format!("status {status} with an empty body")),
            text => Err(Failure { kind: FailureKind::Protocol, ..failure_of(status, text) }),
        };
    }
    let told_anything = answer.finish_reason.is_some() || answer.usage.is_some() || answer.rest_stats.is_some();
    if answer.chunks.is_empty() && !told_anything {
        let what = if reader.form == Form::Whole { failure_of(status, &raw).message } else { "no text".into() };
        return failed(FailureKind::Protocol, format!("status {status} with an answer that holds nothing: {what}"));
    }
    if !answer.ended && !answer.ending && answer.finish_reason.is_none() {
        return failed(FailureKind::Truncated, "the stream stopped without an end".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
