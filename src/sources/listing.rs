//! Requests and fields that the listings of several kinds of server share.
//!
//! A listing is accepted by the shape of its body, never by its status alone: LM Studio answers 200 to nearly anything.
//! Nothing here loads a model or asks it a question.

use crate::http::Api;
use crate::record::{Failure, FailureKind};
use serde_json::Value;
use std::time::Duration;

/// How long a listing may take.
pub const LISTING_LIMIT: Duration = Duration::from_secs(30);

/// How long a question may take whose answer is only nice to have.
pub const EXTRA_LIMIT: Duration = Duration::from_secs(5);

/// GETs `path` and hands out its body when it is JSON with `list` in it; `None` when the server has no such listing.
pub async fn listing(api: &Api, path: &str, list: &str) -> Result<Option<Value>, Failure> {
    let reply = api.get(path, LISTING_LIMIT).await?;
    // A server that fails, or refuses, has the listing and does not give it: that is no reason to try an older one.
    if matches!(reply.status, 401 | 403 | 429 | 500 | 502..=599) {
        return reply.success().map(Some);
    }
    Ok(reply.json().filter(|body| body.get(list).is_some_and(Value::is_array)))
}

pub fn no_listing(api: &Api, what: &str) -> Failure {
    Failure {
        kind: FailureKind::Protocol,
        message: format!("{}: answers, but not with {what}: is this the right server?", crate::http::shown(api.base())),
        retryable: false,
        ..Failure::default()
    }
}

pub fn items<'a>(body: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    body.get(list).and_then(Value::as_array).into_iter().flatten()
}

pub fn text(item: &Value, path: &str) -> Option<String> {
    item.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

pub fn number(item: &Value, path: &str) -> Option<u64> {
    // A size or a length is a whole number that a double holds; anything else is ignored.
    let found = item.pointer(path)?.as_f64()?;
    ((0.0..9e15).contains(&found) && found.fract() == 0.0).then_some(found as u64)
}
