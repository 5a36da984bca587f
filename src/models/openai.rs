//! Any OpenAI-compatible server: the plain listing, and which server it is, as far as it gives itself away.

use super::{ASIDE, items, listing, no_listing, number, text};
use crate::http::{Api, versioned};
use crate::record::{Failure, Model, Source};
use serde_json::Value;

/// The models of the server at `api`.
///
/// # Errors
/// When the server is not reached, or is something else.
pub async fn list(api: &Api) -> Result<Vec<Model>, Failure> {
    let path = versioned(api.base())[api.base().len()..].to_owned() + "/models";
    let body = listing(api, &path, "data").await?.ok_or_else(|| no_listing(api, "a list of models (/v1/models)"))?;
    let server = recognise(api, &body).await;
    Ok(items(&body, "data").filter_map(|item| of(api.base(), item, server)).collect())
}

/// Which server it is: by whom it says it owns the models, then by a question that only that server answers.
async fn recognise(api: &Api, body: &Value) -> Option<&'static str> {
    let owner = items(body, "data").find_map(|item| text(item, "/owned_by")).unwrap_or_default();
    match owner.as_str() {
        "vllm" => return Some("vllm"),
        "sglang" => return Some("sglang"),
        "llamacpp" | "llama.cpp" => return Some("llama.cpp"),
        "organization_owner" => return Some("lmstudio"),
        "library" => return Some("ollama"),
        _ => {}
    }
    let root = crate::http::root_of(api.base());
    if root != api.base() {
        return None;
    }
    let probes: [(&str, &str, fn(&Value) -> bool); 5] = [
        ("/props", "llama.cpp", |body| body.get("default_generation_settings").is_some()),
        ("/api/version", "ollama", |body| body.get("version").is_some_and(Value::is_string)),
        ("/lmstudio-greeting", "lmstudio", |body| body.get("lmstudio") == Some(&Value::Bool(true))),
        ("/get_server_info", "sglang", |body| body.get("model_path").is_some()),
        ("/info", "tgi", |body| body.get("model_id").is_some() && body.get("version").is_some()),
    ];
    for (path, name, is_it) in probes {
        let reply = api.get(path, ASIDE).await.ok()?;
        if reply.status == 200 && reply.json().is_some_and(|body| is_it(&body)) {
            return Some(name);
        }
    }
    let health = api.get("/health/liveliness", ASIDE).await.ok()?;
    (health.status == 200 && health.body.contains("alive")).then_some("litellm")
}

fn of(base: &str, item: &Value, server: Option<&str>) -> Option<Model> {
    let context = ["/max_model_len", "/meta/n_ctx", "/context_length", "/meta/n_ctx_train"];
    Some(Model {
        source: Some(Source::Openai),
        id: text(item, "/id")?,
        base_url: Some(base.to_owned()),
        publisher: text(item, "/owned_by").filter(|owner| !matches!(owner.as_str(), "vllm" | "sglang" | "llamacpp")),
        size_bytes: number(item, "/meta/size"),
        context_length: context.iter().find_map(|path| number(item, path)),
        // Only llama.cpp's router tells which of its models are loaded.
        loaded: text(item, "/status/value").map(|state| state == "loaded"),
        server: server.map(str::to_owned),
        ..Model::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_id_is_required() {
        let vllm =
            of("http://h", &json!({"id": "m", "owned_by": "vllm", "max_model_len": 4096}), Some("vllm")).unwrap();
        assert_eq!((vllm.context_length, vllm.publisher, vllm.server.as_deref()), (Some(4096), None, Some("vllm")));
        let llama =
            of("http://h", &json!({"id": "m", "meta": {"n_ctx_train": 8192, "size": 56_000_000}}), None).unwrap();
        assert_eq!((llama.context_length, llama.size_bytes), (Some(8192), Some(56_000_000)));
        assert_eq!(of("http://h", &json!({"id": "m"}), None).unwrap().id, "m");
        assert_eq!(of("http://h", &json!({"object": "model"}), None), None);
    }
}
