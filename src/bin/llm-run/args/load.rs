//! How many requests, and when.

use clap::Args;
use llm_bench::pace::Closed;
use serde_json::{Value, json};
use std::num::NonZeroU64;

/// How many requests, and when.
#[derive(Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Requests at once; several levels, one after another, with commas: 1,5,10
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', default_value = "1")]
    pub concurrency: Vec<NonZeroU64>,
    /// Requests per model and level, prompts taken in turn; otherwise each prompt once
    #[arg(long, value_name = "N")]
    pub requests: Option<NonZeroU64>,
    /// Ask each prompt N times
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "requests")]
    pub repeat: NonZeroU64,
    /// Requests per model and level before those that count
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub warmup: u64,
    /// Try a request again after 408, 429, 5xx or no connection; 0 for load tests
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub retries: u32,
    /// Event loops; default: the cores, up to 4
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

impl LoadArgs {
    /// How many event loops.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
        self.threads.map_or_else(cores, usize::from)
    }

    /// The load levels, one after another.
    pub fn levels(&self) -> Vec<Closed> {
        self.concurrency.iter().map(|n| Closed { concurrency: n.get() }).collect()
    }

    /// As the `run` record carries it.
    pub fn recorded(&self) -> Value {
        json!({
            "concurrency": self.concurrency,
            "requests": self.requests,
            "repeat": self.repeat,
            "warmup": self.warmup,
            "retries": self.retries,
        })
    }
}
