//! Every local server on its usual port, asked all at once and briefly.

use super::{lmstudio, ollama, openai};
use crate::http::{Api, KeyRule};
use crate::record::{Model, Source};
use futures_util::future::join_all;
use std::time::Duration;

/// How long a port may take to answer before it counts as silent.
const PROBE: Duration = Duration::from_millis(1500);

/// Where local servers listen by default.
pub const PLACES: [(Source, &str); 9] = [
    (Source::Lmstudio, "http://127.0.0.1:1234"),
    (Source::Ollama, "http://127.0.0.1:11434"),
    (Source::Openai, "http://127.0.0.1:8080"), // llama.cpp until autumn 2026, mlx-lm
    (Source::Openai, "http://127.0.0.1:9931"), // llama.cpp since
    (Source::Openai, "http://127.0.0.1:8000"), // vLLM, llama-cpp-python
    (Source::Openai, "http://127.0.0.1:30000"), // SGLang
    (Source::Openai, "http://127.0.0.1:3000"), // TGI
    (Source::Openai, "http://127.0.0.1:4000"), // LiteLLM
    (Source::Openai, "http://127.0.0.1:1337"), // Jan
];

/// Asks every one of `places`; what answers is listed, what is silent or something else is left out.
pub async fn list(places: &[(Source, String)], all: bool) -> Vec<(Source, String, Vec<Model>)> {
    let asked = places.iter().map(|(source, base)| async move {
        let (api, _) = Api::new(base, None, &KeyRule::default()).ok()?;
        let listing = async {
            match source {
                Source::Lmstudio => lmstudio::list(&api, all).await,
                Source::Ollama => ollama::list(&api, all).await,
                Source::Openai | Source::Openrouter | Source::Minimax => openai::list(&api).await,
            }
        };
        let models = tokio::time::timeout(PROBE, listing).await.ok()?.ok()?;
        Some((*source, base.clone(), models))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
