//! LM Studio's models: the native listing (v1) as base, state and loaded context from the older one (v0); the plain OpenAI
//! listing, and `lms ls --json`, where there is nothing better.

use super::lms::Lms;
use crate::http::Api;
use crate::record::{Failure, Model, Source};
use crate::sources::listing::{EXTRA_LIMIT, items, listing, no_listing, number, text};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The models of the server at `api`; language models only, unless `all`.
///
/// # Errors
/// When the server is not reached, or is something else.
pub async fn list(api: &Api, all: bool) -> Result<Vec<Model>, Failure> {
    if let Some(models) = own(api, all).await? {
        return Ok(models);
    }
    if let Some(body) = listing(api, "/v1/models", "data").await? {
        // The plain listing has no types; LM Studio's names show which models are embeddings.
        let ids = items(&body, "data").filter_map(|item| text(item, "/id"));
        let ids = models_only(ids.filter(|id| all || !id.contains("embed")).collect());
        return Ok(ids.into_iter().map(|id| bare(api.base(), id)).collect());
    }
    Err(no_listing(api, "a list of LM Studio's models"))
}

/// By the listings that only LM Studio has; `None` where neither is there.
///
/// # Errors
/// When the server is not reached, or refuses.
pub async fn own(api: &Api, all: bool) -> Result<Option<Vec<Model>>, Failure> {
    let wanted = |item: &&Value| all || is_llm(item);
    if let Some(body) = listing(api, "/api/v1/models", "models").await? {
        let mut models = of_v1_all(api.base(), items(&body, "models").filter(wanted));
        if let Ok(Some(v0)) = listing(api, "/api/v0/models", "data").await {
            merge_state(&mut models, &v0);
        }
        return Ok(Some(models));
    }
    let Some(body) = listing(api, "/api/v0/models", "data").await? else { return Ok(None) };
    if !items(&body, "data").any(|item| item.get("state").is_some()) {
        return Ok(None);
    }
    let ids: HashSet<String> =
        models_only(items(&body, "data").filter_map(|item| text(item, "/id")).collect()).into_iter().collect();
    let models = items(&body, "data").filter(wanted).filter_map(|item| of_v0(api.base(), item));
    Ok(Some(models.filter(|model| ids.contains(&model.id)).collect()))
}

/// Whether the server identifies itself as LM Studio.
pub async fn greets(api: &Api) -> bool {
    let reply = api.get("/lmstudio-greeting", EXTRA_LIMIT).await;
    reply.is_ok_and(|reply| reply.json().is_some_and(|body| body.get("lmstudio") == Some(&Value::Bool(true))))
}

/// The models that `lms ls --json` lists, when no API does.
///
/// # Errors
/// When `lms` fails.
pub async fn list_by_lms(lms: &Lms, base: &str, all: bool) -> Result<Vec<Model>, String> {
    let items = lms.ls().await?;
    Ok(items.iter().filter(|item| all || is_llm(item)).filter_map(|item| of_lms(base, item)).collect())
}

/// Ids without those of second instances, which the older listings have as `model:2`.
fn models_only(ids: Vec<String>) -> Vec<String> {
    let known: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let instance = |id: &str| {
        id.rsplit_once(':').is_some_and(|(key, number)| number.parse::<u32>().is_ok() && known.contains(key))
    };
    ids.iter().filter(|id| !instance(id)).cloned().collect()
}

/// Whether an item is a language model: `llm` in v1 and `lms`, `llm` or `vlm` in v0; or without a type.
fn is_llm(item: &Value) -> bool {
    item.get("type").and_then(Value::as_str).is_none_or(|kind| matches!(kind, "llm" | "vlm"))
}

fn bare(base: &str, id: String) -> Model {
    Model { source: Some(Source::Lmstudio), id, base_url: Some(base.to_owned()), ..Model::default() }
}

/// One model per key; where a key stands in several rows, one per variant, each under the variant's own name.
fn of_v1_all<'a>(base: &str, items: impl Iterator<Item = &'a Value>) -> Vec<Model> {
    let mut rows: Vec<(&Value, Model)> = Vec::new();
    let (mut twins, mut of_id): (HashSet<_>, HashMap<String, u64>) = Default::default();
    for (item, model) in items.filter_map(|item| Some((item, of_v1(base, item)?))) {
        // Twins are of one id, format and quantization.
        if twins.insert((model.id.clone(), model.format.clone(), model.quantization.clone())) {
            *of_id.entry(model.id.clone()).or_default() += 1;
            rows.push((item, model));
        }
    }
    let (mut models, mut known): (Vec<Model>, HashSet<String>) = Default::default();
    for (item, model) in &rows {
        let variant = text(item, "/selected_variant").filter(|_| of_id.get(&model.id) > Some(&1));
        let id = variant.unwrap_or_else(|| model.id.clone());
        // Two rows of the same id are one model to a request.
        if known.insert(id.clone()) {
            models.push(Model { id, ..model.clone() });
        }
    }
    models
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
        capabilities: capabilities_v0(item),
        ..bare(base, text(item, "/id")?)
    })
}

/// Capabilities are a list since 0.3.16; vision is a type.
fn capabilities_v0(item: &Value) -> Option<Vec<String>> {
    let listed = item.get("capabilities").and_then(Value::as_array);
    let mut words: Vec<String> = (item.get("type")? == "vlm").then(|| "vision".to_owned()).into_iter().collect();
    words.extend(listed.into_iter().flatten().filter_map(Value::as_str).map(|word| word.replace("tool_use", "tools")));
    (listed.is_some() || !words.is_empty()).then_some(words)
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
        capabilities: item.get("vision").is_some().then(|| {
            let able = [("vision", "vision"), ("trainedForToolUse", "tools")];
            able.into_iter().filter(|(flag, _)| item[*flag] == true).map(|(_, word)| word.to_owned()).collect()
        }),
        ..bare(base, text(item, "/modelKey")?)
    })
}

/// Some builds leave v1's list of instances empty while v0 rightly says that a model is loaded.
fn merge_state(models: &mut [Model], v0: &Value) {
    for item in items(v0, "data").filter(|item| text(item, "/state").as_deref() == Some("loaded")) {
        let Some(id) = text(item, "/id") else { continue };
        // v0's ids may lack the vendor before the slash, and a second instance is `id:2`.
        let last = |id: &str| {
            let id = id.rsplit('/').next().unwrap_or(id);
            id.split([':', '@']).next().unwrap_or_default().to_owned()
        };
        let plain = |known: &str| known.split('@').next().map(str::to_owned);
        let mut like = models.iter().enumerate().filter(|(_, model)| last(&model.id) == last(&id)).map(|(n, _)| n);
        let exact = models.iter().position(|model| model.id == id || plain(&model.id).as_ref() == Some(&id));
        // A name without its vendor tells nothing where two vendors have one like it.
        let Some(n) = exact.or_else(|| like.next().filter(|_| like.next().is_none())) else { continue };
        models[n].loaded = Some(true);
        models[n].loaded_context_length = models[n].loaded_context_length.or(number(item, "/loaded_context_length"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_every_field_of_the_native_listing() {
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
    fn older_listing_adds_missing_state() {
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
    fn shared_name_without_vendor_is_ignored() {
        let rows = json!([{"key": "a/twin", "loaded_instances": []}, {"key": "b/twin", "loaded_instances": []}]);
        let mut models = of_v1_all("http://h", rows.as_array().unwrap().iter());
        merge_state(&mut models, &json!({"data": [{"id": "twin", "state": "loaded"}]}));
        assert_eq!(models.iter().map(|model| model.loaded).collect::<Vec<_>>(), [Some(false); 2]);
        merge_state(&mut models, &json!({"data": [{"id": "b/twin", "state": "loaded"}]}));
        assert_eq!(models.iter().map(|model| model.loaded).collect::<Vec<_>>(), [Some(false), Some(true)]);
    }

    #[test]
    fn key_in_several_rows_is_listed_by_variant() {
        let row = |quant: &str, selected: Option<&str>| json!({"key": "k", "quantization": {"name": quant}, "selected_variant": selected, "variants": ["k@q4", "k@q8"]});
        let ids = |rows: &[Value]| of_v1_all("http://h", rows.iter()).into_iter().map(|m| m.id).collect::<Vec<_>>();
        assert_eq!(ids(&[row("Q4", Some("k@q4"))]), ["k"]);
        assert_eq!(ids(&[row("Q4", Some("k@q4")), row("Q8", Some("k@q8"))]), ["k@q4", "k@q8"]);
        assert_eq!(ids(&[row("Q4", None), row("Q8", None), row("Q4", None)]), ["k"]);
        assert_eq!(models_only(vec!["m".into(), "m:2".into(), "n:2".into()]), ["m", "n:2"]);
    }

    #[test]
    fn ignores_items_without_a_name() {
        assert_eq!(of_v1("http://h", &json!({"type": "llm"})), None);
        assert_eq!(of_v0("http://h", &json!({"id": ""})), None);
        assert_eq!(of_lms("http://h", &json!({"modelKey": 3})), None);
    }
}
