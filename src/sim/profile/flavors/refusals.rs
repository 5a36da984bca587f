//! How each server says no, in the status and the words of its recordings.

use super::super::{answer, describe};
use crate::sim::ask::Refusal;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// llama.cpp: `error` with the status as its code; a prompt that is too long with both lengths.
pub fn llama_cpp(refusal: &Refusal) -> Response {
    let (status, kind) = match refusal {
        Refusal::TooLong { .. } => (StatusCode::BAD_REQUEST, "exceed_context_size_error"),
        Refusal::Loading => (StatusCode::SERVICE_UNAVAILABLE, "unavailable_error"),
        Refusal::Key => (StatusCode::UNAUTHORIZED, "authentication_error"),
        Refusal::Internal | Refusal::Load(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        Refusal::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "server_error"),
        _ => (StatusCode::BAD_REQUEST, "invalid_request_error"),
    };
    let mut error = json!({"code": status.as_u16(), "message": describe(refusal), "type": kind});
    if let Refusal::TooLong { tokens, context } = refusal {
        error["n_prompt_tokens"] = (*tokens).into();
        error["n_ctx"] = (*context).into();
    }
    answer(status, &json!({"error": error}))
}

/// vLLM: a nested error whose code is the status as a number.
pub fn vllm(refusal: &Refusal) -> Response {
    let (status, kind) = status_of(refusal, StatusCode::NOT_FOUND);
    let error = json!({"message": describe(refusal), "type": kind, "param": null, "code": status.as_u16()});
    answer(status, &json!({"error": error}))
}

/// SGLang: the same, flat.
pub fn sglang(refusal: &Refusal) -> Response {
    let (status, _) = status_of(refusal, StatusCode::NOT_FOUND);
    answer(status, &flat(describe(refusal), status.as_u16()))
}

/// SGLang, in a stream: the flat error under `error`.
pub fn sglang_in_stream() -> Vec<u8> {
    let error = json!({"error": flat(describe(&Refusal::Internal), 500)});
    format!("data: {error}\n\ndata: [DONE]\n\n").into_bytes()
}

fn flat(message: String, code: u16) -> Value {
    let kind = if code >= 500 { "InternalServerError" } else { "BadRequestError" };
    json!({"object": "error", "message": message, "type": kind, "param": null, "code": code})
}

/// TGI: a sentence and its kind.
pub fn tgi(refusal: &Refusal) -> Response {
    let (status, kind) = match refusal {
        Refusal::RateLimit | Refusal::Loading => (StatusCode::TOO_MANY_REQUESTS, "overloaded"),
        Refusal::Internal | Refusal::Load(_) => (StatusCode::FAILED_DEPENDENCY, "generation"),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "validation"),
    };
    answer(status, &json!({"error": describe(refusal), "error_type": kind}))
}

/// mlx-lm: a sentence.
pub fn mlx(refusal: &Refusal) -> Response {
    answer(status_of(refusal, StatusCode::NOT_FOUND).0, &json!({"error": describe(refusal)}))
}

/// LiteLLM: codes are text, and a rate limit does not say when to come again.
pub fn litellm(refusal: &Refusal) -> Response {
    let (status, kind) = status_of(refusal, StatusCode::BAD_REQUEST);
    let code = status.as_u16().to_string();
    let error = json!({"message": describe(refusal), "type": kind, "param": null, "code": code});
    let mut response = answer(status, &json!({"error": error}));
    response.headers_mut().remove(header::RETRY_AFTER);
    response
}

/// mistral.rs: a message; 500 for an unknown model.
pub fn mistral_rs(refusal: &Refusal) -> Response {
    answer(status_of(refusal, StatusCode::INTERNAL_SERVER_ERROR).0, &json!({"message": describe(refusal)}))
}

/// transformers: FastAPI's `detail`; a failure within is bare text.
pub fn transformers(refusal: &Refusal) -> Response {
    let status = status_of(refusal, StatusCode::BAD_REQUEST).0;
    if status.is_server_error() {
        return (status, "Internal Server Error").into_response();
    }
    answer(status, &json!({"detail": describe(refusal)}))
}

fn status_of(refusal: &Refusal, unknown_model: StatusCode) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::Key => (StatusCode::UNAUTHORIZED, "AuthenticationError"),
        Refusal::Model(_) | Refusal::NoEndpoint(_) => (unknown_model, "NotFoundError"),
        Refusal::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "throttling_error"),
        Refusal::Loading => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableError"),
        Refusal::Internal | Refusal::Load(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        _ => (StatusCode::BAD_REQUEST, "BadRequestError"),
    }
}
