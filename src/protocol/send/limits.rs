//! How long a request may take and how large its response may be, and the failures of passing that.

use crate::record::{Failure, FailureKind};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The limits of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Opening a connection.
    pub connect: Duration,
    /// Between two pieces of the response, and before the first. Comments and white space are no pieces.
    pub idle: Duration,
    /// The whole request.
    pub total: Duration,
    /// The most text of a response, in bytes.
    pub text_bytes: usize,
}

impl Limits {
    /// The failure of a request that took too long, `when` in its course.
    pub fn timed_out(&self, deadline: Instant, when: &str) -> Failure {
        let (kind, message) = if Instant::now() >= deadline {
            (FailureKind::Timeout, format!("no end within {:?} ({when}): --timeout sets the limit", self.total))
        } else {
            let message = format!("nothing came for {:?} ({when}): --idle-timeout sets the limit", self.idle);
            (FailureKind::IdleTimeout, message)
        };
        Failure { kind, message, retryable: true, ..Failure::default() }
    }

    /// The failure of a response with too much text.
    pub fn too_large(&self, status: u16) -> Failure {
        let message = format!("the answer is larger than {} bytes: --max-answer-bytes sets the limit", self.text_bytes);
        Failure { kind: FailureKind::TooLarge, status: Some(status), message, retryable: false, ..Failure::default() }
    }
}

/// What cancels an exchange.
#[derive(Debug, Clone)]
pub struct Cancellation {
    /// Cancels it until the request is written.
    pub before_sent: CancellationToken,
    /// Cancels it afterwards.
    pub after_sent: CancellationToken,
}

/// The failure of a request that was cancelled.
pub fn cancelled() -> Failure {
    let message = "cancelled before its end".into();
    Failure { kind: FailureKind::Cancelled, message, retryable: true, ..Failure::default() }
}
