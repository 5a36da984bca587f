//! Failures after which the same request may be sent in another form.

use super::send::Response;
use crate::record::FailureKind;

/// Whether a failure says that the server does not have this endpoint, so that an older API may be tried.
pub fn endpoint_missing(response: &Response) -> bool {
    let Some(error) = &response.error else { return false };
    let nothing_came = response.answer.chunks.is_empty();
    let lmstudio = error.message.starts_with("Unexpected endpoint");
    let plain = matches!(response.status, Some(404 | 405 | 501)) && !error.message.to_lowercase().contains("model");
    let kind = matches!(error.kind, FailureKind::Refused | FailureKind::Server | FailureKind::Protocol);
    nothing_came && kind && (lmstudio || plain)
}

/// Whether a failure says that the limit of tokens has a newer name for this model.
pub fn limit_refused(response: &Response) -> bool {
    let names = |message: &str| message.contains("max_tokens") && message.contains("max_completion_tokens");
    matches!(response.status, Some(400 | 422)) && response.error.as_ref().is_some_and(|error| names(&error.message))
}
