//! Ollama: a chat without messages loads, one with `keep_alive` 0 unloads. Source: Ollama's API documentation, "Load a model".

use super::{Loaded, Wanted};
use crate::http::{Api, Refusal};
use crate::record::{Loader, Model};
use serde_json::{Value, json};
use std::time::Duration;

const SHORT: Duration = Duration::from_secs(30);

/// Loads a model and verifies that it is listed as running.
pub async fn load(api: &Api, model: &Model, wanted: &Wanted) -> Result<Loaded, String> {
    let mut body = json!({ "model": model.id, "messages": [], "stream": false });
    if let Some(fields) = body.as_object_mut() {
        if let Some(length) = wanted.context_length {
            fields.insert("options".into(), json!({ "num_ctx": length }));
        }
        if let Some(ttl) = wanted.ttl {
            fields.insert("keep_alive".into(), format!("{}s", ttl.as_secs()).into());
        }
    }
    let body = api.post("/api/chat", &body, wanted.limit).await.map_err(|why| why.message)?;
    let body = body.success().map_err(|why| why.message)?;
    if let Some(refusal) = Refusal::find(&body) {
        return Err(refusal.message);
    }
    let running = running(api).await?;
    let Some((_, length)) =
        running.iter().find(|(name, _)| *name == model.id || *name == format!("{}:latest", model.id))
    else {
        let others: Vec<&str> = running.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!(
            "asked for {} and the server runs {}",
            model.id,
            if others.is_empty() { "nothing".into() } else { others.join(", ") }
        ));
    };
    match (wanted.context_length, length) {
        (Some(asked), Some(got)) if asked != *got => {
            Err(format!("{} runs with a context of {got} tokens, not {asked}", model.id))
        }
        // Ollama counts scheduling and loading together, in nanoseconds, and leaves zeros out.
        _ => Ok(Loaded {
            loader: Loader::Ollama,
            server_seconds: body
                .get("load_duration")
                .and_then(Value::as_f64)
                .map(|ns| ns / 1e9)
                .filter(|s| (0.0..1e6).contains(s)),
            context_length: *length,
        }),
    }
}

async fn running(api: &Api) -> Result<Vec<(String, Option<u64>)>, String> {
    let body = api.get("/api/ps", SHORT).await.map_err(|why| why.message)?.success().map_err(|why| why.message)?;
    let name = |item: &Value| item.get("name").or_else(|| item.get("model"))?.as_str().map(str::to_owned);
    Ok(body
        .get("models")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| Some((name(item)?, item.get("context_length").and_then(Value::as_u64))))
        .collect())
}

/// Unloads every running model, and waits until none is listed.
pub async fn unload_all(api: &Api) -> Result<(), String> {
    for (name, _) in running(api).await? {
        let body = json!({ "model": name, "messages": [], "keep_alive": 0, "stream": false });
        api.post("/api/chat", &body, SHORT).await.map_err(|why| why.message)?.success().map_err(|why| why.message)?;
    }
    for _ in 0..50 {
        if running(api).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("still running after five seconds".into())
}
