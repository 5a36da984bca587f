//! A meter that speaks by itself: a file, a pipe, a program that runs on, or one that is run again for each reading.

use super::child::Child;
use super::dating::Dating;
use super::feed::{Fed, Feed, Format};
use super::follow::Followed;
use super::repeated::repeat;
use super::run::Event;
use crate::text::encoding::utf8;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
pub(super) struct Running {
    /// The program.
    pub child: Option<Child>,
    /// Whether all is over.
    pub stopped: bool,
}

/// Reads a text and tells what it says.
pub(super) struct Listener {
    /// The text so far.
    pub feed: Feed,
    place: usize,
    tell: SyncSender<Event>,
}

impl Listener {
    /// Reads to the end of `from`, or until `on_readings`, which is told how many have come, has had enough: those are then
    /// not told on.
    ///
    /// # Errors
    /// When the input fails.
    pub fn read(&mut self, from: &mut dyn Read, mut on_readings: impl FnMut(usize) -> bool) -> io::Result<()> {
        let (tell, place) = (&self.tell, self.place);
        self.feed.read(from, |meter, live, fed| {
            let readings = fed.iter().filter(|fed| matches!(fed, Fed::Sample(_))).count();
            (readings == 0 || on_readings(readings)) && tell.send(Event::Fed { feed: place, meter, live, fed }).is_ok()
        })
    }

    /// Says that readings which were due did not happen.
    pub fn missed(&self, readings: u64) {
        if readings == 0 {
            return;
        }
        let fed = vec![Fed::Missed(readings)];
        let _ = self.tell.send(Event::Fed { feed: self.place, meter: None, live: true, fed });
    }
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
        Ok(Self::new(format, dating, From::Reader(Box::new(utf8(from)))))
    }

    /// A file that grows, from its present end on: what is in it is read for what it says of its columns and of the
    /// machine. A file that takes its place, or that begins again, is read from its beginning.
    ///
    /// # Errors
    /// When it cannot be read, or is no regular file.
    pub fn followed(path: &Path, format: Format) -> Result<Self, String> {
        let failed = |why: io::Error| format!("{}: {why}", path.display());
        let mut feed = Feed::new(format, Dating::Live);
        let mut followed = Followed::open(path)?;
        feed.skip(&mut followed.present()).map_err(failed)?;
        Ok(Self { feed, from: From::Reader(Box::new(followed)), running: Arc::default(), explain: str::to_owned })
    }

    /// A reader of what runs in this program.
    pub fn live(from: impl Read + Send + 'static, format: Format) -> Self {
        Self::new(format, Dating::Live, From::Reader(Box::new(from)))
    }

    /// A program that runs until it is ended; `explain` says what its failure means.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawned(command: &Command, format: Format, explain: fn(&str) -> String) -> Result<Self, String> {
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

    /// The meter's name, where it is known beforehand.
    pub fn meter(&self) -> Option<&'static str> {
        self.feed.meter()
    }

    fn new(format: Format, dating: Dating, from: From) -> Self {
        Self { feed: Feed::new(format, dating), from, running: Arc::default(), explain: str::to_owned }
    }

    /// Starts to read it on a thread of its own, as number `place`; the answer ends the meter, where it is a program.
    pub fn listen(self, place: usize, tell: SyncSender<Event>) -> impl FnOnce() {
        let Text { feed, from, running, explain } = self;
        let ours = Arc::clone(&running);
        std::thread::spawn(move || {
            let mut listener = Listener { feed, place, tell: tell.clone() };
            let why = match from {
                From::Reader(mut from) => listener.read(&mut from, |_| true).err().map(|why| why.to_string()),
                From::Program(mut from) => {
                    let failed = listener.read(&mut from, |_| true).err().map(|why| why.to_string());
                    Some(
                        failed
                            .or_else(|| verdict(&ours))
                            .map_or_else(|| "the meter ended by itself".to_owned(), |why| explain(&why)),
                    )
                }
                From::Again(command, interval) => repeat(&*command, interval, &ours, &mut listener),
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

/// How the program that ran ended.
pub(super) fn verdict(running: &Mutex<Running>) -> Option<String> {
    // Taken out while it is asked, so that whoever stops it meanwhile does not wait.
    let mut child = running.lock().ok()?.child.take()?;
    child.verdict()
}

/// Whether a program of this name can be run.
pub fn on_path(name: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(name).is_file())
}
