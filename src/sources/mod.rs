//! Where each kind of server listens and which key is its own.

pub mod detect;
pub mod id_list;
pub mod listing;
pub mod listing_text;
pub mod lmstudio;
pub mod load;
pub mod minimax;
pub mod ollama;
pub mod openai;
pub mod openrouter;

use crate::http::root_of;
use crate::record::Source;

/// The facts about a kind of server that listings, loads and chats share.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Where it listens unless somebody says otherwise; `None` where there is no usual place.
    pub base_url: Option<&'static str>,
    /// The environment variable that names another place.
    pub base_url_variable: Option<&'static str>,
    /// The environment variable that holds its key.
    pub key_variable: Option<&'static str>,
    /// The hosts that the key belongs to.
    pub key_hosts: &'static [&'static str],
    /// Whether it is of no use without a key.
    pub needs_key: bool,
}

/// Where the API of a server begins, of a base URL as people paste it: the servers whose paths are known drop theirs, any
/// other may live below one.
pub fn api_base(source: Source, base: &str) -> &str {
    match source {
        Source::Openai | Source::Minimax => base,
        Source::Lmstudio | Source::Openrouter | Source::Ollama => root_of(base),
    }
}

/// What to do about a server that wants a key and got none, to be put behind what it said.
pub fn no_key_sent(source: Source) -> String {
    let variable = service(source).key_variable.map_or_else(String::new, |name| format!("set {name}, or "));
    format!(": no key was sent: {variable}give --api-key-file FILE")
}

/// The facts about one kind.
pub fn service(source: Source) -> Service {
    match source {
        Source::Lmstudio => Service {
            base_url: Some("http://127.0.0.1:1234"),
            base_url_variable: Some("LMSTUDIO_API_BASE"),
            key_variable: Some("LM_API_TOKEN"),
            key_hosts: &[],
            needs_key: false,
        },
        Source::Openrouter => Service {
            base_url: Some("https://openrouter.ai"),
            base_url_variable: Some("OPENROUTER_API_BASE"),
            key_variable: Some("OPENROUTER_API_KEY"),
            key_hosts: &["openrouter.ai:443"],
            needs_key: true,
        },
        Source::Ollama => Service {
            base_url: Some("http://127.0.0.1:11434"),
            base_url_variable: Some("OLLAMA_HOST"),
            key_variable: None,
            key_hosts: &[],
            needs_key: false,
        },
        Source::Openai => Service {
            base_url: None,
            base_url_variable: Some("OPENAI_BASE_URL"),
            key_variable: Some("OPENAI_API_KEY"),
            key_hosts: &["api.openai.com:443"],
            needs_key: false,
        },
        Source::Minimax => Service {
            base_url: Some("https://api.minimax.io"),
            base_url_variable: Some("MINIMAX_API_BASE"),
            key_variable: Some("MINIMAX_API_KEY"),
            key_hosts: &["api.minimax.io:443", "api.minimaxi.com:443"],
            needs_key: true,
        },
    }
}
