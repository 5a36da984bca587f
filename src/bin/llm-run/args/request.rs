//! What is sent with each prompt.

use anyhow::bail;
use clap::Args;
use llm_bench::protocol::Parameters;
use llm_bench::record::RunSettings;
use serde_json::{Map, Value};

/// What is sent with each prompt; nothing that was not given.
#[derive(Args)]
#[command(next_help_heading = "Request parameters (sent only when given)")]
pub struct RequestArgs {
    /// Sampling temperature
    #[arg(long)]
    pub temperature: Option<f64>,
    /// Nucleus sampling
    #[arg(long)]
    pub top_p: Option<f64>,
    /// The most tokens to answer with, reasoning included
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u64>,
    /// The sampling seed
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// How hard to think: none, low, medium, high … in the server's words
    #[arg(long, value_name = "WORD")]
    pub reasoning_effort: Option<String>,
    /// Fields to merge into each request's body
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub extra_body: Option<Map<String, Value>>,
    /// Do not stream: no time to first token, no gaps
    #[arg(long)]
    pub no_stream: bool,
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|why| format!("not a JSON object: {why}"))
}

impl RequestArgs {
    /// The parameters, where the model is loaded with `num_ctx` tokens of context.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub fn parameters(&self, num_ctx: Option<u64>) -> anyhow::Result<Parameters> {
        let range = |name: &str, value: Option<f64>, max: f64| match value {
            Some(value) if !(0.0..=max).contains(&value) => bail!("--{name} {value}: not between 0 and {max}"),
            _ => Ok(()),
        };
        range("temperature", self.temperature, 2.0)?;
        range("top-p", self.top_p, 1.0)?;
        Ok(Parameters {
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens,
            num_ctx,
            seed: self.seed,
            reasoning_effort: self.reasoning_effort.clone(),
            stream: !self.no_stream,
            extra: self.extra_body.clone().unwrap_or_default(),
        })
    }

    /// Writes them to the settings of the run.
    pub fn record(&self, settings: &mut RunSettings) {
        settings.stream = Some(!self.no_stream);
        settings.temperature = self.temperature;
        settings.top_p = self.top_p;
        settings.max_tokens = self.max_tokens;
        settings.seed = self.seed;
        settings.reasoning_effort.clone_from(&self.reasoning_effort);
        settings.extra_body.clone_from(&self.extra_body);
    }
}
