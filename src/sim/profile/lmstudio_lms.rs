//! What the `lms` program asks of LM Studio, which speaks a protocol of its own with it. Here it is a few plain paths, for the
//! `lms` that stands in for it in the tests (`tests/fake/lms`): what it prints, to which stream, and with which status.
//!
//! A status that is no success is exit 1. Bodies are what `lms` prints: JSON for its standard output, text for its
//! standard error. A request's body is `name=value` lines.

use super::Sim;
use crate::sim::catalog::SimModel;
use crate::sim::faults::Kind;
use crate::sim::quirks::Quirk;
use crate::sim::shelf::{Instance, Order};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where the paths begin.
pub const PREFIX: &str = "/llm-sim/lms/";

pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/llm-sim/lms/ls", get(ls))
        .route("/llm-sim/lms/ps", get(ps))
        .route("/llm-sim/lms/load", post(load))
        .route("/llm-sim/lms/unload", post(unload))
}

fn item(model: &SimModel) -> Value {
    let mut item = json!({
        "type": if model.embedding { "embedding" } else { "llm" }, "modelKey": model.id,
        // MLX models are called by the form of their files here.
        "format": if model.format == "mlx" { "safetensors" } else { &model.format },
        "displayName": model.name, "publisher": model.publisher(), "path": model.id, "sizeBytes": model.size_bytes,
        "indexedModelIdentifier": model.id, "deviceIdentifier": null, "paramsString": model.params,
        "architecture": model.arch,
        "quantization": {"name": model.quantization.0, "bits": model.quantization.1}, "maxContextLength": model.context,
    });
    if !model.embedding {
        item["vision"] = false.into();
        item["trainedForToolUse"] = false.into();
    }
    item
}

async fn ls(State(sim): State<Arc<Sim>>) -> String {
    Value::from(sim.models.iter().map(|model| item(model)).collect::<Vec<_>>()).to_string()
}

async fn ps(State(sim): State<Arc<Sim>>) -> String {
    let of = |instance: &Arc<Instance>| {
        let mut item = item(&instance.model);
        item["identifier"] = instance.id.as_str().into();
        item["ttlMs"] = instance.keep().map(|seconds| seconds * 1e3).into();
        item["lastUsedTime"] = Value::Null;
        item["contextLength"] = instance.context.into();
        item["status"] = "idle".into();
        item["queued"] = 0.into();
        item["parallel"] = instance.parallel.into();
        item
    };
    Value::from(sim.shelf.loaded().iter().map(of).collect::<Vec<_>>()).to_string()
}

/// How well a name matches what was typed: `None` where its letters do not occur in it in this order. Letters that follow
/// each other count more; the same name counts most.
fn score(typed: &str, name: &str) -> Option<u64> {
    if typed == name {
        return Some(u64::MAX);
    }
    let (mut score, mut run) = (0, 0);
    let mut wanted = typed.chars().map(|c| c.to_ascii_lowercase()).peekable();
    for c in name.chars() {
        if wanted.next_if_eq(&c.to_ascii_lowercase()).is_some() {
            run = 2 * run + 1;
        } else {
            run = 0;
        }
        score += run;
    }
    wanted.peek().is_none().then_some(score)
}

async fn load(State(sim): State<Arc<Sim>>, body: String) -> (StatusCode, String) {
    let asked = |name: &str| {
        let lines = body.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(n, value)| *n == name && !value.is_empty()).map(|(_, value)| value.to_owned()).next_back()
    };
    let number = |name: &str| asked(name).and_then(|value| value.parse::<u64>().ok());
    let failed = |text: String| (StatusCode::BAD_REQUEST, text);
    let key = asked("key").unwrap_or_default();
    let mut hits: Vec<(u64, &Arc<SimModel>)> =
        sim.models.iter().filter_map(|model| Some((score(&key, &model.id)?, model))).collect();
    hits.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let Some((_, model)) = hits.first() else {
        return failed(format!("Model not found\n\nNo model found that matches model key \"{key}\"."));
    };
    let mut said = String::new();
    if hits.len() > 1 {
        let n = hits.len();
        said = format!("! {n} models match the provided model key on the same device. Loading the first one.\n");
    }
    let identifier = asked("identifier");
    if let Some(name) = identifier.as_ref().filter(|name| sim.shelf.loaded().iter().any(|one| one.id == **name)) {
        return failed(format!("The identifier \"{name}\" is already taken."));
    }
    if sim.faults(sim.next_number()).has(Kind::LoadFails) {
        return failed(format!("Failed to load model \"{}\". Error: out of memory (simulated).", model.id));
    }
    let context = number("context_length").unwrap_or(model.context.min(8192));
    let order = Order {
        context: if sim.is(Quirk::HalfContext) { context / 2 } else { context },
        name: identifier,
        parallel: number("parallel"),
        keep: number("ttl").map(|seconds| seconds as f64),
        by_request: false,
    };
    let instance = sim.shelf.load(model, order).await;
    instance.rest(None);
    said += &format!(
        "Model loaded successfully in {:.2}s.\n({:.2} GB)\nTo use the model in the API/SDK, use the identifier \"{}\".\n",
        instance.load_seconds,
        model.size_bytes as f64 / f64::from(1 << 30),
        instance.id
    );
    (StatusCode::OK, said)
}

async fn unload(State(sim): State<Arc<Sim>>) -> String {
    let loaded = sim.shelf.loaded();
    let mut said = String::new();
    for instance in &loaded {
        sim.shelf.unload(&instance.id);
        said += &format!("Unloading \"{}\"...\n", instance.id);
    }
    match loaded.len() {
        0 => "No models to unload.\n".into(),
        1 => said + "Unloaded 1 model.\n",
        n => said + &format!("Unloaded {n} models.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_by_its_letters_in_order_and_best_by_itself() {
        let best = |typed: &str| {
            let names = ["qwen3-4b-thinking", "qwen3-4b", "owl"];
            names
                .into_iter()
                .filter_map(|name| Some((score(typed, name)?, name)))
                .max_by_key(|(score, _)| *score)
                .map(|b| b.1)
        };
        assert_eq!(best("qwen3-4b"), Some("qwen3-4b"));
        assert_eq!(best("thinking"), Some("qwen3-4b-thinking"));
        assert_eq!(best("ol"), Some("owl"));
        assert_eq!(best("finch"), None);
    }
}
