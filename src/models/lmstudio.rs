//! LM Studio's models: the native listing (v1) as base, state and loaded context from the older one (v0); the plain OpenAI
//! listing, and `lms ls --json`, where there is nothing better.

use super::{items, listing, no_listing, number, text};
use crate::http::Api;
use crate::record::{Failure, Model, Source};
use serde_json::Value;
use std::process::Command;

/// The models of the server at `api`; language models only, unless `all`.
///
/// # Errors
/// When the server is not reached, or is something else.
pub async fn list(api: &Api, all: bool) -> Result<Vec<Model>, Failure> {
    let wanted = |item: &&Value| all || is_llm(item);
    if let Some(body) = listing(api, "/api/v1/models", "models").await? {
        let mut models: Vec<Model> =
            items(&body, "models").filter(wanted).filter_map(|item| of_v1(api.base(), item)).collect();
        if let Ok(Some(v0)) = listing(api, "/api/v0/models", "data").await {
            merge_state(&mut models, &v0);
        }
        return Ok(models);
    }
    if let Some(body) = listing(api, "/api/v0/models", "data").await?
        && items(&body, "data").any(|item| item.get("state").is_some())
    {
        return Ok(items(&body, "data").filter(wanted).filter_map(|item| of_v0(api.base(), item)).collect());
    }
    if let Some(body) = listing(api, "/v1/models", "data").await? {
        // The plain listing does not say what is an embedding; LM Studio's names of them do.
        let ids = items(&body, "data").filter_map(|item| text(item, "/id"));
        return Ok(ids.filter(|id| all || !id.contains("embed")).map(|id| bare(api.base(), id)).collect());
    }
    Err(no_listing(api, "a list of LM Studio's models"))
}

/// The models that `lms ls --json` tells of: what is left when no server answers.
///
/// # Errors
/// When there is no `lms`, or it fails.
pub fn list_by_lms(base: &str, all: bool) -> Result<Vec<Model>, String> {
    let output = Command::new("lms").args(["ls", "--json"]).output().map_err(|why| format!("lms: {why}"))?;
    if !output.status.success() {
        return Err(format!("lms ls: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let body: Value = serde_json::from_slice(&output.stdout).map_err(|why| format!("lms ls --json: {why}"))?;
    let items = body.as_array().ok_or("lms ls --json: not a list")?;
    Ok(items.iter().filter(|item| all || is_llm(item)).filter_map(|item| of_lms(base, item)).collect())
}

/// Starts LM Studio's server with `lms server start`; says what happened.
///
/// # Errors
/// When there is no `lms`, or it could not start the server.
pub fn start_server() -> Result<String, String> {
    let output = Command::new("lms").args(["server", "start"]).output().map_err(|why| format!("lms: {why}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().last().unwrap_or_default().trim().to_owned();
    if output.status.success() { Ok(said) } else { Err(format!("lms server start: {said}")) }
}

/// v1 says `llm`, v0 says `llm` or `vlm`, `lms` says `llm`; what says nothing is taken for one.
fn is_llm(item: &Value) -> bool {
    item.get("type").and_then(Value::as_str).is_none_or(|kind| matches!(kind, "llm" | "vlm"))
}

fn bare(base: &str, id: String) -> Model {
    Model { source: Some(Source::Lmstudio), id, base_url: Some(base.to_owned()), ..Model::default() }
}

fn of_v1(base: &str, item: &Value) -> Option<Model> {
    let instances = item.get("loaded_instances").and_then(Value::as_array);
    let capabilities = item.get("capabilities").and_then(Value::as_object).map(|flags| {
        let has = |flag: &str| flags.get(flag).is_some_and(|value| value == true || value.is_object());
        [("vision", "vision"), ("trained_for_tool_use", "tools"), ("reasoning", "reasoning")]
            .into_iter()
            .filter(|(flag, _)| has(flag))
            .map(|(_, word)| word.to_owned())
            .collect()
    });
    Some(Model {
        name: text(item, "/display_name"),
        publisher: text(item, "/publisher"),
        arch: text(item, "/architecture"),
        format: text(item, "/format"),
        quantization: text(item, "/quantization/name"),
        parameters: text(item, "/params_string"),
        size_bytes: number(item, "/size_bytes"),
        context_length: number(item, "/max_context_length"),
        loaded: instances.map(|instances| !instances.is_empty()),
        loaded_context_length: number(item, "/loaded_instances/0/config/context_length"),
        capabilities,
        ..bare(base, text(item, "/key")?)
    })
}

fn of_v0(base: &str, item: &Value) -> Option<Model> {
    Some(Model {
        publisher: text(item, "/publisher"),
        arch: text(item, "/arch"),
        format: text(item, "/compatibility_type"),
        quantization: text(item, "/quantization"),
        context_length: number(item, "/max_context_length"),
        loaded: text(item, "/state").map(|state| state == "loaded"),
        loaded_context_length: number(item, "/loaded_context_length"),
        capabilities: item
            .get("capabilities")
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).map(|word| word.replace("tool_use", "tools")).collect()),
        ..bare(base, text(item, "/id")?)
    })
}

fn of_lms(base: &str, item: &Value) -> Option<Model> {
    Some(Model {
        name: text(item, "/displayName"),
        publisher: text(item, "/publisher"),
        arch: text(item, "/architecture"),
        // MLX models say `safetensors` here and `mlx` everywhere else.
        format: text(item, "/format").map(|format| if format == "safetensors" { "mlx".into() } else { format }),
        quantization: text(item, "/quantization/name"),
        parameters: text(item, "/paramsString"),
        size_bytes: number(item, "/sizeBytes"),
        context_length: number(item, "/maxContextLength"),
        ..bare(base, text(item, "/modelKey")?)
    })
}

/// Some builds leave v1's list of instances empty while v0 rightly says that a model is loaded.
fn merge_state(models: &mut [Model], v0: &Value) {
    for item in items(v0, "data").filter(|item| text(item, "/state").as_deref() == Some("loaded")) {
        let Some(id) = text(item, "/id") else { continue };
        // v0's ids may lack the vendor before the slash, and a second instance is `id:2`.
        let last = |id: &str| id.rsplit('/').next().unwrap_or(id).split(':').next().unwrap_or_default().to_owned();
        if let Some(model) = models.iter_mut().find(|model| model.id == id || last(&model.id) == last(&id)) {
            model.loaded = Some(true);
            model.loaded_context_length = model.loaded_context_length.or(number(item, "/loaded_context_length"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_model_of_the_native_listing_tells_all() {
        let item = json!({"type": "llm", "publisher": "acme", "key": "acme/small-4b", "display_name": "Small 4B",
            "architecture": "llama", "quantization": {"name": "Q4_K_M", "bits_per_weight": 4}, "size_bytes": 2_500_000_000u64,
            "params_string": "4B", "loaded_instances": [{"id": "acme/small-4b", "config": {"context_length": 8192}}],
            "max_context_length": 131072, "format": "gguf",
            "capabilities": {"vision": false, "trained_for_tool_use": true, "reasoning": {"default": "on"}}});
        let model = of_v1("http://h", &item).unwrap();
        assert_eq!(
            (model.id.as_str(), model.loaded, model.loaded_context_length),
            ("acme/small-4b", Some(true), Some(8192))
        );
        assert_eq!(model.capabilities.unwrap(), ["tools", "reasoning"]);
        assert_eq!((model.quantization.as_deref(), model.size_bytes), (Some("Q4_K_M"), Some(2_500_000_000)));
        assert!(!is_llm(&json!({"type": "embedding"})) && is_llm(&json!({"type": "vlm"})));
    }

    #[test]
    fn the_older_listing_s_state_wins_where_the_native_one_is_empty() {
        let mut models = vec![
            of_v1("http://h", &json!({"key": "openai/gpt-oss-20b", "loaded_instances": []})).unwrap(),
            of_v1("http://h", &json!({"key": "other", "loaded_instances": []})).unwrap(),
        ];
        let v0 = json!({"data": [
            {"id": "gpt-oss-20b", "state": "loaded", "loaded_context_length": 4096},
            {"id": "other", "state": "not-loaded"}]});
        merge_state(&mut models, &v0);
        assert_eq!((models[0].loaded, models[0].loaded_context_length), (Some(true), Some(4096)));
        assert_eq!(models[1].loaded, Some(false));
    }

    #[test]
    fn an_item_without_a_name_is_no_model() {
        assert_eq!(of_v1("http://h", &json!({"type": "llm"})), None);
        assert_eq!(of_v0("http://h", &json!({"id": ""})), None);
        assert_eq!(of_lms("http://h", &json!({"modelKey": 3})), None);
    }
}
