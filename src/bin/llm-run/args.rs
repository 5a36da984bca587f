//! The command line of llm-run and its configuration: one file for each heading of the help.

mod keep;
mod limits;
mod load;
mod load_range;
mod loading;
mod openrouter;
mod prompts;
mod request;
mod search;

use anyhow::bail;
use clap::Parser;
use keep::KeepArgs;
use limits::LimitArgs;
use llm_bench::cli::{self, Common, KeyArgs, Talk, TlsArgs};
use llm_bench::clock;
use llm_bench::prompts::Item;
use llm_bench::record::{RunSettings, Source};
use llm_bench::run::{ApiChoice, RunConfig};
use load::LoadArgs;
use loading::LoadingArgs;
use openrouter::OpenrouterArgs;
pub use prompts::PromptArgs;
use request::RequestArgs;
use search::SearchArgs;
use std::num::NonZeroU64;
use std::path::PathBuf;

const AFTER: &str = "\
Examples:
  llm-models lmstudio | llm-run --suite website --artifacts reports/today > results.ndjson
  llm-models openrouter --match '^google/' | llm-run --suite website --concurrency 4 --max-tokens 2000 > results.ndjson
  echo tiny | llm-run --source openai --base-url http://127.0.0.1:8080 --suite token-rate --concurrency 1,4,16
  echo tiny | llm-run --source openai --base-url http://127.0.0.1:8080 --synthetic in=512±64,out=128,n=200 --concurrency 8
  echo tiny | llm-run --source openai --base-url http://127.0.0.1:8080 --input-file sharegpt.json --prompts 50 --turns all
  echo tiny | llm-run --source openai --base-url http://127.0.0.1:8080 --rate 1..100 --search 'ttft_p95<500ms' --duration 60s
  llm-run --print-suite website | jq -r .text

Environment:
  LMSTUDIO_API_BASE, OLLAMA_HOST, OPENAI_BASE_URL, OPENROUTER_API_BASE, MINIMAX_API_BASE
                       where bare ids are asked, unless --base-url says so
  LM_API_TOKEN, OPENROUTER_API_KEY, OPENAI_API_KEY, MINIMAX_API_KEY
                       the keys; each is sent only to its own service, this machine, and hosts that you name
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                       the way to other machines; this machine is always asked directly

Memory: the models and prompts of the run, and the answers in flight (--max-answer-bytes each; in a conversation those of
its earlier turns too); with --verify-cost, also the answers of up to 256 results that wait for it. Of an input file that is sampled no more is
held than is sent; synthetic texts are made when they are sent.
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

    #[command(flatten)]
    pub prompts: PromptArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    #[command(flatten)]
    pub load: LoadArgs,
    #[command(flatten)]
    pub search: SearchArgs,
    #[command(flatten)]
    pub loading: LoadingArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub openrouter: OpenrouterArgs,
    #[command(flatten)]
    pub keep: KeepArgs,

    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub common: Common,
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

impl Cli {
    /// The configuration of the run.
    ///
    /// # Errors
    /// When a file cannot be read, or flags contradict each other.
    pub fn config(&self, started_ts: f64, prompts: Vec<Item>, talk: Talk) -> anyhow::Result<RunConfig> {
        let earlier = self.keep.done(self.search.search.is_some(), self.common.strict, talk)?;
        let search = self.search.search(&self.load, earlier.good)?;
        if self.request.max_tokens.is_some() && self.prompts.synthetic.iter().any(|lengths| lengths.output.is_some()) {
            bail!("--max-tokens beside out= of --synthetic: both limit the answer; give one of them");
        }
        if self.api == ApiChoice::V1 && prompts.iter().any(|item| item.turns() > 1) {
            bail!(
                "--api v1: LM Studio's native chat takes no messages, so no conversation: give --api auto, v0 or chat"
            );
        }
        Ok(RunConfig {
            run: self.keep.run_id.clone().unwrap_or_else(|| format!("bench-{}", clock::name_of(started_ts))),
            first_id: earlier.last + 1,
            prompts,
            shared_prefix: self.prompts.shared_prefix,
            parameters: self.request.parameters(self.loading.context_length)?,
            levels: match &search {
                Some(search) => vec![search.level(search.minimum)],
                None => self.load.levels()?,
            },
            search,
            ramp: self.load.ramp,
            duration: self.load.duration,
            max_errors: self.load.max_errors.map(NonZeroU64::get),
            load_seed: self.load_seed(),
            requests: self.load.requests.map(NonZeroU64::get),
            repeat: self.load.repeat.get(),
            warmup: self.load.warmup,
            nonce: self.prompts.nonce(),
            salt: started_ts.to_bits() ^ u64::from(std::process::id()),
            api: self.api,
            limits: self.limits.limits(),
            retries: self.load.retries,
            verify_cost: self.openrouter.verify_cost,
            load: self.loading.wanted(),
            done: earlier.done,
            save_text: self.keep.save_text,
            save_stream: self.keep.save_stream,
            threads: self.load.threads(),
        })
    }

    /// The seed of everything random on this side.
    pub fn load_seed(&self) -> u64 {
        self.load.load_seed.or(self.request.seed.map(i64::unsigned_abs)).unwrap_or(1)
    }

    /// The settings as the `run` record carries them.
    pub fn recorded(&self, config: &RunConfig) -> RunSettings {
        let mut run = RunSettings {
            prompts: Some(config.prompts.len() as u64),
            nonce: Some(config.uses_nonces()),
            api: Some(config.api.to_string()),
            load_seed: Some(config.load_seed),
            insecure: self.tls.insecure.then_some(true),
            ..RunSettings::default()
        };
        self.prompts.record(&mut run);
        self.load.record(config.search.is_some(), &mut run);
        self.search.record(config.search.as_ref(), &mut run);
        self.request.record(&mut run);
        self.limits.record(&mut run);
        self.loading.record(&mut run);
        self.openrouter.record(&mut run);
        self.keep.record(&mut run);
        run
    }
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
        // A URL may carry a password or a key.
        match arg.split_once("://") {
            Some((_, rest)) if rest.contains(['@', '?']) && !arg.contains(char::is_whitespace) => {
                "(redacted URL)".into()
            }
            _ => arg,
        }
    })
    .collect()
}
