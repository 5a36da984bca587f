//! How models are loaded.

use clap::Args;
use llm_bench::cli;
use llm_bench::loader::Wanted;
use serde_json::{Value, json};
use std::time::Duration;

/// How models are loaded.
#[derive(Args)]
#[command(next_help_heading = "Loading (LM Studio, Ollama)")]
pub struct LoadingArgs {
    /// Leave loading to the server
    #[arg(long)]
    pub no_load: bool,
    /// Load with this context length, in tokens, and make sure of it
    #[arg(long, value_name = "N")]
    pub context_length: Option<u64>,
    /// GPU offload: max, off, or a ratio from 0 to 1 (LM Studio, through `lms`)
    #[arg(long, value_name = "HOW", value_parser = gpu)]
    pub gpu: Option<String>,
    /// Let the server unload the model by itself after so long
    #[arg(long, value_parser = cli::duration)]
    pub ttl: Option<Duration>,
    /// How many requests the server may work on at once (LM Studio, through `lms`)
    #[arg(long, value_name = "N")]
    pub parallel: Option<u64>,
    /// Leave the machine alone for so long before each load: the baseline of memory and power
    #[arg(long, default_value = "5s", value_parser = cli::duration)]
    pub settle: Duration,
    /// How long a load may take
    #[arg(long, default_value = "15m", value_parser = cli::duration)]
    pub load_timeout: Duration,
}

fn gpu(text: &str) -> Result<String, String> {
    let ratio = text.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio));
    if ratio || matches!(text, "max" | "off") {
        Ok(text.to_owned())
    } else {
        Err("max, off, or a ratio from 0 to 1".into())
    }
}

impl LoadingArgs {
    /// What is asked of the loader; `None` when loading is the server's affair.
    pub fn wanted(&self) -> Option<Wanted> {
        (!self.no_load).then(|| Wanted {
            context_length: self.context_length,
            gpu: self.gpu.clone(),
            ttl: self.ttl,
            parallel: self.parallel,
            settle: self.settle,
            limit: self.load_timeout,
        })
    }

    /// As the `run` record carries it.
    pub fn recorded(&self) -> Value {
        json!({
            "load": !self.no_load,
            "context_length": self.context_length,
            "gpu": self.gpu,
            "ttl_seconds": self.ttl.map(|ttl| ttl.as_secs_f64()),
            "parallel": self.parallel,
            "settle_seconds": (!self.no_load).then_some(self.settle.as_secs_f64()),
        })
    }
}
