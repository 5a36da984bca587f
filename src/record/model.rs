//! `model`: what a server offers. Written by llm-models, read by llm-run.

use super::Body;
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt;

/// The kind of server a model lives on. It decides the listing, the chat dialect, how a model is loaded and where the
/// key comes from; a new server is one variant here, and the compiler asks for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Source::Lmstudio => "lmstudio",
            Source::Openrouter => "openrouter",
            Source::Ollama => "ollama",
            Source::Openai => "openai",
            Source::Minimax => "minimax",
        })
    }
}

/// A model, as its server tells of it. Only `id` is certain; a record without `source` or `base_url` is completed by
/// llm-run's `--source` and `--base-url`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// The kind of server.
    pub source: Option<Source>,
    /// What is sent as `model`.
    pub id: String,
    /// Where the server answers, without a trailing slash: `http://127.0.0.1:1234`.
    pub base_url: Option<String>,
    /// The server's display name of the model.
    pub name: Option<String>,
    /// Who published the model.
    pub publisher: Option<String>,
    /// The architecture: `llama`, `gemma4` …
    pub arch: Option<String>,
    /// The file format: `gguf`, `mlx` …
    pub format: Option<String>,
    /// The quantization: `Q4_K_M`, `4bit` …
    pub quantization: Option<String>,
    /// The number of parameters, in the publisher's words: `26B-A4B`.
    pub parameters: Option<String>,
    /// The size of the model's files.
    pub size_bytes: Option<u64>,
    /// The longest context, in tokens, that the model (not its present load) allows.
    pub context_length: Option<u64>,
    /// The context length, in tokens, with which the model is loaded now.
    pub loaded_context_length: Option<u64>,
    /// Whether the model is in memory now.
    pub loaded: Option<bool>,
    /// What the model can do, in the server's words: `tools`, `vision`, `reasoning` …
    pub capabilities: Option<Vec<String>>,
    /// What it costs.
    pub pricing: Option<Pricing>,
    /// The provider's tag, when the record is pinned to one (OpenRouter).
    pub provider: Option<String>,
    /// The display name of that provider: what answers carry.
    pub provider_name: Option<String>,
    /// What kind of OpenAI-compatible server answered: `llama.cpp`, `vllm` …
    pub server: Option<String>,
    /// The version that it says it has.
    pub server_version: Option<String>,
}

impl Body for Model {
    const TYPE: &'static str = "model";
}

/// Prices in US dollars, as the decimal strings the server gave: a price is money, not a measurement, and keeps every digit.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pricing {
    /// US dollars for one token of the prompt.
    pub prompt_usd_per_token: Option<String>,
    /// US dollars for one token of the answer.
    pub completion_usd_per_token: Option<String>,
    /// US dollars for one request, besides its tokens.
    pub request_usd: Option<String>,
}
