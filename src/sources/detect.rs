//! Detects the servers on this machine: all usual ports are tried at once, and a server is recognized by its responses, not by its port.

use crate::http::{Api, KeyRule, Secret};
use crate::record::{Failure, Model, Source};
use crate::sources::{lmstudio, ollama, openai};
use futures_util::future::join_all;
use std::time::Duration;

/// How long a port may take to answer before it counts as silent.
const PROBE_LIMIT: Duration = Duration::from_millis(1500);

/// Where local servers listen by default.
pub const PLACES: [&str; 9] = [
    "http://127.0.0.1:1234",  // LM Studio
    "http://127.0.0.1:11434", // Ollama
    "http://127.0.0.1:8080",  // llama.cpp until autumn 2026, mlx-lm
    "http://127.0.0.1:9931",  // llama.cpp since
    "http://127.0.0.1:8000",  // vLLM, llama-cpp-python
    "http://127.0.0.1:30000", // SGLang
    "http://127.0.0.1:3000",  // TGI
    "http://127.0.0.1:4000",  // LiteLLM
    "http://127.0.0.1:1337",  // Jan
];

/// What answered at an address.
#[derive(Debug, Clone, PartialEq)]
pub enum Detection {
    /// A server, and its models.
    Server(Source, Vec<Model>),
    /// A server that demands a key, with its message.
    KeyNeeded(String),
}

/// Tries all `places`; those without a model server are left out. `token` is LM Studio's.
pub async fn list(places: &[String], token: Option<&Secret>, all: bool) -> Vec<(String, Detection)> {
    let probes = places.iter().map(|base| async move {
        let detection = tokio::time::timeout(PROBE_LIMIT, probe(base, token, all)).await.ok()??;
        Some((base.clone(), detection))
    });
    join_all(probes).await.into_iter().flatten().collect()
}

/// The most particular server that answers: nearly all of them also speak OpenAI's API.
async fn probe(base: &str, token: Option<&Secret>, all: bool) -> Option<Detection> {
    let (bare, _) = Api::new(base, None, &KeyRule::default());
    let (keyed, _) = Api::new(base, token.cloned(), &KeyRule::default());
    let native = async {
        match lmstudio::list::own(&keyed, all).await {
            Ok(None) if lmstudio::list::greets(&keyed).await => lmstudio::list::list(&keyed, all).await.map(Some),
            own => own,
        }
    };
    let (native, ollama, plain) = tokio::join!(native, ollama::list::list(&bare, all), openai::list::list(&bare));
    match (native, ollama, plain) {
        (Ok(Some(models)), _, _) => Some(Detection::Server(Source::Lmstudio, models)),
        (_, Ok(models), _) => Some(Detection::Server(Source::Ollama, models)),
        (_, _, Ok(models)) => Some(Detection::Server(Source::Openai, models)),
        (Err(failure), _, _) | (_, _, Err(failure)) => {
            let Failure { status, message, .. } = failure;
            matches!(status, Some(401 | 403)).then_some(Detection::KeyNeeded(message))
        }
    }
}
