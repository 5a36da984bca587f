//! llm-sim: a simulated server with known timing and faults.

use anyhow::Context;
use clap::Parser;
use llm_bench::cli::{self, Common, Exit, Talk};
use llm_bench::record::Source;
use llm_bench::sim::quirks::{Generation, Quirk};
use llm_bench::sim::replay::Replay;
use llm_bench::sim::{self, Level, Settings, catalog, faults::Fault, timing::Spread};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Simulate an LM Studio, OpenRouter, Ollama, MiniMax or OpenAI-compatible server with known timing and faults
///
/// Every token has an absolute deadline: arrival + queue + load + ttft + k·itl. The first model of each profile does
/// exactly what the flags say; the others are slower, larger or think first. Standard output is one line, the base URL:
/// this program writes no records there. It serves until SIGINT or SIGTERM.
#[derive(Parser)]
#[command(name = "llm-sim", version, after_long_help = AFTER)]
struct Args {
    /// Where to listen; port 0 is any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: String,
    /// Whose wire form to speak
    #[arg(long, default_value = "lmstudio")]
    profile: Source,
    /// Models: a file of `model` records or ids, one per line, or ids with commas between [default: those of the profile]
    #[arg(long, value_name = "FILE|ID,ID")]
    models: Option<String>,
    /// Token counting endpoints (openai)
    #[arg(long, value_name = "WHAT", value_enum, default_value = "chat")]
    count: sim::Count,
    /// Replay recorded answers instead: a folder of exchanges (*.http, see docs/sim.md), or a file of results whose streams
    /// are repeated in turn (llm-run --save-stream)
    #[arg(long, value_name = "FOLDER|FILE")]
    replay: Option<PathBuf>,
    /// Key that requests must carry as `Authorization: Bearer KEY`
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Also write the base URL to FILE, whole or not at all
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Threads that serve [default: the number of cores, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Time to the first token: 200ms, uniform:A,B, exp:MEAN or lognormal:MEAN,SD
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = time, help_heading = "Timing")]
    ttft: Spread,
    /// Time between tokens; the same forms
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = time, help_heading = "Timing")]
    itl: Spread,
    /// Tokens of an answer, reasoning included; the same forms, without units
    #[arg(long, value_name = "N", default_value = "120", value_parser = tokens, help_heading = "Timing")]
    tokens: Spread,
    /// Tokens in one chunk, which is due with its last token [default: 1; minimax: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "Timing")]
    tokens_per_chunk: Option<u32>,
    /// Requests that run at once; the others wait in order of arrival [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Timing")]
    slots: Option<u32>,
    /// How much longer gaps become with each other running request: 0.1 is a tenth
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share, help_heading = "Timing")]
    slowdown: f64,
    /// What everything random follows from
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Timing")]
    seed: u64,

    /// How long loading a model takes (lmstudio, ollama)
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = cli::duration, help_heading = "Loading")]
    load_time: Duration,
    /// Memory that a loaded model really holds
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = sim::size, help_heading = "Loading")]
    load_bytes: u64,

    /// How long after its start the server answers every chat with "Loading model" (503)
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = cli::duration, help_heading = "Faults")]
    ready_after: Duration,
    /// Close connections that were idle for so long, without a word [default: never; lmstudio: 5s]
    #[arg(long, value_name = "TIME", value_parser = cli::duration, help_heading = "Faults")]
    idle_close: Option<Duration>,
    /// Misbehave: KIND, KIND:RATE (a share of the requests) or KIND:Nx (the first N); repeatable, see below
    #[arg(long = "fault", value_name = "KIND[:RATE]", help_heading = "Faults")]
    faults: Vec<Fault>,

    /// The newest API of an LM Studio: v1, v0 or openai alone
    #[arg(long, value_name = "API", default_value = "v1", help_heading = "Habits of LM Studio and Ollama")]
    lmstudio_api: Generation,
    /// Have a habit of some builds; repeatable, see docs/sim.md
    #[arg(long = "quirk", value_name = "QUIRK", help_heading = "Habits of LM Studio and Ollama")]
    quirks: Vec<Quirk>,
    /// What `/key` says of the key, over its own words: {"limit":5,"limit_remaining":0.25}; `null` makes it fail
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = account, help_heading = "OpenRouter")]
    account: Account,
    /// How long after its end a request becomes known to `/generation`
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = cli::duration, help_heading = "OpenRouter")]
    generation_delay: Duration,

    /// Write what was really sent, and when, to FILE: one `ground_truth` record per request
    #[arg(long, value_name = "FILE", help_heading = "Truth")]
    ground_truth: Option<PathBuf>,
    /// How much of it
    #[arg(long, value_name = "LEVEL", default_value = "chunk", help_heading = "Truth")]
    ground_truth_level: Level,
    /// Write the body of each request, as it came, to FILE: one `request` line each
    #[arg(long, value_name = "FILE", help_heading = "Truth")]
    bodies: Option<PathBuf>,
    /// Write a simulated power meter's log, in powermetrics' format, to FILE or FIFO
    #[arg(long, value_name = "FILE", help_heading = "Truth")]
    power_log: Option<PathBuf>,
    /// Time between its samples
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = cli::duration_in(Duration::from_millis(10), Duration::from_secs(3600)), help_heading = "Truth")]
    power_interval: Duration,

    #[command(flatten)]
    common: Common,
}

/// How long LM Studio keeps a connection that nobody uses.
const LMSTUDIO_IDLES: Duration = Duration::from_secs(5);

const AFTER: &str = "\
Examples:
  llm-sim --profile lmstudio --listen 127.0.0.1:1234
  llm-sim --profile openai --ttft lognormal:200ms,50ms --itl exp:20ms --tokens 400 --slots 4 --ground-truth truth.ndjson
  llm-sim --replay testdata/servers/vllm
  llm-sim --profile openrouter --fault rate-limit:0.1 --fault truncate:0.05 --seed 7

Faults:
  before an answer    http-500 rate-limit close html-error json-error-200 empty-200 plain-200 load-fails
                      reject-max-tokens cold
  in the middle       error-in-stream truncate abort stall malformed
  in its form         slow-headers early-headers no-done no-finish no-usage zero-usage cumulative-usage
                      usage-with-choice finish-with-token crlf split-utf8 comments bom many-per-chunk buffered
                      wrong-type not-streamed whitespace-padding close-after-stream close-reused wrong-model
  openrouter only     own-rate-limit provider-failover ignore-pin cached-prompt generation-differs
                      generation-missing

Exit status:
  0  ended by SIGINT or SIGTERM
  2  could not do it: usage, port taken, file cannot be written

Environment:
  none is read; keys are given by --api-key and are no secrets here

Memory: bounded by the requests that run (each holds its answer, some kB) and by --load-bytes per loaded model.";

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    cli::main(run)
}

fn time(text: &str) -> Result<Spread, String> {
    Spread::parse(text, |number| cli::duration(number).map(|time| time.as_secs_f64()))
}

fn tokens(text: &str) -> Result<Spread, String> {
    let count = |number: &str| match number.parse::<u32>() {
        Ok(n) if (1..=1_000_000).contains(&n) => Ok(f64::from(n)),
        _ => Err("not a number of tokens between 1 and 1000000".to_owned()),
    };
    Spread::parse(text, count)
}

/// The fields of `/key`'s answer; `None` for a `/key` that fails.
#[derive(Clone)]
struct Account(Option<serde_json::Map<String, serde_json::Value>>);

fn account(text: &str) -> Result<Account, String> {
    serde_json::from_str(text).map(Account).map_err(|why| format!("neither a JSON object nor null: {why}"))
}

fn share(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|s| (0.0..=100.0).contains(s)).ok_or_else(|| "not between 0 and 100".to_owned())
}

/// All that shapes the server.
fn settings(args: &Args) -> anyhow::Result<Settings> {
    let models = match &args.models {
        Some(named) => catalog::named_models(args.profile, named).map_err(anyhow::Error::msg)?,
        None => catalog::default_models(args.profile),
    };
    let replay = args.replay.as_deref().map(Replay::read).transpose()?;
    let recorded = matches!(replay, Some(Replay::Exchanges(_)));
    if recorded && (args.models.is_some() || !args.faults.is_empty()) {
        anyhow::bail!("--replay: --models and --fault do not change recorded exchanges: leave them out");
    }
    Ok(Settings {
        profile: args.profile,
        models,
        ttft: args.ttft,
        itl: args.itl,
        tokens: args.tokens,
        tokens_per_chunk: args.tokens_per_chunk,
        slowdown: args.slowdown,
        seed: args.seed,
        slots: args.slots.map(|n| n as usize),
        load_time: args.load_time,
        load_bytes: args.load_bytes,
        api_key: args.api_key.clone(),
        ready_after: args.ready_after,
        idle_close: args.idle_close.or((args.profile == Source::Lmstudio && !recorded).then_some(LMSTUDIO_IDLES)),
        account: args.account.0.clone(),
        generation_delay: args.generation_delay,
        faults: args.faults.clone(),
        generation: args.lmstudio_api,
        quirks: args.quirks.clone(),
        truth: args.ground_truth.clone().map(|path| (path, args.ground_truth_level)),
        bodies: args.bodies.clone(),
        count: args.count,
        replay,
        power_log: args.power_log.clone().map(|path| (path, args.power_interval)),
    })
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    let settings = settings(&args)?;
    let kind = match settings.replay {
        Some(Replay::Exchanges(_)) => "recorded exchanges".to_owned(),
        _ => args.profile.to_string(),
    };
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
    let threads = args.threads.map_or(cores, usize::from);
    cli::allow_many_connections();
    // What serves has event loops of its own; here connections come in, and signals.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
    let ended = runtime.block_on(async {
        let stopped = stop()?;
        let server = sim::listen(&args.listen, settings).await?;
        let url = server.url() + "\n";
        if let Some(path) = &args.port_file {
            llm_bench::artifacts::write_atomic(path, url.as_bytes()).context("cannot write the port file")?;
        }
        match &args.common.output {
            Some(path) => std::fs::write(path, &url).with_context(|| path.display().to_string())?,
            None => std::io::stdout().write_all(url.as_bytes()).and_then(|()| std::io::stdout().flush())?,
        }
        talk.note(format!("{kind} with {threads} threads"));
        tokio::select! {
            ended = server.serve(threads) => ended,
            () = stopped => Ok(()),
        }
    });
    ended.map(|()| Exit::Done)
}

/// Listens for the signals from now on; the future ends with the first of them.
fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}
