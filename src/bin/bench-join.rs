//! bench-join: what each request drew and held.

use anyhow::Context;
use clap::Parser;
use llm_bench::artifacts::JsonFiles;
use llm_bench::cli::{self, Common, EXIT_STATUS, Exit, Input, Talk};
use llm_bench::join::{self, Attribution, Ends, Feed, Heard, Joiner, Kind, Role, Settings, Tail};
use llm_bench::ndjson::{Lines, Out};
use llm_bench::record::{Record, SamplerEvent};
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Add to each result what the machine drew and held while the request ran
#[derive(Debug, Clone, Parser)]
#[command(name = "bench-join", version, after_long_help = EXIT_STATUS)]
struct Args {
    /// Results of llm-run; none, or -, is standard input
    files: Vec<PathBuf>,
    /// Power samples: a file, finished or growing, a FIFO, or <(power-sample); may stand several times
    #[arg(long, value_name = "FILE")]
    power: Vec<PathBuf>,
    /// Memory samples: the same
    #[arg(long, value_name = "FILE")]
    mem: Vec<PathBuf>,
    /// The longest to wait for the reading that covers the end of a request [default: three intervals of the sampler]
    #[arg(long, value_name = "TIME", value_parser = cli::duration)]
    wait: Option<Duration>,
    /// Seconds to add to the time of every reading, for a sampler whose clock is off
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, allow_negative_numbers = true)]
    offset: f64,
    /// How energy is shared among requests that ran at once
    #[arg(long, value_name = "HOW", default_value = "time")]
    attribution: Attribution,
    /// Write each joined result to DIR/MODEL.json, with the text of its prompt
    #[arg(long, value_name = "DIR")]
    json_dir: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl AsRef<Common> for Args {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(args: Args, talk: Talk) -> anyhow::Result<Exit> {
    let bad = Arc::new(AtomicU64::new(0));
    let strict = args.common.strict;
    let mut input = Input::open(&args.files, strict, talk)?;
    let counted = Arc::clone(&bad);
    let lines = Box::new(move || {
        while let Some(line) = input.next_line()? {
            match join::hear(&line.text) {
                Ok(heard) => return Ok(Some((line.text, heard))),
                Err(why) => {
                    input.refuse(&format!("{}: {why}", line.place))?;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok::<Option<(String, Heard)>, anyhow::Error>(None)
    });
    let mut feeds = Vec::new();
    for (paths, role) in [(&args.power, Role::Power), (&args.mem, Role::Memory)] {
        for path in paths {
            feeds.push(feed(path.clone(), role, strict, talk, &bad)?);
        }
    }
    let settings =
        Settings { attribution: args.attribution, wait: args.wait.map(|wait| wait.as_secs_f64()), offset: args.offset };
    let roles: Vec<_> = feeds.iter().map(Feed::role).collect();
    let mut core = Joiner::new(settings, &roles, join::now());
    let mut files = args.json_dir.as_deref().map(JsonFiles::new);
    let mut out = Out::open(args.common.output.as_deref())?;
    let mut emit = |emission: join::Emission| {
        let mut line = emission.line;
        match (&mut files, emission.kind) {
            (Some(files), Kind::Prompt) => files.prompt(&line)?,
            (Some(files), Kind::Result) => line = files.result(&line)?,
            _ => {}
        }
        Ok(out.line(&line)?)
    };
    let stop = Arc::new(AtomicBool::new(false));
    join::drive(&mut core, lines, feeds, &stop, &mut emit, &|note| talk.warn(note))?;
    Ok(Exit::of(bad.load(Ordering::Relaxed)))
}

/// The samples in a file, a FIFO or a pipe.
fn feed(path: PathBuf, role: Role, strict: bool, talk: Talk, bad: &Arc<AtomicU64>) -> anyhow::Result<Feed> {
    let name = path.display().to_string();
    let meta = std::fs::metadata(&path).with_context(|| name.clone())?;
    anyhow::ensure!(!meta.is_dir(), "{name}: is a directory");
    let grows = meta.is_file();
    let counted = Arc::clone(bad);
    Ok(Feed::new(role, grows, move |catch| {
        let file = File::open(&path).with_context(|| name.clone())?;
        let ends = Ends::default();
        let lines = if grows {
            Lines::from_reader(&name, Tail::new(file, ends.clone(), catch))
        } else {
            Lines::from_reader(&name, file)
        };
        let mut input = Input::from_lines(lines, strict, talk);
        Ok(Box::new(move || {
            let before = input.bad();
            let next = input.next()?.map(|(_, record)| record);
            if let Some(Record::Sampler(sampler)) = &next {
                ends.finish(sampler.event == SamplerEvent::End);
            }
            counted.fetch_add(input.bad() - before, Ordering::Relaxed);
            Ok(next)
        }))
    }))
}
