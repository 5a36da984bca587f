//! What only OpenRouter knows: providers, a key's limits, a ledger.

use clap::Args;
use llm_bench::record::RunSettings;

/// What only OpenRouter knows.
#[derive(Args)]
#[command(next_help_heading = "OpenRouter")]
pub struct OpenrouterArgs {
    /// Only this provider, by its tag (llm-models openrouter --endpoints), for models that are not pinned already; no other
    /// may answer instead
    #[arg(long, value_name = "TAG", value_parser = tag)]
    pub provider: Option<String>,
    /// Do not ask what the key may spend before the first request
    #[arg(long)]
    pub no_key_check: bool,
    /// Look up what each request really cost; its result is written when that is found, or given up after some seconds
    #[arg(long)]
    pub verify_cost: bool,
}

fn tag(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':'));
    if plain && (1..=200).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("a tag such as deepinfra/fp8".into())
    }
}

impl OpenrouterArgs {
    /// Writes them to the settings of the run.
    pub fn record(&self, settings: &mut RunSettings) {
        settings.provider.clone_from(&self.provider);
        settings.verify_cost = self.verify_cost.then_some(true);
    }
}
