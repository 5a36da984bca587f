//! Lists the models of an OpenAI-compatible server, detects its software, and adds what that reports besides the listing.
//!
//! Sources: the servers' own documents and recordings of llama-server 0.7.0, vLLM 0.32.0, mlx-lm 0.32.2 and LiteLLM 1.106.2.

use super::quantization;
use crate::http::{Api, Reply, versioned};
use crate::record::{Failure, Model, Source};
use crate::sources::listing::{EXTRA_LIMIT, items, listing, no_listing, number, text};
use futures_util::future::join_all;
use serde_json::Value;

/// The models of the server at `api`.
///
/// # Errors
/// When the server is not reached, or is something else.
pub async fn list(api: &Api) -> Result<Vec<Model>, Failure> {
    let path = versioned(api.base())[api.base().len()..].to_owned() + "/models";
    let body = listing(api, &path, "data").await?.ok_or_else(|| no_listing(api, "a list of models (/v1/models)"))?;
    let software = detect_software(api, &body).await;
    let models: Vec<&Value> = items(&body, "data").collect();
    let alone = models.len() == 1;
    Ok(models.into_iter().filter_map(|item| of(api.base(), item, software.as_ref(), alone)).collect())
}

/// Software that was detected, and the properties that it reports.
#[derive(Debug, Clone, Default, PartialEq)]
struct Software {
    name: &'static str,
    properties: Value,
}

type Check = fn(&Reply, &Value) -> bool;

/// Paths with a response that only one software gives. A status alone shows nothing: LM Studio answers 200 to nearly any path.
const PROBES: [(&str, &str, Check); 7] = [
    ("/props", "llama.cpp", |_, body| body.get("default_generation_settings").is_some()),
    ("/get_server_info", "sglang", |_, body| body.get("model_path").is_some()),
    ("/info", "tgi", |_, body| body.get("model_id").is_some() && body.get("version").is_some()),
    ("/api/version", "ollama", |_, body| body.get("version").is_some_and(Value::is_string)),
    ("/lmstudio-greeting", "lmstudio", |_, body| body.get("lmstudio") == Some(&Value::Bool(true))),
    ("/health/liveliness", "litellm", |reply, _| reply.body.contains("alive")),
    // Last: others have a version too.
    ("/version", "vllm", |_, body| body.get("version").is_some_and(Value::is_string)),
];

/// Detects the software: by the owner of the models in the listing, then by a path that only it answers. All paths are tried at once.
async fn detect_software(api: &Api, body: &Value) -> Option<Software> {
    let owner = items(body, "data").find_map(|item| text(item, "/owned_by")).unwrap_or_default();
    let named = match owner.as_str() {
        "vllm" => Some("vllm"),
        "sglang" => Some("sglang"),
        "llamacpp" | "llama.cpp" => Some("llama.cpp"),
        "me" => Some("llama-cpp-python"),
        "organization_owner" => Some("lmstudio"),
        "library" => Some("ollama"),
        _ => None,
    };
    let library = api.server_header().unwrap_or_default();
    let api = &api.at_root();
    let probes = PROBES.iter().filter(|(_, name, _)| named.is_none_or(|named| *name == named));
    let answers = join_all(probes.map(|(path, name, check)| async move {
        let reply = api.get(path, EXTRA_LIMIT).await.ok()?;
        let body = reply.json().unwrap_or_default();
        (reply.status == 200 && check(&reply, &body)).then_some(Software { name, properties: body })
    }))
    .await;
    let found = answers.into_iter().flatten().next();
    found.or_else(|| named.map(|name| Software { name, properties: Value::Null })).or_else(|| {
        // mlx-lm names no owner and has nothing else of its own but the library that it is made with.
        let mlx = owner.is_empty() && library.starts_with("BaseHTTP/");
        mlx.then_some(Software { name: "mlx-lm", properties: Value::Null })
    })
}

/// A model of the listing, with the properties of the server if it serves only this model (`alone`).
fn of(base: &str, item: &Value, software: Option<&Software>, alone: bool) -> Option<Model> {
    let id = text(item, "/id")?;
    let name = software.map_or("", |software| software.name);
    let nothing = Value::Null;
    let properties = software.map_or(&nothing, |software| &software.properties);
    let of_this = if alone { properties } else { &nothing };
    let path = text(of_this, "/model_path").or_else(|| text(item, "/root")).or_else(|| text(item, "/path"));
    let first = |places: &[(&Value, &str)]| places.iter().find_map(|(body, path)| number(body, path));
    let loaded_context_length = first(&[
        (item, "/meta/n_ctx"),
        (of_this, "/default_generation_settings/n_ctx"),
        (item, "/max_model_len"),
        (of_this, "/max_total_tokens"),
    ]);
    // The router of llama.cpp tells it of each model, a llama.cpp that still loads has no `meta`; vLLM, SGLang and TGI listen
    // when their model is there.
    let loaded = match text(item, "/status/value") {
        Some(state) => Some(state == "loaded"),
        None if name == "llama.cpp" && alone => item.get("meta").map(Value::is_object),
        None => matches!(name, "vllm" | "sglang" | "tgi").then_some(true),
    };
    let quantization_field = ["/quantization", "/quantize"].iter().find_map(|path| text(of_this, path));
    Some(Model {
        source: Some(Source::Openai),
        base_url: Some(base.to_owned()),
        name: text(item, "/root").filter(|root| *root != id && !root.starts_with('/')),
        publisher: text(item, "/owned_by").filter(|owner| {
            let server = ["vllm", "sglang", "llamacpp", "llama.cpp", "me", "local", "library", "organization_owner"];
            !server.contains(&owner.as_str()) && *owner != id
        }),
        format: matches!(name, "llama.cpp" | "llama-cpp-python").then(|| "gguf".to_owned()),
        quantization: path
            .as_deref()
            .and_then(quantization::in_name)
            .or_else(|| quantization::in_name(&id))
            .or_else(|| {
                text(item, "/meta/ftype").or_else(|| text(of_this, "/model_ftype")).map(|f| quantization::of_ftype(&f))
            })
            .or(quantization_field)
            .or_else(|| text(of_this, "/model_dtype")),
        parameters: number(item, "/meta/n_params").map(quantization::parameters),
        size_bytes: number(item, "/meta/size"),
        context_length: first(&[
            (item, "/meta/n_ctx_train"),
            (item, "/context_length"),
            (item, "/max_model_len"),
            (of_this, "/context_length"),
        ]),
        loaded_context_length,
        loaded,
        capabilities: capabilities(item, of_this),
        server: software.map(|software| software.name.to_owned()),
        server_version: text(properties, "/build_info").or_else(|| text(properties, "/version")),
        id,
        ..Model::default()
    })
}

/// The inputs and the template capabilities that llama.cpp reports.
fn capabilities(item: &Value, props: &Value) -> Option<Vec<String>> {
    let inputs = item.pointer("/architecture/input_modalities").and_then(Value::as_array);
    let takes = |kind: &str| inputs.is_some_and(|list| list.iter().any(|word| word == kind));
    let can = |path: &str| props.pointer(path) == Some(&Value::Bool(true));
    let words = [
        ("vision", takes("image") || can("/modalities/vision")),
        ("audio", takes("audio") || can("/modalities/audio")),
        ("tools", can("/chat_template_caps/supports_tools")),
        ("reasoning", can("/chat_template_caps/supports_reasoning_effort")),
    ];
    let reported = inputs.is_some() || props.get("modalities").is_some();
    reported.then(|| words.iter().filter(|(_, is)| *is).map(|(word, _)| (*word).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn model(item: Value, name: &'static str, properties: Value) -> Model {
        of("http://h", &item, Some(&Software { name, properties }), true).unwrap()
    }

    #[test]
    fn reads_the_fields_of_each_server() {
        let vllm = json!({"id": "m", "owned_by": "vllm", "root": "Lab/m-7b-AWQ", "max_model_len": 4096});
        let vllm = model(vllm, "vllm", json!({"version": "0.32.0"}));
        assert_eq!((vllm.context_length, vllm.loaded_context_length), (Some(4096), Some(4096)));
        assert_eq!((vllm.publisher, vllm.name.as_deref(), vllm.loaded), (None, Some("Lab/m-7b-AWQ"), Some(true)));
        assert_eq!((vllm.quantization.as_deref(), vllm.server_version.as_deref()), (Some("AWQ"), Some("0.32.0")));

        let meta = json!({"n_ctx": 2048, "n_ctx_train": 8192, "n_params": 7_615_616_512u64, "size": 56_000_000, "ftype": "Q4_K - Medium"});
        let item = json!({"id": "m", "owned_by": "llamacpp", "meta": meta, "architecture": {"input_modalities": ["text", "image"]}});
        let props = json!({"build_info": "b1-x", "model_path": "/srv/model.gguf", "chat_template_caps": {"supports_tools": true}});
        let llama = model(item.clone(), "llama.cpp", props);
        assert_eq!((llama.context_length, llama.loaded_context_length), (Some(8192), Some(2048)));
        assert_eq!((llama.size_bytes, llama.parameters.as_deref()), (Some(56_000_000), Some("7.6B")));
        assert_eq!((llama.quantization.as_deref(), llama.format.as_deref()), (Some("Q4_K_M"), Some("gguf")));
        assert_eq!((llama.capabilities, llama.loaded), (Some(vec!["vision".into(), "tools".into()]), Some(true)));
        let by_file = model(item, "llama.cpp", json!({"model_path": "/srv/model-IQ3_XXS.gguf"}));
        assert_eq!(by_file.quantization.as_deref(), Some("IQ3_XXS"));
        let loading = model(json!({"id": "m", "meta": null}), "llama.cpp", Value::Null);
        assert_eq!((loading.loaded, loading.context_length, loading.parameters), (Some(false), None, None));

        let info = json!({"model_id": "m", "model_dtype": "float16", "quantize": null, "version": "3", "max_total_tokens": 4096});
        let tgi = model(json!({"id": "m", "owned_by": "m"}), "tgi", info);
        assert_eq!((tgi.quantization.as_deref(), tgi.loaded_context_length), (Some("float16"), Some(4096)));
    }

    #[test]
    fn requires_only_the_id() {
        let plain = of("http://h", &json!({"id": "m"}), None, true).unwrap();
        let nothing = Model {
            source: Some(Source::Openai),
            id: "m".into(),
            base_url: Some("http://h".into()),
            ..Model::default()
        };
        assert_eq!(plain, nothing);
        assert_eq!(of("http://h", &json!({"object": "model"}), None, true), None);
    }

    #[test]
    fn server_fields_are_not_used_for_one_of_several_models() {
        let software = Software {
            name: "llama.cpp",
            properties: json!({"model_path": "/srv/other-Q8_0.gguf", "build_info": "b1"}),
        };
        let item = json!({"id": "m", "status": {"value": "unloaded"}});
        let model = of("http://h", &item, Some(&software), false).unwrap();
        assert_eq!(
            (model.quantization, model.loaded, model.server_version.as_deref()),
            (None, Some(false), Some("b1"))
        );
    }
}
