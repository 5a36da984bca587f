//! Ollama: an empty prompt loads, one with `keep_alive` 0 unloads. Source: Ollama's API documentation, "Load a model".

use crate::clock::Stamp;
use crate::http::{Api, ApiError};
use crate::record::{Loader, Model};
use crate::sources::life_cycle::{LoadOptions, LoadedModel, SHORT};
use serde_json::{Value, json};
use std::time::Duration;

/// Idle time after which a model is unloaded without `--ttl`: Ollama's default, sent explicitly, because a server with
/// `OLLAMA_KEEP_ALIVE=0` would load the model for every request.
const KEEP: &str = "5m";

/// Whether a model runs on Ollama's own servers, by its tag.
pub fn is_cloud(id: &str) -> bool {
    id.ends_with(":cloud") || id.rsplit_once(':').is_some_and(|(_, tag)| tag.ends_with("-cloud"))
}

/// Loads a model and verifies that it is listed as running, with the requested context length.
pub async fn load(api: &Api, model: &Model, options: &LoadOptions) -> Result<LoadedModel, String> {
    let keep = options.ttl.map_or_else(|| KEEP.to_owned(), |ttl| format!("{}s", ttl.as_secs()));
    let mut body = json!({ "model": model.id, "prompt": "", "keep_alive": keep, "stream": false });
    if let Some(length) = options.context_length {
        body["options"] = json!({ "num_ctx": length });
    }
    let before = running(api).await?;
    let began = Stamp::now();
    let reply = api.post("/api/generate", &body, options.step_limit()).await.map_err(|error| error.message)?;
    let done = Stamp::now();
    let body = reply.success().map_err(|error| error.message)?;
    if let Some(error) = ApiError::find(&body) {
        return Err(error.message);
    }
    let listed_models = running(api).await?;
    let Some((_, length)) = listed_models.iter().find(|(name, _)| is_same_model(name, &model.id)) else {
        let others: Vec<&str> = listed_models.iter().map(|(name, _)| name.as_str()).collect();
        let others = if others.is_empty() { "nothing".into() } else { others.join(", ") };
        return Err(format!("asked for {} and the server runs {others}", model.id));
    };
    let mut warnings = Vec::new();
    match (options.context_length, length) {
        (Some(requested), Some(actual)) if requested != *actual => {
            return Err(format!("{} runs with a context of {actual} tokens, not {requested}", model.id));
        }
        (Some(_), None) => warnings.push("the server does not say with what context length it runs".into()),
        _ => {}
    }
    // A model that ran already has a `load_duration` too: the time its scheduler took to find that out.
    let fresh = !before.iter().any(|(name, was)| is_same_model(name, &model.id) && was == length);
    let seconds = body.get("load_duration").and_then(Value::as_f64).map(|ns| ns / 1e9);
    Ok(LoadedModel {
        loader: Loader::Ollama,
        began,
        done,
        server_seconds: seconds.filter(|s| (0.0..1e6).contains(s)),
        program_seconds: None,
        fresh,
        context_length: *length,
        instance: None,
        warnings,
    })
}

/// Ollama lists the tag that a name without one means.
fn is_same_model(listed: &str, requested: &str) -> bool {
    listed == requested || listed.strip_suffix(":latest") == Some(requested)
}

async fn running(api: &Api) -> Result<Vec<(String, Option<u64>)>, String> {
    let body =
        api.get("/api/ps", SHORT).await.map_err(|error| error.message)?.success().map_err(|error| error.message)?;
    let name = |item: &Value| item.get("name").or_else(|| item.get("model"))?.as_str().map(str::to_owned);
    Ok(body
        .get("models")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| Some((name(item)?, item.get("context_length").and_then(Value::as_u64))))
        .collect())
}

/// The names of everything that runs.
pub async fn loaded(api: &Api) -> Result<Vec<String>, String> {
    Ok(running(api).await?.into_iter().map(|(name, _)| name).collect())
}

/// Unloads every running model, and waits until none is listed.
pub async fn unload_all(api: &Api) -> Result<(), String> {
    for name in loaded(api).await? {
        let body = json!({ "model": name, "prompt": "", "keep_alive": 0, "stream": false });
        api.post("/api/generate", &body, SHORT)
            .await
            .map_err(|error| error.message)?
            .success()
            .map_err(|error| error.message)?;
    }
    for _ in 0..50 {
        if running(api).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("still running after five seconds".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_whole_names_and_finds_cloud_tags() {
        for (listed, requested, expect) in [
            ("owl:20b", "owl:20b", true),
            ("owl:latest", "owl", true),
            ("owl:20b", "owl", false),
            ("owl", "owl:20b", false),
        ] {
            assert_eq!(is_same_model(listed, requested), expect, "{listed} {requested}");
        }
        for (id, expect) in
            [("gpt-oss:120b-cloud", true), ("kimi:cloud", true), ("cloud:7b", false), ("my-cloud", false)]
        {
            assert_eq!(is_cloud(id), expect, "{id}");
        }
    }
}
