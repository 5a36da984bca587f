//! What is asked.

use clap::Args;
use llm_bench::prompts::Suite;
use llm_bench::prompts::synthetic::Wanted;
use llm_bench::runner::Nonce;
use serde_json::{Value, json};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// What is asked.
#[derive(Args)]
#[command(next_help_heading = "Prompts")]
pub struct PromptArgs {
    /// Ask this (repeat for several prompts)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: Vec<String>,
    /// Ask the text of FILE (repeat for several prompts)
    #[arg(long, value_name = "FILE")]
    pub prompt_file: Vec<PathBuf>,
    /// Ask a built-in suite
    #[arg(long, value_enum)]
    pub suite: Option<Suite>,
    /// Ask the prompts of FILE, one JSON value per line: `prompt` records, {"prompt": …}, {"messages": […]} or strings. With
    /// a number instead, only the first N prompts of all, or N at random of a --dataset (repeat: --prompts FILE --prompts 10)
    #[arg(long, value_name = "FILE|N", value_parser = prompts)]
    pub prompts: Vec<Prompts>,
    /// Ask texts that are made to a length in tokens, such as in=512,out=128,n=100; lengths are 512, 512±64 (or 512+-64:
    /// mean and standard deviation) or 256..1024. Servers that can count do; elsewhere a word is taken for a token
    #[arg(long, value_name = "in=LENGTH[,out=LENGTH][,n=N]", value_parser = Wanted::parse)]
    pub synthetic: Vec<Wanted>,
    /// Ask what people asked: the ShareGPT data set, as a JSON array or one conversation per line
    #[arg(long, value_name = "sharegpt:FILE", value_parser = sharegpt)]
    pub dataset: Option<PathBuf>,
    /// Play so many turns of each conversation, each a request with the model's own earlier answers before it
    /// [default: all of --prompts, 1 of --dataset]
    #[arg(long, value_name = "N|all", value_parser = turns)]
    pub turns: Option<Turns>,
    /// The system message, where a prompt brings none along
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub system: Option<String>,
    /// Put the same text of so many tokens before every prompt, to measure prefix caches; a nonce then stands after it,
    /// and keeps caches only from what follows
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub shared_prefix: Option<u64>,
    /// Put a unique line before each prompt, so that no cache knows it; auto: when a model is asked the same more than
    /// once, and for the token-rate suite
    #[arg(long, value_enum, default_value = "auto")]
    pub nonce: Nonce,
    /// Print a built-in suite as prompt records, and leave
    #[arg(long, value_enum, value_name = "SUITE")]
    pub print_suite: Option<Suite>,
}

/// A value of `--prompts`.
#[derive(Debug, Clone)]
pub enum Prompts {
    /// Only so many.
    First(NonZeroU64),
    /// Those of a file.
    File(PathBuf),
}

/// A value of `--turns`.
#[derive(Debug, Clone, Copy)]
pub enum Turns {
    /// At most so many.
    First(NonZeroU64),
    /// As many as there are.
    All,
}

impl Turns {
    /// The most turns.
    pub fn most(self) -> usize {
        match self {
            Turns::First(n) => usize::try_from(n.get()).unwrap_or(usize::MAX),
            Turns::All => usize::MAX,
        }
    }
}

fn prompts(text: &str) -> Result<Prompts, String> {
    match text.parse::<u64>() {
        Ok(n) => NonZeroU64::new(n).map(Prompts::First).ok_or_else(|| "at least 1".into()),
        Err(_) if text == "-" => Err("standard input carries the models: give the prompts as a file".into()),
        Err(_) if text.is_empty() => Err("neither a file nor a number".into()),
        Err(_) => Ok(Prompts::File(text.into())),
    }
}

fn turns(text: &str) -> Result<Turns, String> {
    match text {
        "all" => Ok(Turns::All),
        n => n.parse().map(Turns::First).map_err(|_| "not a number above zero, or all".into()),
    }
}

fn sharegpt(text: &str) -> Result<PathBuf, String> {
    match text.split_once(':') {
        Some(("sharegpt", "-")) => Err("standard input carries the models: give the data set as a file".into()),
        Some(("sharegpt", file)) if !file.is_empty() => Ok(file.into()),
        _ => Err("not sharegpt:FILE, the one form of data sets that is known".into()),
    }
}

impl PromptArgs {
    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let lines = self.prompt_lines();
        self.prompt_file.iter().map(PathBuf::as_path).chain(lines).chain(self.dataset.as_deref())
    }

    /// The files of prompts, one per line.
    pub fn prompt_lines(&self) -> impl Iterator<Item = &Path> {
        self.prompts.iter().filter_map(|value| match value {
            Prompts::File(path) => Some(path.as_path()),
            Prompts::First(_) => None,
        })
    }

    /// How many prompts at most.
    pub fn limit(&self) -> Option<usize> {
        let limits = self.prompts.iter().filter_map(|value| match value {
            Prompts::First(n) => Some(usize::try_from(n.get()).unwrap_or(usize::MAX)),
            Prompts::File(_) => None,
        });
        limits.min()
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
        let several = |list: Vec<String>| (!list.is_empty()).then_some(list);
        json!({
            "suite": self.suite.map(|suite| suite.to_string()),
            "prompt_lines": several(self.prompt_lines().map(|path| path.display().to_string()).collect()),
            "synthetic": several(self.synthetic.iter().map(ToString::to_string).collect()),
            "dataset": self.dataset.as_ref().map(|path| format!("sharegpt:{}", path.display())),
            "turns": self.turns.map(|turns| match turns {
                Turns::First(n) => Value::from(n.get()),
                Turns::All => "all".into(),
            }),
            "shared_prefix_tokens": self.shared_prefix,
            "nonce": format!("{:?}", self.nonce()).to_lowercase(),
        })
    }
}
