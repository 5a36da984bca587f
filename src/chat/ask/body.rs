//! The answer behind its head, read to its end. What happens here happens with every piece of every stream.

use super::alarm::{Alarm, Late};
use super::{Limits, Told};
use crate::chat::Dialect;
use crate::chat::answer::{Answer, Arrival};
use crate::chat::reader::{Form, Reader};
use crate::clock;
use crate::http::wire::{Connection, Read};
use crate::http::{broken_off, failure_of};
use crate::record::{Failure, FailureKind};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long is waited for the end of the transfer when the answer is over.
const LAST_BYTES: Duration = Duration::from_millis(20);

/// An answer that has begun: the last read of its connection brought the head.
pub struct Body<P> {
    /// The connection it comes on.
    pub connection: Connection,
    /// What is known of it.
    pub told: Told,
    /// How long it may take.
    pub limits: Limits,
    /// When it must be over.
    pub deadline: Instant,
    /// The timer of the request.
    pub alarm: Alarm,
    /// How it is read.
    pub dialect: Dialect,
    /// Who is told of each piece that brought it forward.
    pub on_piece: P,
}

/// An answer that was read, as far as it came.
pub struct Whole {
    /// The connection it came on.
    pub connection: Connection,
    /// Whether that can carry another request.
    pub reusable: bool,
    /// What was told.
    pub told: Told,
    /// Why it is no answer.
    pub outcome: Result<(), Failure>,
}

/// What somebody waited for.
enum Came {
    Piece(io::Result<bool>),
    Cancelled,
}

impl<P: FnMut(&Answer)> Body<P> {
    /// Reads it to its end, to the failure that ends it, or until it is cancelled.
    pub async fn read(mut self, cancelled: impl Future<Output = ()> + Unpin) -> Whole {
        let mut reader = Reader::new(Form::Unknown, self.dialect);
        let read = self.pieces(&mut reader, cancelled).await;
        let Self { mut connection, mut told, .. } = self;
        let latest = match read {
            Err(failure) => return Whole { connection, reusable: false, told, outcome: Err(failure) },
            Ok(latest) => latest,
        };
        let mut reusable = !told.answer.said.warnings.contains("cut_after_the_end");
        if told.answer.ended {
            // What is left is the end of the transfer, and it is not the model's time.
            let mut nobody = |_: Read, _: &[u8]| ();
            let rest = async { while let Ok(true) = poll_fn(|cx| connection.poll_piece(cx, &mut nobody)).await {} };
            reusable = timeout(LAST_BYTES, rest).await.is_ok();
        }
        let at = Arrival { ns: told.end_ns, read: latest.number };
        let outcome = over(&mut told.answer, told.status.unwrap_or_default(), &mut reader, at);
        Whole { connection, reusable: reusable && outcome.is_ok(), told, outcome }
    }

    /// Takes piece after piece, until nothing follows; the last read that brought one.
    async fn pieces(
        &mut self,
        reader: &mut Reader,
        mut cancelled: impl Future<Output = ()> + Unpin,
    ) -> Result<Read, Failure> {
        let Self { connection, told, limits, deadline, alarm, on_piece, .. } = self;
        let (limits, deadline) = (*limits, *deadline);
        let (began, mut last_piece_ns) = (Instant::now(), clock::mono_ns());
        let began_ns = last_piece_ns;
        let head_read = connection.last_read();
        let (mut latest, mut of_stream) = (head_read, 1);
        let answer = &mut told.answer;
        while !answer.ended {
            let before = (answer.first_event, answer.chunks.len(), answer.progress);
            let mut forward = false;
            let wait = deadline.min(began + Duration::from_nanos(last_piece_ns.saturating_sub(began_ns)) + limits.idle);
            let mut take = |read: Read, bytes: &[u8]| {
                of_stream += u64::from(read.number != latest.number);
                latest = read;
                forward |= reader.take(answer, Arrival { ns: read.ns, read: read.number }, bytes);
            };
            let came = alarm.before(wait, |cx| match connection.poll_piece(cx, &mut take) {
                Poll::Ready(piece) => Poll::Ready(Came::Piece(piece)),
                Poll::Pending => Pin::new(&mut cancelled).poll(cx).map(|()| Came::Cancelled),
            });
            let piece = match came.await {
                Ok(Came::Piece(piece)) => piece,
                Ok(Came::Cancelled) => return Err(self::cancelled()),
                Err(Late) => return Err(late(deadline, limits, "in the middle of the answer")),
            };
            // Reads of a connection that other streams share are theirs as well.
            let last = if connection.is_http2() { latest } else { connection.last_read() };
            told.reads = if connection.is_http2() { of_stream } else { last.number - head_read.number + 1 };
            told.end_ns = last.ns;
            if forward || before != (answer.first_event, answer.chunks.len(), answer.progress) {
                last_piece_ns = told.end_ns;
            }
            if (answer.chunks.len(), answer.progress) != (before.1, before.2) {
                on_piece(answer);
            }
            if answer.bytes() + reader.held() > limits.text_bytes {
                return Err(too_large(told.status, limits));
            }
            match piece {
                Ok(true) => {}
                Ok(false) => break,
                // The answer had come, and what was cut is only the transfer. Of several choices one may be over before the others.
                Err(_) if answer.said.finish_reason.is_some() && !answer.said.warnings.contains("several_choices") => {
                    answer.said.warnings.insert("cut_after_the_end");
                    break;
                }
                Err(why) => {
                    told.end_ns = clock::mono_ns();
                    return Err(broken_off(&why));
                }
            }
        }
        Ok(latest)
    }
}

/// The body is over: what is left of it, and whether all of it is an answer.
fn over(answer: &mut Answer, status: u16, reader: &mut Reader, at: Arrival) -> Result<(), Failure> {
    let had_come = answer.said.finish_reason.is_some() && answer.said.error.is_none();
    reader.finish(answer, at);
    if had_come && answer.said.error.take_if(|error| error.kind == FailureKind::Protocol).is_some() {
        // Half an event after the end: a cut of a body whose length nobody told.
        answer.said.warnings.insert("cut_after_the_end");
    }
    if answer.said.error.is_none() { judge(answer, status, reader) } else { Ok(()) }
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
    let told_anything = answer.said.finish_reason.is_some() || answer.said.usage.is_some() || answer.said.rest_stats.is_some();
    if answer.chunks.is_empty() && !told_anything {
        let what = if reader.form == Form::Whole { failure_of(status, &raw).message } else { "no text".into() };
        return failed(FailureKind::Protocol, format!("status {status} with an answer that holds nothing: {what}"));
    }
    if !answer.ended && !answer.ending && answer.said.finish_reason.is_none() {
        return failed(FailureKind::Truncated, "the stream stopped without an end".into());
    }
    Ok(())
}

/// The failure of a request that is not waited for any longer.
pub fn cancelled() -> Failure {
    let message = "cancelled before its end".into();
    Failure { kind: FailureKind::Cancelled, status: None, message, retryable: true }
}

fn too_large(status: Option<u16>, limits: Limits) -> Failure {
    let message =
        format!("the answer is larger than {} bytes: --max-answer-bytes sets the limit", limits.text_bytes);
    Failure { kind: FailureKind::TooLarge, status, message, retryable: false }
}

/// The failure of a request that took too long.
pub fn late(deadline: Instant, limits: Limits, when: &str) -> Failure {
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
