//! LM Studio by its native REST API (since 0.4.0), and by the `lms` program for what REST cannot say.
//!
//! REST knows no GPU ratio, no time to live and no parallelism; and each load makes a *new* instance, so that everything is
//! unloaded first. Source: LM Studio's developer documentation, "Load a model" and "Unload a model".

use super::{Loaded, Wanted, lms};
use crate::http::Api;
use crate::record::{Loader, Model};
use serde_json::{Value, json};
use std::time::Duration;

const LISTING: Duration = Duration::from_secs(30);

/// Loads a model and verifies that it, and not another, is loaded, with the context length that was asked for.
pub async fn load(api: &Api, model: &Model, wanted: &Wanted) -> Result<Loaded, String> {
    let rest = if wanted.beyond_rest() { None } else { rest_load(api, model, wanted).await? };
    let loaded = match rest {
        Some(loaded) => loaded,
        None => {
            lms::load(&model.id, wanted).await?;
            Loaded { loader: Loader::Lms, server_seconds: None, context_length: None }
        }
    };
    let context_length = verify(api, model, wanted).await?;
    Ok(Loaded { context_length: context_length.or(loaded.context_length), ..loaded })
}

/// Loads by REST; `None` where the endpoint is missing, as in every LM Studio before 0.4.0.
async fn rest_load(api: &Api, model: &Model, wanted: &Wanted) -> Result<Option<Loaded>, String> {
    let mut body = json!({ "model": model.id, "echo_load_config": true });
    if let (Some(body), Some(length)) = (body.as_object_mut(), wanted.context_length) {
        body.insert("context_length".into(), length.into());
    }
    let reply = api.post("/api/v1/models/load", &body, wanted.limit).await.map_err(|why| why.message)?;
    let missing = reply.json().and_then(|body| Some(body.get("error")?.as_str()?.starts_with("Unexpected endpoint")));
    if missing == Some(true) {
        return Ok(None);
    }
    let body = reply.success().map_err(|why| why.message)?;
    if let Some(refusal) = crate::http::Refusal::find(&body) {
        return Err(refusal.message);
    }
    Ok(Some(Loaded {
        loader: Loader::Rest,
        server_seconds: body.get("load_time_seconds").and_then(Value::as_f64).filter(|s| (0.0..1e6).contains(s)),
        context_length: body.pointer("/load_config/context_length").and_then(Value::as_u64),
    }))
}

/// What the server itself lists as loaded: the model's context length, where it tells.
async fn verify(api: &Api, model: &Model, wanted: &Wanted) -> Result<Option<u64>, String> {
    let loaded = loaded(api).await?;
    let Some((_, _, length)) = loaded.iter().find(|(key, _, _)| same(key, &model.id)) else {
        let others: Vec<&str> = loaded.iter().map(|(key, _, _)| key.as_str()).collect();
        return Err(match others.as_slice() {
            [] => format!("{} was loaded, it is said, but the server lists nothing as loaded", model.id),
            others => {
                format!("asked for {} and got {}: give the full key as `lms ls` shows it", model.id, others.join(", "))
            }
        });
    };
    match (wanted.context_length, length) {
        (Some(asked), Some(got)) if asked != *got => Err(format!(
            "{} is loaded with a context of {got} tokens, not {asked}: the model may not allow it",
            model.id
        )),
        _ => Ok(*length),
    }
}

/// Keys are compared whole; only v0 drops the vendor, and variants and instance numbers follow the key.
fn same(listed: &str, asked: &str) -> bool {
    let plain = |id: &str| id.split(['@', ':']).next().unwrap_or(id).to_lowercase();
    let (listed, asked) = (plain(listed), plain(asked));
    listed == asked || (!listed.contains('/') && asked.rsplit('/').next() == Some(&listed))
}

/// Every loaded instance: the model's key, the instance's id, the context length.
async fn loaded(api: &Api) -> Result<Vec<(String, String, Option<u64>)>, String> {
    let v1 = api.get("/api/v1/models", LISTING).await.map_err(|why| why.message)?.json();
    let mut found = Vec::new();
    if let Some(models) = v1.as_ref().and_then(|body| body.get("models")?.as_array()) {
        for item in models {
            let key = item.get("key").and_then(Value::as_str).unwrap_or_default();
            for instance in item.get("loaded_instances").and_then(Value::as_array).into_iter().flatten() {
                let id = instance.get("id").and_then(Value::as_str).unwrap_or(key);
                let length = instance.pointer("/config/context_length").and_then(Value::as_u64);
                found.push((key.to_owned(), id.to_owned(), length));
            }
        }
    }
    if found.is_empty() {
        // Some builds leave the list of instances empty; the older listing then knows better.
        let v0 = api.get("/api/v0/models", LISTING).await.map_err(|why| why.message)?.json();
        for item in v0.as_ref().and_then(|body| body.get("data")?.as_array()).into_iter().flatten() {
            if item.get("state").and_then(Value::as_str) == Some("loaded")
                && let Some(id) = item.get("id").and_then(Value::as_str)
            {
                let length = item.get("loaded_context_length").and_then(Value::as_u64);
                found.push((id.to_owned(), id.to_owned(), length));
            }
        }
    }
    Ok(found)
}

/// Unloads every instance; looks again afterwards, because nothing that was said about it is proof.
pub async fn unload_all(api: &Api) -> Result<(), String> {
    let instances = loaded(api).await?;
    if instances.is_empty() {
        return Ok(());
    }
    for (_, id, _) in &instances {
        let reply = api.post("/api/v1/models/unload", &json!({ "instance_id": id }), LISTING).await;
        if !reply.is_ok_and(|reply| reply.json().is_some_and(|body| body.get("instance_id").is_some())) {
            lms::unload_all().await?;
            break;
        }
    }
    match loaded(api).await?.as_slice() {
        [] => Ok(()),
        left => {
            Err(format!("still loaded: {}", left.iter().map(|(_, id, _)| id.as_str()).collect::<Vec<_>>().join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_model_is_told_from_its_lookalikes() {
        for (listed, asked, expect) in [
            ("openai/gpt-oss-20b", "openai/gpt-oss-20b", true),
            ("gpt-oss-20b", "openai/gpt-oss-20b", true),
            ("openai/gpt-oss-20b:2", "openai/gpt-oss-20b", true),
            ("google/gemma-4", "google/gemma-4@q4_k_m", true),
            ("qwen3-4b-thinking", "qwen3-4b", false),
            ("mlx/gpt-oss-20b", "openai/gpt-oss-20b", false),
        ] {
            assert_eq!(same(listed, asked), expect, "{listed} {asked}");
        }
    }
}
