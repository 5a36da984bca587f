//! Token counts and durations in the last line of Ollama's chat.

use crate::protocol::usage::{self, UsageNames};
use serde_json::Value;

/// The fields beside the message.
pub const STATS: UsageNames =
    UsageNames { input: "/prompt_eval_count", output: "/eval_count", ..UsageNames::none("stats") };

/// Whether the statistics include the duration of the output, from which its rate follows.
pub fn has_rate(stats: &Value) -> bool {
    usage::number(stats, "/eval_duration").is_some()
}
