//! A program that is run for each reading, or that runs on: bounded in how long it may say nothing of use, and in how much
//! it may say.

use super::child::Child;
use super::text::{Listener, Running, verdict};
use crate::clock::{between, mono_ns};
use crate::schedule::Schedule;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::Cell;
use std::io::{self, Read};
use std::process::{ChildStdout, Command};
use std::sync::Mutex;
use std::time::Duration;

/// A program that fails so often in a row is not tried again.
const PATIENCE: u32 = 3;
/// A program that gives no reading for this long, and for this many intervals, hangs.
const SILENCE: Duration = Duration::from_secs(10);
const SILENT_INTERVALS: u32 = 3;
/// How much a run may print, and how many readings that may be, at once and on and on: a meter is no flood. A scrape of many
/// cards is some 100 kB.
const BYTES: (f64, f64) = ((4 << 20) as f64, (256 << 10) as f64);
const READINGS: (f64, f64) = (4096.0, 256.0);

/// Runs a program again and again; the answer is why no more.
pub fn repeat(
    command: &dyn Fn() -> Command,
    interval: Duration,
    running: &Mutex<Running>,
    listener: &mut Listener,
) -> Option<String> {
    let mut schedule = Schedule::new(mono_ns(), interval);
    let patience = SILENCE.max(interval.saturating_mul(SILENT_INTERVALS));
    let mut failed = 0;
    loop {
        std::thread::sleep(schedule.wait(mono_ns()));
        schedule.take(mono_ns());
        let from = {
            let mut running = running.lock().ok()?;
            if running.stopped {
                return None;
            }
            match Child::start(&command()) {
                Ok((child, from)) => {
                    running.child = Some(child);
                    from
                }
                Err(why) => return Some(why.to_string()),
            }
        };
        let heard = Heard { times: Cell::new(0), last_ns: Cell::new(mono_ns()), flood: Cell::new(false) };
        let mut readings = Allowance::new(READINGS);
        let mut bounded = Bounded { from, heard: &heard, patience, bytes: Allowance::new(BYTES) };
        let read = listener.read(&mut bounded, |count| {
            heard.times.set(heard.times.get() + 1);
            heard.last_ns.set(mono_ns());
            heard.flood.set(heard.flood.get() || !readings.take(count));
            !heard.flood.get()
        });
        let why = match read {
            Ok(()) if !heard.flood.get() => {
                verdict(running).or_else(|| (heard.times.get() == 0).then(|| nothing(listener.feed.unread())))
            }
            read => {
                // Ended before it is run again.
                drop(running.lock().ok()?.child.take());
                let silent = read.is_err_and(|why| why.kind() != io::ErrorKind::FileTooLarge);
                Some(match silent {
                    true => format!(
                        "the program gave no number for {} s{}",
                        patience.as_secs_f64(),
                        quoted(listener.feed.unread())
                    ),
                    false => "the program does not stop printing: let it print a reading and end, or rest between \
                              readings"
                        .into(),
                })
            }
        };
        // The reading that it was run for, and those that were due while it ran, but for the last, which comes next.
        let overdue = mono_ns().saturating_sub(schedule.due_ns()) / interval.as_nanos().max(1) as u64;
        listener.missed((1 + overdue).saturating_sub(heard.times.get()));
        failed = if why.is_some() { failed + 1 } else { 0 };
        if failed >= PATIENCE || heard.flood.get() {
            return why;
        }
    }
}

/// That a run ended and had said nothing of use.
fn nothing(unread: Option<&str>) -> String {
    match unread {
        None => "the program printed nothing".into(),
        unread => {
            format!("the program printed no number that is understood{}: say --pattern and --unit", quoted(unread))
        }
    }
}

fn quoted(unread: Option<&str>) -> String {
    unread.map(|line| format!(", but {line:?}")).unwrap_or_default()
}

/// What came of a run.
struct Heard {
    /// How often there were readings.
    times: Cell<u64>,
    /// When there were last.
    last_ns: Cell<u64>,
    /// Whether it was too much.
    flood: Cell<bool>,
}

/// How much may still come: so much at once, and so much for each second.
struct Allowance {
    most: f64,
    per_second: f64,
    left: f64,
    seen_ns: u64,
}

impl Allowance {
    fn new((most, per_second): (f64, f64)) -> Self {
        Self { most, per_second, left: most, seen_ns: mono_ns() }
    }

    /// Whether so much more is allowed.
    fn take(&mut self, much: usize) -> bool {
        let now = mono_ns();
        let seconds = between(std::mem::replace(&mut self.seen_ns, now), now);
        self.left = (self.left + self.per_second * seconds).min(self.most) - much as f64;
        self.left >= 0.0
    }
}

/// A program's output that fails when it stays away or does not stop.
struct Bounded<'a> {
    from: ChildStdout,
    heard: &'a Heard,
    patience: Duration,
    bytes: Allowance,
}

impl Read for Bounded<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let until = self.heard.last_ns.get().saturating_add(self.patience.as_nanos() as u64);
            let left = until.saturating_sub(mono_ns());
            if left == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let left = Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as _ };
            let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
            match poll(&mut fds, Some(&left)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => break,
                Err(why) => return Err(why.into()),
            }
        }
        let read = self.from.read(bytes)?;
        if !self.bytes.take(read) {
            self.heard.flood.set(true);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}
