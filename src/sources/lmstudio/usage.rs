//! Token counts and rates in LM Studio's statistics.

use crate::protocol::usage::UsageNames;
use serde_json::Value;

/// The `stats` of the native chat.
pub const STATS: UsageNames = UsageNames {
    input: "/input_tokens",
    output: "/total_output_tokens",
    reasoning: "/reasoning_output_tokens",
    ..UsageNames::none("stats")
};

/// Whether the statistics include a rate of output tokens.
pub fn has_rate(stats: &Value) -> bool {
    stats.get("tokens_per_second").is_some()
}
