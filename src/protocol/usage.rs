//! Token counts, by the names that protocols and servers give them.

use super::answer::{ServerMetadata, StreamedAnswer};
use crate::record::{TokenMethod, Tokens};
use serde_json::Value;

/// The names under which a server reports token counts, as JSON pointers into one of its objects. An empty pointer is a count
/// that the server does not report.
#[derive(Debug, Clone, Copy)]
pub struct UsageNames {
    /// Field of the response that holds the counts: `usage`, `stats`, `timings`, or another one.
    pub field: &'static str,
    /// Input tokens.
    pub input: &'static str,
    /// Output tokens.
    pub output: &'static str,
    /// Reasoning tokens among the output tokens.
    pub reasoning: &'static str,
    /// Input tokens that a cache held.
    pub cached: &'static str,
    /// Whether `input` leaves out the cached tokens.
    pub input_without_cached: bool,
}

impl UsageNames {
    /// No count in `field`.
    pub const fn none(field: &'static str) -> Self {
        Self { field, input: "", output: "", reasoning: "", cached: "", input_without_cached: false }
    }

    /// The counts of an answer; `None` when the server did not count its output.
    fn tokens(&self, answer: &StreamedAnswer) -> Option<Tokens> {
        let counts = field(&answer.metadata, self.field)?;
        let count = |path: &str| number(&counts, path).filter(|_| !path.is_empty());
        let cached = count(self.cached);
        let left_out = cached.filter(|_| self.input_without_cached).unwrap_or(0);
        Some(Tokens {
            input: count(self.input).map(|n| n + left_out),
            output: Some(counted(answer, count(self.output))?),
            reasoning: count(self.reasoning),
            cached,
            method: Some(if self.field == "usage" { TokenMethod::Usage } else { TokenMethod::ServerStats }),
            ..Tokens::default()
        })
    }
}

/// Zero output beside text is a server that does not count, not an answer without tokens.
fn counted(answer: &StreamedAnswer, count: Option<u64>) -> Option<u64> {
    count.filter(|&n| n > 0 || answer.chunks.is_empty())
}

/// A field of the response, by its name there.
fn field(metadata: &ServerMetadata, name: &str) -> Option<Value> {
    match name {
        "usage" => metadata.usage.clone(),
        "stats" => metadata.rest_stats.clone(),
        "timings" => metadata.timings.clone(),
        _ => {
            let (_, raw) = metadata.server_fields.iter().find(|(field, _)| field == name)?;
            serde_json::from_str(raw).ok()
        }
    }
}

/// The largest count that is accepted: 2⁵³.
const MAX_COUNT: f64 = 9_007_199_254_740_992.0;

/// The count at `path`: a whole number that a double holds. Anything else is no count.
pub fn number(value: &Value, path: &str) -> Option<u64> {
    let found = value.pointer(path)?.as_f64()?;
    ((0.0..=MAX_COUNT).contains(&found) && found.fract() == 0.0).then_some(found as u64)
}

/// The counts of an answer, from the best source there is: OpenAI's `usage`, the names in `servers` in their order, or the
/// number of chunks.
pub fn tokens(answer: &StreamedAnswer, servers: &[UsageNames]) -> Tokens {
    let usage = |path: &str| answer.metadata.usage.as_ref().and_then(|usage| number(usage, path));
    let tokens = Tokens {
        // No prompt is without tokens.
        input: usage("/prompt_tokens").filter(|&n| n > 0),
        output: counted(answer, usage("/completion_tokens")),
        // Gateways report zero although reasoning came.
        reasoning: usage("/completion_tokens_details/reasoning_tokens")
            .or_else(|| usage("/reasoning_tokens"))
            .filter(|&n| n > 0 || answer.reasoning.is_empty()),
        cached: usage("/prompt_tokens_details/cached_tokens").or_else(|| cached(answer, servers)),
        method: Some(TokenMethod::Usage),
        ..Tokens::default()
    };
    if tokens.output.is_some() {
        return tokens;
    }
    let tokens = Tokens { cached: usage("/prompt_tokens_details/cached_tokens"), ..tokens };
    servers.iter().find_map(|names| names.tokens(answer)).unwrap_or_else(|| Tokens {
        method: Some(TokenMethod::Chunks),
        output: (!answer.chunks.is_empty() && !answer.whole).then_some(answer.chunks.len() as u64),
        ..tokens
    })
}

/// Cached tokens that a server reports beside a `usage` without them.
fn cached(answer: &StreamedAnswer, servers: &[UsageNames]) -> Option<u64> {
    let mut found = servers.iter().filter(|names| !names.cached.is_empty());
    found.find_map(|names| number(&field(&answer.metadata, names.field)?, names.cached))
}
