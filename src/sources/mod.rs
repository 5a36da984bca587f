//! The kinds of server: one table, and one folder with the code of each.
//!
//! A new kind is a folder and a row of `KINDS`. Software with an OpenAI-compatible API needs a kind of its own only where it is
//! addressed differently; its token counts are a row of `USAGE`.

pub mod detect;
pub mod id_list;
mod life_cycle;
mod listing;
pub mod listing_text;
pub mod llamacpp;
pub mod lmstudio;
pub mod load;
pub mod minimax;
pub mod ollama;
pub mod openai;
pub mod openrouter;

pub use life_cycle::{LifeCycle, LoadOptions, LoadedModel, Step};

use crate::http::root_of;
use crate::protocol::usage::UsageNames;
use crate::protocol::{Protocol, ServerMetadata, chat_completions};
use crate::record::{Failure, Loader, Source};

/// What to do when a server of any kind refuses connections.
pub const WHEN_DOWN: &str = "is the server up, and is --base-url right?";

/// The message of a failed connection, with what to do unless the message says it.
pub fn with_advice(error: &Failure, advice: &str) -> String {
    if error.retryable { format!("{}: {advice}", error.message) } else { error.message.clone() }
}

/// What the programs need to know about a kind of server.
#[derive(Debug, Clone, Copy)]
pub struct ServerKind {
    /// The kind, as records name it.
    pub source: Source,
    /// Help of its subcommand of llm-models, which reads the OpenAI-compatible listing; `None` for a kind with a listing of its own.
    pub about: Option<&'static str>,
    /// Base URL unless the user gives one; `None` without a usual place.
    pub base_url: Option<&'static str>,
    /// Environment variable that gives another base URL.
    pub base_url_variable: Option<&'static str>,
    /// Makes a base URL of the value of that variable.
    pub read_variable: fn(&str) -> String,
    /// Whether its API may lie below a path; otherwise a path that was pasted with the base URL is dropped.
    pub keeps_path: bool,
    /// Path that every server of this kind answers.
    pub probe_path: &'static str,
    /// Environment variable that holds its key.
    pub key_variable: Option<&'static str>,
    /// Hosts that the key belongs to.
    pub key_hosts: &'static [&'static str],
    /// Whether requests need a key.
    pub needs_key: bool,
    /// Whether the listing needs a key, too.
    pub listing_needs_key: bool,
    /// What to do when it has no models.
    pub when_empty: &'static str,
    /// What to do when it refuses connections.
    pub when_down: &'static str,
    /// Whether its software is not known before: its name is reported, and whether it counts tokens is tried.
    pub any_software: bool,
    /// How it loads models; `None` where this program cannot load them.
    pub life_cycle: Option<LifeCycle>,
    /// Protocols to try, best first. The next one is tried only where an endpoint is missing.
    pub protocols: &'static [&'static Protocol],
    /// Headers of every chat.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether it routes requests to providers, one of which a request can demand, and keeps an account with the cost of each.
    pub is_router: bool,
}

/// Token counts of OpenAI-compatible software, by the names of each.
const USAGE: &[UsageNames] = &[llamacpp::usage::TIMINGS];

const CHAT: Protocol = Protocol { usage: USAGE, ..chat_completions::PROTOCOL };
static COMPATIBLE: Protocol = CHAT;
static OPENAI: Protocol = Protocol { body: openai::chat::body, ..CHAT };
static OPENROUTER: Protocol = Protocol { url: openrouter::chat::url, body: openrouter::chat::body, ..CHAT };
static MINIMAX: Protocol = Protocol { body: minimax::chat::body, ..CHAT };
static LMSTUDIO_V1: Protocol = lmstudio::chat::V1;
static LMSTUDIO_V0: Protocol = Protocol { name: "lmstudio-v0", url: lmstudio::chat::v0_url, ..CHAT };
static OLLAMA: Protocol = ollama::chat::PROTOCOL;

/// A server with an OpenAI-compatible API, and no more.
const PLAIN: ServerKind = ServerKind {
    source: Source::Openai,
    about: Some("Any server with an OpenAI-compatible API: llama.cpp, vLLM, SGLang, TGI, MLX, LiteLLM …"),
    base_url: None,
    base_url_variable: Some("OPENAI_BASE_URL"),
    read_variable: |text| text.to_owned(),
    keeps_path: true,
    probe_path: "/v1/models",
    key_variable: Some("OPENAI_API_KEY"),
    key_hosts: &["api.openai.com:443"],
    needs_key: false,
    listing_needs_key: false,
    when_empty: "load one on the server",
    when_down: WHEN_DOWN,
    any_software: true,
    life_cycle: None,
    protocols: &[&OPENAI],
    headers: &[],
    is_router: false,
};

/// The table.
static KINDS: &[ServerKind] = &[
    ServerKind {
        source: Source::Lmstudio,
        about: None,
        base_url: Some("http://127.0.0.1:1234"),
        base_url_variable: Some("LMSTUDIO_API_BASE"),
        keeps_path: false,
        key_variable: Some("LM_API_TOKEN"),
        key_hosts: &[],
        when_empty: "download one in LM Studio, or with `lms get`",
        when_down: "start LM Studio's server (its Developer tab, or `lms server start`), or give --base-url",
        any_software: false,
        life_cycle: Some(LifeCycle {
            loads: |_| true,
            load: |api, model, options| {
                Box::pin(async { lmstudio::load::load(api, model, options, &other_keys(Source::Lmstudio)).await })
            },
            loaded: |api| Box::pin(async { lmstudio::load::loaded(api, &other_keys(Source::Lmstudio)).await }),
            unload_all: |api| Box::pin(async { lmstudio::load::unload_all(api, &other_keys(Source::Lmstudio)).await }),
            loader: lmstudio::load::loader,
            flags: &["--gpu", "--ttl", "--parallel", "--identifier"],
        }),
        protocols: &[&LMSTUDIO_V1, &LMSTUDIO_V0, &COMPATIBLE],
        ..PLAIN
    },
    ServerKind {
        source: Source::Openrouter,
        about: None,
        base_url: Some("https://openrouter.ai"),
        base_url_variable: Some("OPENROUTER_API_BASE"),
        keeps_path: false,
        key_variable: Some("OPENROUTER_API_KEY"),
        key_hosts: &["openrouter.ai:443"],
        needs_key: true,
        any_software: false,
        protocols: &[&OPENROUTER],
        headers: openrouter::chat::HEADERS,
        is_router: true,
        ..PLAIN
    },
    ServerKind {
        source: Source::Ollama,
        about: None,
        base_url: Some("http://127.0.0.1:11434"),
        base_url_variable: Some("OLLAMA_HOST"),
        read_variable: ollama::address::from_variable,
        keeps_path: false,
        probe_path: "/api/version",
        key_variable: None,
        key_hosts: &[],
        when_empty: "get one with `ollama pull`",
        when_down: "start it with `ollama serve`, or give --base-url",
        any_software: false,
        life_cycle: Some(LifeCycle {
            loads: |model| !ollama::load::is_cloud(&model.id),
            load: |api, model, options| Box::pin(ollama::load::load(api, model, options)),
            loaded: |api| Box::pin(ollama::load::loaded(api)),
            unload_all: |api| Box::pin(ollama::load::unload_all(api)),
            loader: |_| Loader::Ollama,
            flags: &["--ttl"],
        }),
        protocols: &[&OLLAMA],
        ..PLAIN
    },
    PLAIN,
    ServerKind {
        source: Source::Minimax,
        about: Some("MiniMax, or a local server of a MiniMax model"),
        base_url: Some("https://api.minimax.io"),
        base_url_variable: Some("MINIMAX_API_BASE"),
        key_variable: Some("MINIMAX_API_KEY"),
        key_hosts: &["api.minimax.io:443", "api.minimaxi.com:443"],
        needs_key: true,
        listing_needs_key: true,
        when_empty: "check the key's plan",
        any_software: false,
        protocols: &[&MINIMAX],
        ..PLAIN
    },
];

/// The row of a kind; a kind without a row is an OpenAI-compatible server.
pub fn kind(source: Source) -> &'static ServerKind {
    static OTHER: ServerKind = PLAIN;
    KINDS.iter().find(|kind| kind.source == source).unwrap_or(&OTHER)
}

/// All kinds.
pub fn kinds() -> impl Iterator<Item = &'static ServerKind> {
    KINDS.iter()
}

impl ServerKind {
    /// Base URL of its API, from a base URL as people paste it.
    pub fn api_base<'a>(&self, base: &'a str) -> &'a str {
        if self.keeps_path { base } else { root_of(base) }
    }

    /// What to do about a server that demands a key and got none, as the end of its message.
    pub fn no_key_sent(&self) -> String {
        let variable = self.key_variable.map_or_else(String::new, |name| format!("set {name}, or "));
        format!(": no key was sent: {variable}give --api-key-file FILE")
    }
}

/// The protocols to try for a kind of server, best first: those of its row, or the one of a name.
pub fn protocols(source: Source, name: Option<&str>) -> &'static [&'static Protocol] {
    let own = kind(source).protocols;
    let Some(name) = name else { return own };
    let all = own.windows(1).chain(KINDS.iter().flat_map(|kind| kind.protocols.windows(1)));
    all.into_iter().find(|one| one.iter().all(|protocol| protocol.name == name)).unwrap_or(own)
}

/// The environment variables with the keys of all other kinds.
pub fn other_keys(source: Source) -> Vec<&'static str> {
    KINDS.iter().filter(|kind| kind.source != source).filter_map(|kind| kind.key_variable).collect()
}

/// Whether a server reports a rate of output tokens, or the time from which it follows.
pub fn has_rate(metadata: &ServerMetadata) -> bool {
    let stats = |has: fn(&serde_json::Value) -> bool| metadata.rest_stats.as_ref().is_some_and(has);
    metadata.timings.is_some() || stats(lmstudio::usage::has_rate) || stats(ollama::usage::has_rate)
}

#[cfg(test)]
mod tests;
