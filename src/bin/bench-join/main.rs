//! bench-join: energy and memory of each request.

mod args;
mod inputs;

use args::Args;
use inputs::Inputs;
use llm_bench::artifacts::JsonFiles;
use llm_bench::cli::{self, Exit, Talk};
use llm_bench::join::{self, EnergyRates, Joiner, LineKind, OutputLine, SampleInput, Settings};
use llm_bench::ndjson::Out;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    let inputs = Inputs::new(&args, talk);
    let stop = signals(args.follow)?;
    let settings = Settings {
        attribution: args.attribution,
        wait: args.wait.map(|wait| wait.as_secs_f64()),
        offsets: args.offsets()?,
        idle: inputs.idle(&args)?,
        rates: EnergyRates {
            price_per_kwh: args.price_per_kwh,
            carbon_g_per_kwh: args.carbon_g_per_kwh,
            pue: args.pue,
        },
    };
    let paths = args.samples();
    let samples = paths.iter().map(|(path, role)| inputs.samples(path, *role)).collect::<Result<Vec<_>, _>>()?;
    let lines = inputs.lines(&args.files, &stop)?;
    let mut files = args.json_dir.as_deref().map(JsonFiles::new);
    let read = args.files.iter().map(PathBuf::as_path).chain(paths.iter().map(|(path, _)| *path));
    cli::distinct(args.common.output.as_deref(), read)?;
    let mut out = Out::open(args.common.output.as_deref())?;
    let mut write = |line: Option<&OutputLine>| {
        let Some(OutputLine { kind, line }) = line else { return Ok(out.flush()?) };
        match (&mut files, kind) {
            (Some(files), LineKind::Result) => return Ok(out.hold(&[&files.result(line)?])?),
            (Some(files), LineKind::Prompt) => files.prompt(line)?,
            _ => {}
        }
        Ok(out.hold(&[line])?)
    };
    let roles: Vec<_> = samples.iter().map(SampleInput::role).collect();
    let mut joiner = Joiner::new(settings, &roles, join::now());
    join::run_live(&mut joiner, lines, samples, &stop, &mut write, &|note| talk.warn(note))?;
    for stream in joiner.empty_streams() {
        let (path, role) = paths[stream];
        talk.warn(format!("{}: 0 {}", path.display(), role.records()));
    }
    Ok(Exit::of(inputs.refused()))
}

/// A flag that ends the input: set by SIGTERM, and by SIGINT where nothing else would end it. A second signal leaves.
fn signals(follow: bool) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = if follow { Arc::clone(&stop) } else { Arc::default() };
    for (signal, flag) in [(SIGTERM, &stop), (SIGINT, &interrupted)] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(flag))?;
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(stop)
}
