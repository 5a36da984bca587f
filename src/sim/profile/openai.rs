//! A plain OpenAI-compatible server.

use super::completions::{self, Manner, PLAIN};
use super::{Sim, answer, ok};
use crate::sim::ask::Refusal;
use crate::sim::serve::Call;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use std::sync::Arc;

const MANNER: Manner = Manner {
    usage_null: true,
    envelope: |_, chunk| {
        chunk.insert("system_fingerprint".into(), "fp_llm_sim".into());
    },
    ..PLAIN
};

pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/chat/completions", post(chat))
        .route("/health", get(|| async { ok(&json!({"status": "ok"})) }))
        .fallback(|| async { answer(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"})) })
}

pub fn refuse(refusal: &Refusal) -> Response {
    completions::refuse(refusal)
}

/// OpenAI's list of models, which most servers have.
pub fn list(sim: &Sim, owner: impl Fn(&str) -> String) -> Value {
    let items = sim.models.iter().map(|model| item(sim, &model.id, owner(model.publisher())));
    json!({"object": "list", "data": items.collect::<Vec<Value>>()})
}

fn item(sim: &Sim, id: &str, owner: String) -> Value {
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
    completions::handle(sim, call, body, &MANNER).await
}
