//! Counts the tokens of a text on the server, before anything is timed, so that a text of a given length can be made.
//!
//! llama.cpp counts a whole chat at `/v1/chat/completions/input_tokens`, vLLM at `/tokenize` with messages; both, and SGLang,
//! count a text at `/tokenize`. Sources: llama.cpp's `tools/server/README.md`, vLLM's and SGLang's `protocol.py`.

use crate::http::{Api, versioned};
use crate::record::{FailureKind, Source};
use crate::sources::kind;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a count may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A server that counts.
#[derive(Debug, Clone, Copy)]
pub struct TokenCounter<'a> {
    api: &'a Api,
    model: &'a str,
    chat: Option<ChatEndpoint>,
    text: bool,
}

/// Where whole chats are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChatEndpoint {
    InputTokens,
    Tokenize,
}

impl<'a> TokenCounter<'a> {
    /// Finds out what a server can count. `None` for one that cannot, which most cannot; only a plain OpenAI-compatible server
    /// is asked.
    pub async fn find(api: &'a Api, source: Source, model: &'a str) -> Option<Self> {
        if !kind(source).any_software {
            return None;
        }
        let mut counter = Self { api, model, chat: None, text: false };
        let reply = api.get("", LIMIT).await;
        if reply.is_err_and(|failure| matches!(failure.kind, FailureKind::Connect | FailureKind::Timeout)) {
            // The requests themselves will tell.
            return None;
        }
        for chat in [ChatEndpoint::InputTokens, ChatEndpoint::Tokenize] {
            if counter.count_chat(chat, None, "word").await.is_some() {
                counter.chat = Some(chat);
                break;
            }
        }
        counter.text = counter.count_text("word").await.is_some();
        (counter.text || counter.chat.is_some()).then_some(counter)
    }

    /// Whether whole chats are counted, not only texts.
    pub fn counts_chats(&self) -> bool {
        self.chat.is_some()
    }

    /// The tokens of a request with this user message: of the whole chat where the server counts chats, else of the message.
    pub async fn request(&self, system: Option<&str>, text: &str) -> Option<u64> {
        match self.chat {
            Some(chat) => self.count_chat(chat, system, text).await,
            None => self.count_text(text).await,
        }
    }

    /// The tokens of a text by itself; where only chats are counted, what it adds to one.
    pub async fn text(&self, text: &str) -> Option<u64> {
        match self.chat {
            Some(chat) if !self.text => {
                let (whole, least) =
                    (self.count_chat(chat, None, text).await?, self.count_chat(chat, None, "a").await?);
                Some((whole + 1).saturating_sub(least))
            }
            _ => self.count_text(text).await,
        }
    }

    async fn count_chat(&self, chat: ChatEndpoint, system: Option<&str>, text: &str) -> Option<u64> {
        let mut messages = Vec::new();
        messages.extend(system.map(|system| json!({ "role": "system", "content": system })));
        messages.push(json!({ "role": "user", "content": text }));
        let body = json!({ "model": self.model, "messages": messages });
        match chat {
            ChatEndpoint::InputTokens => {
                let version = if self.api.base() == versioned(self.api.base()) { "" } else { "/v1" };
                let path = format!("{version}/chat/completions/input_tokens");
                self.post(&path, &body).await?.get("input_tokens").and_then(Value::as_u64).filter(|n| *n > 0)
            }
            ChatEndpoint::Tokenize => count_of(&self.post(self.tokenize(), &body).await?),
        }
    }

    async fn count_text(&self, text: &str) -> Option<u64> {
        // The field has one name at llama.cpp and another everywhere else; each ignores the other's.
        let body = json!({ "model": self.model, "content": text, "prompt": text, "add_special_tokens": false });
        count_of(&self.post(self.tokenize(), &body).await?)
    }

    /// Beside the versioned API, not under it.
    fn tokenize(&self) -> &'static str {
        if self.api.base() == versioned(self.api.base()) { "/../tokenize" } else { "/tokenize" }
    }

    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        self.api.post(path, body, LIMIT).await.ok()?.success().ok()
    }
}

/// `count`, or as many as there are `tokens`; no count that is 0.
fn count_of(answer: &Value) -> Option<u64> {
    let listed = || answer.get("tokens").and_then(Value::as_array).map(|tokens| tokens.len() as u64);
    answer.get("count").and_then(Value::as_u64).or_else(listed).filter(|n| *n > 0)
}
