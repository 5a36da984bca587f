//! An OpenAI-compatible server: a plain one, or one of those that [`flavors`] knows.

use super::{Sim, completions, flavors, ok};
use crate::sim::ask::Refusal;
use crate::sim::serve::Call;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/v1/chat/completions", post(chat))
        .fallback(other)
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
    let mut response = ok(&flavors::list(&sim));
    if let Some(name) = flavors::server_header(sim.settings.flavor) {
        response.headers_mut().insert(header::SERVER, HeaderValue::from_static(name));
    }
    response
}

async fn model(State(sim): State<Arc<Sim>>, Path(id): Path<String>) -> Response {
    match sim.model(&id) {
        Some(model) => ok(&item(&sim, &model.id, "llm-sim".into())),
        None => refuse(&Refusal::Model(id)),
    }
}

async fn chat(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    let manner = flavors::manner(sim.settings.flavor);
    completions::handle(sim, call, body, manner).await
}

async fn other(State(sim): State<Arc<Sim>>, uri: Uri) -> Response {
    flavors::other(&sim, uri.path())
}
