//! mem-sample: bytes over time, of the machine and of a model server's processes.

use anyhow::{Context, anyhow};
use clap::{ArgGroup, Parser};
use llm_bench::cli::{self, Common, Exit, Sampling, Stop, Talk};
use llm_bench::memory::{self, Ended, Event, Gpus, Preset, Settings, Table, Wanted};
use llm_bench::ndjson::Out;
use llm_bench::record::{self, Tool};
use regex::Regex;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;

const NAME: &str = "mem-sample";

/// Read the process table and write bytes over time
///
/// One `memory` record for each reading, between two `sampler` records: the machine, and the processes that were asked
/// for with all their descendants, but never this program and its parents. A server that is started later, or again, is
/// found. Without a choice, LM Studio is followed where it runs. Stop it with ^C, SIGTERM, --duration, --count or --while-pid.
#[derive(Parser)]
#[command(name = NAME, version, after_long_help = AFTER)]
#[command(group(ArgGroup::new("processes").args(["pid", "port", "name", "exe", "preset"])))]
struct Args {
    /// These processes
    #[arg(long, value_name = "PID", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pid: Vec<u32>,
    /// Whoever listens on this TCP port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Those whose executable's name matches
    #[arg(long, value_name = "REGEX", value_parser = cli::regex)]
    name: Option<Regex>,
    /// Those whose executable's path contains this
    #[arg(long, value_name = "SUBSTRING")]
    exe: Option<String>,
    /// Those of a known server
    #[arg(long, value_enum, value_name = "SERVER")]
    preset: Option<Preset>,
    #[command(flatten)]
    sampling: Sampling,
    /// Print one reading, and nothing around it
    #[arg(long, conflicts_with_all = ["count", "limit", "while_pid"])]
    once: bool,
    /// List the processes one by one
    #[arg(long)]
    per_process: bool,
    /// Read the proportional set size too, every 10 s at most (Linux; takes the kernel 10 ms per GB)
    #[arg(long)]
    pss: bool,
    /// Where the kernel shows processes
    #[arg(long, value_name = "DIR", default_value = "/proc", hide_short_help = true)]
    proc_root: PathBuf,
    /// Where the kernel shows devices
    #[arg(long, value_name = "DIR", default_value = "/sys", hide_short_help = true)]
    sysfs_root: PathBuf,
    #[command(flatten)]
    common: Common,
}

const AFTER: &str = "\
Examples:
  mem-sample --preset lmstudio > memory.ndjson
  mem-sample --port 8080 --interval 500ms --duration 1m | jq 'select(.type == \"memory\").rss_bytes'
  mem-sample --once --name '^llama-server$' --per-process | jq .

Exit status:
  0  all done, also after a signal, and when no process was found
  2  could not do it: usage, no process table, output failed

Environment:
  NO_COLOR  no colour in what is said to people

Memory: one entry for each process of the machine.";

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    let mut table = Table::open(&args.proc_root).map_err(|why| anyhow!(why))?;
    let gpus = Gpus::open(&args.sysfs_root, &args.proc_root);
    let settings = Settings {
        tool: Tool { name: NAME.into(), version: env!("CARGO_PKG_VERSION").into() },
        wanted: wanted(&args).or_else(|| memory::usual(&mut table)),
        interval: args.sampling.interval,
        limit: args.sampling.limit,
        count: args.sampling.count,
        pss: args.pss,
        per_process: args.per_process,
    };
    if settings.wanted.is_none() {
        talk.note("no process was asked for and LM Studio does not run: the machine alone");
    }
    let mut out = Out::open(args.common.output.as_deref())?;
    if args.once {
        out.line(&record::line(&memory::snapshot(table, gpus, &settings))?)?;
        return Ok(Exit::Done);
    }
    let (tell, events) = sync_channel(8);
    args.sampling
        .watch(args.common.output.is_none(), move |stop| {
            let event = if stop == Stop::ReaderLeft { Event::ReaderLeft } else { Event::Stop };
            let _ = tell.send(event);
        })
        .context("signals")?;
    match memory::sample(table, gpus, &settings, &events, |line| out.line(line), |text| talk.warn(text))? {
        Ended::Asked(0) if settings.wanted.is_some() => talk.warn("no process was found: its fields are null"),
        Ended::Asked(_) | Ended::ReaderLeft => {}
    }
    Ok(Exit::Done)
}

fn wanted(args: &Args) -> Option<Wanted> {
    if !args.pid.is_empty() {
        return Some(Wanted::Pids(args.pid.clone()));
    }
    let port = args.port.map(Wanted::Port);
    let name = || args.name.clone().map(Wanted::Name);
    port.or_else(name).or_else(|| args.exe.clone().map(Wanted::Exe)).or_else(|| args.preset.map(Wanted::Preset))
}
