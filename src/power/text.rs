//! A meter that speaks by itself: a file, a pipe, a program that runs on, or one that is run again for each reading.

use super::child::Child;
use super::dating::Dating;
use super::feed::{Feed, Format};
use super::run::Event;
use crate::clock::mono_ns;
use crate::schedule::Schedule;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A program that fails so often in a row is not tried again.
const PATIENCE: u32 = 3;

/// A meter that speaks by itself.
pub struct Text {
    feed: Feed,
    from: From,
    running: Arc<Mutex<Running>>,
    explain: fn(&str) -> String,
}

enum From {
    Reader(Box<dyn Read + Send>),
    Program(Box<dyn Read + Send>),
    Again(Box<dyn Fn() -> Command + Send>, Duration),
}

/// The program that runs at this moment, and whether another may be started.
#[derive(Default)]
struct Running {
    child: Option<Child>,
    stopped: bool,
}

impl Text {
    /// A file: a finished one is a record; a FIFO or a device is a meter's until it turns out to be a record.
    ///
    /// # Errors
    /// When it cannot be opened, or when it is a record of what has no times.
    pub fn file(path: &Path, format: Format) -> Result<Self, String> {
        let file = File::open(path).map_err(|why| format!("{}: {why}", path.display()))?;
        let meta = file.metadata().map_err(|why| format!("{}: {why}", path.display()))?;
        if meta.is_dir() {
            return Err(format!("{}: is a directory", path.display()));
        }
        Self::reader(file, meta.is_file(), format)
    }

    /// Any reader; `recorded` when it is a finished file.
    ///
    /// # Errors
    /// When it is a record of what has no times.
    pub fn reader(from: impl Read + Send + 'static, recorded: bool, format: Format) -> Result<Self, String> {
        if recorded && matches!(format, Format::Printed(_)) {
            return Err("--from: numbers without times cannot be read from a finished file: use a pipe".into());
        }
        let dating = if recorded { Dating::Recorded(Vec::new()) } else { Dating::Unknown(None) };
        Ok(Self::new(format, dating, From::Reader(Box::new(from))))
    }

    /// A reader of what runs in this program.
    pub fn live(from: impl Read + Send + 'static, format: Format) -> Self {
        Self::new(format, Dating::Live, From::Reader(Box::new(from)))
    }

    /// A program that runs until it is ended; `explain` says what its failure means.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawned(command: Command, format: Format, explain: fn(&str) -> String) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let (child, from) = Child::start(command).map_err(|why| explain(&format!("{name}: {why}")))?;
        let text = Self::new(format, Dating::Live, From::Program(Box::new(from)));
        if let Ok(mut running) = text.running.lock() {
            running.child = Some(child);
        }
        Ok(Self { explain, ..text })
    }

    /// A program that runs on, or prints and ends and is then run again when the next reading is due.
    pub fn repeated(command: impl Fn() -> Command + Send + 'static, interval: Duration, format: Format) -> Self {
        Self::new(format, Dating::Live, From::Again(Box::new(command), interval))
    }

    fn new(format: Format, dating: Dating, from: From) -> Self {
        Self { feed: Feed::new(format, dating), from, running: Arc::default(), explain: str::to_owned }
    }

    /// Starts to read it on a thread of its own, as number `place`; the answer ends the meter, where it is a program.
    pub fn listen(self, place: usize, tell: SyncSender<Event>) -> impl FnOnce() {
        let Text { mut feed, from, running, explain } = self;
        let ours = Arc::clone(&running);
        std::thread::spawn(move || {
            let told = tell.clone();
            let mut read = move |from: &mut dyn Read| {
                feed.read(from, |source, live, fed| told.send(Event::Fed { feed: place, source, live, fed }).is_ok())
            };
            let why = match from {
                From::Reader(mut from) => read(&mut from).err().map(|why| why.to_string()),
                From::Program(mut from) => {
                    let failed = read(&mut from).err().map(|why| why.to_string());
                    Some(
                        failed
                            .or_else(|| verdict(&ours))
                            .map_or_else(|| "the meter ended by itself".to_owned(), |why| explain(&why)),
                    )
                }
                From::Again(command, interval) => repeat(&*command, interval, &ours, &mut read),
            };
            let _ = tell.send(Event::Ended { feed: place, why });
        });
        move || {
            if let Ok(mut running) = running.lock() {
                running.stopped = true;
                if let Some(child) = running.child.as_mut() {
                    child.stop();
                }
            }
        }
    }
}

/// Runs a program again and again; the answer is why no more.
fn repeat(
    command: &dyn Fn() -> Command,
    interval: Duration,
    running: &Mutex<Running>,
    read: &mut dyn FnMut(&mut dyn Read) -> std::io::Result<()>,
) -> Option<String> {
    let mut schedule = Schedule::new(mono_ns(), interval);
    let mut failed = 0;
    loop {
        std::thread::sleep(schedule.wait(mono_ns()));
        schedule.take(mono_ns());
        let mut from = {
            let mut running = running.lock().ok()?;
            if running.stopped {
                return None;
            }
            match Child::start(command()) {
                Ok((child, from)) => {
                    running.child = Some(child);
                    from
                }
                Err(why) => return Some(why.to_string()),
            }
        };
        let why = match read(&mut from) {
            Ok(()) => verdict(running),
            Err(why) => Some(why.to_string()),
        };
        failed = if why.is_some() { failed + 1 } else { 0 };
        if failed >= PATIENCE {
            return why;
        }
    }
}

fn verdict(running: &Mutex<Running>) -> Option<String> {
    // Taken out while it is asked, so that whoever stops it meanwhile does not wait.
    let mut child = running.lock().ok()?.child.take()?;
    child.verdict()
}

/// Whether a program of this name can be run.
pub fn on_path(name: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(name).is_file())
}
