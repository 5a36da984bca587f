//! What OpenRouter says when it does not answer: its own limit, an empty balance, moderation, nobody there to serve. The
//! shapes are those of its documentation, old and new.

use super::openrouter::{PROVIDERS, id, other};
use super::{answer, describe};
use crate::clock;
use crate::sim::ask::Refusal;
use crate::sim::chat::Request;
use crate::sim::faults::Kind;
use crate::sim::truth::wire_id;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// How long a refusal asks to wait, in seconds.
const WAIT_SECONDS: u64 = 1;

/// The answer of a fault of OpenRouter's own; `None` when the request has none.
pub fn at_once(request: &Request) -> Option<Response> {
    let has = |kind| request.faults.has(kind);
    let (model, ask) = (&request.model.id, &request.ask);
    let user = |status: StatusCode, mut error: Value| {
        let mut body = json!({"error": error.take(), "user_id": "user_sim"});
        if ask.metadata {
            body["openrouter_metadata"] = refused_metadata(request, status);
        }
        answer(status, &body)
    };
    if has(Kind::NoCredit) {
        let tokens = ask.limit.unwrap_or(65_536);
        let message = format!(
            "This request requires more credits, or fewer max_tokens. You requested up to {tokens} tokens, but can only \
             afford 12. To increase, visit https://openrouter.ai/settings/credits and add more credits"
        );
        return Some(user(StatusCode::PAYMENT_REQUIRED, json!({"message": message, "code": 402})));
    }
    if has(Kind::Moderation) {
        let name = PROVIDERS[request.provider].0;
        let message = format!(
            "{model} requires moderation on {name}. Your input was flagged for \"simulated\". No credits were charged."
        );
        let metadata = json!({
            "reasons": ["simulated"], "flagged_input": ask.prompt, "provider_name": name, "model_slug": model,
        });
        return Some(user(StatusCode::FORBIDDEN, json!({"message": message, "code": 403, "metadata": metadata})));
    }
    if has(Kind::OwnRateLimit) {
        let reset = ((clock::wall() + WAIT_SECONDS as f64) * 1e3).ceil().to_string();
        let error = json!({
            "message": "Rate limit exceeded: free-models-per-min.", "code": 429,
            "metadata": {
                "headers": {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset},
                "provider_name": null,
            },
        });
        let mut response = user(StatusCode::TOO_MANY_REQUESTS, error);
        let headers = response.headers_mut();
        headers.remove(header::RETRY_AFTER);
        for (name, value) in
            [("x-ratelimit-limit", "20"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)]
        {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        return Some(response);
    }
    if has(Kind::Unavailable) {
        let error = json!({
            "message": format!("{model} is temporarily unavailable (simulated)"), "error_type": "provider_overloaded",
            "http_status": 503,
            "availability": {
                "code": "temporarily_unavailable", "retryable": true, "requested_models": [model],
                "docs_url": "https://openrouter.ai/docs", "retry_after": WAIT_SECONDS,
            },
            "metadata": {"previous_errors": [
                {"provider": PROVIDERS[0].0, "code": "overloaded", "status": 529},
                {"provider": PROVIDERS[1].0, "code": "timeout", "status": 504},
            ]},
        });
        return Some(user(StatusCode::SERVICE_UNAVAILABLE, error));
    }
    if has(Kind::NoEndpoints) {
        let error = json!({
            "message": format!("No endpoints found for {model} (simulated)"), "error_type": "not_found", "http_status": 404,
            "availability": {
                "code": "constraint_filtered", "retryable": false, "requested_models": [model],
                "docs_url": "https://openrouter.ai/docs",
                "constraint": {"field": "provider.only", "detail": "no provider is left"},
            },
        });
        return Some(user(StatusCode::NOT_FOUND, error));
    }
    has(Kind::ErrorBeforeToken).then(|| error_before_token(request))
}

/// The 200 was out when the provider failed: the error comes inside the answer.
fn error_before_token(request: &Request) -> Response {
    let created = request.call.arrival.ts as u64;
    let id = id(&wire_id(request.sim.settings.seed, request.number, 24), created);
    let mut body = json!({
        "id": id, "created": created, "model": request.model.id, "provider": PROVIDERS[request.provider].0,
    });
    if request.ask.stream {
        body["object"] = "chat.completion.chunk".into();
        body["error"] = json!({
            "code": "server_error", "message": "Provider disconnected",
            "metadata": {"error_type": "provider_unavailable"},
        });
        body["choices"] = json!([{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]);
        let stream = format!(": OPENROUTER PROCESSING\n\ndata: {body}\n\n");
        return ([(header::CONTENT_TYPE, "text/event-stream")], stream).into_response();
    }
    body["object"] = "chat.completion".into();
    body["choices"] = json!([{
        "index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "error",
        "error": {"code": 502, "message": "Provider disconnected"},
    }]);
    answer(StatusCode::OK, &body)
}

fn refused_metadata(request: &Request, status: StatusCode) -> Value {
    json!({
        "requested": request.ask.model, "strategy": "direct", "region": "sim", "attempt": 1, "is_byok": false,
        "summary": describe(&Refusal::NoEndpoint(request.model.id.clone())),
        "attempts": [{
            "provider": PROVIDERS[request.provider].0, "model": request.model.id, "status": status.as_u16(),
        }],
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
