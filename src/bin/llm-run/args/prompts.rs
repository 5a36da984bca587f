//! What is asked.

use anyhow::{Context, bail};
use clap::Args;
use llm_bench::prompts::{Suite, prompt, suite};
use llm_bench::record::Prompt;
use llm_bench::runner::Nonce;
use serde_json::{Value, json};
use std::num::NonZeroU64;
use std::path::PathBuf;

/// What is asked.
#[derive(Args)]
#[command(next_help_heading = "Prompts")]
pub struct PromptArgs {
    /// Ask this (repeat for several prompts)
    #[arg(long, value_name = "TEXT")]
    pub prompt: Vec<String>,
    /// Ask the text of FILE (repeat for several prompts)
    #[arg(long, value_name = "FILE")]
    pub prompt_file: Vec<PathBuf>,
    /// Ask a built-in suite
    #[arg(long, value_enum)]
    pub suite: Option<Suite>,
    /// Only the first N prompts
    #[arg(long, value_name = "N")]
    pub prompts: Option<NonZeroU64>,
    /// The system message
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Put a unique line before each prompt, so that no cache knows it; auto: when a model is asked the same more than
    /// once, and for the token-rate suite
    #[arg(long, value_enum, default_value = "auto")]
    pub nonce: Nonce,
    /// Print a built-in suite as prompt records, and leave
    #[arg(long, value_enum, value_name = "SUITE")]
    pub print_suite: Option<Suite>,
}

impl PromptArgs {
    /// The prompts, in the order of the command line's kinds: suite, texts, files.
    ///
    /// # Errors
    /// When a file cannot be read, or nothing is asked.
    pub fn list(&self) -> anyhow::Result<Vec<Prompt>> {
        let system = self.system.as_deref();
        let mut list = self.suite.map(|name| suite(name, system)).unwrap_or_default();
        for (n, text) in self.prompt.iter().enumerate() {
            list.push(prompt(&format!("prompt-{}", n + 1), None, system, text));
        }
        for path in &self.prompt_file {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let id = path.file_stem().map_or_else(|| "prompt-file".into(), |stem| stem.to_string_lossy().into_owned());
            list.push(prompt(&id, None, system, text.trim_end()));
        }
        if list.is_empty() {
            bail!("nothing to ask: give --prompt TEXT, --prompt-file FILE, or --suite website|token-rate");
        }
        if let Some(n) = self.prompts {
            list.truncate(usize::try_from(n.get()).unwrap_or(usize::MAX));
        }
        Ok(list)
    }

    /// When a nonce is put before the prompt.
    pub fn nonce(&self) -> Nonce {
        match (self.nonce, self.suite) {
            // A load suite is run again and again against the same server.
            (Nonce::Auto, Some(Suite::TokenRate)) => Nonce::On,
            (nonce, _) => nonce,
        }
    }

    /// As the `run` record carries it.
    pub fn recorded(&self) -> Value {
        json!({
            "suite": self.suite.map(|suite| suite.to_string()),
            "nonce": format!("{:?}", self.nonce()).to_lowercase(),
        })
    }
}
