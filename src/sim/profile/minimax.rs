//! MiniMax: reasoning inside the content unless it is split off, a role on every chunk, many tokens per chunk, usage
//! always, no `[DONE]`, and errors that say 200.

use super::completions::{self, BASE, Completions, Reasoning, Role};
use super::{Sim, answer, describe, ok, openai};
use crate::sim::ask::Refusal;
use crate::sim::serve::Call;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use std::sync::Arc;

/// MiniMax sends few, large chunks.
pub const TOKENS_PER_CHUNK: u32 = 5;

const API: Completions = Completions {
    id: |id, _| format!("06{id}"),
    role: Role::Every,
    reasoning: Reasoning::Inline,
    usage_always: true,
    usage_null: true,
    done: false,
    finish_with_text: true,
    envelope: |_, chunk| {
        for kind in ["input_sensitive", "output_sensitive"] {
            chunk.insert(kind.into(), false.into());
        }
        for kind in ["input_sensitive_type", "output_sensitive_type", "output_sensitive_int"] {
            chunk.insert(kind.into(), 0.into());
        }
    },
    delta: |delta| {
        delta.insert("name".into(), "MiniMax AI".into());
        delta.insert("audio_content".into(), "".into());
    },
    usage: |turn, sent| {
        let mut usage = completions::usage(sent);
        let (reasoning, answer) = turn.parts();
        usage["total_characters"] = (reasoning.chars().count() + answer.chars().count()).into();
        usage
    },
    last: |_, chunk| {
        chunk.insert("base_resp".into(), json!({"status_code": 0, "status_msg": ""}));
    },
    failing: |turn| {
        let error = json!({
            "id": turn.id, "object": "chat.completion.chunk", "created": turn.created, "model": turn.served,
            "choices": null, "base_resp": {"status_code": 1013, "status_msg": describe(&Refusal::Internal)},
        });
        format!("data: {error}\n\n").into_bytes()
    },
    refuse,
    ..BASE
};

pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat))
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found").into_response() })
}

/// Some errors are a status and `error`, others are a 200 with `base_resp`.
pub fn refuse(refusal: &Refusal) -> Response {
    let message = describe(refusal);
    let failed = |status: StatusCode, kind: &str, code: u32| {
        let error = json!({
            "type": kind, "message": format!("{message} ({code})"), "http_code": status.as_str(),
        });
        answer(status, &json!({"type": "error", "error": error, "request_id": "llm-sim"}))
    };
    let said = |code: u32| -> Value {
        json!({"id": "", "choices": null, "created": 0, "model": "", "object": "", "usage": null,
               "base_resp": {"status_code": code, "status_msg": message}})
    };
    match refusal {
        Refusal::Key => failed(StatusCode::UNAUTHORIZED, "authorized_error", 2049),
        Refusal::RateLimit => failed(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", 1002),
        Refusal::Internal | Refusal::Load(_) | Refusal::Loading => {
            failed(StatusCode::INTERNAL_SERVER_ERROR, "api_error", 1013)
        }
        Refusal::Model(_) | Refusal::NotChat(_) | Refusal::NoEndpoint(_) => ok(&said(2061)),
        Refusal::NotJson(_) | Refusal::Parameter(..) | Refusal::UnknownKeys(_) => {
            failed(StatusCode::BAD_REQUEST, "bad_request_error", 2013)
        }
    }
}

async fn models(State(sim): State<Arc<Sim>>) -> Response {
    ok(&openai::list(&sim, |_| "minimax".into()))
}

async fn chat(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    completions::handle(sim, call, body, &API).await
}
