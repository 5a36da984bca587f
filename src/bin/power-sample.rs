//! power-sample: watts over time, from whatever power meter there is.

use anyhow::{Context, anyhow, bail};
use clap::{Parser, ValueEnum};
use llm_bench::cli::{self, Common, Exit, Sampling, Stop, Talk};
use llm_bench::ndjson::Out;
use llm_bench::power::{self, Event, MeterKind, Meters, Settings, Setup, Text, Unit};
use llm_bench::record::Tool;
use regex::Regex;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;

const NAME: &str = "power-sample";

/// Read a power meter and write watts over time
///
/// One `power` record for each reading, between a `sampler` record that says what is measured and one that says how it
/// went. What could not be read is null with the reason, never 0 W. Stop it with ^C, SIGTERM, --duration, --count or
/// --while-pid.
#[derive(Parser)]
#[command(name = NAME, version, after_long_help = AFTER)]
struct Args {
    /// The meter
    #[arg(long, value_enum, value_name = "METER", default_value = "auto")]
    meter: MeterKind,
    /// Read the meter's text from FILE, a FIFO, or - for standard input, instead of the meter
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Go on reading the file of --from as it grows, from its present end on; without this it is read to its present end
    #[arg(long, requires = "from")]
    follow: bool,
    #[command(flatten)]
    sampling: Sampling,
    /// Say of each meter whether it can be read here, and if not, why and what to do; then leave
    #[arg(long)]
    probe: bool,
    /// List the meters, then leave
    #[arg(long)]
    list: bool,
    /// The program of --meter command, as the shell reads it: one that runs on, or one that is run for each reading
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// Where in a line the number stands: group `value`, or the first; group `domain` names what it is of
    #[arg(long, value_name = "REGEX", value_parser = cli::regex)]
    pattern: Option<Regex>,
    /// What the number is
    #[arg(long, value_enum, default_value = "watts")]
    unit: Unit,
    /// What it is of
    #[arg(long, value_name = "NAME", default_value = "wall")]
    domain: String,
    /// What the processor draws at most, for --meter estimate
    #[arg(long, value_name = "WATTS", value_parser = watts)]
    tdp_watts: Option<f64>,
    /// Where the kernel shows devices
    #[arg(long, value_name = "DIR", default_value = "/sys", hide_short_help = true)]
    sysfs_root: PathBuf,
    /// Where the kernel shows processes
    #[arg(long, value_name = "DIR", default_value = "/proc", hide_short_help = true)]
    proc_root: PathBuf,
    #[command(flatten)]
    common: Common,
}

const AFTER: &str = "\
Examples:
  power-sample > power.ndjson
  power-sample --interval 500ms --duration 1m | jq -c 'select(.type == \"power\").watts'
  sudo powermetrics -s cpu_power,gpu_power -i 1000 | power-sample --from -
  power-sample --from old_powermetrics.log
  power-sample --from asitop_metrics_1770372000.csv --follow
  power-sample --meter command --command 'ipmitool dcmi power reading' --pattern 'Instantaneous.*?([0-9]+) Watts'
  power-sample --meter command --command 'curl -s localhost:9400/metrics'

Times: a meter that runs is stamped on arrival. A finished log is dated by its own headers, to a few milliseconds where
its windows follow each other, and carries no monotonic time and no boot.

Exit status:
  0  all done, also after a signal
  1  done, but a meter failed on the way; the data is on standard output
  2  could not do it: usage, no meter, input or output failed

Environment:
  PATH      where powermetrics, sudo, macmon, nvidia-smi and the program of --command are looked for
  TZ        the zone of the times that nvidia-smi writes
  NO_COLOR  no colour in what is said to people

Memory: one line of at most 4 MiB and one reading, and for a recorded log one reading for each sample in it.";

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    let setup = Setup {
        interval: args.sampling.interval,
        most: args.sampling.most(),
        sysfs: args.sysfs_root.clone(),
        proc: args.proc_root.clone(),
        command: args.command.clone(),
        pattern: args.pattern.clone(),
        unit: args.unit,
        domain: args.domain.clone(),
        tdp_watts: args.tdp_watts,
    };
    let mut out = Out::open(args.common.output.as_deref())?;
    if args.list || args.probe {
        return tell_meters(&args, &setup, &mut out);
    }
    let meters = match &args.from {
        None => power::open(args.meter, &setup),
        Some(from) => {
            text(from, args.follow, args.meter, &setup).map(|text| Meters { texts: vec![text], ..Meters::default() })
        }
    };
    let meters = meters.map_err(|why| anyhow!(why))?;
    let (tell, events) = sync_channel(64);
    let on_stop = tell.clone();
    args.sampling
        .watch(args.common.output.is_none(), move |stop| {
            let event = if stop == Stop::ReaderLeft { Event::ReaderLeft } else { Event::Stop };
            let _ = on_stop.send(event);
        })
        .context("signals")?;
    let feeds = meters.texts.len();
    let stops: Vec<_> =
        meters.texts.into_iter().enumerate().map(|(place, text)| text.listen(place, tell.clone())).collect();
    let settings = Settings {
        tool: Tool { name: NAME.into(), version: env!("CARGO_PKG_VERSION").into() },
        interval: args.sampling.interval,
        told: args.from.is_none(),
        limit: args.sampling.limit,
        count: args.sampling.count,
    };
    let ended = power::sample(meters.polled, feeds, &settings, &events, |line| out.line(line));
    stops.into_iter().for_each(|stop| stop());
    let ended = ended?;
    match ended.reason {
        _ if ended.reader_left => Ok(Exit::Done),
        Some(why) if ended.samples == 0 => bail!(why),
        Some(why) => {
            talk.error(format!("the meter ended early: {why}"));
            Ok(Exit::SomeFailed)
        }
        None if ended.no_meter => bail!("nothing was read that a known meter writes: see --list and --meter"),
        None if ended.torn > 0 && args.common.strict => bail!("{} readings were cut off", ended.torn),
        None => {
            if ended.samples == 0 {
                talk.warn("no readings: the meter was stopped before its first window ended");
            }
            Ok(Exit::Done)
        }
    }
}

fn text(from: &Path, follow: bool, meter: MeterKind, setup: &Setup) -> Result<Text, String> {
    let format = power::format(meter, setup)?;
    match (from.as_os_str() == "-", follow) {
        (true, true) => return Err("--follow: standard input is read as it comes: name the file".into()),
        (false, true) => return Text::followed(from, format),
        (false, false) => return Text::file(from, format),
        (true, false) => {}
    }
    let stdin = std::io::stdin();
    let file = stdin.as_fd().try_clone_to_owned().map(File::from).map_err(|why| format!("-: {why}"))?;
    let recorded = file.metadata().is_ok_and(|meta| meta.is_file());
    Text::reader(file, recorded, format)
}

/// One line per meter: its name, and, when probed, whether it can be read; then its domains, or why not, or what it is.
fn tell_meters(args: &Args, setup: &Setup, out: &mut Out) -> anyhow::Result<Exit> {
    for meter in MeterKind::value_variants().iter().filter(|meter| **meter != MeterKind::Auto) {
        let Some(value) = meter.to_possible_value() else { continue };
        let name = value.get_name();
        let line = match args.probe.then(|| power::probe(*meter, setup)) {
            None => format!("{name}\t{}", value.get_help().map(ToString::to_string).unwrap_or_default()),
            Some(Ok(domains)) => format!("{name}\tyes\t{domains}"),
            Some(Err(why)) => {
                format!("{name}\tno\t{}", cli::plain(why.strip_prefix(&format!("{name}: ")).unwrap_or(&why)))
            }
        };
        out.line(&line)?;
    }
    Ok(Exit::Done)
}

fn watts(text: &str) -> Result<f64, String> {
    let watts: f64 = text.parse().map_err(|_| "not a number of watts".to_owned())?;
    if watts > 0.0 && watts <= 5000.0 { Ok(watts) } else { Err("not between 0 and 5000 W".into()) }
}
