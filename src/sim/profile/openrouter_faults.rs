//! What only OpenRouter does when it does not answer, or not at once: its own limit of the rate, and how it tells of the providers
//! that it tried. Its other refusals are recorded in `testdata/servers/openrouter`.

use super::answer;
use super::openrouter::{PROVIDERS, other};
use crate::clock;
use crate::sim::chat::Request;
use crate::sim::faults::Kind;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// How long a refusal asks to wait, in seconds.
const WAIT_SECONDS: u64 = 1;

/// The answer of a fault of OpenRouter's own; `None` when the request has none.
pub fn at_once(request: &Request) -> Option<Response> {
    request.faults.has(Kind::OwnRateLimit).then(|| {
        let reset = ((clock::wall() + WAIT_SECONDS as f64) * 1e3).ceil().to_string();
        let limits = [("X-RateLimit-Limit", "20"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", &*reset)];
        let copy: Value = limits.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let error = json!({
            "message": "Rate limit exceeded: free-models-per-min.", "code": 429,
            "metadata": {"headers": copy, "provider_name": null},
        });
        let mut body = json!({"error": error, "user_id": "user_sim"});
        if request.ask.metadata {
            let (name, model) = (PROVIDERS[request.provider].0, &request.model.id);
            body["openrouter_metadata"] = json!({
                "requested": request.ask.model, "strategy": "direct", "region": "sim", "attempt": 1, "is_byok": false,
                "attempts": [{"provider": name, "model": model, "status": 429}],
            });
        }
        let mut response = answer(StatusCode::TOO_MANY_REQUESTS, &body);
        let headers = response.headers_mut();
        headers.remove(header::RETRY_AFTER);
        for (name, value) in limits {
            if let (Ok(name), Ok(value)) = (name.to_lowercase().parse::<HeaderName>(), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        response
    })
}

/// How a request was routed.
pub fn metadata(asked: &str, model: &str, provider: usize, failed_over: bool) -> Value {
    let attempt =
        |provider: usize, status: u16| json!({"provider": PROVIDERS[provider].0, "model": model, "status": status});
    let mut attempts = vec![attempt(provider, 200)];
    if failed_over {
        attempts.insert(0, attempt(other(provider), 503));
    }
    let available: Vec<Value> = PROVIDERS
        .iter()
        .enumerate()
        .map(|(n, known)| json!({"provider": known.0, "model": model, "selected": n == provider}))
        .collect();
    json!({
        "requested": asked, "strategy": "direct", "region": "sim", "summary": format!("available={}", PROVIDERS.len()),
        "attempt": attempts.len(), "is_byok": false,
        "endpoints": {"total": PROVIDERS.len(), "available": available}, "attempts": attempts,
    })
}
