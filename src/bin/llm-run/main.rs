//! llm-run: load models, ask them, time every token. Reads `model` records or bare ids; writes `run`, `prompt`, `load`,
//! `start` and `result` records, and passes on what it does not know.

mod args;
mod budget;
mod failures;
mod input;
mod output;
mod signals;
mod sources;

use args::Cli;
use llm_bench::cli::{self, Exit, Progress, Talk};
use llm_bench::http::base_url;
use llm_bench::load::shutdown::ShutdownSignal;
use llm_bench::ndjson::Out;
use llm_bench::prompts::{Item, Suite, suite};
use llm_bench::record::{self, Run, SearchOver, Tool};
use llm_bench::run::{self, RunConfig, RunCounts, Target};
use llm_bench::{clock, memory};
use output::Sink;
use std::io::{ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(run)
}

fn run(cli: Cli, talk: Talk) -> anyhow::Result<Exit> {
    let output = cli.common.output.as_deref();
    anyhow::ensure!(
        output.is_some_and(|path| path.as_os_str() != "-") || cli.keep.artifacts.is_some() || cli::has_output(),
        "standard output is closed: nothing would be kept: give -o FILE, or -o /dev/null to keep nothing"
    );
    if let Some(name) = cli.prompts.print_suite {
        return print_suite(name, &cli);
    }
    let started_ts = clock::wall();
    let (prompts, bad_prompts) = sources::gather(&cli.prompts, cli.load_seed(), cli.common.strict, talk)?;
    let config = cli.config(started_ts, prompts, talk)?;
    if let Some(url) = &cli.base_url {
        base_url(url).map_err(|error| anyhow::anyhow!("--base-url {error}"))?;
    }
    cli.keys.check()?;
    cli.tls.apply()?;
    cli::distinct(output, cli.files.iter().chain(&cli.keep.resume).map(PathBuf::as_path).chain(cli.prompts.files()))?;
    let mut out = Out::open(output)?;
    let (targets, bad_lines) = begin(&cli, &config, started_ts, talk, &mut out).inspect_err(|error| {
        if cli::is_closed_pipe(error) && !cli.keep.dry_run {
            talk.warn(format!("{}: nothing was sent", output::READER_LEFT));
        }
    })?;
    let bad = bad_lines + bad_prompts;
    if cli.keep.dry_run {
        output::dry_run(&config, &targets, &mut out)?;
        if let Some(search) = &config.search {
            talk.warn(format!("--search {}", search.plan()));
        }
        return Ok(Exit::of(bad));
    }
    if let Some(flags) = cli.loading.given().filter(|_| !targets.iter().any(run::loads)) {
        talk.warn(format!("{flags}: no model here is loaded by this program: not used"));
    }
    let left = run::requests_left(&config, &targets);
    if left == Some(0) {
        talk.warn("nothing is left to do: every result is there already, and good");
        return Ok(Exit::of(bad));
    }
    check_open_files(&config, left, talk)?;
    let (counts, unwritten) = execute(&cli, config, targets, left, started_ts, out, talk)?;
    if counts.no_server() {
        // The reason came with the first failure, unless nothing was to be shown.
        if cli.common.quiet {
            talk.error("no request reached a server: see the records");
        }
        return Ok(Exit::Unreached);
    }
    Ok(if has_failures(&counts) || bad > 0 || unwritten > 0 { Exit::SomeFailed } else { Exit::Done })
}

fn print_suite(name: Suite, cli: &Cli) -> anyhow::Result<Exit> {
    let mut out = Out::open(cli.common.output.as_deref())?;
    for prompt in suite(name, cli.prompts.system.as_deref()) {
        out.line(&record::line(&prompt)?)?;
    }
    Ok(Exit::Done)
}

/// Checks that a connection for each concurrent request, and a few files, can be open.
fn check_open_files(config: &RunConfig, left: Option<u64>, talk: Talk) -> anyhow::Result<()> {
    let searched = config.search.as_ref().map(|search| match search.over {
        SearchOver::Concurrency => search.maximum as u64,
        SearchOver::Rate => search.at_most,
    });
    let highest = || config.levels.iter().map(|level| level.at_most(left)).max();
    let needed = searched.or_else(highest).unwrap_or(1) + 32;
    let Some(allowed) = cli::allow_many_connections().filter(|allowed| *allowed < needed) else {
        return Ok(());
    };
    // A limit of this machine would be taken for the server's.
    if config.search.as_ref().is_some_and(|search| search.over == SearchOver::Concurrency) {
        anyhow::bail!(
            "--search: {allowed} files may be open at once, and {needed} may be needed: raise `ulimit -n`, or search less far"
        );
    }
    talk.warn(format!(
        "{allowed} files may be open at once, and {needed} may be needed: raise `ulimit -n`, or some requests fail"
    ));
    Ok(())
}

/// Runs everything. Returns the counts, and how many answers could not be written.
fn execute(
    cli: &Cli,
    config: RunConfig,
    targets: Vec<Target>,
    left: Option<u64>,
    started_ts: f64,
    out: Out,
    talk: Talk,
) -> anyhow::Result<(RunCounts, u64)> {
    let warmups = config.turns(config.warmup).saturating_mul((config.levels.len() * targets.len()) as u64);
    let planned = left.map(|left| left.saturating_add(warmups));
    let one_per_model = is_one_per_model(&config);
    let to_file = cli.common.output.is_some() || !std::io::stdout().is_terminal();
    // Requests have their own event loops; this runtime schedules them and writes their results.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let run_id = config.run.clone();
    runtime.block_on(async {
        budget::check(cli, &config, &targets, talk).await?;
        let progress = Progress::new(talk, planned, to_file);
        let mut sink = Sink::new(out, cli.keep.artifacts.as_deref(), one_per_model, progress.clone(), talk)?;
        let shutdown = ShutdownSignal::default();
        tokio::spawn(signals::handle(shutdown.clone(), progress, cli.limits.grace)?);
        let result = run::run(config, targets, shutdown, |event| sink.take(event)).await;
        let counts = result.inspect_err(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                sink.reader_left(planned);
            }
        })?;
        anyhow::Ok((counts, sink.finish(run_id, counts, started_ts)?))
    })
}

/// Whether each model gets a single request.
fn is_one_per_model(config: &RunConfig) -> bool {
    (config.prompts.len(), config.repeat, config.levels.len()) == (1, 1, 1)
        && config.requests.is_none_or(|n| n == 1)
        && config.search.is_none()
        && config.warmup == 0
        && config.ramp.is_zero()
        && config.duration.is_none()
        && config.prompts.iter().all(|item| item.turns() == 1)
}

/// Whether the exit status says so. A search expects failures beyond the load it finds.
fn has_failures(counts: &RunCounts) -> bool {
    match counts.search_found {
        Some(found) => !found,
        None => counts.failed > 0 || counts.not_sent > 0 || counts.interrupted,
    }
}

/// Writes the head of the run before any line of the input that is passed on, and reads the targets.
/// Returns them, and how many lines were bad.
fn begin(
    cli: &Cli,
    config: &RunConfig,
    started_ts: f64,
    talk: Talk,
    out: &mut Out,
) -> anyhow::Result<(Vec<Target>, u64)> {
    if !cli.keep.dry_run {
        out.line(&record::line(&head(cli, config, started_ts))?)?;
        for prompt in config.prompts.iter().filter_map(Item::held) {
            out.line(&record::line(prompt)?)?;
        }
    }
    input::targets(cli, talk, out)
}

fn head(cli: &Cli, config: &RunConfig, started_ts: f64) -> Run {
    Run {
        run: config.run.clone(),
        started_ts,
        boot: clock::boot_id(),
        tool: Tool { name: "llm-run".into(), version: env!("CARGO_PKG_VERSION").into() },
        host: memory::host(),
        settings: cli.recorded(config),
        argv: args::without_secrets(std::env::args()),
        ..Run::default()
    }
}
