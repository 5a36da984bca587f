//! The command line of llm-run, and the settings that it means.

use anyhow::{Context, bail};
use clap::Parser;
use llm_bench::chat::{Limits, Parameters};
use llm_bench::cli::{self, Common, KeyArgs, duration_in};
use llm_bench::clock;
use llm_bench::loader::Wanted;
use llm_bench::ndjson::Lines;
use llm_bench::pace::Closed;
use llm_bench::prompts::{Suite, prompt, suite};
use llm_bench::record::{self, Prompt, Record, Source};
use llm_bench::runner::{ApiChoice, Nonce, Settings};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

const AFTER: &str = "\
Examples:
  llm-models lmstudio | llm-run --suite website --artifacts reports/today > results.ndjson
  llm-models openrouter --match '^google/' | llm-run --suite website --concurrency 4 --max-tokens 2000 > results.ndjson
  echo tiny | llm-run --source openai --base-url http://127.0.0.1:8080 --suite token-rate --concurrency 1,4,16
  llm-run --print-suite website | jq -r .text

Environment:
  LMSTUDIO_API_BASE, OLLAMA_HOST, OPENAI_BASE_URL, OPENROUTER_API_BASE, MINIMAX_API_BASE
                       where bare ids are asked, unless --base-url says so
  LM_API_TOKEN, OPENROUTER_API_KEY, OPENAI_API_KEY, MINIMAX_API_KEY
                       the keys; each is sent only to its own service, this machine, and hosts that you name

Memory: the models and prompts of the run, and the answers in flight (--max-answer-bytes each).
";

/// Load models, ask them, and time every token
///
/// Reads `model` records (or bare ids, one per line, with --source) from FILE or standard input. Models on this machine are
/// measured one after another; LM Studio's and Ollama's are loaded first, timed, and unloaded afterwards. Remote models
/// share one pool of --concurrency requests.
#[derive(Parser)]
#[command(name = "llm-run", version, after_long_help = format!("{AFTER}\n{}", cli::EXIT_STATUS))]
pub struct Cli {
    /// Files of model records or ids; standard input when there is none, or `-`
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The kind of server of bare ids
    #[arg(long)]
    pub source: Option<Source>,
    /// Where bare ids, and records that do not say, are asked
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Which API is spoken; auto falls back to an older one only where an endpoint is missing
    #[arg(long, value_enum, default_value = "auto")]
    pub api: ApiChoice,

    /// Ask this (repeat for several prompts)
    #[arg(long, value_name = "TEXT", help_heading = "Prompts")]
    pub prompt: Vec<String>,
    /// Ask the text of FILE (repeat for several prompts)
    #[arg(long, value_name = "FILE", help_heading = "Prompts")]
    pub prompt_file: Vec<PathBuf>,
    /// Ask a built-in suite
    #[arg(long, value_enum, help_heading = "Prompts")]
    pub suite: Option<Suite>,
    /// Only the first N prompts
    #[arg(long, value_name = "N", help_heading = "Prompts")]
    pub prompts: Option<NonZeroU64>,
    /// The system message
    #[arg(long, value_name = "TEXT", help_heading = "Prompts")]
    pub system: Option<String>,
    /// Put a unique line before each prompt, so that no cache knows it; auto: when a model is asked the same more than
    /// once, and for the token-rate suite
    #[arg(long, value_enum, default_value = "auto", help_heading = "Prompts")]
    pub nonce: Nonce,
    /// Print a built-in suite as prompt records, and leave
    #[arg(long, value_enum, value_name = "SUITE", help_heading = "Prompts")]
    pub print_suite: Option<Suite>,

    /// Sampling temperature
    #[arg(long, help_heading = "Request parameters (sent only when given)")]
    pub temperature: Option<f64>,
    /// Nucleus sampling
    #[arg(long, help_heading = "Request parameters (sent only when given)")]
    pub top_p: Option<f64>,
    /// The most tokens to answer with, reasoning included
    #[arg(long, value_name = "N", help_heading = "Request parameters (sent only when given)")]
    pub max_tokens: Option<u64>,
    /// The sampling seed
    #[arg(long, value_name = "N", help_heading = "Request parameters (sent only when given)")]
    pub seed: Option<i64>,
    /// How hard to think: none, low, medium, high … in the server's words
    #[arg(long, value_name = "WORD", help_heading = "Request parameters (sent only when given)")]
    pub reasoning_effort: Option<String>,
    /// Fields to merge into each request's body
    #[arg(long, value_name = "JSON", value_parser = object, help_heading = "Request parameters (sent only when given)")]
    pub extra_body: Option<Map<String, Value>>,
    /// Do not stream: no time to first token, no gaps
    #[arg(long, help_heading = "Request parameters (sent only when given)")]
    pub no_stream: bool,

    /// Requests at once; several levels, one after another, with commas: 1,5,10
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', default_value = "1", help_heading = "Load")]
    pub concurrency: Vec<NonZeroU64>,
    /// Requests per model and level, prompts taken in turn; otherwise each prompt once
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub requests: Option<NonZeroU64>,
    /// Ask each prompt N times
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "requests", help_heading = "Load")]
    pub repeat: NonZeroU64,
    /// Requests per model and level before those that count
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Load")]
    pub warmup: u64,
    /// Try a request again after 408, 429, 5xx or no connection; 0 for load tests
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Load")]
    pub retries: u32,
    /// Event loops; default: the cores, up to 4
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Load")]
    pub threads: Option<u16>,

    /// Leave loading to the server
    #[arg(long, help_heading = "Loading (LM Studio, Ollama)")]
    pub no_load: bool,
    /// Load with this context length, in tokens, and make sure of it
    #[arg(long, value_name = "N", help_heading = "Loading (LM Studio, Ollama)")]
    pub context_length: Option<u64>,
    /// GPU offload: max, off, or a ratio from 0 to 1 (LM Studio, through `lms`)
    #[arg(long, value_name = "HOW", value_parser = gpu, help_heading = "Loading (LM Studio, Ollama)")]
    pub gpu: Option<String>,
    /// Let the server unload the model by itself after so long
    #[arg(long, value_parser = cli::duration, help_heading = "Loading (LM Studio, Ollama)")]
    pub ttl: Option<Duration>,
    /// How many requests the server may work on at once (LM Studio, through `lms`)
    #[arg(long, value_name = "N", help_heading = "Loading (LM Studio, Ollama)")]
    pub parallel: Option<u64>,
    /// Leave the machine alone for so long before each load: the baseline of memory and power
    #[arg(long, default_value = "5s", value_parser = cli::duration, help_heading = "Loading (LM Studio, Ollama)")]
    pub settle: Duration,
    /// How long a load may take
    #[arg(long, default_value = "15m", value_parser = cli::duration, help_heading = "Loading (LM Studio, Ollama)")]
    pub load_timeout: Duration,

    /// How long a request may take
    #[arg(long, default_value = "30m", value_parser = limit(), help_heading = "Limits")]
    pub timeout: Duration,
    /// How long nothing may come, before the first token or between two; comments do not count [default: --timeout]
    #[arg(long, value_parser = limit(), help_heading = "Limits")]
    pub idle_timeout: Option<Duration>,
    /// How long opening a connection may take
    #[arg(long, default_value = "10s", value_parser = limit(), help_heading = "Limits")]
    pub connect_timeout: Duration,
    /// The most text of an answer that is held
    #[arg(long, value_name = "N", default_value_t = 64 << 20, help_heading = "Limits")]
    pub max_answer_bytes: usize,

    /// Write each answer to DIR, as MODEL.txt and, where it is a page, MODEL.html
    #[arg(long, value_name = "DIR", help_heading = "What is kept")]
    pub artifacts: Option<PathBuf>,
    /// Keep the answer's text in its record
    #[arg(long, help_heading = "What is kept")]
    pub save_text: bool,
    /// Keep offset, size and kind of every chunk in the record
    #[arg(long, help_heading = "What is kept")]
    pub save_stream: bool,
    /// Leave out what FILE holds a good result of; ask again what failed there
    #[arg(long, value_name = "FILE", help_heading = "What is kept")]
    pub resume: Option<PathBuf>,
    /// The run's id: letters, digits, - _ . [default: bench-YYYYMMDD-HHMMSS]
    #[arg(long, value_name = "ID", value_parser = run_id, help_heading = "What is kept")]
    pub run_id: Option<String>,
    /// Print the requests, without keys, and send none
    #[arg(short = 'n', long, help_heading = "What is kept")]
    pub dry_run: bool,

    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub common: Common,
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn limit() -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    duration_in(Duration::from_millis(1), Duration::from_secs(7 * 24 * 3600))
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|why| format!("not a JSON object: {why}"))
}

fn run_id(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if plain && (1..=100).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("1 to 100 letters, digits, - _ .".into())
    }
}

fn gpu(text: &str) -> Result<String, String> {
    let ratio = text.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio));
    if ratio || matches!(text, "max" | "off") {
        Ok(text.to_owned())
    } else {
        Err("max, off, or a ratio from 0 to 1".into())
    }
}

impl Cli {
    /// How many event loops.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
        self.threads.map_or_else(cores, usize::from)
    }

    /// What the command line means.
    ///
    /// # Errors
    /// When a file of it cannot be read, or it asks for nothing.
    pub fn settings(&self, started_ts: f64) -> anyhow::Result<Settings> {
        let (done, last_id) = match &self.resume {
            Some(file) => good_results(file)?,
            None => (HashSet::new(), 0),
        };
        let range = |name: &str, value: Option<f64>, max: f64| match value {
            Some(value) if !(0.0..=max).contains(&value) => bail!("--{name} {value}: not between 0 and {max}"),
            _ => Ok(()),
        };
        range("temperature", self.temperature, 2.0)?;
        range("top-p", self.top_p, 1.0)?;
        Ok(Settings {
            run: self.run_id.clone().unwrap_or_else(|| format!("bench-{}", clock::name_of(started_ts))),
            first_id: last_id + 1,
            prompts: self.prompt_list()?,
            parameters: Parameters {
                temperature: self.temperature,
                top_p: self.top_p,
                max_tokens: self.max_tokens,
                num_ctx: self.context_length,
                seed: self.seed,
                reasoning_effort: self.reasoning_effort.clone(),
                stream: !self.no_stream,
                extra: self.extra_body.clone().unwrap_or_default(),
            },
            levels: self.concurrency.iter().map(|n| Closed { concurrency: n.get() }).collect(),
            requests: self.requests.map(NonZeroU64::get),
            repeat: self.repeat.get(),
            warmup: self.warmup,
            nonce: match (self.nonce, self.suite) {
                // A load suite is run again and again against the same server.
                (Nonce::Auto, Some(Suite::TokenRate)) => Nonce::On,
                (nonce, _) => nonce,
            },
            api: self.api,
            limits: Limits {
                connect: self.connect_timeout,
                idle: self.idle_timeout.unwrap_or(self.timeout),
                total: self.timeout,
                text_bytes: self.max_answer_bytes,
            },
            retries: self.retries,
            load: (!self.no_load).then(|| Wanted {
                context_length: self.context_length,
                gpu: self.gpu.clone(),
                ttl: self.ttl,
                parallel: self.parallel,
                settle: self.settle,
                limit: self.load_timeout,
            }),
            done,
            save_text: self.save_text,
            save_stream: self.save_stream,
        })
    }

    fn prompt_list(&self) -> anyhow::Result<Vec<Prompt>> {
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

    /// The settings as the `run` record carries them.
    pub fn recorded(&self, settings: &Settings) -> Map<String, Value> {
        let load = settings.load.as_ref();
        let value = json!({
            "suite": self.suite.map(|suite| suite.to_string()),
            "prompts": settings.prompts.len(),
            "concurrency": settings.levels.iter().map(|level| level.concurrency).collect::<Vec<_>>(),
            "requests": settings.requests,
            "repeat": settings.repeat,
            "warmup": settings.warmup,
            "nonce": format!("{:?}", settings.nonce).to_lowercase(),
            "api": format!("{:?}", settings.api).to_lowercase(),
            "stream": settings.parameters.stream,
            "temperature": settings.parameters.temperature,
            "top_p": settings.parameters.top_p,
            "max_tokens": settings.parameters.max_tokens,
            "seed": settings.parameters.seed,
            "reasoning_effort": settings.parameters.reasoning_effort,
            "extra_body": self.extra_body,
            "retries": settings.retries,
            "timeout_seconds": settings.limits.total.as_secs_f64(),
            "idle_timeout_seconds": settings.limits.idle.as_secs_f64(),
            "load": load.is_some(),
            "context_length": self.context_length,
            "gpu": self.gpu,
            "ttl_seconds": self.ttl.map(|ttl| ttl.as_secs_f64()),
            "parallel": self.parallel,
            "settle_seconds": load.map(|load| load.settle.as_secs_f64()),
        });
        match value {
            Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        }
    }
}

/// The keys of the good results of an earlier run, and its highest number. A torn last line is forgiven.
fn good_results(file: &Path) -> anyhow::Result<(HashSet<String>, u64)> {
    let (mut done, mut last) = (HashSet::new(), 0);
    for line in Lines::open(&[file])? {
        let Ok(line) = line else { continue };
        if let Ok(Record::Result(result)) = record::read(&line.text) {
            last = last.max(result.id);
            if result.error.is_none() && !result.key.is_empty() {
                done.insert(result.key.clone());
            }
        }
    }
    Ok((done, last))
}

/// The command line as it may be recorded.
pub fn without_secrets(args: impl Iterator<Item = String>) -> Vec<String> {
    let mut hide_next = false;
    args.map(|arg| {
        if std::mem::take(&mut hide_next) {
            return "(redacted)".into();
        }
        if arg == "--api-key" {
            hide_next = true;
        } else if arg.starts_with("--api-key=") {
            return "--api-key=(redacted)".into();
        }
        // A URL may carry a password or a key; what is refused elsewhere must not be kept here.
        match arg.split_once("://") {
            Some((_, rest)) if rest.contains(['@', '?']) && !arg.contains(char::is_whitespace) => {
                "(redacted URL)".into()
            }
            _ => arg,
        }
    })
    .collect()
}
