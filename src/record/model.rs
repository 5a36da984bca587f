//! `model`: a model that a server offers.

use super::Body;
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::{Display, IntoStaticStr};

/// Kind of server. It decides how models are listed and loaded, which protocols are tried, and which key is sent.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ValueEnum,
    Display,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Source {
    /// LM Studio, on this machine or another.
    Lmstudio,
    /// openrouter.ai.
    Openrouter,
    /// Ollama.
    Ollama,
    /// Any server that speaks OpenAI's chat completions: llama.cpp, vLLM, SGLang, TGI, MLX, LiteLLM …
    Openai,
    /// MiniMax, api.minimax.io or a local one.
    Minimax,
}

impl Source {
    /// Whether its models run on the machines of a service, whatever the address: an address on this machine is a proxy's or a
    /// simulator's.
    pub fn is_hosted(self) -> bool {
        matches!(self, Source::Openrouter | Source::Minimax)
    }
}

/// A model that a server offers. llm-models writes it; llm-run reads it and passes it on. llm-run completes a
/// record without `source` or `base_url` by `--source` and `--base-url`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// Kind of server.
    pub source: Option<Source>,
    /// Id of the model: the value of `model` in requests.
    pub id: String,
    /// Base URL of the server, without a trailing slash: `http://127.0.0.1:1234`.
    pub base_url: Option<String>,
    /// Display name that the server gives the model.
    pub name: Option<String>,
    /// Publisher of the model.
    pub publisher: Option<String>,
    /// Architecture: `llama`, `gemma4` …
    pub arch: Option<String>,
    /// File format: `gguf`, `mlx` …
    pub format: Option<String>,
    /// Quantization: `Q4_K_M`, `4bit` …
    pub quantization: Option<String>,
    /// Number of parameters, as the publisher writes it: `26B-A4B`.
    pub parameters: Option<String>,
    /// Size of the model's files.
    pub size_bytes: Option<u64>,
    /// Longest context that the model supports, in tokens.
    pub context_length: Option<u64>,
    /// Context length of the loaded instance, in tokens.
    pub loaded_context_length: Option<u64>,
    /// Whether the model is loaded.
    pub loaded: Option<bool>,
    /// Capabilities that the server lists: `tools`, `vision`, `reasoning` …
    pub capabilities: Option<Vec<String>>,
    /// Prices.
    pub pricing: Option<Pricing>,
    /// Tag of the provider to which requests are pinned (OpenRouter).
    pub provider: Option<String>,
    /// Display name of that provider, as results report it.
    pub provider_name: Option<String>,
    /// Software of an OpenAI-compatible server: `llama.cpp`, `vllm` …
    pub server: Option<String>,
    /// Version that the server reports.
    pub server_version: Option<String>,
}

impl Body for Model {
    const TYPE: &'static str = "model";
}

/// Prices in US dollars, as the decimal strings that the server sent, so that no digit is lost.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pricing {
    /// Price of an input token.
    pub prompt_usd_per_token: Option<String>,
    /// Price of an output token.
    pub completion_usd_per_token: Option<String>,
    /// Price of a request, in addition to its tokens.
    pub request_usd: Option<String>,
}
