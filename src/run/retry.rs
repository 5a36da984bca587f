//! What follows an attempt: pure over the attempt and its response.

use crate::protocol::{Response, endpoint_missing, limit_refused};
use crate::record::FailureKind;
use std::time::Duration;

/// The shortest wait before a request is sent again, whatever a server asks for.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);

/// The longest `Retry-After` that is obeyed; a longer one ends the request.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing: its response is the request's.
    Finish,
    /// The same request in the server's next protocol.
    NextProtocol,
    /// The same request with its token limit as `max_completion_tokens`.
    RenameLimit,
    /// The same request after a time.
    RetryAfter(Duration),
}

/// An attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// The number of attempts before it.
    pub number: u32,
    /// The place of the next wait between the shortest and the longest possible one, from 0 to 1: drawn
    /// anew for each attempt, so that requests and runs that failed together do not return together.
    pub jitter: f64,
    /// Whether the server has another protocol.
    pub other_protocol: bool,
    /// Whether the limit was sent as `max_completion_tokens`.
    pub limit_renamed: bool,
    /// Whether the run is to send no more.
    pub shutdown: bool,
}

/// What follows an attempt, where failures are retried `retries` times.
pub fn next_step(response: &Response, attempt: Attempt, retries: u32) -> NextStep {
    if attempt.other_protocol && endpoint_missing(response) {
        return NextStep::NextProtocol;
    }
    if attempt.shutdown {
        return NextStep::Finish;
    }
    if !attempt.limit_renamed && limit_refused(response) {
        // OpenAI's reasoning models, wherever they are served, name the limit they accept.
        return NextStep::RenameLimit;
    }
    wait_before_retry(response, attempt.number, retries, attempt.jitter).map_or(NextStep::Finish, NextStep::RetryAfter)
}

/// How long to wait before the request is sent again; `None` when it is not to be. It may be repeated
/// when no part of an answer came and the failure is temporary (408, 429, 5xx, no connection).
fn wait_before_retry(response: &Response, attempts: u32, retries: u32, jitter: f64) -> Option<Duration> {
    let error = response.error.as_ref()?;
    let temporary = match error.kind {
        FailureKind::Connect | FailureKind::RateLimit | FailureKind::Server => error.retryable,
        // Our own timeout has no status; a 408 is the server's, as a status or inside a 200.
        FailureKind::Timeout => error.status.is_some() && error.retryable,
        _ => false,
    };
    if !temporary || !response.answer.chunks.is_empty() || attempts >= retries {
        return None;
    }
    // Half to all of 1, 2, 4 … seconds, or the requested time and up to a tenth more.
    let backoff = Duration::from_secs_f64(2f64.powi(attempts.min(6) as i32) * (0.5 + jitter / 2.0));
    match response.retry_after {
        None => Some(backoff),
        Some(requested) if requested > LONGEST_WAIT => None,
        Some(requested) => Some(requested.mul_f64(1.0 + jitter / 10.0).max(SHORTEST_WAIT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Arrival, StreamedAnswer};
    use crate::record::Failure;

    fn response(kind: FailureKind, status: Option<u16>, retryable: bool) -> Response {
        Response {
            start: None,
            connect_seconds: None,
            headers_ns: None,
            end_ns: 0,
            status,
            answer: StreamedAnswer::default(),
            reads: 0,
            error: Some(Failure { kind, status, message: "x".into(), retryable, ..Failure::default() }),
            retry_after: None,
        }
    }

    #[test]
    fn only_temporary_failures_are_retried() {
        for (kind, status, retryable, expect) in [
            (FailureKind::RateLimit, Some(429), true, true),
            (FailureKind::Server, Some(503), true, true),
            (FailureKind::Timeout, Some(408), true, true),
            (FailureKind::Timeout, Some(200), true, true),
            (FailureKind::Server, Some(503), false, false),
            (FailureKind::Refused, Some(402), false, false),
            (FailureKind::Connect, None, true, true),
            (FailureKind::Timeout, None, true, false),
            (FailureKind::IdleTimeout, None, true, false),
            (FailureKind::Refused, Some(429), false, false),
            (FailureKind::Refused, Some(401), false, false),
            (FailureKind::Truncated, None, true, false),
        ] {
            assert_eq!(
                wait_before_retry(&response(kind, status, retryable), 0, 2, 0.5).is_some(),
                expect,
                "{kind:?} {status:?}"
            );
        }
        assert_eq!(wait_before_retry(&response(FailureKind::RateLimit, Some(429), true), 2, 2, 0.5), None);
        let mut started = response(FailureKind::Server, Some(200), true);
        started.answer.event(Arrival::default());
        started.answer.content(Arrival::default(), "a");
        assert_eq!(wait_before_retry(&started, 0, 2, 0.5), None);
    }

    #[test]
    fn retry_after_is_obeyed_up_to_a_limit() {
        let mut limited = response(FailureKind::RateLimit, Some(429), true);
        limited.retry_after = Some(Duration::from_secs(7));
        for (jitter, seconds) in [(0.0, 7.0), (0.5, 7.35), (1.0, 7.7)] {
            let wait = wait_before_retry(&limited, 0, 2, jitter).unwrap();
            assert!((wait.as_secs_f64() - seconds).abs() < 1e-6, "{wait:?}");
        }
        limited.retry_after = Some(Duration::from_secs(3600));
        assert_eq!(wait_before_retry(&limited, 0, 2, 0.5), None);
        for (attempts, jitter, seconds) in [(0, 0.0, 0.5), (1, 0.0, 1.0), (1, 1.0, 2.0), (9, 1.0, 64.0)] {
            let wait =
                wait_before_retry(&response(FailureKind::Server, Some(500), true), attempts, 10, jitter).unwrap();
            assert!((wait.as_secs_f64() - seconds).abs() < 1e-6, "{attempts} {jitter}: {wait:?}");
        }
    }

    #[test]
    fn a_shutdown_ends_retries_and_not_the_fallback() {
        let missing = response(FailureKind::Refused, Some(404), false);
        let attempt = Attempt { number: 0, jitter: 0.5, other_protocol: false, limit_renamed: true, shutdown: false };
        let limited = response(FailureKind::RateLimit, Some(429), true);
        assert!(matches!(next_step(&limited, attempt, 2), NextStep::RetryAfter(_)));
        assert_eq!(next_step(&limited, Attempt { shutdown: true, ..attempt }, 2), NextStep::Finish);
        assert_eq!(next_step(&limited, attempt, 0), NextStep::Finish);
        let fallback = Attempt { shutdown: true, other_protocol: true, ..attempt };
        assert_eq!(next_step(&missing, fallback, 2), NextStep::NextProtocol);
        assert_eq!(next_step(&missing, attempt, 2), NextStep::Finish);
    }
}
