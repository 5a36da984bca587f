//! How late the event loop is: the tool's own honesty.
//!
//! A thread of its own sends a stamp into the runtime a hundred times a second; the difference to the moment at which the runtime
//! handles it is how long a read may have waited to be looked at. (A timer of the runtime would not do: it wakes on whole
//! milliseconds, and would report its own coarseness.)

use crate::clock;
use crate::locks::locked;
use crate::record::LagSeconds;
use crate::stats::Histogram;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// How often the loop is asked.
const PERIOD: Duration = Duration::from_millis(10);

/// How many answers are kept: ten minutes of them.
const KEPT: usize = 60_000;

/// The lateness of one event loop in the last minutes.
#[derive(Debug, Clone)]
pub struct Lag {
    seen: Arc<Mutex<VecDeque<(u64, u64)>>>,
    ask: mpsc::Sender<u64>,
}

impl Lag {
    /// That of a loop, once it is [measured](Lag::measure).
    pub fn of(one: &Handle) -> Self {
        let (ask, mut asked) = mpsc::channel::<u64>(16);
        let seen = Arc::<Mutex<VecDeque<(u64, u64)>>>::default();
        let keeper = Arc::downgrade(&seen);
        one.spawn(async move {
            while let (Some(sent), Some(seen)) = (asked.recv().await, keeper.upgrade()) {
                // What comes from another thread is taken up before what was ready: it waits behind all of that once.
                tokio::task::yield_now().await;
                let now = clock::mono_ns();
                let mut seen = locked(&seen);
                if seen.len() == KEPT {
                    seen.pop_front();
                }
                seen.push_back((sent, now.saturating_sub(sent)));
            }
        });
        Self { seen, ask }
    }

    /// Measures loops until they end, from one thread.
    pub fn measure(loops: Vec<Self>) {
        let mut loops: Vec<mpsc::Sender<u64>> = loops.into_iter().map(|lag| lag.ask).collect();
        std::thread::spawn(move || {
            while !loops.is_empty() {
                std::thread::sleep(PERIOD);
                // A loop so late that sixteen stamps wait is seen in those; more would only be work for it.
                let ended = |sent| matches!(sent, Err(mpsc::error::TrySendError::Closed(_)));
                loops.retain(|ask| !ended(ask.try_send(clock::mono_ns())));
            }
        });
    }

    /// The lateness between two monotonic stamps, in nanoseconds; `None` when the loop was not asked in between.
    pub fn between(&self, from_ns: u64, to_ns: u64) -> Option<LagSeconds> {
        let seen = locked(&self.seen);
        let first = seen.partition_point(|(sent, _)| *sent < from_ns);
        let mut late: Vec<u64> =
            seen.range(first..).take_while(|(sent, _)| *sent <= to_ns).map(|(_, late)| *late).collect();
        drop(seen);
        let max = *late.iter().max()?;
        let p50 = quantile(&mut late, 0.5);
        Some(LagSeconds { p50, p99: quantile(&mut late, 0.99), max: max as f64 / 1e9 })
    }

    /// Counts the lateness between two monotonic stamps, in nanoseconds, as far back as it is kept.
    pub fn add_to(&self, from_ns: u64, to_ns: u64, histogram: &mut Histogram) {
        let seen = locked(&self.seen);
        let first = seen.partition_point(|(sent, _)| *sent < from_ns);
        seen.range(first..).take_while(|(sent, _)| *sent <= to_ns).for_each(|(_, late)| histogram.add_ns(*late));
    }
}

/// The `q`-quantile in seconds, as [`crate::stats::quantile`] has it, of nanoseconds in any order, of which there are some. A request
/// of ten minutes has sixty thousand of them, and thousands of requests may end at once: they are not sorted for it.
fn quantile(ns: &mut [u64], q: f64) -> f64 {
    let at = q * (ns.len() - 1) as f64;
    let (_, low, above) = ns.select_nth_unstable(at as usize);
    let high = above.iter().min().unwrap_or(low);
    (*low as f64 + (*high - *low) as f64 * at.fract()) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_sorted_numbers() {
        for n in [1, 2, 3, 10, 101, 250] {
            let mut ns: Vec<u64> = (0..n).map(|i| i * 7919 % 1009).collect();
            let sorted = crate::stats::sorted(ns.iter().map(|&ns| ns as f64 / 1e9));
            for q in [0.5, 0.99, 0.0, 1.0] {
                let expect = crate::stats::quantile(&sorted, q).unwrap();
                assert!((quantile(&mut ns, q) - expect).abs() < 1e-15, "{n} {q}");
            }
        }
    }

    #[test]
    fn a_loop_that_is_kept_busy_is_seen_to_be_late() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lag = Lag::of(runtime.handle());
        Lag::measure(vec![lag.clone()]);
        let from = runtime.block_on(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let from = clock::mono_ns();
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(100)).await;
            from
        });
        let late = lag.between(from, clock::mono_ns()).unwrap();
        assert!(late.max >= 0.1, "{late:?}");
        assert!(late.p50 <= late.p99 && late.p99 <= late.max);
        assert_eq!(lag.between(0, 1), None);
        let mut histogram = Histogram::new();
        lag.add_to(from, clock::mono_ns(), &mut histogram);
        assert!(histogram.quantile(1.0).unwrap() >= 0.1 && histogram.count() > 1);
    }
}
