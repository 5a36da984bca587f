//! One request: what is sent, in which dialect, and what the answer's stamps mean.
//!
//! A dialect is one file that knows how a question is put and how an answer's pieces are read into an [`Answer`]. The
//! transport ([`ask`]) and the meaning ([`metrics`]) are the same for all. Nothing here decides *when* to ask, and nothing
//! here repeats a request, but for the one case where a kept connection turned out to be dead.

mod answer;
mod ask;
mod count;
mod fields;
mod lmstudio;
pub mod metrics;
mod ollama;
mod openai;
mod reader;
mod repeated;
pub mod sse;
mod think;

pub use answer::{Answer, Arrival, Chunk, Kind};
pub use ask::{Call, Cancellation, ExchangeEvent, Limits, TimedExchange, Told};
pub use count::Counter;

use crate::http::{root_of, versioned};
use crate::record::{Model, Source};
use serde_json::{Map, Value, json};
use strum::Display;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Dialect {
    /// Chat completions under `/v1` (OpenRouter: `/api/v1`).
    #[strum(serialize = "chat")]
    Openai,
    /// LM Studio's native chat, `/api/v1/chat`.
    LmstudioV1,
    /// LM Studio's older REST API, `/api/v0/chat/completions`.
    LmstudioV0,
    /// Ollama's `/api/chat`.
    Ollama,
}

impl Dialect {
    /// The dialects to try for a source, best first. The next is tried only where an endpoint is missing.
    pub fn of(source: Source) -> &'static [Dialect] {
        match source {
            Source::Lmstudio => &[Dialect::LmstudioV1, Dialect::LmstudioV0, Dialect::Openai],
            Source::Ollama => &[Dialect::Ollama],
            Source::Openrouter | Source::Openai | Source::Minimax => &[Dialect::Openai],
        }
    }

    /// Where a chat goes.
    pub fn url(self, source: Source, base: &str) -> String {
        match self {
            Dialect::Openai if source == Source::Openrouter => format!("{}/api/v1/chat/completions", root_of(base)),
            Dialect::Openai => format!("{}/chat/completions", versioned(base)),
            Dialect::LmstudioV1 => format!("{}/api/v1/chat", root_of(base)),
            Dialect::LmstudioV0 => format!("{}/api/v0/chat/completions", root_of(base)),
            Dialect::Ollama => format!("{}/api/chat", root_of(base)),
        }
    }

    /// The body of a request.
    pub fn body(self, question: &Question) -> Map<String, Value> {
        let mut body = match self {
            Dialect::Openai | Dialect::LmstudioV0 => openai::body(question),
            Dialect::LmstudioV1 => lmstudio::body(question),
            Dialect::Ollama => ollama::body(question),
        };
        merge(&mut body, &question.parameters.extra);
        body
    }

    /// Whether it can carry a conversation. LM Studio's native chat takes no messages: it continues only chats that the server
    /// itself keeps, and a benchmark leaves none behind.
    pub fn carries_conversations(self) -> bool {
        self != Dialect::LmstudioV1
    }

    /// The parameters that were asked for and that this dialect has no place for.
    pub fn unsupported(self, parameters: &Parameters) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if self == Dialect::LmstudioV1 && parameters.seed.is_some() {
            missing.push("seed");
        }
        if matches!(self, Dialect::Openai | Dialect::LmstudioV0) && parameters.num_ctx.is_some() {
            missing.push("num_ctx");
        }
        missing
    }
}

/// Merges the user's own fields into a body: they win, and objects (`options`, `stream_options`) are merged in their turn. The limit
/// of tokens has two names, and no server gets both.
fn merge(body: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (name, value) in extra {
        let other = match name.as_str() {
            "max_tokens" => "max_completion_tokens",
            "max_completion_tokens" => "max_tokens",
            _ => "",
        };
        body.shift_remove(other);
        match (body.get_mut(name), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => merge(ours, theirs),
            _ => drop(body.insert(name.clone(), value.clone())),
        }
    }
}

/// The parameters of a request. What is `None` is not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// The most tokens to answer with.
    pub max_tokens: Option<u64>,
    /// The context length, in tokens, where a request can ask for one.
    pub num_ctx: Option<u64>,
    /// The sampling seed.
    pub seed: Option<i64>,
    /// How hard to think.
    pub reasoning_effort: Option<String>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Fields that are merged into the body as they are.
    pub extra: Map<String, Value>,
}

/// What is asked of whom.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its kind of server.
    pub source: Source,
    /// Its server.
    pub base_url: &'a str,
    /// The system message.
    pub system: Option<&'a str>,
    /// What was said before in the same conversation.
    pub history: &'a [Exchange],
    /// The user message.
    pub text: &'a str,
    /// The parameters.
    pub parameters: &'a Parameters,
}

impl Question<'_> {
    /// The messages, for the dialects that have such a list: system, what was said before, the user.
    fn messages(&self) -> Vec<Value> {
        let message = |role: &str, content: &str| json!({ "role": role, "content": content });
        let mut messages = Vec::with_capacity(2 * self.history.len() + 2);
        messages.extend(self.system.map(|system| message("system", system)));
        for Exchange { asked, answered } in self.history {
            messages.extend([message("user", asked), message("assistant", answered)]);
        }
        messages.push(message("user", self.text));
        messages
    }
}

/// A turn of a conversation that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What was asked, as it was sent.
    pub asked: String,
    /// What the model answered, without its reasoning.
    pub answered: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_chat_goes_where_its_server_listens() {
        use Dialect::*;
        for (dialect, source, base, url) in [
            (Openai, Source::Openai, "http://h:8000", "http://h:8000/v1/chat/completions"),
            (Openai, Source::Openai, "http://h:8000/v1", "http://h:8000/v1/chat/completions"),
            (Openai, Source::Openai, "https://h/api/paas/v4", "https://h/api/paas/v4/chat/completions"),
            (Openai, Source::Openai, "https://h/llm/v1beta", "https://h/llm/v1beta/v1/chat/completions"),
            (Openai, Source::Openrouter, "https://openrouter.ai", "https://openrouter.ai/api/v1/chat/completions"),
            (
                Openai,
                Source::Openrouter,
                "https://openrouter.ai/api/v1",
                "https://openrouter.ai/api/v1/chat/completions",
            ),
            (Openai, Source::Minimax, "https://api.minimax.io", "https://api.minimax.io/v1/chat/completions"),
            (LmstudioV1, Source::Lmstudio, "http://h:1234", "http://h:1234/api/v1/chat"),
            (LmstudioV1, Source::Lmstudio, "http://h:1234/v1", "http://h:1234/api/v1/chat"),
            (Ollama, Source::Ollama, "http://h:11434", "http://h:11434/api/chat"),
        ] {
            assert_eq!(dialect.url(source, base), url);
        }
    }

    #[test]
    fn what_was_said_before_stands_between_the_system_message_and_the_question() {
        let model = Model { id: "m".into(), ..Model::default() };
        let history = [Exchange { asked: "One".into(), answered: "1".into() }];
        let question = Question {
            model: &model,
            source: Source::Openai,
            base_url: "http://h",
            system: Some("S"),
            history: &history,
            text: "Two",
            parameters: &Parameters::default(),
        };
        for dialect in [Dialect::Openai, Dialect::LmstudioV0, Dialect::Ollama] {
            let body = dialect.body(&question);
            let said = body["messages"].as_array().unwrap().iter();
            let said: Vec<_> = said.map(|m| format!("{}:{}", m["role"], m["content"]).replace('"', "")).collect();
            assert_eq!(said, ["system:S", "user:One", "assistant:1", "user:Two"], "{dialect}");
            assert!(dialect.carries_conversations());
        }
    }

    #[test]
    fn only_what_is_given_is_sent_and_extra_fields_win() {
        let model = Model { id: "m".into(), ..Model::default() };
        let mut parameters = Parameters { stream: true, ..Parameters::default() };
        let text = "hi";
        let body = |parameters: &Parameters, dialect: Dialect, source| {
            let question =
                Question { model: &model, source, base_url: "http://h", system: None, history: &[], text, parameters };
            Value::from(dialect.body(&question)).to_string()
        };
        assert_eq!(
            body(&parameters, Dialect::Openai, Source::Openai),
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#
        );
        assert_eq!(
            body(&parameters, Dialect::LmstudioV1, Source::Lmstudio),
            r#"{"model":"m","input":"hi","stream":true,"store":false}"#
        );
        parameters.max_tokens = Some(9);
        parameters.extra.insert("top_k".into(), 5.into());
        assert!(body(&parameters, Dialect::Openai, Source::Openai).ends_with(r#""max_tokens":9,"top_k":5}"#));
        assert!(body(&parameters, Dialect::Openai, Source::Minimax).contains(r#""max_completion_tokens":9"#));
        assert!(body(&parameters, Dialect::Ollama, Source::Ollama).contains(r#""options":{"num_predict":9}"#));
        let extra = json!({"options": {"top_k": 3}, "stream_options": {"continuous_usage_stats": true}, "max_completion_tokens": 4});
        parameters.extra = extra.as_object().cloned().unwrap();
        let merged = body(&parameters, Dialect::Ollama, Source::Ollama);
        assert!(merged.contains(r#""options":{"num_predict":9,"top_k":3}"#), "{merged}");
        let merged = body(&parameters, Dialect::Openai, Source::Openai);
        assert!(
            merged.contains(r#""stream_options":{"include_usage":true,"continuous_usage_stats":true}"#),
            "{merged}"
        );
        assert!(merged.contains(r#""max_completion_tokens":4"#) && !merged.contains("max_tokens"), "{merged}");
    }
}
