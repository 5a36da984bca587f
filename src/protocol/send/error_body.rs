//! The body of an error status. The status is the result whatever follows, so a body that stalls, breaks off or never ends is read as
//! far as it arrived.

use super::limits::Limits;
use super::request::HttpRequest;
use super::response::Response;
use crate::clock;
use crate::http::{Connection, ReadStamp, failure_of, wait_in_body};
use crate::record::Failure;
use serde_json::Value;
use std::future::poll_fn;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long it is read at most, and how many bytes of it.
const MAX_TIME: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 64 << 10;

/// Reads the body of an error status and makes a failure of it.
pub async fn read(
    connection: &mut Connection,
    request: &HttpRequest,
    (limits, deadline): (Limits, Instant),
    response: &mut Response,
) -> Failure {
    let (mut body, mut last) = (Vec::new(), connection.last_read());
    let (deadline, most) = (deadline.min(Instant::now() + MAX_TIME), MAX_BYTES.min(limits.text_bytes));
    let mut ended = false;
    // The clock is checked with each piece: a future that is always ready, as of a server that floods, never times out by itself.
    while Instant::now() < deadline {
        let mut take = |read: ReadStamp, bytes: &[u8]| {
            response.reads += u64::from(read.number != last.number);
            last = read;
            body.extend_from_slice(bytes);
        };
        let piece = poll_fn(|cx| connection.poll_body(cx, &mut take));
        let more = timeout_at(deadline.min(Instant::now() + limits.idle), piece).await;
        match more {
            Ok(Ok(true)) if body.len() <= most => {}
            Ok(Ok(false)) if body.len() <= most => {
                ended = true;
                break;
            }
            _ => break,
        }
    }
    response.end_ns = if ended { last.ns } else { clock::mono_ns() };
    body.truncate(most);
    let text = String::from_utf8_lossy(&body);
    if let Ok(json) = serde_json::from_str::<Value>(text.trim()) {
        response.retry_after = response.retry_after.or_else(|| wait_in_body(&json, clock::wall()));
        response.answer.metadata.openrouter_metadata =
            json.get("openrouter_metadata").filter(|value| value.is_object()).cloned();
    }
    // Before it is shortened: the rest of a key that was cut would not be found.
    let text = request.key.as_ref().map_or_else(|| text.to_string(), |key| key.redact(&text));
    failure_of(response.status.unwrap_or_default(), &text)
}
