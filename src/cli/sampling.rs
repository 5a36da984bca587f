//! The flags that both samplers share, and the four things that end a sampler from outside: a signal, a reader that
//! left, a process that ended, and time.

use super::duration_in;
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, test_kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3600);
/// How often a process that cannot be waited for is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How often, how long, how many.
#[derive(Debug, Clone, Args)]
pub struct Sampling {
    /// Time between readings, 100ms to 1h
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = duration_in(SHORTEST, LONGEST))]
    pub interval: Duration,
    /// Stop after TIME
    #[arg(long = "duration", value_name = "TIME", value_parser = super::duration)]
    pub limit: Option<Duration>,
    /// Stop after N readings
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Stop when the process PID has ended
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub while_pid: Option<i32>,
}

/// Why a sampler is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// SIGINT, SIGTERM or SIGHUP: the normal end of a sampler.
    Signal,
    /// The process of `--while-pid` has ended.
    ProcessEnded,
    /// Nobody reads standard output any more.
    ReaderLeft,
}

impl Sampling {
    /// How many readings there can be at most; `None` without an end that is known beforehand. More than there will be:
    /// whoever is told must not be done before this program is.
    pub fn most(&self) -> Option<u64> {
        let by_time = self.limit.map(|limit| (limit.as_secs_f64() / self.interval.as_secs_f64()).ceil() as u64);
        [self.count, by_time].into_iter().flatten().min().map(|most| most.saturating_add(2))
    }

    /// Tells `tell` from other threads when a signal comes, when the process of `--while-pid` ends, and, when
    /// `watch_stdout`, when the reader of standard output leaves, even while nothing is being written.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub fn watch(&self, watch_stdout: bool, tell: impl Fn(Stop) + Clone + Send + 'static) -> io::Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let on_signal = tell.clone();
        std::thread::spawn(move || {
            for _ in signals.forever() {
                on_signal(Stop::Signal);
            }
        });
        if watch_stdout {
            let tell = tell.clone();
            std::thread::spawn(move || {
                if reader_left() {
                    tell(Stop::ReaderLeft);
                }
            });
        }
        if let Some(pid) = self.while_pid.and_then(Pid::from_raw) {
            // Taken hold of now, so that a successor under the same number is not mistaken for it.
            let held = hold(pid);
            std::thread::spawn(move || {
                wait_for_end(pid, held);
                tell(Stop::ProcessEnded);
            });
        }
        Ok(())
    }
}

/// Blocks until standard output's reader is gone; `false` when that cannot be watched (a file, a closed output).
fn reader_left() -> bool {
    let stdout = io::stdout();
    loop {
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return false,
            Ok(_) if fds[0].revents().contains(PollFlags::NVAL) => return false,
            Ok(_) if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => return true,
            Ok(_) => std::thread::sleep(LOOK),
        }
    }
}

#[cfg(target_os = "linux")]
fn hold(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn hold(_: Pid) -> Option<OwnedFd> {
    None
}

/// Blocks until the process has ended: by its descriptor where there is one, which also sees the end of a process whose
/// parent has not yet taken notice, otherwise by looking for it.
fn wait_for_end(pid: Pid, held: Option<OwnedFd>) {
    let Some(held) = held else {
        // A process of another user is there, too.
        while !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)) {
            std::thread::sleep(LOOK);
        }
        return;
    };
    loop {
        let mut fds = [PollFd::new(&held, PollFlags::IN)];
        let patience = Timespec { tv_sec: 3600, tv_nsec: 0 };
        match poll(&mut fds, Some(&patience)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            _ => return,
        }
    }
}
