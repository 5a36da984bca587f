//! What a chat request asks for, whatever form it came in; and why one is refused.

use serde_json::Value;

/// Why a request gets no answer. How it is said is the profile's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The body is not JSON.
    NotJson(String),
    /// A parameter is missing or wrong.
    Parameter(&'static str, String),
    /// There are keys that the server does not know.
    UnknownKeys(Vec<String>),
    /// The key is missing or wrong.
    Key,
    /// No such model.
    Model(String),
    /// The model makes embeddings.
    NotChat(String),
    /// No provider is left for what was asked.
    NoEndpoint(String),
    /// The model could not be loaded.
    Load(String),
    /// The server has no model yet.
    Loading,
    /// Too many requests.
    RateLimit,
    /// The server failed.
    Internal,
}

/// A chat request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// The model.
    pub model: String,
    /// All text of the prompt.
    pub prompt: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// The most tokens that may come; `None` is no limit.
    pub limit: Option<usize>,
    /// The fewest tokens that must come: `min_tokens`, or the limit with `ignore_eos`.
    pub least: usize,
    /// Whether `max_tokens` was the name of the limit.
    pub limit_by_old_name: bool,
    /// Whether usage was asked for in the stream.
    pub include_usage: bool,
    /// Whether reasoning may be made.
    pub reasoning: bool,
    /// Whether reasoning is to come in a field of its own (MiniMax).
    pub reasoning_split: bool,
    /// The context length to load with.
    pub context: Option<u64>,
    /// Providers to choose among (OpenRouter): tags or slugs; and whether any other may serve instead.
    pub providers: Vec<String>,
    /// Whether providers besides these may serve.
    pub fallbacks: bool,
    /// Whether OpenRouter's metadata is wanted.
    pub metadata: bool,
    /// How many messages there are.
    pub messages: usize,
    /// How many seconds the model stays loaded after this request, where it says so; negative is for ever.
    pub keep_alive: Option<f64>,
}

impl Ask {
    /// Tokens of the prompt, by a simple rule: its words.
    pub fn input_tokens(&self) -> u64 {
        self.prompt.split_whitespace().count() as u64
    }

    /// Reads the body of a chat completion, or of Ollama's chat.
    ///
    /// # Errors
    /// When it is no JSON object, or a needed field is missing or wrong.
    pub fn read(body: &[u8]) -> Result<(Self, Value), Refusal> {
        let body: Value = serde_json::from_slice(body).map_err(|why| Refusal::NotJson(why.to_string()))?;
        let missing = |name: &'static str| Refusal::Parameter(name, format!("you must provide a {name} parameter"));
        if !body.is_object() {
            return Err(Refusal::NotJson("expected an object".into()));
        }
        let model = body["model"].as_str().ok_or_else(|| missing("model"))?.to_owned();
        let (limit, limit_by_old_name) = match (&body["max_completion_tokens"], &body["max_tokens"]) {
            (Value::Null, Value::Null) => (None, false),
            (Value::Null, old) => (limit("max_tokens", old)?, true),
            (new, _) => (limit("max_completion_tokens", new)?, false),
        };
        let effort = body["reasoning"]["effort"].as_str().or(body["reasoning_effort"].as_str());
        let think = &body["think"];
        let off = effort == Some("none")
            || think == &Value::Bool(false)
            || body["thinking"]["type"] == "disabled"
            || body["chat_template_kwargs"]["enable_thinking"] == Value::Bool(false);
        let names = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let provider = &body["provider"];
        let mut providers = names(&provider["only"]);
        let only = !providers.is_empty();
        providers.extend(names(&provider["order"]).into_iter().filter(|_| !only));
        let ask = Ask {
            model,
            prompt: text_of(&body["messages"]),
            stream: body["stream"] == Value::Bool(true),
            limit,
            least: match body["ignore_eos"] {
                Value::Bool(true) => limit.unwrap_or(0),
                _ => body["min_tokens"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            },
            limit_by_old_name,
            include_usage: body["stream_options"]["include_usage"] == Value::Bool(true),
            reasoning: !off,
            reasoning_split: body["reasoning_split"] == Value::Bool(true),
            context: None,
            providers,
            fallbacks: !only && provider["allow_fallbacks"] != Value::Bool(false),
            metadata: false,
            messages: body["messages"].as_array().map_or(0, Vec::len),
            keep_alive: body["ttl"].as_f64(),
        };
        Ok((ask, body))
    }

    /// Reads the body of a chat completion, which needs messages.
    ///
    /// # Errors
    /// As [`Ask::read`], and when there are no messages.
    pub fn completion(body: &[u8]) -> Result<Self, Refusal> {
        let (ask, _) = Self::read(body)?;
        if ask.messages == 0 {
            return Err(Refusal::Parameter("messages", "messages must be an array with at least one message".into()));
        }
        Ok(ask)
    }
}

/// A limit of tokens: a whole number above zero, or -1 (or -2) for none.
///
/// # Errors
/// When it is anything else.
pub fn limit(name: &'static str, value: &Value) -> Result<Option<usize>, Refusal> {
    match value.as_i64() {
        Some(-2..=-1) => Ok(None),
        Some(n) if n > 0 => Ok(usize::try_from(n).ok()),
        _ if value.is_null() => Ok(None),
        _ => Err(Refusal::Parameter(name, format!("{name} must be a whole number above zero"))),
    }
}

/// All text of messages: strings, or the text parts of lists.
pub fn text_of(messages: &Value) -> String {
    let mut text = String::new();
    let mut say = |part: &str| {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(part);
    };
    for message in messages.as_array().into_iter().flatten() {
        match &message["content"] {
            Value::String(content) => say(content),
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).for_each(&mut say),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_read_or_refused_by_the_parameter_that_is_wrong() {
        for (body, wrong) in [
            (r#"{"model":"m","messages":[{"role":"user","content":"a b"}]}"#, None),
            (r#"{"model":"m","messages":[{"content":[{"type":"text","text":"a"},{"type":"image_url"}]}]}"#, None),
            (r#"{"model":"m","messages":[{}],"max_tokens":-1}"#, None),
            (r#"{"model":"m","messages":[{}],"max_tokens":0}"#, Some("max_tokens")),
            (r#"{"model":"m","messages":[{}],"max_completion_tokens":"many"}"#, Some("max_completion_tokens")),
            (r#"{"model":"m","messages":[{}],"max_tokens":1.5}"#, Some("max_tokens")),
            (r#"{"messages":[{}]}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("messages")),
            (r#"{"model":"m","messages":[]}"#, Some("messages")),
            ("[]", Some("JSON")),
            ("{", Some("JSON")),
        ] {
            let got = match Ask::completion(body.as_bytes()) {
                Ok(_) => None,
                Err(Refusal::Parameter(name, _)) => Some(name),
                Err(_) => Some("JSON"),
            };
            assert_eq!(got, wrong, "{body}");
        }
    }

    #[test]
    fn the_new_name_of_the_limit_wins() {
        let read = |extra: &str| Ask::read(format!(r#"{{"model":"m",{extra}}}"#).as_bytes()).unwrap().0;
        assert_eq!(read(r#""max_tokens":5,"max_completion_tokens":3"#).limit, Some(3));
        assert!(read(r#""max_tokens":5"#).limit_by_old_name);
        assert_eq!(read(r#""messages":[{"content":"one two"},{"content":"three"}]"#).input_tokens(), 3);
    }
}
