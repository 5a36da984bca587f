//! What each server tells of itself and of its models, beside chats: the listing, and the questions by which it is recognised.

use super::super::{Sim, answer, ok, openai};
use crate::sim::catalog::SimModel;
use crate::sim::flavor::Flavor;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// `GET /v1/models`.
pub fn list(sim: &Sim) -> Value {
    let item = |model: &SimModel| {
        let mut item = openai::item(sim, &model.id, "llm-sim".into());
        match sim.settings.flavor {
            Flavor::Plain => {}
            Flavor::LlamaCpp => {
                item["owned_by"] = "llamacpp".into();
                item["architecture"] = json!({"input_modalities": ["text"], "output_modalities": ["text"]});
                // While it loads, it knows nothing of its model.
                item["meta"] = if sim.loads() { Value::Null } else { meta(model) };
            }
            Flavor::LlamaCppPython => {
                item["owned_by"] = "me".into();
                item["permissions"] = json!([]);
            }
            Flavor::Vllm | Flavor::Sglang => {
                item["owned_by"] = if sim.settings.flavor == Flavor::Vllm { "vllm" } else { "sglang" }.into();
                item["root"] = format!("/srv/models/{}", model.id).into();
                item["parent"] = Value::Null;
                item["max_model_len"] = model.context.into();
            }
            Flavor::Mlx => item = json!({"id": model.id, "object": "model", "created": item["created"]}),
            Flavor::Tgi => item["owned_by"] = model.id.clone().into(),
            Flavor::Litellm => item["owned_by"] = "openai".into(),
            Flavor::MistralRs => item["owned_by"] = "local".into(),
            Flavor::Transformers => item["owned_by"] = model.publisher().into(),
        }
        item
    };
    let one = match sim.settings.flavor {
        Flavor::LlamaCpp | Flavor::LlamaCppPython | Flavor::Vllm | Flavor::Sglang | Flavor::Tgi => true,
        Flavor::Plain | Flavor::Mlx | Flavor::Litellm | Flavor::MistralRs | Flavor::Transformers => false,
    };
    let items: Vec<Value> = sim.models.iter().take(if one { 1 } else { usize::MAX }).map(|m| item(m)).collect();
    json!({"object": "list", "data": items})
}

/// What the `server` header says.
pub fn server_header(flavor: Flavor) -> Option<&'static str> {
    match flavor {
        Flavor::LlamaCpp => Some("llama.cpp"),
        Flavor::Mlx => Some("BaseHTTP/0.6 Python/3.11.7"),
        Flavor::LlamaCppPython | Flavor::Vllm | Flavor::Sglang | Flavor::Transformers => Some("uvicorn"),
        Flavor::Plain | Flavor::Tgi | Flavor::Litellm | Flavor::MistralRs => None,
    }
}

/// What llama.cpp reads in the file of a model.
fn meta(model: &SimModel) -> Value {
    json!({
        "vocab_type": 2, "n_vocab": 4096, "n_ctx": model.context / 2, "n_ctx_train": model.context, "n_embd": 64,
        "n_params": parameters(&model.params), "size": model.size_bytes, "ftype": "Q4_K - Medium",
    })
}

/// `4B` as a number.
fn parameters(words: &str) -> u64 {
    let number: String = words.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let factor = if words.contains('B') { 1e9 } else { 1e6 };
    number.parse::<f64>().map_or(0, |n| (n * factor) as u64)
}

/// Any other GET.
pub fn other(sim: &Sim, path: &str) -> Response {
    let model = &sim.models[0];
    match (sim.settings.flavor, path) {
        (Flavor::LlamaCpp, "/health") | (Flavor::Plain | Flavor::Mlx, "/health") if sim.loads() => {
            let error = json!({"code": 503, "message": "Loading model", "type": "unavailable_error"});
            answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": error}))
        }
        (Flavor::Plain | Flavor::LlamaCpp | Flavor::Mlx | Flavor::Transformers, "/health") => {
            ok(&json!({"status": "ok"}))
        }
        (Flavor::Vllm | Flavor::Sglang | Flavor::Tgi | Flavor::MistralRs, "/health") => StatusCode::OK.into_response(),
        (Flavor::LlamaCpp, "/props") => ok(&json!({
            "default_generation_settings": {"n_ctx": model.context / 2}, "total_slots": 4,
            "model_path": format!("/srv/models/{}-Q4_K_M.gguf", model.id), "model_ftype": "Q4_K - Medium",
            "build_info": "b11669-llm-sim", "is_sleeping": false,
            "modalities": {"vision": false, "audio": false}, "chat_template_caps": {"supports_tools": true},
        })),
        (Flavor::Vllm, "/version") => ok(&json!({"version": "0.32.0"})),
        (Flavor::Sglang, "/get_server_info") => ok(&json!({
            "model_path": format!("/srv/models/{}", model.id), "version": "0.5.5", "quantization": "fp8",
            "context_length": model.context, "max_total_num_tokens": 262_144,
        })),
        (Flavor::Tgi, "/info") => ok(&json!({
            "model_id": model.id, "model_dtype": "float16", "quantize": "awq", "version": "3.3.6", "router": "text-generation-router",
            "max_total_tokens": model.context, "max_input_tokens": model.context - 1, "max_concurrent_requests": 128,
        })),
        (Flavor::Litellm, "/health/liveliness") => ok(&json!("I'm alive!")),
        (Flavor::LlamaCpp, _) => {
            let error = json!({"message": "File Not Found", "type": "not_found_error", "code": 404});
            answer(StatusCode::NOT_FOUND, &json!({"error": error}))
        }
        (Flavor::Mlx, _) => (StatusCode::NOT_FOUND, "Not Found").into_response(),
        (Flavor::Tgi, _) => StatusCode::NOT_FOUND.into_response(),
        _ => answer(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"})),
    }
}
