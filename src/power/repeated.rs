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
/// How much a run may print at once, and on and on: a meter is no flood. A scrape of many cards is some 100 kB.
const BURST_BYTES: f64 = (4 << 20) as f64;
const BYTES_PER_SECOND: f64 = (256 << 10) as f64;

/// Runs a program again and again; the answer is why no more.
pub fn repeat(
    command: &dyn Fn() -> Command,
    interval: Duration,
    running: &Mutex<Running>,
    listener: &mut Listener,
) -> Option<String> {
    let mut schedule = Schedule::new(mono_ns(), interval);
    let (mut failed, mut readings) = (0, 0_u64);
    loop {
        std::thread::sleep(schedule.wait(mono_ns()));
        // What was due while a run went on did not happen, except for what that run said.
        let missed = schedule.take(mono_ns()).saturating_sub(readings.saturating_sub(1));
        if missed > 0 {
            listener.missed(missed);
        }
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
        let heard = Cell::new((0, mono_ns()));
        let patience = SILENCE.max(interval.saturating_mul(SILENT_INTERVALS));
        let mut bounded = Bounded { from, heard: &heard, patience, allowance: BURST_BYTES, seen_ns: mono_ns() };
        let read = listener.read(&mut bounded, || heard.set((heard.get().0 + 1, mono_ns())));
        readings = heard.get().0;
        let flood = read.as_ref().is_err_and(|why| why.kind() == io::ErrorKind::FileTooLarge);
        let why = match read {
            Ok(()) => verdict(running).or_else(|| (readings == 0).then(|| nothing(listener.feed.unread()))),
            Err(why) => {
                // Ended before it is run again.
                drop(running.lock().ok()?.child.take());
                Some(match why.kind() {
                    io::ErrorKind::TimedOut => format!("{why}{}", quoted(listener.feed.unread())),
                    _ => why.to_string(),
                })
            }
        };
        if readings == 0 {
            listener.missed(1);
        }
        failed = if why.is_some() { failed + 1 } else { 0 };
        if failed >= PATIENCE || flood {
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

/// A program's output that fails when it stays away or does not stop.
struct Bounded<'a> {
    from: ChildStdout,
    /// How many readings came of it, and when the last one did.
    heard: &'a Cell<(u64, u64)>,
    patience: Duration,
    /// How much it may still print, by when.
    allowance: f64,
    seen_ns: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let until = self.heard.get().1.saturating_add(self.patience.as_nanos() as u64);
            let left = until.saturating_sub(mono_ns());
            let seconds = self.patience.as_secs_f64();
            let silent = || io::Error::new(io::ErrorKind::TimedOut, format!("no number for {seconds} s"));
            if left == 0 {
                return Err(silent());
            }
            let left = Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as _ };
            let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
            match poll(&mut fds, Some(&left)) {
                Ok(0) => return Err(silent()),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
            }
        }
        let read = self.from.read(bytes)?;
        let now = mono_ns();
        self.allowance += BYTES_PER_SECOND * between(std::mem::replace(&mut self.seen_ns, now), now);
        self.allowance = self.allowance.min(BURST_BYTES) - read as f64;
        if self.allowance < 0.0 {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the program does not stop printing: let it print a reading and end, or rest between readings",
            ));
        }
        Ok(read)
    }
}
