//! Ollama: its own chat in lines of JSON with durations in nanoseconds, models that come with a request and leave after
//! a while, and a layer in OpenAI's form.

use super::completions::{self, BASE, Completions, Reasoning, Role};
use super::{Dialect, Sim, answer, describe, ok, openai};
use crate::clock::{self, wall};
use crate::sim::ask::{Ask, Refusal, limit};
use crate::sim::catalog::SimModel;
use crate::sim::chat;
use crate::sim::faults::Kind;
use crate::sim::quirks::Quirk;
use crate::sim::serve::Call;
use crate::sim::truth::wire_id;
use crate::sim::turn::Turn;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How long a model stays when nobody says otherwise.
pub const KEEP_ALIVE_SECONDS: f64 = 300.0;

/// How long a model stays that no request said anything about.
pub fn keep_seconds(sim: &Sim) -> f64 {
    if sim.is(Quirk::KeepNothing) { 0.0 } else { KEEP_ALIVE_SECONDS }
}

const COMPAT: Completions = Completions {
    id: |id, _| format!("chatcmpl-{}", id.bytes().take(3).map(u64::from).sum::<u64>()),
    role: Role::Every,
    reasoning: Reasoning::Field("reasoning"),
    envelope: |_, chunk| {
        chunk.insert("system_fingerprint".into(), "fp_ollama".into());
    },
    refuse: refuse_completion,
    ..BASE
};

pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/", get(|| async { "Ollama is running" }))
        .route("/api/version", get(|| async { ok(&json!({"version": "0.12.0-llm-sim"})) }))
        .route("/api/tags", get(tags))
        .route("/api/ps", get(ps))
        .route("/api/show", post(show))
        .route("/api/chat", post(native_chat))
        .route("/api/generate", post(generate))
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat_compat))
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found").into_response() })
}

pub fn refuse(refusal: &Refusal) -> Response {
    let (status, message) = match refusal {
        Refusal::Key => (StatusCode::UNAUTHORIZED, "unauthorized".to_owned()),
        Refusal::Model(model) => (StatusCode::NOT_FOUND, format!("model '{model}' not found")),
        Refusal::NotChat(model) => (StatusCode::BAD_REQUEST, format!("\"{model}\" does not support chat")),
        Refusal::RateLimit => (StatusCode::TOO_MANY_REQUESTS, describe(refusal)),
        Refusal::Internal | Refusal::Load(_) | Refusal::Loading => {
            (StatusCode::INTERNAL_SERVER_ERROR, describe(refusal))
        }
        other => (StatusCode::BAD_REQUEST, describe(other)),
    };
    answer(status, &json!({"error": message}))
}

pub fn refuse_completion(refusal: &Refusal) -> Response {
    let (status, kind) = match refusal {
        Refusal::Key => (StatusCode::UNAUTHORIZED, "authentication_error"),
        Refusal::Model(_) => (StatusCode::NOT_FOUND, "not_found_error"),
        Refusal::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "api_error"),
        Refusal::Internal | Refusal::Load(_) | Refusal::Loading => (StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
        _ => (StatusCode::BAD_REQUEST, "invalid_request_error"),
    };
    answer(status, &json!({"error": {"message": describe(refusal), "type": kind, "param": null, "code": null}}))
}

fn date(ts: f64) -> Value {
    clock::rfc3339(ts).into()
}

fn details(model: &SimModel) -> Value {
    json!({
        "parent_model": "", "format": model.format, "family": model.arch, "families": [model.arch],
        "parameter_size": model.params, "quantization_level": model.quantization.0,
    })
}

fn digest(model: &SimModel) -> String {
    wire_id(crate::sim::timing::mix(0, model.id.as_bytes()), 0, 32).bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn item(sim: &Sim, model: &SimModel) -> Value {
    json!({
        "name": model.id, "model": model.id, "modified_at": date(sim.started), "size": model.size_bytes,
        "digest": digest(model), "details": details(model),
    })
}

async fn tags(State(sim): State<Arc<Sim>>) -> Response {
    let mut items: Vec<Value> = sim.models.iter().map(|model| item(&sim, model)).collect();
    if sim.is(Quirk::Cloud) {
        let mut far = items[0].clone();
        for (field, value) in [
            ("name", "albatross:1t-cloud"),
            ("model", "albatross:1t-cloud"),
            ("remote_model", "albatross:1t"),
            ("remote_host", "https://ollama.com:443"),
        ] {
            far[field] = value.into();
        }
        items.push(far);
    }
    ok(&json!({"models": items}))
}

async fn ps(State(sim): State<Arc<Sim>>) -> Response {
    let loaded = sim.shelf.loaded();
    let items = loaded.iter().map(|instance| {
        let mut item = item(&sim, &instance.model);
        if let Some(item) = item.as_object_mut() {
            item.shift_remove("modified_at");
        }
        // "For ever" is a date far away.
        item["expires_at"] = date(instance.expires().unwrap_or(wall() + 292.0 * 365.0 * 86_400.0));
        item["size_vram"] = instance.model.size_bytes.into();
        item["context_length"] = instance.context.into();
        item
    });
    ok(&json!({"models": items.collect::<Vec<Value>>()}))
}

async fn show(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = body["model"].as_str().or(body["name"].as_str()).unwrap_or_default();
    let Some(model) = sim.model(id) else { return refuse(&Refusal::Model(id.to_owned())) };
    let mut info = Map::new();
    info.insert("general.architecture".into(), model.arch.as_str().into());
    info.insert(format!("{}.context_length", model.arch), model.context.into());
    let mut capabilities = vec![if model.embedding { "embedding" } else { "completion" }];
    if model.reasoning {
        capabilities.push("thinking");
    }
    ok(&json!({
        "modelfile": "", "parameters": "", "template": "{{ .Prompt }}", "details": details(model), "model_info": info,
        "capabilities": capabilities, "modified_at": date(sim.started),
    }))
}

async fn models(State(sim): State<Arc<Sim>>) -> Response {
    ok(&openai::list(&sim, |_| "library".into()))
}

async fn chat_compat(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    completions::handle(sim, call, body, &COMPAT).await
}

/// A length of time as Ollama reads it: seconds as a number, or text such as `5m`.
fn keep_alive(value: &Value) -> Result<Option<f64>, Refusal> {
    let wrong =
        || Refusal::Parameter("keep_alive", "invalid keep_alive: a number of seconds or a text such as 5m".into());
    match value {
        Value::Null => Ok(None),
        Value::Number(seconds) => seconds.as_f64().map(Some).ok_or_else(wrong),
        Value::String(text) => match text.parse::<f64>() {
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => text.parse::<jiff::SignedDuration>().map(|d| Some(d.as_secs_f64())).map_err(|_| wrong()),
        },
        _ => Err(wrong()),
    }
}

fn ask(body: &[u8]) -> Result<Ask, Refusal> {
    let (mut ask, body) = Ask::read(body)?;
    let options = &body["options"];
    ask.stream = body["stream"] != Value::Bool(false);
    ask.limit = limit("num_predict", &options["num_predict"])?;
    ask.context = options["num_ctx"].as_u64();
    ask.keep_alive = keep_alive(&body["keep_alive"])?;
    Ok(ask)
}

async fn native_chat(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    match ask(&body) {
        Ok(ask) if ask.messages == 0 => {
            let message = json!({"role": "assistant", "content": ""});
            load(&sim, &ask, ("message", message)).await.unwrap_or_else(|refusal| refuse(&refusal))
        }
        asked => chat::answer(sim, call, asked, Dialect::OllamaChat).await,
    }
}

/// The older form: without a prompt it loads and unloads, and that is all it does here.
async fn generate(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    let asked = ask(&body).and_then(|ask| {
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        match body["prompt"].as_str().unwrap_or_default() {
            "" => Ok(ask),
            _ => Err(Refusal::Parameter("prompt", "this simulation generates by /api/chat".into())),
        }
    });
    let loaded = match asked {
        Ok(ask) => load(&sim, &ask, ("response", "".into())).await,
        Err(refusal) => Err(refusal),
    };
    loaded.unwrap_or_else(|refusal| refuse(&refusal))
}

/// A request that asks nothing loads its model, or unloads it when it may not stay.
async fn load(sim: &Sim, ask: &Ask, (field, nothing): (&str, Value)) -> Result<Response, Refusal> {
    let model = sim.model(&ask.model).cloned().ok_or_else(|| Refusal::Model(ask.model.clone()))?;
    let reason = if ask.keep_alive == Some(0.0) {
        sim.shelf.unload(&model.id);
        "unload"
    } else {
        if sim.faults(sim.next_number()).has(Kind::LoadFails) {
            return Err(Refusal::Load(ask.model.clone()));
        }
        let (instance, _) = sim.shelf.for_request(&model, ask.context, false, Some(keep_seconds(sim))).await;
        instance.rest(ask.keep_alive);
        "load"
    };
    Ok(ok(&json!({
        "model": ask.model, "created_at": date(wall()), field: nothing, "done_reason": reason, "done": true,
    })))
}

fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

fn head(turn: &Turn, message: Value) -> Value {
    json!({"model": turn.served, "created_at": date(wall()), "message": message})
}

/// The line of chunk `n`.
pub fn chunk(turn: &Turn, n: usize) -> Vec<u8> {
    let mut message = json!({"role": "assistant", "content": ""});
    let field = if turn.plan.chunks[n].reasoning { "thinking" } else { "content" };
    message[field] = turn.text(n).into();
    let mut said = head(turn, message);
    said["done"] = false.into();
    if turn.has(Kind::FinishWithToken) && turn.is_last(n) {
        end(turn, &mut said);
    }
    line(&said)
}

/// The line with the durations, which has no text.
pub fn closing(turn: &Turn) -> Vec<Vec<u8>> {
    if turn.has(Kind::NoDone) || turn.has(Kind::FinishWithToken) {
        return Vec::new();
    }
    let mut said = head(turn, json!({"role": "assistant", "content": ""}));
    end(turn, &mut said);
    vec![line(&said)]
}

/// What the last line has: counts and durations, each left out when it is zero.
fn end(turn: &Turn, said: &mut Value) {
    said["done"] = true.into();
    said["done_reason"] = turn.finish().into();
    if turn.has(Kind::NoUsage) {
        return;
    }
    let sent = turn.all();
    let load_ns = turn.load_seconds.map_or(20_000_000, |seconds| (seconds * 1e9) as u64);
    let (prompt_ns, eval_ns) = (turn.plan.first_ns, turn.plan.last_ns() - turn.plan.first_ns);
    for (name, value) in [
        ("total_duration", load_ns + prompt_ns + eval_ns),
        ("load_duration", load_ns),
        ("prompt_eval_count", sent.input),
        ("prompt_eval_duration", prompt_ns),
        ("eval_count", sent.output),
        ("eval_duration", eval_ns),
    ] {
        if value > 0 {
            said[name] = value.into();
        }
    }
}

/// The whole answer.
pub fn plain(turn: &Turn) -> Value {
    let (reasoning, answer) = turn.parts();
    let mut message = json!({"role": "assistant", "content": answer});
    if !reasoning.is_empty() {
        message["thinking"] = reasoning.into();
    }
    let mut said = head(turn, message);
    end(turn, &mut said);
    said
}

/// An error in the middle of a stream.
pub fn failing() -> Vec<u8> {
    line(&json!({"error": describe(&Refusal::Internal)}))
}
