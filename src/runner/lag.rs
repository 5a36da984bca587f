//! How late the event loop is: the tool's own honesty.
//!
//! A thread of its own sends a stamp into the runtime a hundred times a second; the difference to the moment at which the runtime
//! handles it is how long a read may have waited to be looked at. (A timer of the runtime would not do: it wakes on whole
//! milliseconds, and would report its own coarseness.)

use crate::clock;
use crate::record::LagSeconds;
use crate::stats::{self, Histogram};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the loop is asked.
const PERIOD: Duration = Duration::from_millis(10);

/// How many answers are kept: ten minutes of them.
const KEPT: usize = 60_000;

/// The lateness of the last minutes.
#[derive(Debug, Default)]
pub struct Lag {
    seen: Mutex<VecDeque<(u64, u64)>>,
    done: AtomicBool,
}

impl Lag {
    /// Starts measuring the runtime that this is called in.
    pub fn start() -> Arc<Self> {
        let lag = Arc::new(Self::default());
        let (send, mut receive) = mpsc::channel::<u64>(16);
        let sender = Arc::clone(&lag);
        std::thread::spawn(move || {
            while !sender.done.load(Ordering::Relaxed) {
                std::thread::sleep(PERIOD);
                // A loop so late that sixteen stamps wait is seen in those; more would only be work for it.
                if let Err(mpsc::error::TrySendError::Closed(_)) = send.try_send(clock::mono_ns()) {
                    return;
                }
            }
        });
        let keeper = Arc::clone(&lag);
        tokio::spawn(async move {
            while let Some(sent) = receive.recv().await {
                let now = clock::mono_ns();
                let mut seen = keeper.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() == KEPT {
                    seen.pop_front();
                }
                seen.push_back((sent, now.saturating_sub(sent)));
            }
        });
        lag
    }

    /// Stops the thread.
    pub fn stop(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// The lateness between two monotonic stamps, in nanoseconds; `None` when the loop was not asked in between.
    pub fn between(&self, from_ns: u64, to_ns: u64) -> Option<LagSeconds> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let first = seen.partition_point(|(sent, _)| *sent < from_ns);
        let late = seen.range(first..).take_while(|(sent, _)| *sent <= to_ns).map(|(_, late)| *late as f64 / 1e9);
        let spread = stats::spread(late)?;
        Some(LagSeconds { p50: spread.p50, p99: spread.p99, max: spread.max })
    }

    /// Counts the lateness between two monotonic stamps, in nanoseconds, as far back as it is kept.
    pub fn add_to(&self, from_ns: u64, to_ns: u64, histogram: &mut Histogram) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let first = seen.partition_point(|(sent, _)| *sent < from_ns);
        seen.range(first..).take_while(|(sent, _)| *sent <= to_ns).for_each(|(_, late)| histogram.add_ns(*late));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_is_kept_busy_is_seen_to_be_late() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (from, lag) = runtime.block_on(async {
            let lag = Lag::start();
            tokio::time::sleep(Duration::from_millis(50)).await;
            let from = clock::mono_ns();
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(100)).await;
            (from, lag)
        });
        lag.stop();
        let late = lag.between(from, clock::mono_ns()).unwrap();
        assert!(late.max >= 0.1, "{late:?}");
        assert!(late.p50 <= late.p99 && late.p99 <= late.max);
        assert_eq!(lag.between(0, 1), None);
        let mut histogram = Histogram::new();
        lag.add_to(from, clock::mono_ns(), &mut histogram);
        assert!(histogram.quantile(1.0).unwrap() >= 0.1 && histogram.count() > 1);
    }
}
