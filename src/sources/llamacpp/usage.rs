//! Token counts in llama.cpp's `timings`. Source: `tools/server/README.md` of llama.cpp.

use crate::protocol::usage::UsageNames;

/// `prompt_n` leaves out what the cache held.
pub const TIMINGS: UsageNames = UsageNames {
    input: "/prompt_n",
    output: "/predicted_n",
    cached: "/cache_n",
    input_without_cached: true,
    ..UsageNames::none("timings")
};
