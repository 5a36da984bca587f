//! What is asked.

use clap::Args;
use llm_bench::prompts::synthetic::Wanted;
use llm_bench::prompts::{InputFormat, Suite};
use llm_bench::record::RunSettings;
use llm_bench::run::Nonce;
use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
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
    /// Prompts of FILE: one per line, or in one JSON array (repeat for several files)
    #[arg(long, value_name = "FILE", value_parser = input_file)]
    pub input_file: Vec<PathBuf>,
    /// Format of the input files [default: from their first bytes]
    #[arg(long, value_enum, value_name = "FORMAT", requires = "input_file")]
    pub input_format: Option<InputFormat>,
    /// Only N prompts: the first of all, of a ShareGPT file N at random
    #[arg(long, value_name = "N", value_parser = number_of_prompts)]
    pub prompts: Option<NonZeroUsize>,
    /// Ask texts that are made to a length in tokens, such as in=512,out=128,n=100; lengths are 512, 512±64 (or 512+-64:
    /// mean and standard deviation) or 256..1024. Servers that can count do; elsewhere a word is taken for a token
    #[arg(long, value_name = "in=LENGTH[,out=LENGTH][,n=N]", value_parser = Wanted::parse)]
    pub synthetic: Vec<Wanted>,
    /// Play N turns of each conversation, each a request after the model's own earlier answers [default: all, 1 of a ShareGPT
    /// file]
    #[arg(long, value_name = "N|all", value_parser = turns)]
    pub turns: Option<Turns>,
    /// The system message, where a prompt brings none along
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub system: Option<String>,
    /// Put the same text of so many tokens before every prompt, to measure prefix caches; a nonce then stands after it,
    /// and keeps caches only from what follows
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub shared_prefix: Option<u64>,
    /// Prepend a unique nonce to each prompt to defeat prompt caches; auto: when a model gets the same prompt more than once,
    /// and for the token-rate suite
    #[arg(long, value_enum, default_value = "auto")]
    pub nonce: Nonce,
    /// Print a built-in suite as prompt records, and leave
    #[arg(long, value_enum, value_name = "SUITE")]
    pub print_suite: Option<Suite>,
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

fn number_of_prompts(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse() {
        Ok(n) => NonZeroUsize::new(n).ok_or_else(|| "at least 1".into()),
        Err(_) => Err("not a number: prompts of a file are read with --input-file FILE".into()),
    }
}

fn input_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("standard input carries the models: give the prompts as a file".into()),
        _ => Ok(text.into()),
    }
}

fn turns(text: &str) -> Result<Turns, String> {
    match text {
        "all" => Ok(Turns::All),
        n => n.parse().map(Turns::First).map_err(|_| "not a number above zero, or all".into()),
    }
}

impl fmt::Display for Turns {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Turns::First(n) => n.fmt(f),
            Turns::All => f.write_str("all"),
        }
    }
}

impl PromptArgs {
    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.prompt_file.iter().chain(&self.input_file).map(PathBuf::as_path)
    }

    /// When a nonce is put before the prompt.
    pub fn nonce(&self) -> Nonce {
        match (self.nonce, self.suite) {
            // A load suite is run again and again against the same server.
            (Nonce::Auto, Some(Suite::TokenRate)) => Nonce::On,
            (nonce, _) => nonce,
        }
    }

    /// Writes them to the settings of the run.
    pub fn record(&self, settings: &mut RunSettings) {
        let several = |list: Vec<String>| (!list.is_empty()).then_some(list);
        let names = |paths: &[PathBuf]| several(paths.iter().map(|path| path.display().to_string()).collect());
        settings.suite = self.suite.map(|suite| suite.to_string());
        settings.prompt = several(self.prompt.clone());
        settings.prompt_file = names(&self.prompt_file);
        settings.input_file = names(&self.input_file);
        settings.input_format = self.input_format.map(|format| format.to_string());
        settings.synthetic = several(self.synthetic.iter().map(ToString::to_string).collect());
        settings.turns = self.turns.map(|turns| turns.to_string());
        settings.system.clone_from(&self.system);
        settings.shared_prefix_tokens = self.shared_prefix;
    }
}
