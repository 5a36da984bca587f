//! The error shapes of all servers, turned into one.
//!
//! Shapes (tried in this order): OpenAI's `error` object, `error` as a string (Ollama, LM Studio, TGI), the flat
//! `object:"error"` of older vLLM and SGLang, MiniMax's `base_resp`, FastAPI's `detail`, `message`; else the text itself.
//! `code` may be a number, a string or null, and the HTTP status is the truth where they disagree.

use super::failure::short;
use crate::record::{Failure, FailureKind};
use serde_json::{Map, Value};

/// An error as a server reported it, in any of its shapes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiError {
    /// The sentence.
    pub message: String,
    /// The server's word for it: `insufficient_balance_error`, `model_not_found`, `1008` …
    pub code: Option<String>,
    /// The HTTP status that the body claims.
    pub status: Option<u16>,
    /// Whether the server says that another try may help.
    pub retryable: Option<bool>,
}

impl ApiError {
    /// Finds an error in a JSON body; `None` when it holds none.
    pub fn find(body: &Value) -> Option<Self> {
        let object = body.as_object()?;
        match object.get("error") {
            Some(Value::Object(error)) if !error.is_empty() => return Some(Self::from_object(error)),
            Some(Value::String(message)) if !message.is_empty() => {
                return Some(Self {
                    message: message.clone(),
                    code: object.get("error_type").and_then(word),
                    ..Self::default()
                });
            }
            _ => {}
        }
        if object.get("object").and_then(Value::as_str) == Some("error") {
            return Some(Self {
                message: object.get("message").and_then(word).unwrap_or_default(),
                code: object.get("type").and_then(word),
                status: object.get("code").and_then(status),
                ..Self::default()
            });
        }
        object.get("base_resp").and_then(Self::from_base_resp)
    }

    /// OpenAI's `error` object, with what OpenRouter adds.
    fn from_object(error: &Map<String, Value>) -> Self {
        let text = |key: &str| error.get(key).and_then(word);
        let metadata = error.get("metadata");
        let typed = || text("error_type").or_else(|| metadata?.get("error_type").and_then(word));
        let upstream = metadata.and_then(|m| m.get("raw")).and_then(word).map(|raw| format!(": {raw}"));
        let message = text("message").unwrap_or_else(|| Value::Object(error.clone()).to_string());
        let before = metadata.and_then(|m| m.get("previous_errors")).map(previous_errors);
        Self {
            message: format!("{message}{}{}", upstream.unwrap_or_default(), before.unwrap_or_default()),
            code: text("code").filter(|code| code.parse::<u16>().is_err()).or_else(|| text("type")).or_else(typed),
            status: ["code", "http_status", "http_code"].iter().find_map(|key| status(error.get(*key)?)).or_else(
                || [typed(), text("code"), text("type")].into_iter().flatten().find_map(|word| status_of(&word)),
            ),
            retryable: error.get("availability").and_then(|a| a.get("retryable")).and_then(Value::as_bool),
        }
    }

    /// MiniMax's `base_resp`, in which 0 is no error.
    fn from_base_resp(base: &Value) -> Option<Self> {
        let code = base.get("status_code").and_then(Value::as_i64).filter(|code| *code != 0)?;
        Some(Self {
            message: base.get("status_msg").and_then(word).unwrap_or_default(),
            code: Some(code.to_string()),
            // MiniMax's own list: unknown, timeout, rate limit, internal, internal.
            retryable: Some([1000, 1001, 1002, 1013, 1024].contains(&code)),
            ..Self::default()
        })
    }

    /// Reads the body of an error status, whatever it is.
    pub fn read(body: &str) -> Self {
        let trimmed = body.trim();
        if let Ok(json) = serde_json::from_str::<Value>(trimmed) {
            if let Some(error) = Self::find(&json) {
                return error;
            }
            for key in ["detail", "message"] {
                if let Some(value) = json.get(key).filter(|value| !value.is_null()) {
                    return Self { message: word(value).unwrap_or_else(|| value.to_string()), ..Self::default() };
                }
            }
        }
        let message = match trimmed {
            "" => "no body".into(),
            html if html.starts_with('<') => "an HTML page, as proxies and edges send".into(),
            text => short(text),
        };
        Self { message, ..Self::default() }
    }

    /// The failure that the record carries.
    pub fn failure(self, http_status: u16) -> Failure {
        // A 200 that carries an error says its status inside, or is the server's failure.
        let status = if http_status >= 400 { http_status } else { self.status.unwrap_or(http_status) };
        let code = self.code.as_deref().unwrap_or_default();
        let broke = code.contains("insufficient_balance")
            || code.contains("insufficient_quota")
            || matches!(code, "1008" | "payment_required");
        let kind = match status {
            _ if broke => FailureKind::Refused,
            429 => FailureKind::RateLimit,
            408 => FailureKind::Timeout,
            // TGI's word for a generation that failed.
            424 => FailureKind::Server,
            400..=499 => FailureKind::Refused,
            500..=599 => FailureKind::Server,
            200..=299 => FailureKind::Server,
            _ => FailureKind::Http,
        };
        let retryable = self.retryable.unwrap_or(!broke && matches!(status, 408 | 429 | 500..=599));
        let code = self.code.filter(|code| !self.message.contains(code.as_str())).map(|code| format!(" ({code})"));
        Failure {
            kind,
            status: Some(http_status),
            message: format!("{}{}", short(&self.message), code.unwrap_or_default()),
            retryable,
            ..Failure::default()
        }
    }
}

/// The failure of an error status with its body.
pub fn failure_of(status: u16, body: &str) -> Failure {
    ApiError::read(body).failure(status)
}

/// OpenRouter's `previous_errors`: who failed before the one whose error this is.
fn previous_errors(list: &Value) -> String {
    let one = |error: &Value| {
        let name = error.get("provider").or_else(|| error.get("provider_name")).and_then(word)?;
        let what = ["status", "code"].iter().find_map(|key| error.get(*key).and_then(word));
        Some(format!("{name} {}", what.unwrap_or_default()).trim_end().to_owned())
    };
    let said: Vec<String> = list.as_array().into_iter().flatten().filter_map(one).collect();
    if said.is_empty() { String::new() } else { format!(" (failed before: {})", said.join(", ")) }
}

/// The HTTP status that a word stands for, where a server says only the word: OpenRouter's `error_type`, and OpenAI's.
fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "context_length_exceeded"
        | "max_tokens_exceeded"
        | "token_limit_exceeded"
        | "string_too_long"
        | "invalid_request"
        | "invalid_prompt"
        | "invalid_request_error" => 400,
        "authentication" | "authentication_error" | "invalid_api_key" => 401,
        "payment_required" => 402,
        "permission_denied" | "content_policy_violation" | "refusal" => 403,
        "not_found" | "model_not_found" => 404,
        "timeout" => 408,
        "precondition_failed" => 412,
        "payload_too_large" => 413,
        "unprocessable" => 422,
        "rate_limit_exceeded" => 429,
        "server" | "server_error" => 500,
        "provider_unavailable" => 502,
        "provider_overloaded" => 503,
        _ => return None,
    })
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn status(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::{RateLimit, Refused, Server};

    #[test]
    fn every_error_shape_becomes_one() {
        for (status, body, kind, retryable, message) in [
            (
                401,
                r#"{"error":{"message":"bad key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                Refused,
                false,
                "bad key (invalid_api_key)",
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_ctx":64}}"#,
                Refused,
                false,
                "too long (exceed_context_size_error)",
            ),
            (404, r#"{"error":"model 'x' not found"}"#, Refused, false, "model 'x' not found"),
            (
                400,
                r#"{"object":"error","message":"no","type":"BadRequestError","param":null,"code":400}"#,
                Refused,
                false,
                "no (BadRequestError)",
            ),
            (
                200,
                r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
                Refused,
                false,
                "insufficient balance (1008)",
            ),
            (
                200,
                r#"{"choices":null,"base_resp":{"status_code":1002,"status_msg":"rate limit"}}"#,
                Server,
                true,
                "rate limit (1002)",
            ),
            (
                429,
                r#"{"error":{"type":"insufficient_balance_error","message":"insufficient balance (1008)","http_code":"429"}}"#,
                Refused,
                false,
                "insufficient balance (1008) (insufficient_balance_error)",
            ),
            (
                429,
                r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"slow down"}}}"#,
                RateLimit,
                true,
                "Provider returned error: slow down",
            ),
            (200, r#"{"error":{"code":502,"message":"provider down"}}"#, Server, true, "provider down"),
            (
                200,
                r#"{"error":{"message":"gone","error_type":"x","http_status":404,"availability":{"retryable":false}}}"#,
                Refused,
                false,
                "gone (x)",
            ),
            (
                503,
                r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
                Server,
                true,
                "Loading model (unavailable_error)",
            ),
            (
                422,
                r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
                Refused,
                false,
                r#"[{"loc":["body"],"msg":"field required"}]"#,
            ),
            (
                424,
                r#"{"error":"Request failed","error_type":"generation"}"#,
                Server,
                false,
                "Request failed (generation)",
            ),
            (502, "<html>Bad gateway</html>", Server, true, "an HTML page, as proxies and edges send"),
            (500, "", Server, true, "no body"),
            (500, "boom\x1b[2J", Server, true, "boom [2J"),
        ] {
            let failure = failure_of(status, body);
            assert_eq!(
                (failure.kind, failure.retryable, failure.message.as_str()),
                (kind, retryable, message),
                "{body}"
            );
        }
    }

    #[test]
    fn a_word_stands_for_a_status_where_there_is_none() {
        for (error, kind, retryable) in [
            (r#"{"code":"server_error","message":"x"}"#, Server, true),
            (
                r#"{"code":"server_error","message":"x","metadata":{"error_type":"rate_limit_exceeded"}}"#,
                RateLimit,
                true,
            ),
            (r#"{"error_type":"provider_overloaded","message":"x"}"#, Server, true),
            (r#"{"error_type":"payment_required","message":"x"}"#, Refused, false),
            (r#"{"code":429,"message":"x","metadata":{"error_type":"payment_required"}}"#, Refused, false),
            (r#"{"error_type":"timeout","message":"x"}"#, FailureKind::Timeout, true),
            (r#"{"code":"402","message":"x"}"#, Refused, false),
            (r#"{"code":503,"message":"x","availability":{"retryable":false}}"#, Server, false),
            (r#"{"code":"unheard_of","message":"x"}"#, Server, false),
        ] {
            let failure = failure_of(200, &format!(r#"{{"error":{error}}}"#));
            assert_eq!((failure.kind, failure.retryable), (kind, retryable), "{error}");
        }
        let before = r#"{"error":{"code":503,"message":"down","metadata":{"previous_errors":[{"provider":"A","code":"x","status":529},{"code":"y"},7]}}}"#;
        assert_eq!(failure_of(503, before).message, "down (failed before: A 529)");
    }

    #[test]
    fn a_body_without_an_error_is_none() {
        for body in [
            r#"{"choices":[],"error":null}"#,
            r#"{"error":{}}"#,
            r#"{"error":""}"#,
            r#"{"error":false}"#,
            r#"{"base_resp":{"status_code":0,"status_msg":""}}"#,
            "[]",
            "3",
        ] {
            assert_eq!(ApiError::find(&serde_json::from_str(body).unwrap()), None, "{body}");
        }
    }
}
