//! OpenRouter: a catalogue with prices, providers behind each model, comments while it works, usage with cost always.

use super::completions::{self, BASE, Completions, Reasoning};
use super::openrouter_faults::{at_once, metadata};
use super::{Sim, answer, describe, ok};
use crate::clock;
use crate::sim::ask::{Ask, Refusal};
use crate::sim::catalog::SimModel;
use crate::sim::faults::Kind;
use crate::sim::serve::Call;
use crate::sim::turn::{Sent, Turn};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Each model has the same two providers: display name, routing tag, quantization. The second takes twice the price.
pub const PROVIDERS: [(&str, &str, &str); 2] = [("Aviary", "aviary/fp8", "fp8"), ("Roost", "roost/bf16", "bf16")];

const API: Completions = Completions {
    id,
    role: completions::Role::Alone,
    reasoning: Reasoning::Details,
    usage_always: true,
    pads: true,
    comment: Some("OPENROUTER PROCESSING"),
    envelope: |turn, chunk| {
        chunk.insert("provider".into(), PROVIDERS[turn.provider].0.into());
    },
    choice: |finish, choice| {
        choice.insert("native_finish_reason".into(), finish.into());
    },
    delta: |delta| {
        delta.entry("role").or_insert_with(|| "assistant".into());
    },
    usage,
    last: |turn, chunk| {
        if turn.ask.metadata {
            let over = turn.has(Kind::ProviderFailover);
            chunk.insert("openrouter_metadata".into(), metadata(&turn.ask.model, &turn.served, turn.provider, over));
        }
    },
    head: |letters, created, headers| {
        if let Ok(id) = HeaderValue::from_str(&id(letters, created)) {
            headers.insert("x-generation-id", id);
        }
    },
    failing: |turn| {
        let error = json!({
            "id": id(&turn.id, turn.created), "object": "chat.completion.chunk", "created": turn.created,
            "model": turn.served, "provider": PROVIDERS[turn.provider].0,
            "error": {"code": 502, "message": "Provider returned error", "metadata": {"error_type": "provider_unavailable"}},
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": "error"}],
        });
        format!("data: {error}\n\n").into_bytes()
    },
    at_once,
    refuse,
    remember: |turn, sim| {
        let id = id(&turn.id, turn.created);
        if !turn.has(Kind::GenerationMissing) {
            sim.remember(id.clone(), generation(&id, turn));
        }
    },
    ..BASE
};

pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/api/v1/models", get(models))
        .route("/api/v1/model/{author}/{slug}", get(one_model))
        .route("/api/v1/models/{author}/{slug}/endpoints", get(endpoints))
        .route("/api/v1/chat/completions", post(chat))
        .route("/api/v1/key", get(key))
        .route("/api/v1/credits", get(|| async { refuse_management() }))
        .route("/api/v1/generation", get(find_generation))
        .fallback(|| async { failed(StatusCode::NOT_FOUND, "Not Found") })
}

pub fn id(letters: &str, created: u64) -> String {
    format!("gen-{created}-{letters}")
}

/// The provider that is not the one.
pub fn other(provider: usize) -> usize {
    (provider + 1) % PROVIDERS.len()
}

/// The model that an id means which the catalogue does not list: a permanent slug, a way to route (`:nitro`), a router, or
/// an author's latest.
pub fn means<'a>(models: &'a [Arc<SimModel>], id: &str) -> Option<&'a Arc<SimModel>> {
    let listed = |id: &str| models.iter().find(|model| model.id == id);
    if ["openrouter/auto", "openrouter/auto-beta", "openrouter/free"].contains(&id) {
        return models.iter().find(|model| !model.id.starts_with("openrouter/"));
    }
    if let Some(alias) = id.strip_prefix('~') {
        let author = alias.split_once('/').filter(|(_, name)| name.ends_with("-latest"))?.0;
        return models.iter().find(|model| model.publisher() == author);
    }
    if let Some(plain) = id.strip_suffix(SLUG_DATE) {
        return listed(plain);
    }
    let (plain, variant) = id.split_once(':')?;
    ["nitro", "floor", "exacto", "online", "extended", "thinking"].contains(&variant).then(|| listed(plain)).flatten()
}

/// What a permanent slug has behind the id.
const SLUG_DATE: &str = "-20261101";

/// Which provider answers; `None` when the ones that were asked for do not exist and no other may.
pub fn provider(ask: &Ask) -> Option<usize> {
    let is = |tag: &str, name: &str| tag == name || tag.split('/').next() == Some(name);
    let asked = ask.providers.iter().find_map(|name| PROVIDERS.iter().position(|provider| is(provider.1, name)));
    asked.or((ask.providers.is_empty() || ask.fallbacks).then_some(0))
}

fn failed(status: StatusCode, message: &str) -> Response {
    answer(status, &json!({"error": {"message": message, "code": status.as_u16()}}))
}

fn refuse_management() -> Response {
    failed(StatusCode::FORBIDDEN, "Only management keys can fetch credits")
}

pub fn refuse(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Key => failed(StatusCode::UNAUTHORIZED, "User not found."),
        Refusal::Model(model) => failed(StatusCode::BAD_REQUEST, &format!("{model} is not a valid model ID")),
        Refusal::NoEndpoint(_) => failed(StatusCode::NOT_FOUND, "No endpoints found that can handle your request."),
        Refusal::RateLimit => {
            let metadata = json!({"raw": describe(refusal), "provider_name": PROVIDERS[0].0, "is_byok": false});
            let error = json!({"message": "Provider returned error", "code": 429, "metadata": metadata});
            answer(StatusCode::TOO_MANY_REQUESTS, &json!({"error": error, "user_id": "user_sim"}))
        }
        Refusal::Internal | Refusal::Load(_) | Refusal::Loading => {
            failed(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Refusal::NotChat(_) | Refusal::NotJson(_) | Refusal::Parameter(..) | Refusal::UnknownKeys(_) => {
            failed(StatusCode::BAD_REQUEST, &describe(refusal))
        }
    }
}

/// How many times the listed price a provider takes.
fn factor(provider: usize) -> f64 {
    (provider + 1) as f64
}

fn cost(model: &SimModel, provider: usize, sent: Sent) -> (f64, f64) {
    let price = |text: &str| text.parse::<f64>().unwrap_or(0.0).max(0.0) * factor(provider);
    (price(&model.prices.0) * sent.input as f64, price(&model.prices.1) * sent.output as f64)
}

/// The tokens that came from a cache.
fn cached(turn: &Turn) -> u64 {
    if turn.has(Kind::CachedPrompt) { turn.all().input * 3 / 4 } else { 0 }
}

fn usage(turn: &Turn, sent: Sent) -> Value {
    let (prompt, completion) = cost(&turn.model, turn.provider, sent);
    let mut usage = completions::usage(sent);
    usage["prompt_tokens_details"]["cached_tokens"] = cached(turn).into();
    usage["prompt_tokens_details"]["audio_tokens"] = 0.into();
    usage["completion_tokens_details"]["image_tokens"] = 0.into();
    usage["cost"] = json!(prompt + completion);
    usage["is_byok"] = false.into();
    usage["cost_details"] = json!({
        "upstream_inference_cost": null,
        "upstream_inference_prompt_cost": prompt,
        "upstream_inference_completions_cost": completion,
    });
    usage
}

fn pricing(model: &SimModel, provider: usize) -> Value {
    let price = |text: &str| match text.parse::<f64>() {
        Ok(price) if provider > 0 && price > 0.0 => (price * factor(provider)).to_string(),
        _ => text.to_owned(),
    };
    json!({
        "prompt": price(&model.prices.0), "completion": price(&model.prices.1), "request": "0", "image": "0", "web_search": "0",
        "internal_reasoning": "0",
    })
}

const PARAMETERS: [&str; 8] =
    ["max_tokens", "temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty", "response_format"];

fn supported(model: &SimModel) -> Vec<&'static str> {
    let reasons = ["reasoning", "include_reasoning"];
    PARAMETERS.into_iter().chain(reasons.into_iter().filter(|_| model.reasoning)).collect()
}

fn architecture() -> Value {
    json!({
        "modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
        "instruct_type": null,
    })
}

fn item(sim: &Sim, model: &SimModel) -> Value {
    json!({
        "id": model.id, "canonical_slug": format!("{}{SLUG_DATE}", model.id), "hugging_face_id": "",
        "name": format!("{}: {}", model.publisher(), model.name), "created": sim.started as u64,
        "description": "A simulated model.", "context_length": model.context, "architecture": architecture(),
        "pricing": pricing(model, 0),
        "top_provider": {"context_length": model.context, "max_completion_tokens": null, "is_moderated": false},
        "per_request_limits": null, "supported_parameters": supported(model), "default_parameters": {},
        "expiration_date": null,
        "links": {"details": format!("/api/v1/models/{}/endpoints", model.id)},
    })
}

async fn models(State(sim): State<Arc<Sim>>) -> Response {
    let items = sim.models.iter().map(|model| item(&sim, model));
    ok(&json!({"data": items.collect::<Vec<Value>>()}))
}

/// One model, aliases resolved. A router is no model.
async fn one_model(State(sim): State<Arc<Sim>>, Path((author, slug)): Path<(String, String)>) -> Response {
    let id = format!("{author}/{slug}");
    match sim.model(&id).filter(|_| author != "openrouter") {
        Some(model) => ok(&json!({"data": item(&sim, model)})),
        None => failed(StatusCode::NOT_FOUND, "Model not found"),
    }
}

async fn endpoints(State(sim): State<Arc<Sim>>, Path((author, slug)): Path<(String, String)>) -> Response {
    let id = format!("{author}/{slug}");
    let Some(model) = sim.models.iter().find(|model| model.id == id && author != "openrouter") else {
        return failed(StatusCode::NOT_FOUND, "Model not found");
    };
    let endpoints = [0, 1].map(|n| (n, PROVIDERS[n])).map(|(n, (name, tag, quantization))| {
        json!({
            "name": format!("{name} | {}{SLUG_DATE}", model.id), "model_id": format!("{}{SLUG_DATE}", model.id),
            "model_name": model.name, "context_length": model.context, "pricing": pricing(model, n),
            "provider_name": name, "tag": tag, "quantization": quantization, "max_completion_tokens": null,
            "max_prompt_tokens": null, "supported_parameters": supported(model), "status": 0,
            "uptime_last_5m": null, "uptime_last_30m": 100.0, "uptime_last_1d": 100.0,
            "supports_implicit_caching": false, "latency_last_30m": null, "throughput_last_30m": null,
        })
    });
    ok(&json!({"data": {
        "id": model.id, "name": model.name, "created": sim.started as u64, "description": "A simulated model.",
        "architecture": architecture(), "endpoints": endpoints,
    }}))
}

async fn key(State(sim): State<Arc<Sim>>) -> Response {
    let Some(account) = &sim.settings.account else {
        return failed(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let mut body = json!({"data": {
        "label": "sk-or-v1-sim...sim", "limit": null, "limit_remaining": null, "limit_reset": null,
        "include_byok_in_limit": false, "usage": 0.0, "usage_daily": 0.0, "usage_weekly": 0.0, "usage_monthly": 0.0,
        "byok_usage": 0.0, "is_free_tier": false, "is_management_key": false, "is_provisioning_key": false,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated."},
    }});
    if let Some(fields) = body["data"].as_object_mut() {
        fields.extend(account.clone());
    }
    ok(&body)
}

/// Times in milliseconds; `latency` is the time to the first token.
fn generation(id: &str, turn: &Turn) -> Value {
    let sent = turn.all();
    let (prompt, completion) = cost(&turn.model, turn.provider, sent);
    let (times, more) = if turn.has(Kind::GenerationDiffers) { (2.0, 1) } else { (1.0, 0) };
    let total = (prompt + completion) * times;
    let mut responses = vec![json!({
        "provider_name": PROVIDERS[turn.provider].0, "status": 200, "latency": (turn.ttft_seconds() * 1e3).round(),
        "is_byok": false,
    })];
    if turn.has(Kind::ProviderFailover) {
        let failed = json!({"provider_name": PROVIDERS[other(turn.provider)].0, "status": 503, "latency": null});
        responses.insert(0, failed);
    }
    let millis = |seconds: f64| (seconds * 1e3).round();
    json!({
        "id": id, "upstream_id": null, "created_at": clock::rfc3339(turn.created as f64), "model": turn.served,
        "provider_name": PROVIDERS[turn.provider].0, "streamed": turn.ask.stream, "cancelled": false,
        "finish_reason": turn.finish(), "native_finish_reason": turn.finish(),
        "tokens_prompt": sent.input, "tokens_completion": sent.output,
        "native_tokens_prompt": sent.input, "native_tokens_completion": sent.output + more,
        "native_tokens_reasoning": sent.reasoning, "native_tokens_cached": cached(turn),
        "total_cost": total, "usage": total, "is_byok": false,
        "latency": millis(turn.ttft_seconds()), "generation_time": millis(turn.decode_seconds()),
        "provider_responses": responses,
    })
}

async fn find_generation(State(sim): State<Arc<Sim>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let id = query.get("id").map_or("", String::as_str);
    match sim.generation(id) {
        Some(generation) => ok(&json!({"data": generation})),
        None => failed(StatusCode::NOT_FOUND, &format!("Generation {id} not found")),
    }
}

async fn chat(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    completions::handle(sim, call, body, &API).await
}
