//! A plain OpenAI-compatible server.

use super::completions::{self, BASE, Completions};
use super::{Sim, answer, ok};
use crate::sim::Count;
use crate::sim::ask::{Ask, Refusal, text_of};
use crate::sim::serve::Call;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use std::sync::Arc;

const API: Completions = Completions {
    usage_null: true,
    envelope: |_, chunk| drop(chunk.insert("system_fingerprint".into(), "fp_llm_sim".into())),
    ..BASE
};

pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/chat/completions/input_tokens", post(input_tokens))
        .route("/tokenize", post(tokenize))
        .route("/health", get(health))
        .fallback(|| async { not_found() })
}

pub fn refuse(refusal: &Refusal) -> Response {
    completions::refuse(refusal)
}

/// OpenAI's list of models, which most servers have.
pub fn list(sim: &Sim, owner: impl Fn(&str) -> String) -> Value {
    let items = sim.models.iter().map(|model| item(sim, &model.id, owner(model.publisher())));
    json!({"object": "list", "data": items.collect::<Vec<Value>>()})
}

/// One of them.
pub fn item(sim: &Sim, id: &str, owner: String) -> Value {
    json!({"id": id, "object": "model", "created": sim.started as u64, "owned_by": owner})
}

async fn models(State(sim): State<Arc<Sim>>) -> Response {
    ok(&list(&sim, |_| "llm-sim".into()))
}

async fn model(State(sim): State<Arc<Sim>>, Path(id): Path<String>) -> Response {
    match sim.model(&id) {
        Some(model) => ok(&item(&sim, &model.id, "llm-sim".into())),
        None => refuse(&Refusal::Model(id)),
    }
}

async fn chat(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    completions::handle(sim, call, body, &API).await
}

async fn health(State(sim): State<Arc<Sim>>) -> Response {
    if sim.loads() {
        return refuse(&Refusal::Loading);
    }
    ok(&json!({"status": "ok"}))
}

fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}))
}

/// The tokens of a whole chat, as llama.cpp tells them.
async fn input_tokens(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    if sim.settings.count != Count::Chat {
        return not_found();
    }
    match Ask::completion(&body) {
        Ok(ask) => ok(&json!({"object": "response.input_tokens", "input_tokens": ask.input_tokens()})),
        Err(refusal) => refuse(&refusal),
    }
}

/// The tokens of a text, as llama.cpp (`content`) and vLLM (`prompt`) tell them; of messages where the server is to be like
/// vLLM, and none where it is to be like llama.cpp.
async fn tokenize(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    if sim.settings.count == Count::None {
        return not_found();
    }
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(why) => return refuse(&Refusal::NotJson(why.to_string())),
    };
    let chat = text_of(&body["messages"]);
    let text = body["content"].as_str().or(body["prompt"].as_str());
    let text = text.or((sim.settings.count == Count::Tokenize).then_some(&*chat)).unwrap_or_default();
    let count = text.split_whitespace().count();
    let mut told = json!({"tokens": (0..count).collect::<Vec<_>>()});
    if sim.settings.count == Count::Tokenize {
        told["count"] = count.into();
    }
    ok(&told)
}
