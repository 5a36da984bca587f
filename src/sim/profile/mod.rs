//! The servers that are simulated: one file each, with its routes, its listing, its errors and what its chat adds to the
//! common forms. Three forms of chat exist: OpenAI's completions, LM Studio's own, Ollama's own. [`recorded`] answers with what a
//! folder of exchanges has, for every other server.

mod completions;
mod lmstudio;
mod lmstudio_chat;
mod lmstudio_lms;
mod minimax;
mod ollama;
mod openai;
mod openrouter;
mod openrouter_faults;
mod recorded;

use super::Settings;
use super::ask::{Ask, Refusal};
use super::catalog::SimModel;
use super::chat::Request;
use super::replay::Replay;
use super::serve::Sim;
use super::turn::Turn;
use crate::record::Source;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use completions::Completions;
use serde_json::{Value, json};
use std::sync::Arc;

/// The routes of a server: those of recorded exchanges where there are any, else those of its profile.
pub fn router(settings: &Settings) -> Router<Arc<Sim>> {
    if let Some(Replay::Exchanges(_)) = &settings.replay {
        return recorded::router();
    }
    match settings.profile {
        Source::Lmstudio => lmstudio::router(),
        Source::Openrouter => openrouter::router(),
        Source::Ollama => ollama::router(),
        Source::Minimax => minimax::router(),
        _ => openai::router(),
    }
}

/// Whether a path needs no key.
pub fn is_open(profile: Source, path: &str) -> bool {
    match profile {
        Source::Lmstudio => path == "/lmstudio-greeting" || path.starts_with(lmstudio_lms::PREFIX),
        Source::Openrouter => path.starts_with("/api/v1/models"),
        Source::Ollama | Source::Minimax => false,
        _ => path == "/health",
    }
}

/// What a wrong key gets.
pub fn refuse_key(profile: Source, path: &str) -> Response {
    match profile {
        Source::Lmstudio => lmstudio::refuse(&Refusal::Key),
        Source::Openrouter => openrouter::refuse(&Refusal::Key),
        Source::Ollama if path.starts_with("/v1/") => ollama::refuse_completion(&Refusal::Key),
        Source::Ollama => ollama::refuse(&Refusal::Key),
        Source::Minimax => minimax::refuse(&Refusal::Key),
        _ => openai::refuse(&Refusal::Key),
    }
}

/// How many tokens a chunk holds when nobody says otherwise.
pub fn tokens_per_chunk(profile: Source) -> u32 {
    if profile == Source::Minimax { minimax::TOKENS_PER_CHUNK } else { 1 }
}

/// What a path gets that this age of the server does not have.
pub fn absent(sim: &Sim, method: &str, path: &str) -> Option<Response> {
    let hidden = sim.settings.profile == Source::Lmstudio && lmstudio::is_hidden(sim, path);
    hidden.then(|| lmstudio::unexpected(sim, method, path))
}

/// How many seconds a model that a request loaded stays after its last use; `None` is for ever.
pub fn keep_seconds(sim: &Sim) -> Option<f64> {
    match sim.settings.profile {
        Source::Lmstudio => Some(lmstudio::JIT_SECONDS),
        Source::Ollama => Some(ollama::keep_seconds(sim)),
        _ => None,
    }
}

/// Which provider answers; `None` when what was asked leaves none. (Only OpenRouter has several.)
pub fn provider(ask: &Ask) -> Option<usize> {
    openrouter::provider(ask)
}

/// The provider that is not the one.
pub fn other_provider(provider: usize) -> usize {
    openrouter::other(provider)
}

/// The model that OpenRouter takes an id for: a permanent slug, a way to route, a router, an alias.
pub fn means<'a>(models: &'a [Arc<SimModel>], id: &str) -> Option<&'a Arc<SimModel>> {
    openrouter::means(models, id)
}

/// A form of chat.
#[derive(Debug, Clone, Copy)]
pub enum Dialect {
    /// OpenAI's chat completions, as a profile has them.
    Completions(&'static Completions),
    /// LM Studio's `/api/v1/chat`.
    LmStudioChat,
    /// Ollama's `/api/chat`.
    OllamaChat,
}

impl Dialect {
    /// The content type of a stream.
    pub fn mime(self) -> &'static str {
        match self {
            Dialect::Completions(_) | Dialect::LmStudioChat => "text/event-stream",
            Dialect::OllamaChat => "application/x-ndjson",
        }
    }

    /// A server's own headers of an answer.
    pub fn head(self, id: &str, created: u64, headers: &mut HeaderMap) {
        match self {
            Dialect::Completions(api) => (api.head)(id, created, headers),
            Dialect::LmStudioChat => lmstudio::head(id, created, headers),
            Dialect::OllamaChat => {}
        }
        if self.mime().starts_with("text/event-stream") {
            headers.entry(header::CACHE_CONTROL).or_insert(header::HeaderValue::from_static("no-cache"));
        }
    }

    /// The answer of a fault that only this server has.
    pub fn at_once(self, request: &Request) -> Option<Response> {
        match self {
            Dialect::Completions(api) => (api.at_once)(request),
            Dialect::LmStudioChat | Dialect::OllamaChat => None,
        }
    }

    /// Whether the stream begins before the model is loaded, and tells of it.
    pub fn tells_of_loading(self) -> bool {
        matches!(self, Dialect::LmStudioChat)
    }

    /// Whether a plain answer is padded while it is made.
    pub fn pads(self) -> bool {
        matches!(self, Dialect::Completions(api) if api.pads)
    }

    /// The first frame of a stream that tells of loading.
    pub fn greeting(self, model: &SimModel) -> Vec<u8> {
        lmstudio_chat::event("chat.start", &json!({"model_instance_id": model.id}))
    }

    /// A load begins.
    pub fn load_began(self, model: &SimModel) -> Vec<u8> {
        lmstudio_chat::event("model_load.start", &json!({"model_instance_id": model.id}))
    }

    /// A load goes on.
    pub fn load_progress(self, model: &SimModel, progress: f64) -> Vec<u8> {
        let fields = json!({"model_instance_id": model.id, "progress": progress});
        lmstudio_chat::event("model_load.progress", &fields)
    }

    /// A load has ended.
    pub fn load_ended(self, model: &SimModel, seconds: f64) -> Vec<u8> {
        let fields = json!({"model_instance_id": model.id, "load_time_seconds": seconds});
        lmstudio_chat::event("model_load.end", &fields)
    }

    /// The frames before the first token, each with its offset from admission, in nanoseconds.
    pub fn opening(self, turn: &Turn) -> Vec<(u64, Vec<u8>)> {
        match self {
            Dialect::Completions(api) => api.opening(turn),
            Dialect::LmStudioChat => lmstudio_chat::opening(turn),
            Dialect::OllamaChat => Vec::new(),
        }
    }

    /// The frame of chunk `n`.
    pub fn chunk(self, turn: &Turn, n: usize) -> Vec<u8> {
        match self {
            Dialect::Completions(api) => api.chunk(turn, n),
            Dialect::LmStudioChat => lmstudio_chat::chunk(turn, n),
            Dialect::OllamaChat => ollama::chunk(turn, n),
        }
    }

    /// The frames after the last token.
    pub fn closing(self, turn: &Turn) -> Vec<Vec<u8>> {
        match self {
            Dialect::Completions(api) => api.closing(turn),
            Dialect::LmStudioChat => lmstudio_chat::closing(turn),
            Dialect::OllamaChat => ollama::closing(turn),
        }
    }

    /// An error in the middle of a stream, after `sent` chunks, and what ends it.
    pub fn failing(self, turn: &Turn, sent: usize) -> Vec<u8> {
        match self {
            Dialect::Completions(api) => (api.failing)(turn),
            Dialect::LmStudioChat => lmstudio_chat::failing(turn, sent),
            Dialect::OllamaChat => ollama::failing(),
        }
    }

    /// A whole answer.
    pub fn plain(self, turn: &Turn) -> Value {
        match self {
            Dialect::Completions(api) => api.plain(turn),
            Dialect::LmStudioChat => lmstudio_chat::result(turn, turn.plan.chunks.len()),
            Dialect::OllamaChat => ollama::plain(turn),
        }
    }

    /// A comment: what an event stream has for saying nothing. Ollama's lines have only the empty line.
    pub fn comment(self) -> &'static [u8] {
        match self {
            Dialect::OllamaChat => b"\n",
            Dialect::Completions(_) | Dialect::LmStudioChat => b": keepalive\n\n",
        }
    }

    /// A line of text that is no JSON, as a stream would hold it, and the end of the stream.
    pub fn line(self, text: &str) -> Vec<u8> {
        match self {
            Dialect::OllamaChat => format!("{text}\n").into_bytes(),
            Dialect::Completions(_) | Dialect::LmStudioChat => format!("data: {text}\n\ndata: [DONE]\n\n").into_bytes(),
        }
    }

    /// The answer to a request that gets none.
    pub fn refuse(self, refusal: &Refusal) -> Response {
        match self {
            Dialect::Completions(api) => (api.refuse)(refusal),
            Dialect::LmStudioChat => lmstudio::refuse(refusal),
            Dialect::OllamaChat => ollama::refuse(refusal),
        }
    }

    /// The same in a stream that has begun.
    pub fn refuse_in_stream(self, refusal: &Refusal) -> Vec<u8> {
        match self {
            Dialect::LmStudioChat => lmstudio_chat::refused(refusal),
            Dialect::OllamaChat => ollama::failing(),
            Dialect::Completions(_) => {
                let error = json!({"error": {"message": describe(refusal), "type": "server_error", "code": 500}});
                format!("data: {error}\n\ndata: [DONE]\n\n").into_bytes()
            }
        }
    }

    /// Keeps what the server will be asked about the request later.
    pub fn remember(self, turn: &Turn, sim: &Sim) {
        if let Dialect::Completions(api) = self {
            (api.remember)(turn, sim);
        }
    }
}

/// A refusal in a sentence that any server could say.
fn describe(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotJson(why) => format!("could not parse the JSON body of your request: {why}"),
        Refusal::Parameter(_, why) => why.clone(),
        Refusal::UnknownKeys(keys) => format!("Unrecognized key(s) in object: '{}'", keys.join("', '")),
        Refusal::Key => "Incorrect API key provided.".into(),
        Refusal::Model(model) => format!("The model `{model}` does not exist."),
        Refusal::NotChat(model) => format!("The model `{model}` does not support chat."),
        Refusal::NoEndpoint(model) => format!("No endpoints found for {model}."),
        Refusal::Load(model) => {
            format!("Failed to load model \"{model}\". Error: insufficient system resources (simulated).")
        }
        Refusal::Loading => "Loading model".into(),
        Refusal::RateLimit => "Rate limit reached (simulated). Please retry after 1 second.".into(),
        Refusal::Internal => "The server had an error while processing your request (simulated).".into(),
    }
}

/// A JSON answer. A rate limit says when to come again.
fn answer(status: StatusCode, body: &Value) -> Response {
    let typed = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (status, typed, body.to_string()).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

fn ok(body: &Value) -> Response {
    answer(StatusCode::OK, body)
}
