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
use llm_bench::ndjson::Out;
use llm_bench::prompts::{Item, suite};
use llm_bench::record::{self, Run, SearchOver, Tool};
use llm_bench::run::{self, Stop};
use llm_bench::{clock, memory};
use output::Sink;
use std::io::{ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::sync::watch;

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
        let mut out = Out::open(output)?;
        for prompt in suite(name, cli.prompts.system.as_deref()) {
            out.line(&record::line(&prompt)?)?;
        }
        return Ok(Exit::Done);
    }
    let started_ts = clock::wall();
    let (prompts, bad_prompts) = sources::gather(&cli.prompts, cli.load_seed(), cli.common.strict, talk)?;
    let settings = cli.settings(started_ts, prompts, talk)?;
    if let Some(url) = &cli.base_url {
        base_url(url).map_err(|why| anyhow::anyhow!("--base-url {why}"))?;
    }
    cli.keys.check()?;
    cli::distinct(output, cli.files.iter().chain(&cli.keep.resume).map(PathBuf::as_path).chain(cli.prompts.files()))?;
    let mut out = Out::open(output)?;
    let (targets, bad_lines) = begin(&cli, &settings, started_ts, talk, &mut out).inspect_err(|why| {
        if cli::is_closed_pipe(why) && !cli.keep.dry_run {
            talk.warn(format!("{}: nothing was sent", output::READER_LEFT));
        }
    })?;
    let bad = bad_lines + bad_prompts;
    if cli.keep.dry_run {
        output::dry_run(&settings, &targets, &mut out)?;
        if let Some(search) = &settings.search {
            talk.warn(format!("--search {}", search.plan()));
        }
        return Ok(Exit::of(bad));
    }
    if let Some(flags) = cli.loading.given().filter(|_| !targets.iter().any(run::loads)) {
        talk.warn(format!("{flags}: no model here is loaded by this program: not used"));
    }
    let one_per_model = (settings.prompts.len(), settings.repeat, settings.levels.len()) == (1, 1, 1)
        && settings.requests.is_none_or(|n| n == 1)
        && settings.search.is_none()
        && settings.warmup == 0
        && settings.ramp.is_zero()
        && settings.duration.is_none()
        && settings.prompts.iter().all(|item| item.turns() == 1);
    let left = run::left(&settings, &targets);
    if left == Some(0) {
        talk.warn("nothing is left to do: every result is there already, and good");
        return Ok(Exit::of(bad));
    }
    let warmups = settings.turns(settings.warmup).saturating_mul((settings.levels.len() * targets.len()) as u64);
    let planned = left.map(|left| left.saturating_add(warmups));

    // A connection for each request that runs, and a few files besides.
    let searched = settings.search.as_ref().map(|search| match search.over {
        SearchOver::Concurrency => search.maximum as u64,
        SearchOver::Rate => search.at_most,
    });
    let wanted = searched.or(settings.levels.iter().map(|level| level.at_most(left)).max()).unwrap_or(1) + 32;
    if let Some(allowed) = cli::allow_many_connections().filter(|allowed| *allowed < wanted) {
        // What this machine cannot open would be taken for what the server cannot hold.
        if settings.search.as_ref().is_some_and(|search| search.over == SearchOver::Concurrency) {
            anyhow::bail!(
                "--search: {allowed} files may be open at once, and {wanted} may be needed: raise `ulimit -n`, or search less far"
            );
        }
        talk.warn(format!(
            "{allowed} files may be open at once, and {wanted} may be needed: raise `ulimit -n`, or some requests fail"
        ));
    }
    // Requests have event loops of their own; here is what tells them when, and what writes down what came of it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let run = settings.run.clone();
    let (tally, unwritten) = runtime.block_on(async {
        budget::check(&cli, &settings, &targets, talk).await?;
        let progress = Progress::new(talk, planned, output.is_some() || !std::io::stdout().is_terminal());
        let mut sink = Sink::new(out, cli.keep.artifacts.as_deref(), one_per_model, progress.clone(), talk)?;
        let (say, stop) = watch::channel(Stop::Go);
        tokio::spawn(signals::obey(say, progress, cli.limits.grace)?);
        let ran = run::run(settings, targets, stop, |event| sink.take(event)).await;
        let tally = ran.inspect_err(|why| {
            if why.kind() == ErrorKind::BrokenPipe {
                sink.reader_left(planned);
            }
        })?;
        anyhow::Ok((tally, sink.finish(run, tally, started_ts)?))
    })?;
    if tally.reached_nobody() {
        // Why was told with the first failure, unless nothing was to be told.
        if cli.common.quiet {
            talk.error("no request reached a server: see the records");
        }
        return Ok(Exit::Unreached);
    }
    // What fails beyond the load that a search looks for is what it looks for.
    let items_failed = match tally.sought {
        Some(found) => !found,
        None => tally.failed > 0 || tally.not_sent > 0 || tally.cut,
    };
    let failed = items_failed || bad > 0 || unwritten > 0;
    Ok(if failed { Exit::SomeFailed } else { Exit::Done })
}

/// Writes the head of the run, before any line of the input that is passed on, and reads whom to ask; how many lines were bad.
fn begin(
    cli: &Cli,
    settings: &run::Settings,
    started_ts: f64,
    talk: Talk,
    out: &mut Out,
) -> anyhow::Result<(Vec<run::Target>, u64)> {
    if !cli.keep.dry_run {
        out.line(&record::line(&head(cli, settings, started_ts))?)?;
        for prompt in settings.prompts.iter().filter_map(Item::held) {
            out.line(&record::line(prompt)?)?;
        }
    }
    input::targets(cli, talk, out)
}

fn head(cli: &Cli, settings: &run::Settings, started_ts: f64) -> Run {
    Run {
        run: settings.run.clone(),
        started_ts,
        boot: clock::boot_id(),
        tool: Tool { name: "llm-run".into(), version: env!("CARGO_PKG_VERSION").into() },
        host: memory::host(),
        settings: cli.recorded(settings),
        argv: args::without_secrets(std::env::args()),
    }
}
