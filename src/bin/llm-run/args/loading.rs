//! How models are loaded.

use super::limits::limit;
use clap::Args;
use llm_bench::cli;
use llm_bench::record::RunSettings;
use llm_bench::sources::LoadOptions;
use std::time::Duration;

/// How models are loaded.
#[derive(Args)]
#[command(next_help_heading = "Loading (LM Studio, Ollama)")]
pub struct LoadingArgs {
    /// Leave loading to the server
    #[arg(long)]
    pub no_load: bool,
    /// Load with this context length, in tokens, and make sure of it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub context_length: Option<u64>,
    /// GPU offload: max, off, or a ratio from 0 to 1 (LM Studio, through `lms`)
    #[arg(long, value_name = "HOW", value_parser = gpu, conflicts_with = "no_load")]
    pub gpu: Option<String>,
    /// Let the server unload the model by itself after so long without a request, in whole seconds
    /// (LM Studio, through `lms`; Ollama)
    #[arg(long, value_parser = ttl, conflicts_with = "no_load")]
    pub ttl: Option<Duration>,
    /// How many requests the server may work on at once (LM Studio, through `lms`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000), conflicts_with = "no_load")]
    pub parallel: Option<u64>,
    /// The name under which the loaded model answers; requests use it (LM Studio, through `lms`)
    #[arg(long, value_name = "NAME", value_parser = identifier, conflicts_with = "no_load")]
    pub identifier: Option<String>,
    /// Leave the machine alone for so long before each load: the baseline of memory and power
    #[arg(long, default_value = "5s", value_parser = cli::duration)]
    pub settle: Duration,
    /// How long a load may take
    #[arg(long, default_value = "15m", value_parser = limit())]
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

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = cli::duration_in(Duration::from_secs(1), Duration::from_secs(365 * 24 * 3600))(text)?;
    if ttl.subsec_nanos() == 0 { Ok(ttl) } else { Err("servers count whole seconds: 90s, not 1.5m or 500ms".into()) }
}

fn identifier(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@'));
    if plain && (1..=100).contains(&text.len()) && !text.starts_with('-') {
        Ok(text.to_owned())
    } else {
        Err("1 to 100 letters, digits, - _ . / : @, the first no hyphen".into())
    }
}

impl LoadingArgs {
    /// The flags that say how to load, as they were given; `None` without any.
    pub fn given(&self) -> Option<String> {
        let flags = [
            (self.context_length.is_some(), "--context-length"),
            (self.gpu.is_some(), "--gpu"),
            (self.ttl.is_some(), "--ttl"),
            (self.parallel.is_some(), "--parallel"),
            (self.identifier.is_some(), "--identifier"),
        ];
        let given: Vec<&str> = flags.into_iter().filter_map(|(given, name)| given.then_some(name)).collect();
        (!given.is_empty()).then(|| given.join(", "))
    }

    /// What is asked of the loader; `None` when loading is the server's affair.
    pub fn wanted(&self) -> Option<LoadOptions> {
        (!self.no_load).then(|| LoadOptions {
            context_length: self.context_length,
            gpu: self.gpu.clone(),
            ttl: self.ttl,
            parallel: self.parallel,
            identifier: self.identifier.clone(),
            settle: self.settle,
            limit: self.load_timeout,
        })
    }

    /// Writes them to the settings of the run.
    pub fn record(&self, settings: &mut RunSettings) {
        settings.load = Some(!self.no_load);
        settings.context_length = self.context_length;
        settings.gpu.clone_from(&self.gpu);
        settings.ttl_seconds = self.ttl.map(|ttl| ttl.as_secs_f64());
        settings.parallel = self.parallel;
        settings.identifier.clone_from(&self.identifier);
        settings.settle_seconds = (!self.no_load).then_some(self.settle.as_secs_f64());
        settings.load_timeout_seconds = (!self.no_load).then_some(self.load_timeout.as_secs_f64());
    }
}
