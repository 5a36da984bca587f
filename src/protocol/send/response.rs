//! The result of one request.

use crate::clock::Stamp;
use crate::protocol::answer::StreamedAnswer;
use crate::record::Failure;
use std::time::Duration;

/// The result of one request.
#[derive(Debug, Default)]
pub struct Response {
    /// When it was written; `None` when no connection could be opened.
    pub start: Option<Stamp>,
    /// How long opening the connection took, in seconds, where a fresh one was opened.
    pub connect_seconds: Option<f64>,
    /// The response's headers, in monotonic nanoseconds.
    pub headers_ns: Option<u64>,
    /// The end of the response, or of the attempt, in monotonic nanoseconds.
    pub end_ns: u64,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What the model answered.
    pub answer: StreamedAnswer,
    /// How many reads of the socket brought the response, from the one that completed its head.
    pub reads: u64,
    /// Why it failed.
    pub error: Option<Failure>,
    /// How long the server asks to wait before the next try.
    pub retry_after: Option<Duration>,
}
