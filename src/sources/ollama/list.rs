//! Lists Ollama's models (`/api/tags`) and those that are loaded (`/api/ps`).

use crate::http::Api;
use crate::record::{Failure, Model, Source};
use crate::sources::listing::{EXTRA_LIMIT, items, listing, no_listing, number, text};
use serde_json::Value;

/// The models of the server at `api`; language models on this server only, unless `all`: a cloud model is listed here, and
/// runs on Ollama's own machines.
///
/// # Errors
/// When the server is not reached, or is something else.
pub async fn list(api: &Api, all: bool) -> Result<Vec<Model>, Failure> {
    let body =
        listing(api, "/api/tags", "models").await?.ok_or_else(|| no_listing(api, "a list of Ollama's models"))?;
    let loaded = match api.get("/api/ps", EXTRA_LIMIT).await {
        Ok(reply) => reply.json(),
        Err(_) => None,
    };
    Ok(items(&body, "models")
        .filter(|item| all || (is_llm(item) && !is_remote(item)))
        .filter_map(|item| of(api.base(), item, loaded.as_ref()))
        .collect())
}

/// Newer versions list capabilities; older ones do not, and then only the name can tell.
fn is_llm(item: &Value) -> bool {
    match item.get("capabilities").and_then(Value::as_array) {
        Some(list) => list.iter().any(|word| word == "completion"),
        None => !text(item, "/name").is_some_and(|name| name.contains("embed")),
    }
}

fn is_remote(item: &Value) -> bool {
    let tag = text(item, "/name").and_then(|name| Some(name.rsplit_once(':')?.1.to_owned())).unwrap_or_default();
    text(item, "/remote_host").is_some()
        || text(item, "/remote_model").is_some()
        || tag == "cloud"
        || tag.ends_with("-cloud")
}

fn of(base: &str, item: &Value, loaded: Option<&Value>) -> Option<Model> {
    let id = text(item, "/name").or_else(|| text(item, "/model"))?;
    let running = loaded.map(|body| items(body, "models").find(|m| text(m, "/name").as_deref() == Some(&id)));
    let capabilities = item.get("capabilities").and_then(Value::as_array);
    Some(Model {
        source: Some(Source::Ollama),
        base_url: Some(base.to_owned()),
        arch: text(item, "/details/family"),
        format: text(item, "/details/format"),
        quantization: text(item, "/details/quantization_level"),
        parameters: text(item, "/details/parameter_size"),
        size_bytes: number(item, "/size"),
        context_length: number(item, "/details/context_length"),
        loaded: running.map(|model| model.is_some()),
        loaded_context_length: running.flatten().and_then(|model| number(model, "/context_length")),
        capabilities: capabilities.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        id,
        ..Model::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_details_and_running_state() {
        let item = json!({"name": "small:4b", "model": "small:4b", "size": 2_000_000_000u64, "digest": "x",
            "details": {"format": "gguf", "family": "llama", "parameter_size": "4B", "quantization_level": "Q4_K_M"}});
        let ps = json!({"models": [{"name": "small:4b", "context_length": 8192}]});
        let model = of("http://h", &item, Some(&ps)).unwrap();
        assert_eq!(
            (model.id.as_str(), model.loaded, model.loaded_context_length),
            ("small:4b", Some(true), Some(8192))
        );
        assert_eq!(of("http://h", &item, Some(&json!({"models": []}))).unwrap().loaded, Some(false));
        assert_eq!(of("http://h", &item, None).unwrap().loaded, None);
        assert_eq!(of("http://h", &json!({}), None), None);
        assert!(!is_llm(&json!({"name": "nomic-embed-text:v1"})));
        assert!(!is_llm(&json!({"name": "x", "capabilities": ["embedding"]})));
        for (item, remote) in [
            (json!({"name": "a:cloud"}), true),
            (json!({"name": "a:120b-cloud"}), true),
            (json!({"name": "a:7b", "remote_host": "https://ollama.com"}), true),
            (json!({"name": "a:7b"}), false),
            (json!({"name": "cloud"}), false),
        ] {
            assert_eq!(is_remote(&item), remote, "{item}");
        }
    }
}
