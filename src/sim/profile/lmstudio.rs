//! LM Studio: three generations of its API on one port, models that are loaded and unloaded, and a 200 for every path
//! that does not exist.

use super::completions::{self, BASE, Completions, Role};
use super::{Dialect, Sim, answer, describe, lmstudio_chat, lmstudio_lms, ok, openai};
use crate::sim::ask::Refusal;
use crate::sim::catalog::SimModel;
use crate::sim::chat;
use crate::sim::faults::Kind;
use crate::sim::plan::Finish;
use crate::sim::quirks::{Generation, Quirk};
use crate::sim::serve::Call;
use crate::sim::shelf::Order;
use crate::sim::turn::Turn;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// `/v1/chat/completions`: no timings, an empty `stats`, the model's name as fingerprint.
const COMPAT: Completions = Completions {
    role: Role::First,
    envelope: |turn, chunk| {
        chunk.insert("system_fingerprint".into(), turn.served.as_str().into());
    },
    body: |_, body| {
        body.insert("stats".into(), json!({}));
    },
    head,
    failing: |_| {
        let error = json!({"error": {"message": describe(&Refusal::Internal), "type": "server_error"}});
        format!("data: {error}\n\n").into_bytes()
    },
    refuse: refuse_completion,
    ..BASE
};

/// `/api/v0/chat/completions`: the same, with statistics in the plain body.
const V0: Completions = Completions { body: stats, ..COMPAT };

pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .merge(lmstudio_lms::router())
        .route("/lmstudio-greeting", get(|| async { ok(&json!({"lmstudio": true})) }))
        .route("/api/v1/models", get(models))
        .route("/api/v1/models/load", post(load))
        .route("/api/v1/models/unload", post(unload))
        .route("/api/v1/chat", post(native_chat))
        .route("/api/v0/models", get(models_v0))
        .route("/api/v0/models/{*id}", get(model_v0))
        .route("/api/v0/chat/completions", post(chat_v0))
        .route("/v1/models", get(models_compat))
        .route("/v1/chat/completions", post(chat_compat))
        .fallback(any_other)
        .method_not_allowed_fallback(any_other)
}

/// How long a model that a request loaded stays after its last use, in seconds.
pub const JIT_SECONDS: f64 = 3600.0;

/// Whether a path is newer than this LM Studio.
pub fn is_hidden(sim: &Sim, path: &str) -> bool {
    let since = match path {
        path if path.starts_with("/api/v1/") => Generation::V1,
        path if path.starts_with("/api/v0/") => Generation::V0,
        _ => Generation::Openai,
    };
    sim.settings.generation < since
}

pub fn head(_: &str, _: u64, headers: &mut HeaderMap) {
    headers.insert("x-powered-by", HeaderValue::from_static("Express"));
    headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
}

/// A path that does not exist is a 200, except under `/api/v1` where there is one.
pub fn unexpected(sim: &Sim, method: &str, path: &str) -> Response {
    let native = sim.settings.generation == Generation::V1 && path.starts_with("/api/v1/");
    let status = if native || sim.is(Quirk::True404) { StatusCode::NOT_FOUND } else { StatusCode::OK };
    answer(status, &json!({"error": format!("Unexpected endpoint or method. ({method} {path})")}))
}

async fn any_other(State(sim): State<Arc<Sim>>, request: Request) -> Response {
    unexpected(&sim, request.method().as_str(), request.uri().path())
}

/// A refusal of the native API.
pub fn refuse(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Key => StatusCode::UNAUTHORIZED,
        Refusal::Model(_) => StatusCode::NOT_FOUND,
        Refusal::RateLimit => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Internal | Refusal::Loading => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    answer(status, &json!({"error": error(refusal)}))
}

/// The error object of the native API.
pub fn error(refusal: &Refusal) -> Value {
    let (kind, code, param) = match refusal {
        Refusal::Key => {
            let message = "An LM Studio API token is required to make requests to this server.";
            return json!({"type": "invalid_request", "code": "invalid_api_key", "message": message});
        }
        Refusal::Model(_) => ("model_not_found", None, Some("model")),
        Refusal::Load(_) => ("internal_error", Some("model_load_failed"), None),
        Refusal::UnknownKeys(_) => ("invalid_request", Some("unrecognized_keys"), None),
        Refusal::Parameter(name, why) if why.contains("must provide") => {
            ("invalid_request", Some("missing_required_parameter"), Some(*name))
        }
        Refusal::Parameter(name, _) => ("invalid_request", Some("invalid_value"), Some(*name)),
        Refusal::Internal | Refusal::Loading => ("internal_error", None, None),
        _ => ("invalid_request", None, None),
    };
    let mut error = json!({"type": kind, "message": describe(refusal)});
    if let Some(code) = code {
        error["code"] = code.into();
    }
    if let Some(param) = param {
        error["param"] = param.into();
    }
    error
}

/// A refusal of the OpenAI-compatible API.
fn refuse_completion(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Key => refuse(refusal),
        Refusal::Load(_) | Refusal::Model(_) | Refusal::NotChat(_) => {
            let message = match refusal {
                Refusal::Model(model) => {
                    format!("Invalid model identifier \"{model}\". Please specify a valid downloaded model.")
                }
                other => describe(other),
            };
            let error = json!({"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"});
            answer(StatusCode::BAD_REQUEST, &json!({"error": error}))
        }
        other => completions::refuse(other),
    }
}

async fn models(State(sim): State<Arc<Sim>>) -> Response {
    let loaded = sim.shelf.loaded();
    let items = sim.models.iter().enumerate().map(|(n, model)| {
        let shown = loaded.iter().filter(|_| !sim.is(Quirk::NoInstances));
        let instances = shown.filter(|instance| instance.model.id == model.id).map(|instance| {
            let mut config = json!({"context_length": instance.context});
            if model.format == "gguf" && !model.embedding {
                config["eval_batch_size"] = 512.into();
                config["flash_attention"] = true.into();
                config["offload_kv_cache_to_gpu"] = true.into();
            }
            if !model.embedding {
                config["parallel"] = instance.parallel.into();
            }
            json!({"id": instance.id, "config": config})
        });
        let mut item = json!({
            "type": if model.embedding { "embedding" } else { "llm" }, "publisher": model.publisher(),
            "key": model.id, "display_name": model.name,
        });
        if !model.embedding {
            item["architecture"] = model.arch.as_str().into();
        }
        item["quantization"] = json!({"name": model.quantization.0, "bits_per_weight": model.quantization.1});
        item["size_bytes"] = model.size_bytes.into();
        item["params_string"] = model.params.as_str().into();
        item["loaded_instances"] = instances.collect::<Vec<Value>>().into();
        item["max_context_length"] = model.context.into();
        item["format"] = model.format.as_str().into();
        if !model.embedding {
            let sees = n == 0 && sim.is(Quirk::Vlm);
            item["capabilities"] = json!({"vision": sees, "trained_for_tool_use": false});
            if model.reasoning {
                item["capabilities"]["reasoning"] = json!({"allowed_options": ["off", "on"], "default": "on"});
            }
            item["description"] = Value::Null;
        }
        item
    });
    let mut items: Vec<Value> = items.collect();
    if sim.is(Quirk::Variants) {
        items = items.iter().flat_map(variants).collect();
    }
    ok(&json!({"models": items}))
}

/// The two rows of one key. What is loaded is the first variant.
fn variants(item: &Value) -> [Value; 2] {
    let names = ["q4_k_m", "q8_0"].map(|quant| format!("{}@{quant}", item["key"].as_str().unwrap_or_default()));
    let row = |n: usize| {
        let mut row = item.clone();
        row["quantization"]["name"] = ["Q4_K_M", "Q8_0"][n].into();
        row["variants"] = names.to_vec().into();
        row["selected_variant"] = names[n].as_str().into();
        if n > 0 {
            row["loaded_instances"] = json!([]);
        }
        row
    };
    [row(0), row(1)]
}

fn item_v0(sim: &Sim, model: &SimModel) -> Value {
    let loaded = sim.shelf.find(&model.id);
    let first = sim.models.first().is_some_and(|first| first.id == model.id);
    let kind = match model.embedding {
        true => "embeddings",
        false if first && sim.is(Quirk::Vlm) => "vlm",
        false => "llm",
    };
    let short = model.id.rsplit('/').next().unwrap_or(&model.id);
    let mut item = json!({
        "id": if sim.is(Quirk::NoVendor) { short } else { &model.id }, "object": "model", "type": kind,
        "publisher": model.publisher(), "arch": model.arch, "compatibility_type": model.format,
        "quantization": model.quantization.0, "state": if loaded.is_some() { "loaded" } else { "not-loaded" },
        "max_context_length": model.context,
    });
    if let Some(instance) = loaded {
        item["loaded_context_length"] = instance.context.into();
    }
    item
}

async fn models_v0(State(sim): State<Arc<Sim>>) -> Response {
    let items = sim.models.iter().map(|model| item_v0(&sim, model)).collect::<Vec<Value>>();
    ok(&json!({"object": "list", "data": items}))
}

async fn model_v0(State(sim): State<Arc<Sim>>, Path(id): Path<String>) -> Response {
    match sim.model(&id) {
        Some(model) => ok(&item_v0(&sim, model)),
        None => refuse_completion(&Refusal::Model(id)),
    }
}

async fn models_compat(State(sim): State<Arc<Sim>>) -> Response {
    ok(&openai::list(&sim, |_| "organization_owner".into()))
}

const LOAD_KEYS: [&str; 7] = [
    "model",
    "context_length",
    "eval_batch_size",
    "flash_attention",
    "num_experts",
    "offload_kv_cache_to_gpu",
    "echo_load_config",
];

/// The object in a body, when it has no other keys than these, and one of its strings.
fn read(body: &[u8], keys: &[&str], wanted: &'static str) -> Result<(Map<String, Value>, String), Refusal> {
    let body: Map<String, Value> = serde_json::from_slice(body).map_err(|why| Refusal::NotJson(why.to_string()))?;
    let unknown: Vec<String> = body.keys().filter(|key| !keys.contains(&key.as_str())).cloned().collect();
    if !unknown.is_empty() {
        return Err(Refusal::UnknownKeys(unknown));
    }
    match body.get(wanted).and_then(Value::as_str).map(str::to_owned) {
        Some(name) => Ok((body, name)),
        None => Err(Refusal::Parameter(wanted, format!("you must provide a {wanted} parameter"))),
    }
}

async fn load(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    let (body, id) = match read(&body, &LOAD_KEYS, "model") {
        Ok(asked) => asked,
        Err(refusal) => return refuse(&refusal),
    };
    // A variant is a model of its own only to the listing.
    let key = id.split('@').next().unwrap_or(&id);
    let Some(model) = sim.model(key).cloned() else { return refuse(&Refusal::Model(id)) };
    if sim.faults(sim.next_number()).has(Kind::LoadFails) {
        return refuse(&Refusal::Load(id));
    }
    let context = match body.get("context_length") {
        None => model.context.min(8192),
        Some(length) => match length.as_u64().filter(|n| (1..=model.context).contains(n)) {
            Some(n) => n,
            None => {
                let why = format!("context_length must be between 1 and {}", model.context);
                return refuse(&Refusal::Parameter("context_length", why));
            }
        },
    };
    let order = Order { context: if sim.is(Quirk::HalfContext) { context / 2 } else { context }, ..Order::default() };
    let other = sim.models.iter().find(|other| other.id != model.id && !other.embedding);
    let model = other.filter(|_| sim.is(Quirk::OtherModel)).unwrap_or(&model).clone();
    let instance = sim.shelf.load(&model, order).await;
    let mut loaded = json!({
        "type": if model.embedding { "embedding" } else { "llm" }, "instance_id": instance.id,
        "load_time_seconds": instance.load_seconds, "status": "loaded",
    });
    if body.get("echo_load_config") == Some(&Value::Bool(true)) {
        loaded["load_config"] = json!({"context_length": context});
    }
    ok(&loaded)
}

async fn unload(State(sim): State<Arc<Sim>>, body: Bytes) -> Response {
    match read(&body, &["instance_id"], "instance_id") {
        Ok((_, id)) if sim.shelf.unload(&id) => ok(&json!({"instance_id": id})),
        Ok((_, id)) => refuse(&Refusal::Model(id)),
        Err(refusal) => refuse(&refusal),
    }
}

/// What v0 adds to a plain answer. Its generation time begins at the first token.
fn stats(turn: &Turn, body: &mut Map<String, Value>) {
    let model = &turn.model;
    let mlx = model.format == "mlx";
    let stop = match turn.plan.finish {
        Finish::Stop => "eosFound",
        Finish::Length => "maxPredictedTokensReached",
    };
    body.insert(
        "stats".into(),
        json!({
            "tokens_per_second": turn.tokens_per_second(), "time_to_first_token": turn.ttft_seconds(),
            "generation_time": turn.decode_seconds(), "stop_reason": stop,
        }),
    );
    body.insert(
        "model_info".into(),
        json!({
            "arch": model.arch, "quant": model.quantization.0,
            "format": if mlx { "safetensors" } else { "gguf" },
            "context_length": turn.instance.as_ref().map_or(model.context, |instance| instance.context),
        }),
    );
    let name = if mlx { "mlx-llm-sim" } else { "llama.cpp-sim" };
    body.insert(
        "runtime".into(),
        json!({"name": name, "version": env!("CARGO_PKG_VERSION"), "supported_formats": [if mlx { "mlx" } else { "gguf" }]}),
    );
}

async fn native_chat(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    chat::answer(sim, call, lmstudio_chat::ask(&body), Dialect::LmStudioChat).await
}

async fn chat_v0(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    completions::handle(sim, call, body, &V0).await
}

async fn chat_compat(State(sim): State<Arc<Sim>>, Extension(call): Extension<Call>, body: Bytes) -> Response {
    completions::handle(sim, call, body, &COMPAT).await
}
