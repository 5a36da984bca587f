//! The answer behind its head, read to its end. What happens here happens with every piece of every stream.

use super::limits::{Limits, cancelled};
use super::timer::{TimedOut, Timer};
use crate::clock;
use crate::http::{Connection, ReadStamp, failure_of, interrupted};
use crate::protocol::answer::{Arrival, StreamedAnswer};
use crate::protocol::decoder::{BodyDecoder, Framing};
use crate::protocol::interface::Protocol;
use crate::record::{Failure, FailureKind};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long is waited for the end of the transfer when the answer is over.
const LAST_BYTES: Duration = Duration::from_millis(20);

/// An answer that has begun, and what is needed to read it. Most of what a piece costs, where there are many streams, is memory that
/// is cold by the time it comes: so all of this is in one place, and what is rarely needed lies elsewhere.
pub struct BodyReader {
    connection: Connection,
    decoder: BodyDecoder,
    answer: StreamedAnswer,
    timer: Timer,
    cancelled: Cancelled,
    /// The read that completed the head.
    head_read: ReadStamp,
    /// The last piece that was no comment, in monotonic nanoseconds, and the moment to which such nanoseconds are counted.
    last_piece_ns: u64,
    began_ns: u64,
    began: Instant,
    deadline: Instant,
    limits: Limits,
    status: u16,
    /// Whether a piece came since this task was woken.
    busy: bool,
}

/// A cancellation that is checked with every piece: its future is polled when nothing else came,
/// and otherwise only the token is read.
struct Cancelled {
    token: CancellationToken,
    future: Pin<Box<WaitForCancellationFutureOwned>>,
    registered: bool,
}

impl Cancelled {
    fn new(token: CancellationToken) -> Self {
        Self { future: Box::pin(token.clone().cancelled_owned()), token, registered: false }
    }

    fn poll(&mut self, cx: &mut Context<'_>, busy: bool) -> Poll<()> {
        if busy && self.registered {
            return if self.token.is_cancelled() { Poll::Ready(()) } else { Poll::Pending };
        }
        self.registered = true;
        self.future.as_mut().poll(cx)
    }
}

/// A body that was read, or the part of it that arrived.
pub struct BodyResult {
    /// The connection it came on.
    pub connection: Connection,
    /// Whether that can carry another request.
    pub reusable: bool,
    /// The answer.
    pub answer: StreamedAnswer,
    /// How many reads brought something of it.
    pub reads: u64,
    /// The end of it, or of what came, in monotonic nanoseconds.
    pub end_ns: u64,
    /// Why the response is not an answer.
    pub outcome: Result<(), Failure>,
}

impl BodyReader {
    /// What follows on this connection, whose last read brought the head, and with it what is known of the answer so far. `timer` is
    /// the timer of the request.
    pub fn new(
        (connection, dialect, status): (Connection, &'static Protocol, u16),
        answer: StreamedAnswer,
        (limits, deadline, timer): (Limits, Instant, Timer),
        cancelled: CancellationToken,
    ) -> Self {
        let head_read = connection.last_read();
        let began_ns = clock::mono_ns();
        Self {
            connection,
            decoder: BodyDecoder::new(Framing::Unknown, dialect),
            answer,
            timer,
            cancelled: Cancelled::new(cancelled),
            head_read,
            last_piece_ns: began_ns,
            began_ns,
            began: Instant::now(),
            deadline,
            limits,
            status,
            busy: false,
        }
    }

    /// The answer until now.
    pub fn answer(&self) -> &StreamedAnswer {
        &self.answer
    }

    /// Takes pieces until one brings the answer forward, or nothing follows (`false`).
    ///
    /// # Errors
    /// When the answer breaks off, takes too long, is too large, or is cancelled.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Failure>> {
        while !self.answer.ended {
            let answer = &mut self.answer;
            let before = (answer.first_event, answer.chunks.len(), answer.progress);
            let mut forward = false;
            let mut take = |read: ReadStamp, bytes: &[u8]| {
                forward |= self.decoder.take(answer, Arrival { ns: read.ns, read: read.number }, bytes);
            };
            let Poll::Ready(piece) = self.connection.poll_body(cx, &mut take) else {
                let busy = std::mem::take(&mut self.busy);
                return self.poll_limits(cx, busy).map(Err);
            };
            self.busy = true;
            if forward || before != (answer.first_event, answer.chunks.len(), answer.progress) {
                self.last_piece_ns = self.connection.last_read().ns;
            }
            if self.answer.bytes() + self.decoder.held_bytes() > self.limits.text_bytes {
                return Poll::Ready(Err(self.limits.too_large(self.status)));
            }
            match piece {
                Ok(true) if (self.answer.chunks.len(), self.answer.progress) != (before.1, before.2) => {
                    return Poll::Ready(Ok(true));
                }
                Ok(true) => {}
                Ok(false) => break,
                // The answer had come, and what was cut is only the transfer. Of several choices one may be over before the others.
                Err(_)
                    if self.answer.metadata.finish_reason.is_some()
                        && !self.answer.metadata.warnings.contains("several_choices") =>
                {
                    self.answer.metadata.warnings.insert("cut_after_the_end");
                    break;
                }
                Err(error) => return Poll::Ready(Err(interrupted(&error))),
            }
        }
        Poll::Ready(Ok(false))
    }

    /// Ready when the request is cancelled or a timeout has passed; `busy` when something has just arrived.
    fn poll_limits(&mut self, cx: &mut Context<'_>, busy: bool) -> Poll<Failure> {
        if self.cancelled.poll(cx, busy).is_ready() {
            return Poll::Ready(cancelled());
        }
        let since = Duration::from_nanos(self.last_piece_ns.saturating_sub(self.began_ns));
        let wait = self.deadline.min(self.began + since + self.limits.idle);
        let past = if busy { self.timer.poll_past_when_busy(cx, wait) } else { self.timer.poll_past(cx, wait) };
        past.map(|TimedOut| self.limits.timed_out(self.deadline, "in the middle of the answer"))
    }

    /// The result at the end, or when `outcome` ended it; reads the rest of the transfer.
    pub async fn finish(mut self, outcome: Result<(), Failure>) -> BodyResult {
        let last = self.connection.last_read();
        let reads = last.number - self.head_read.number + 1;
        let Self { mut connection, mut answer, .. } = self;
        let mut end_ns = last.ns;
        if let Err(failure) = outcome {
            if failure.kind == FailureKind::Truncated || failure.kind == FailureKind::Protocol {
                // It broke now, whenever its last piece came.
                end_ns = clock::mono_ns();
            }
            return BodyResult { connection, reusable: false, answer, reads, end_ns, outcome: Err(failure) };
        }
        let mut reusable = !answer.metadata.warnings.contains("cut_after_the_end");
        if answer.ended {
            // What is left is the end of the transfer, and it is not the model's time.
            let mut ignore = |_: ReadStamp, _: &[u8]| ();
            let rest = async { while let Ok(true) = poll_fn(|cx| connection.poll_body(cx, &mut ignore)).await {} };
            reusable = timeout(LAST_BYTES, rest).await.is_ok();
        }
        let at = Arrival { ns: end_ns, read: last.number };
        let outcome = over(&mut answer, self.status, &mut self.decoder, at);
        BodyResult { connection, reusable: reusable && outcome.is_ok(), answer, reads, end_ns, outcome }
    }
}

/// Decodes the rest of the body, and checks that all of it is an answer.
fn over(answer: &mut StreamedAnswer, status: u16, decoder: &mut BodyDecoder, at: Arrival) -> Result<(), Failure> {
    let (had_come, went_well) = (answer.metadata.finish_reason.is_some(), answer.metadata.error.is_none());
    decoder.finish(answer, at);
    let unread = answer.metadata.error.as_mut().filter(|error| went_well && error.kind == FailureKind::Protocol);
    match unread {
        // Half an event after the end: a body of unknown length was cut.
        Some(_) if had_come => {
            answer.metadata.error = None;
            answer.metadata.warnings.insert("cut_after_the_end");
        }
        Some(error) if decoder.is_cut() => {
            (error.kind, error.retryable) = (FailureKind::Truncated, true);
            error.message = format!("the answer stopped in its middle: {}", error.message);
        }
        _ => {}
    }
    if answer.metadata.error.is_none() { judge(answer, status, decoder) } else { Ok(()) }
}

/// Checks that the response is an answer.
fn judge(answer: &mut StreamedAnswer, status: u16, decoder: &BodyDecoder) -> Result<(), Failure> {
    let failed = |kind, message: String| {
        Err(Failure { kind, status: Some(status), message, retryable: true, ..Failure::default() })
    };
    let raw = String::from_utf8_lossy(&decoder.raw);
    if answer.first_event.is_none() {
        return match raw.trim() {
            "" => failed(FailureKind::Protocol, format!("status {status} with an empty body")),
            text => Err(Failure { kind: FailureKind::Protocol, ..failure_of(status, text) }),
        };
    }
    let told_anything = answer.metadata.finish_reason.is_some()
        || answer.metadata.usage.is_some()
        || answer.metadata.rest_stats.is_some();
    if answer.chunks.is_empty() && !told_anything {
        let what = if decoder.framing == Framing::Whole { failure_of(status, &raw).message } else { "no text".into() };
        return failed(FailureKind::Protocol, format!("status {status} with an answer that holds nothing: {what}"));
    }
    if !answer.ended && !answer.ending && answer.metadata.finish_reason.is_none() {
        return failed(FailureKind::Truncated, "the stream stopped without an end".into());
    }
    Ok(())
}
