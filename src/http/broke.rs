//! What became of an exchange that did not come to its end, in the words of whom it is due to: the connection, the stream, the
//! server that took nothing of it, or bytes that are no HTTP.
//!
//! With HTTP/2, hyper's errors say only that the exchange failed. What lies beneath them (an error of HTTP/2, of the form, of the socket) says why.

use super::io_failure;
use crate::record::{Failure, FailureKind};
use std::error::Error;
use std::io;

/// What broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broke {
    /// The server said that it did nothing with the request, or the request was never written: it may be sent again
    /// (RFC 9113, sections 6.8 and 8.7).
    Unprocessed,
    /// One stream of a connection that carries others on.
    Stream,
    /// Nothing but our reading: what came is not HTTP that can be read.
    Form,
    /// The connection.
    Connection,
}

impl Broke {
    /// Looks for it among the causes of an error.
    pub fn of(why: &io::Error) -> Self {
        if malformed(why) {
            return Self::Form;
        }
        for error in causes(why) {
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                if error.is_canceled() {
                    return Self::Unprocessed;
                }
                if error.is_parse() {
                    return Self::Form;
                }
            }
            if let Some(error) = error.downcast_ref::<h2::Error>() {
                return Self::of_http2(error);
            }
            if error.downcast_ref::<io::Error>().is_some_and(malformed) {
                return Self::Form;
            }
        }
        Self::Connection
    }

    fn of_http2(error: &h2::Error) -> Self {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        // A GOAWAY ends only the streams above the last one that the server will answer.
        if error.is_remote() && (error.is_go_away() || refused) {
            Self::Unprocessed
        } else if error.is_remote() {
            Self::Stream
        } else if error.is_library() {
            Self::Form
        } else {
            Self::Connection
        }
    }
}

/// The failure of a request that got no answer.
pub fn unanswered(why: &io::Error) -> Failure {
    let what = match Broke::of(why) {
        // Why the last one was not taken is not told: where the reason is that there is none, its text speaks of no error.
        Broke::Unprocessed if !is_http1(why) => return failure("the server did not take the request".to_owned()),
        Broke::Unprocessed | Broke::Connection => "the server closed the connection without an answer",
        Broke::Stream if without_reason(why) => return failure("the stream broke before any answer".to_owned()),
        Broke::Stream => "the stream broke before any answer",
        Broke::Form => "what the server answered is not HTTP that can be read",
    };
    io_failure(FailureKind::Protocol, what, why)
}

/// The failure of an answer that broke off.
pub fn broken_off(why: &io::Error) -> Failure {
    let (kind, what) = match Broke::of(why) {
        Broke::Unprocessed | Broke::Stream => (FailureKind::Truncated, "the stream broke in the middle of the answer"),
        Broke::Form => (FailureKind::Protocol, "what the server answered is not HTTP that can be read"),
        Broke::Connection => (FailureKind::Truncated, "the connection broke in the middle of the answer"),
    };
    if without_reason(why) {
        return Failure { kind, ..failure(what.to_owned()) };
    }
    io_failure(kind, what, why)
}

fn failure(message: String) -> Failure {
    Failure { kind: FailureKind::Protocol, status: None, message, retryable: true }
}

fn malformed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}

/// What lies beneath an error, one cause beneath the other.
fn causes(why: &io::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: Option<&(dyn Error + 'static)> = why.get_ref().map(|error| error as _);
    std::iter::successors(first, |error: &&(dyn Error + 'static)| (*error).source())
}

/// The error of HTTP/2 beneath an error.
fn http2(why: &io::Error) -> Option<&h2::Error> {
    causes(why).find_map(|error| error.downcast_ref())
}

fn is_http1(why: &io::Error) -> bool {
    http2(why).is_none()
}

/// Whether the server gave none.
fn without_reason(why: &io::Error) -> bool {
    http2(why).and_then(h2::Error::reason) == Some(h2::Reason::NO_ERROR)
}
