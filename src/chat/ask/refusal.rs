//! The body of an error status: it says what to mend, in a line. The status itself is what was answered, so a body that stalls,
//! breaks off, or goes on and on is told as far as it came.

use super::{Call, Limits, Told};
use crate::clock;
use crate::http::wire::{Connection, Read};
use crate::http::{failure_of, wait_asked};
use crate::record::Failure;
use serde_json::Value;
use std::future::poll_fn;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long it is read, and how much of it.
const TIME: Duration = Duration::from_secs(5);
const BYTES: usize = 64 << 10;

/// Reads what an error status says, and makes a failure of it.
pub async fn refused(
    connection: &mut Connection,
    call: &Call,
    deadline: Instant,
    limits: Limits,
    told: &mut Told,
) -> Failure {
    let (mut said, mut last) = (Vec::new(), connection.last_read());
    let (deadline, most) = (deadline.min(Instant::now() + TIME), BYTES.min(limits.text_bytes));
    let mut ended = false;
    // The time is looked at with each piece: what is always ready, as from a server that floods, is never too late by itself.
    while Instant::now() < deadline {
        let mut take = |read: Read, bytes: &[u8]| {
            told.reads += u64::from(read.number != last.number);
            last = read;
            said.extend_from_slice(bytes);
        };
        let piece = poll_fn(|cx| connection.poll_piece(cx, &mut take));
        let more = timeout_at(deadline.min(Instant::now() + limits.idle), piece).await;
        match more {
            Ok(Ok(true)) if said.len() <= most => {}
            Ok(Ok(false)) if said.len() <= most => {
                ended = true;
                break;
            }
            _ => break,
        }
    }
    told.end_ns = if ended { last.ns } else { clock::mono_ns() };
    said.truncate(most);
    let said = String::from_utf8_lossy(&said);
    if let Ok(body) = serde_json::from_str::<Value>(said.trim()) {
        told.retry_after = told.retry_after.or_else(|| wait_asked(&body, None, clock::wall()));
        told.answer.said.openrouter_metadata = body.get("openrouter_metadata").filter(|said| said.is_object()).cloned();
    }
    // Before it is shortened: of a key that was cut, the rest would not be found.
    let said = call.key.as_ref().map_or_else(|| said.to_string(), |key| key.redact(&said));
    failure_of(told.status.unwrap_or_default(), &said)
}
