//! Which meters there are, and how each is opened. A new meter is its own file and one arm here.

use super::child::Child;
use super::dating::Dating;
use super::feed::{Feed, Format};
use super::powermetrics::{self, Powermetrics};
use super::rapl::Rapl;
use super::run::{Event, Polled};
use clap::ValueEnum;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The meters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// All that this machine has
    Auto,
    /// macOS powermetrics
    Powermetrics,
    /// The energy counters of Intel and AMD processors (Linux powercap)
    Rapl,
}

/// What meters are opened with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Time between readings, for meters that are told.
    pub interval: Duration,
    /// Where the kernel shows devices: `/sys`.
    pub sysfs: PathBuf,
}

/// What was opened.
#[derive(Default)]
pub struct Meters {
    /// Meters to be read.
    pub polled: Vec<Polled>,
    /// Meters that speak by themselves.
    pub texts: Vec<Text>,
}

/// A meter that speaks by itself.
pub struct Text {
    feed: Feed,
    from: Box<dyn Read + Send>,
    child: Option<Arc<Mutex<Child>>>,
    explain: fn(&str) -> String,
}

/// Opens a meter, or with [`Source::Auto`] all that there are.
///
/// # Errors
/// `what: why: what to do`, when there is nothing to read.
pub fn open(source: Source, setup: &Setup) -> Result<Meters, String> {
    let mut meters = Meters::default();
    match source {
        Source::Auto => {
            for source in [Source::Powermetrics, Source::Rapl] {
                if let Ok(more) = open(source, setup) {
                    meters.polled.extend(more.polled);
                    meters.texts.extend(more.texts);
                }
            }
            if meters.polled.is_empty() && meters.texts.is_empty() {
                return Err("no power meter: none of those that are known is readable here: see why with \
                            power-sample --probe, or name another with --source"
                    .into());
            }
        }
        Source::Powermetrics => meters.texts.push(Text::child(
            powermetrics::command(setup.interval),
            Format::Powermetrics(Powermetrics::default()),
            powermetrics::explain,
        )?),
        Source::Rapl => {
            meters.polled.push(Polled::Rapl(Rapl::open(&setup.sysfs).map_err(|why| format!("rapl: {why}"))?))
        }
    }
    Ok(meters)
}

/// The parser of a text of `source`; with [`Source::Auto`] the text shows what it is.
///
/// # Errors
/// When this meter has no text.
pub fn format(source: Source) -> Result<Format, String> {
    match source {
        Source::Auto => Ok(Format::Unknown),
        Source::Powermetrics => Ok(Format::Powermetrics(Powermetrics::default())),
        Source::Rapl => Err("--from: rapl is read from the kernel, not from a text: leave --from out".into()),
    }
}

impl Text {
    /// A file: a finished one is a record; a FIFO or a device is a meter's until it turns out to be a record.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn file(path: &Path, format: Format) -> Result<Self, String> {
        let file = File::open(path).map_err(|why| format!("{}: {why}", path.display()))?;
        let meta = file.metadata().map_err(|why| format!("{}: {why}", path.display()))?;
        if meta.is_dir() {
            return Err(format!("{}: is a directory", path.display()));
        }
        Ok(Self::reader(file, meta.is_file(), format))
    }

    /// Any reader; `recorded` when it is a finished file.
    pub fn reader(from: impl Read + Send + 'static, recorded: bool, format: Format) -> Self {
        let dating = if recorded { Dating::Recorded(Vec::new()) } else { Dating::Unknown(None) };
        Self { feed: Feed::new(format, dating), from: Box::new(from), child: None, explain: str::to_owned }
    }

    fn child(command: std::process::Command, format: Format, explain: fn(&str) -> String) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let (child, from) = Child::start(command).map_err(|why| format!("{name}: {why}"))?;
        let child = Some(Arc::new(Mutex::new(child)));
        Ok(Self { feed: Feed::new(format, Dating::Live), from: Box::new(from), child, explain })
    }

    /// Starts to read it on a thread of its own, as number `place`; the answer ends the meter, where it is a program.
    pub fn listen(self, place: usize, tell: SyncSender<Event>) -> impl FnOnce() {
        let Text { mut feed, mut from, child, explain } = self;
        let ended = child.clone();
        std::thread::spawn(move || {
            let failed = feed
                .read(&mut from, |source, live, fed| tell.send(Event::Fed { feed: place, source, live, fed }).is_ok());
            let why = match (failed.err(), &ended) {
                (Some(why), _) => Some(why.to_string()),
                (None, Some(child)) => child.lock().ok().and_then(|mut child| {
                    Some(child.verdict().map_or_else(|| "the meter ended by itself".into(), |why| explain(&why)))
                }),
                (None, None) => None,
            };
            let _ = tell.send(Event::Ended { feed: place, why });
        });
        move || {
            if let Some(mut child) = child.as_ref().and_then(|child| child.lock().ok()) {
                child.stop();
            }
        }
    }
}
