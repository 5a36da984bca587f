//! Classifies transport errors: a connection that closed, or bytes that are not HTTP.

use super::failure::io_failure;
use crate::record::{Failure, FailureKind};
use std::io;

/// The failure of a request that got no response.
pub fn no_response(error: &io::Error) -> Failure {
    let what = if is_malformed(error) { MALFORMED } else { "the server closed the connection without an answer" };
    io_failure(FailureKind::Protocol, what, error)
}

/// The failure of a response that was interrupted.
pub fn interrupted(error: &io::Error) -> Failure {
    if is_malformed(error) {
        return io_failure(FailureKind::Protocol, MALFORMED, error);
    }
    io_failure(FailureKind::Truncated, "the connection broke in the middle of the answer", error)
}

const MALFORMED: &str = "what the server answered is not HTTP that can be read";

fn is_malformed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}
