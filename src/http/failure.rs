//! Failures of a connection or a transfer, in one line each.

use crate::record::{Failure, FailureKind};

/// The failure of a connection or a transfer. Of a chain of causes the deepest is named: it says what to repair.
pub fn io_failure(kind: FailureKind, what: &str, error: &dyn std::error::Error) -> Failure {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let retryable = !matches!(kind, FailureKind::TooLarge | FailureKind::Cancelled);
    Failure { kind, message: short(&format!("{what}: {deepest}")), retryable, ..Failure::default() }
}

/// The first 500 characters, on one line.
pub(super) fn short(text: &str) -> String {
    let mut line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(501).collect();
    if line.chars().count() > 500 {
        line.pop();
        line.push('…');
    }
    line
}
