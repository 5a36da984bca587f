//! LM Studio: by its native REST API (since 0.4.0); by the `lms` program for what REST cannot say, and for the years before
//! it; and where there is neither, by a request, because a request loads the model that it names.
//!
//! Each REST load makes a *new* instance, so that everything is unloaded first. The result is verified by the server's listing, not by
//! the loader's report. Source: LM Studio's developer documentation, "Load a model", "Unload a model"; its command line's
//! `load.ts` for how keys are matched.

use super::instances::{ApiGeneration, Instance, ListedModel, Listing, rows_of_ps};
use super::lms::{Lms, LoadArguments};
use crate::clock::Stamp;
use crate::http::{Api, ApiError, Reply, authority, is_loopback};
use crate::record::{Loader, Model};
use crate::sources::life_cycle::{LoadOptions, LoadedModel, SHORT};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Retries of the listing when it shows no loaded model right after a load.
const LOOKS: u32 = 10;

/// Environment variables that `lms` does not see: keys of other services.
type Hidden<'a> = &'a [&'static str];

/// Loads a model and verifies that it, and not another, is loaded as requested.
pub async fn load(api: &Api, model: &Model, options: &LoadOptions, hidden: Hidden<'_>) -> Result<LoadedModel, String> {
    let listing = Listing::of(api).await?;
    let beyond = options.flags();
    if listing.generation == ApiGeneration::V1 && beyond.is_empty() {
        let (row, variant) = listing.find(&model.id)?;
        if let Some(loaded) = load_by_rest(api, variant.as_deref().unwrap_or(&row.key), options).await? {
            return verify(api, None, &row.key, variant.as_deref(), options, loaded).await;
        }
    }
    match find_lms(api, hidden) {
        Ok(lms) => {
            let (key, variant, warning) = key_of(&lms.ls().await?, &listing, &model.id)?;
            let mut loaded = load_by_lms(&lms, &key, options).await?;
            loaded.warnings.extend(warning);
            verify(api, Some(&lms), &key, variant.as_deref(), options, loaded).await
        }
        Err(none) if !beyond.is_empty() => Err(format!("`lms` is needed for {}: {none}", beyond.join(", "))),
        Err(none) if listing.generation == ApiGeneration::Plain && options.context_length.is_some() => {
            Err(format!("--context-length: this LM Studio can only be asked for it by `lms`: {none}"))
        }
        Err(_) => {
            let loaded = load_by_request(api, listing.generation, &model.id, options.step_limit()).await?;
            if listing.generation == ApiGeneration::Plain {
                let warning = "this LM Studio cannot say what is loaded: see `served_model` of the results";
                return Ok(LoadedModel { warnings: vec![warning.into()], ..loaded });
            }
            let key = listing.find(&model.id)?.0.key.clone();
            verify(api, None, &key, None, options, loaded).await
        }
    }
}

/// Finds `lms`; for a server on another machine, with its address.
fn find_lms(api: &Api, hidden: Hidden<'_>) -> Result<Lms, String> {
    Lms::find(authority(api.base()).filter(|_| !is_loopback(api.base())), hidden)
}

/// What is asked first to load a model.
pub fn loader(options: &LoadOptions) -> Loader {
    if options.flags().is_empty() { Loader::Rest } else { Loader::Lms }
}

/// Whether the endpoint is missing: a string in place of an error object, with any status; or a plain 404.
fn missing(reply: &Reply) -> bool {
    let error = reply.json().and_then(|body| body.get("error").cloned());
    match error {
        Some(Value::String(text)) => text.starts_with("Unexpected endpoint"),
        Some(_) => false,
        None => matches!(reply.status, 404 | 405 | 501),
    }
}

/// Loads by REST; `None` where the endpoint is missing.
async fn load_by_rest(api: &Api, key: &str, options: &LoadOptions) -> Result<Option<LoadedModel>, String> {
    let mut body = Map::from_iter([("model".to_owned(), key.into()), ("echo_load_config".to_owned(), true.into())]);
    if let Some(length) = options.context_length {
        body.insert("context_length".into(), length.into());
    }
    let began = Stamp::now();
    let reply = api
        .post("/api/v1/models/load", &Value::Object(body), options.step_limit())
        .await
        .map_err(|error| error.message)?;
    let done = Stamp::now();
    if missing(&reply) {
        return Ok(None);
    }
    let body = reply.success().map_err(|error| error.message)?;
    if let Some(error) = ApiError::find(&body) {
        return Err(error.message);
    }
    Ok(Some(LoadedModel {
        loader: Loader::Rest,
        began,
        done,
        server_seconds: body.get("load_time_seconds").and_then(Value::as_f64).filter(|s| (0.0..1e6).contains(s)),
        program_seconds: None,
        fresh: true,
        context_length: body.pointer("/load_config/context_length").and_then(Value::as_u64),
        instance: body.get("instance_id").and_then(Value::as_str).map(str::to_owned),
        warnings: Vec::new(),
    }))
}

async fn load_by_lms(lms: &Lms, key: &str, options: &LoadOptions) -> Result<LoadedModel, String> {
    let requested = LoadArguments {
        key: key.to_owned(),
        gpu: options.gpu.clone(),
        context_length: options.context_length,
        ttl_seconds: options.ttl.map(|ttl| ttl.as_secs()),
        parallel: options.parallel,
        identifier: options.identifier.clone(),
    };
    let began = Stamp::now();
    let output = lms.load(&requested, options.step_limit()).await?;
    Ok(LoadedModel {
        loader: Loader::Lms,
        began,
        done: Stamp::now(),
        server_seconds: None,
        program_seconds: output.seconds,
        fresh: true,
        context_length: None,
        instance: output.identifier,
        warnings: Vec::new(),
    })
}

/// Loads by asking for one token: the wall time holds the prompt and the token too.
async fn load_by_request(
    api: &Api,
    generation: ApiGeneration,
    id: &str,
    limit: Duration,
) -> Result<LoadedModel, String> {
    let path = if generation == ApiGeneration::Plain { "/v1/chat/completions" } else { "/api/v0/chat/completions" };
    let body = json!({"model": id, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "stream": false});
    let began = Stamp::now();
    let reply = api.post(path, &body, limit).await.map_err(|error| error.message)?;
    let done = Stamp::now();
    let body = reply.success().map_err(|error| error.message)?;
    if let Some(error) = ApiError::find(&body) {
        return Err(error.message);
    }
    Ok(LoadedModel {
        loader: Loader::Jit,
        began,
        done,
        server_seconds: None,
        program_seconds: None,
        fresh: true,
        context_length: None,
        instance: None,
        warnings: vec!["loaded by a request, because there is neither a REST endpoint nor `lms` to load it".into()],
    })
}

/// The whole `modelKey` for an id of the API, the variant that was named, and a warning. `lms` takes the best subsequence match for
/// anything shorter.
fn key_of(ls: &[Value], listing: &Listing, id: &str) -> Result<(String, Option<String>, Option<String>), String> {
    let word = |item: &Value, name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
    let variants = |item: &Value| -> Vec<String> {
        let list = item.get("variants").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).chain(word(item, "selectedVariant")).collect()
    };
    let rows = ls.iter().filter_map(|item| {
        Some(ListedModel {
            key: word(item, "modelKey")?,
            variants: variants(item),
            selected: word(item, "selectedVariant"),
            ..ListedModel::default()
        })
    });
    let rows: Vec<ListedModel> = rows.collect();
    let item_of = |key: &str| ls.iter().find(|item| word(item, "modelKey").as_deref() == Some(key));
    // An id of the API first becomes a whole key of the API, then a whole key of `lms`; loose files go by their path there.
    let whole = listing
        .find(id)
        .ok()
        .map_or_else(|| id.to_owned(), |(row, variant)| variant.unwrap_or_else(|| row.key.clone()));
    let by_path = ls.iter().find(|item| {
        ["path", "indexedModelIdentifier"].iter().any(|name| word(item, name).as_deref() == Some(whole.as_str()))
    });
    let (key, variant) = match by_path.and_then(|item| word(item, "modelKey")) {
        Some(key) if rows.iter().all(|row| row.key != whole) => (key, None),
        _ => {
            let keys = Listing { generation: ApiGeneration::V1, rows };
            let (row, variant) = keys.find(&whole).map_err(|error| format!("lms ls: {error}"))?;
            if variant.is_some() && variant != row.selected {
                let selected = row.selected.as_deref().unwrap_or("another");
                return Err(format!(
                    "{whole}: `lms` loads the selected variant, {selected}: select this one in LM Studio"
                ));
            }
            (row.key.clone(), variant)
        }
    };
    let elsewhere = item_of(&key).is_some_and(|item| item.get("deviceIdentifier").is_some_and(Value::is_string));
    let warning =
        elsewhere.then(|| "is on another machine (LM Link): its memory and its power are not this one's".to_owned());
    Ok((key, variant, warning))
}

/// Verifies that the server lists the requested model as loaded.
async fn verify(
    api: &Api,
    lms: Option<&Lms>,
    key: &str,
    variant: Option<&str>,
    options: &LoadOptions,
    mut loaded: LoadedModel,
) -> Result<LoadedModel, String> {
    let mut loaded_rows = loaded_rows(api, lms).await?;
    for _ in 0..LOOKS {
        if loaded_rows.iter().any(|row| !row.instances.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        loaded_rows = self::loaded_rows(api, lms).await?;
    }
    let instances = |row: &ListedModel| row.instances.iter().map(|instance| instance.id.clone()).collect::<Vec<_>>();
    let row = loaded_rows.iter().find(|row| row.key == key && !row.instances.is_empty());
    let Some(row) = row else {
        let others: Vec<&str> =
            loaded_rows.iter().filter(|row| !row.instances.is_empty()).map(|row| row.key.as_str()).collect();
        return Err(match others.as_slice() {
            [] => format!("{key} was loaded, it is said, but the server lists nothing as loaded"),
            others => format!("asked for {key} and got {}: the wrong model was loaded", others.join(", ")),
        });
    };
    let name = options.identifier.as_deref().or(loaded.instance.as_deref());
    let of_name = |row: &ListedModel| row.instances.iter().find(|instance| Some(instance.id.as_str()) == name).cloned();
    let instance: Instance = match (of_name(row), lms) {
        (Some(instance), _) => instance,
        // A listing that forgets instances forgets their names too.
        (None, Some(lms)) if options.identifier.is_some() => {
            let named = rows_of_ps(&lms.ps().await?).iter().filter(|row| row.key == key).find_map(of_name);
            named.ok_or_else(|| {
                let name = options.identifier.as_deref().unwrap_or_default();
                format!("{key} is loaded as {}, not as {name}", instances(row).join(", "))
            })?
        }
        (None, _) => row.instances[0].clone(),
    };
    let length = instance.context_length.or(loaded.context_length);
    if let (Some(requested), Some(actual)) = (options.context_length, length)
        && requested != actual
    {
        return Err(format!(
            "{key} is loaded with a context of {actual} tokens, not {requested}: the model may not allow it"
        ));
    }
    if let (Some(variant), Some(selected)) = (variant, &row.selected)
        && variant != selected
    {
        return Err(format!("asked for {variant} and got {selected}: the wrong variant was loaded"));
    }
    if options.context_length.is_some() && length.is_none() {
        loaded.warnings.push("the server does not say with what context length it is loaded".into());
    }
    if let (Some(requested), Some(actual)) = (options.parallel, instance.parallel)
        && requested != actual
    {
        loaded.warnings.push(format!("is loaded for {actual} requests at once, not {requested}"));
    }
    let all: Vec<String> = loaded_rows.iter().flat_map(instances).collect();
    if all.len() > 1 {
        loaded.warnings.push(format!("is not alone in memory: {} are loaded", all.join(", ")));
    }
    loaded.context_length = length;
    // The loader's name counts where an older listing has another one.
    loaded.instance = options.identifier.clone().or(loaded.instance).or(Some(instance.id));
    Ok(loaded)
}

/// The loaded models, by the server's listing, or by `lms ps` where that does not show them.
async fn loaded_rows(api: &Api, lms: Option<&Lms>) -> Result<Vec<ListedModel>, String> {
    let listing = Listing::of(api).await?;
    match (listing.generation, lms) {
        (ApiGeneration::Plain, Some(lms)) => Ok(rows_of_ps(&lms.ps().await?)),
        (ApiGeneration::Plain, None) => {
            Err("this LM Studio (neither /api/v1 nor /api/v0) tells only `lms` what is loaded, and there is none"
                .into())
        }
        _ => Ok(listing.rows),
    }
}

/// The names of everything that is loaded.
pub async fn loaded(api: &Api, hidden: Hidden<'_>) -> Result<Vec<String>, String> {
    let rows = loaded_rows(api, find_lms(api, hidden).ok().as_ref()).await?;
    Ok(rows.into_iter().flat_map(|row| row.instances).map(|instance| instance.id).collect())
}

/// Unloads every instance, and verifies it by listing again.
pub async fn unload_all(api: &Api, hidden: Hidden<'_>) -> Result<(), String> {
    let lms = find_lms(api, hidden);
    let rows = loaded_rows(api, lms.as_ref().ok()).await?;
    if rows.iter().all(|row| row.instances.is_empty()) {
        return Ok(());
    }
    let mut by_rest = true;
    for row in &rows {
        for instance in &row.instances {
            // Where only the older listing knew of it, its id there need not be the instance's own.
            by_rest =
                by_rest && (unload(api, &instance.id).await || (row.key != instance.id && unload(api, &row.key).await));
        }
    }
    if !by_rest {
        lms.as_ref().map_err(Clone::clone)?.unload_all().await?;
    }
    match loaded(api, hidden).await?.as_slice() {
        [] => Ok(()),
        left => Err(format!("still loaded: {}", left.join(", "))),
    }
}

async fn unload(api: &Api, id: &str) -> bool {
    let reply = api.post("/api/v1/models/unload", &json!({ "instance_id": id }), SHORT).await;
    reply.is_ok_and(|reply| reply.json().is_some_and(|body| body.get("instance_id").is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_key_of_lms_for_an_id_of_the_api() {
        let ls = [
            json!({"modelKey": "openai/gpt-oss-20b", "path": "openai/gpt-oss-20b"}),
            json!({"modelKey": "qwen3-4b", "path": "lmstudio-community/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf"}),
            json!({"modelKey": "qwen3-4b-thinking", "path": "x/y/z.gguf", "deviceIdentifier": "studio"}),
            json!({"modelKey": "google/gemma", "variants": ["google/gemma@q4", "google/gemma@q8"], "selectedVariant": "google/gemma@q4"}),
        ];
        let listing = Listing { generation: ApiGeneration::V0, rows: vec![] };
        for (id, expect) in [
            ("openai/gpt-oss-20b", Ok("openai/gpt-oss-20b")),
            ("gpt-oss-20b", Ok("openai/gpt-oss-20b")),
            ("lmstudio-community/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf", Ok("qwen3-4b")),
            ("qwen3-4b", Ok("qwen3-4b")),
            ("qwen3", Err("no such model")),
            ("google/gemma@q4", Ok("google/gemma")),
            ("google/gemma@q8", Err("select this one")),
        ] {
            match (key_of(&ls, &listing, id), expect) {
                (Ok((key, ..)), Ok(want)) => assert_eq!(key, want, "{id}"),
                (Err(error), Err(want)) => assert!(error.contains(want), "{id}: {error}"),
                (actual, _) => panic!("{id}: {actual:?}"),
            }
        }
        assert!(key_of(&ls, &listing, "qwen3-4b-thinking").unwrap().2.unwrap().contains("LM Link"));
        assert_eq!(key_of(&ls, &listing, "qwen3-4b").unwrap().2, None);
    }
}
