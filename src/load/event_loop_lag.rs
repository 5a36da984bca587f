//! The lateness of an event loop.
//!
//! A separate thread sends a stamp into the runtime a hundred times a second; the time until the
//! runtime handles it is how long a read may have waited to be stamped. (A timer of the runtime wakes
//! on whole milliseconds, and would measure its own coarseness.)
//!
//! A stopped program (^Z, a debugger, suspend) stops that thread as well: the stamps that it should
//! have sent are sent afterwards, as late as they are.

use crate::clock;
use crate::locks::locked;
use crate::record::Quantiles;
use crate::stats::Histogram;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// The interval between stamps.
const PERIOD: Duration = Duration::from_millis(10);

/// The lateness of the measuring thread from which the whole program counts as stopped: more than a
/// busy machine delays a thread that slept.
const STOPPED: Duration = Duration::from_millis(50);

/// The number of samples that are kept: ten minutes.
const MAX_SAMPLES: usize = 60_000;

/// The lateness of one event loop in the last minutes.
#[derive(Debug, Clone)]
pub struct EventLoopLag {
    /// When each stamp was sent and how late it was handled, in nanoseconds.
    samples: Arc<Mutex<VecDeque<(u64, u64)>>>,
    sender: mpsc::Sender<u64>,
    since_ns: u64,
}

impl EventLoopLag {
    /// The lateness of a loop, once it is [measured](EventLoopLag::measure).
    pub fn new(event_loop: &Handle) -> Self {
        let (sender, mut stamps) = mpsc::channel::<u64>(16);
        let samples = Arc::<Mutex<VecDeque<(u64, u64)>>>::default();
        let keeper = Arc::downgrade(&samples);
        event_loop.spawn(async move {
            while let (Some(sent), Some(samples)) = (stamps.recv().await, keeper.upgrade()) {
                // A message from another thread overtakes ready tasks: yield behind all of them once.
                tokio::task::yield_now().await;
                let now = clock::mono_ns();
                let mut samples = locked(&samples);
                if samples.len() == MAX_SAMPLES {
                    samples.pop_front();
                }
                samples.push_back((sent, now.saturating_sub(sent)));
            }
        });
        Self { samples, sender, since_ns: clock::mono_ns() }
    }

    /// Measures loops until they end, from one thread.
    pub fn measure(loops: Vec<Self>) {
        let mut loops: Vec<mpsc::Sender<u64>> = loops.into_iter().map(|lag| lag.sender).collect();
        std::thread::spawn(move || {
            while !loops.is_empty() {
                let due_ns = clock::mono_ns() + nanoseconds(PERIOD);
                std::thread::sleep(PERIOD);
                // Sixteen waiting stamps show a late loop; more would only be work for it.
                let ended = |sent| matches!(sent, Err(mpsc::error::TrySendError::Closed(_)));
                for stamp_ns in missed(due_ns, clock::mono_ns()) {
                    loops.retain(|sender| !ended(sender.try_send(stamp_ns)));
                }
                loops.retain(|sender| !ended(sender.try_send(clock::mono_ns())));
            }
        });
    }

    /// The lateness between two monotonic stamps, in nanoseconds; `None` without a sample in between.
    pub fn between(&self, from_ns: u64, to_ns: u64) -> Option<Quantiles> {
        let samples = locked(&self.samples);
        let first = samples.partition_point(|(sent, _)| *sent < from_ns);
        let mut late: Vec<u64> =
            samples.range(first..).take_while(|(sent, _)| *sent <= to_ns).map(|(_, late)| *late).collect();
        drop(samples);
        let max = *late.iter().max()?;
        let (p50, p99) = (Some(quantile(&mut late, 0.5)), Some(quantile(&mut late, 0.99)));
        Some(Quantiles { count: late.len() as u64, p50, p99, max: Some(max as f64 / 1e9), ..Quantiles::default() })
    }

    /// The lateness, in seconds, of the stamps that waited at a time of the monotonic clock or just
    /// before; `None` without one.
    pub fn at(&self, ns: u64) -> Option<f64> {
        let samples = locked(&self.samples);
        let until = samples.partition_point(|(sent, _)| *sent <= ns);
        let near = |(sent, late): &&(u64, u64)| sent + late + nanoseconds(PERIOD) >= ns;
        // Stamps are handled in order: none before one that was not near is near.
        samples.range(..until).rev().take_while(near).map(|(_, late)| *late as f64 / 1e9).reduce(f64::max)
    }

    /// Waits until the lateness up to a past time is known, where the loop was too late to handle
    /// stamps. A tenth of a second at most, and usually not at all.
    pub async fn known_until(&self, ns: u64) {
        let unknown_ns = || ns.saturating_sub(locked(&self.samples).back().map_or(self.since_ns, |(sent, _)| *sent));
        if unknown_ns() <= 3 * nanoseconds(PERIOD) {
            return;
        }
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if unknown_ns() == 0 {
                return;
            }
        }
    }

    /// Counts the lateness between two monotonic stamps, in nanoseconds, as far as it is kept.
    pub fn add_to(&self, from_ns: u64, to_ns: u64, histogram: &mut Histogram) {
        let samples = locked(&self.samples);
        let first = samples.partition_point(|(sent, _)| *sent < from_ns);
        samples.range(first..).take_while(|(sent, _)| *sent <= to_ns).for_each(|(_, late)| histogram.add_ns(*late));
    }
}

/// The times at which a stamp should have been sent while the program was stopped.
fn missed(due_ns: u64, now_ns: u64) -> impl Iterator<Item = u64> {
    let stopped = now_ns.saturating_sub(due_ns) > nanoseconds(STOPPED);
    (due_ns..now_ns).step_by(nanoseconds(PERIOD) as usize).take_while(move |_| stopped)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The `q`-quantile in seconds, as [`crate::stats::quantile`], of nanoseconds in any order; at least
/// one. Not sorted: thousands of requests with sixty thousand samples each may end at once.
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
    fn stamps_of_a_stopped_program_are_sent_afterwards() {
        let ms = |ms: u64| ms * 1_000_000;
        for (due, now) in [(10, 10), (10, 9), (10, 11), (10, 60)] {
            assert_eq!(missed(ms(due), ms(now)).count(), 0, "{due} {now}: a thread that woke a little late");
        }
        assert_eq!(missed(ms(10), ms(75)).collect::<Vec<_>>(), [10, 20, 30, 40, 50, 60, 70].map(ms));
        assert_eq!(missed(ms(10), ms(2010)).count(), 200);
    }

    #[tokio::test]
    async fn lateness_at_a_time_is_of_the_stamps_that_waited() {
        let lag = EventLoopLag::new(&Handle::current());
        let ms = |ms: u64| ms * 1_000_000;
        // Asked every 10 ms: in time, then 45 ms late, then in time again.
        let samples = [(0, 0), (10, 1), (20, 45), (30, 35), (40, 25), (50, 15), (60, 5), (70, 0), (80, 2)];
        locked(&lag.samples).extend(samples.map(|(sent, late)| (ms(sent), ms(late))));
        for (at, expect) in [(5, Some(0.0)), (19, Some(0.001)), (30, Some(0.045)), (65, Some(0.045)), (74, Some(0.045))]
        {
            assert_eq!(lag.at(ms(at)), expect, "{at}");
        }
        assert_eq!(lag.at(ms(89)), Some(0.002));
        assert_eq!(lag.at(ms(200)), None, "nothing is known of it");
        let begun = clock::mono_ns();
        lag.known_until(ms(100)).await;
        assert!(clock::between(begun, clock::mono_ns()) < 0.09, "a moment that is near enough is known");
        lag.known_until(ms(1000)).await;
        assert!(clock::between(begun, clock::mono_ns()) >= 0.1, "no stamps are sent to this loop");
    }

    #[test]
    fn a_busy_loop_is_late() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lag = EventLoopLag::new(runtime.handle());
        EventLoopLag::measure(vec![lag.clone()]);
        let from = runtime.block_on(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let from = clock::mono_ns();
            tokio::task::yield_now().await;
            std::thread::sleep(Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(100)).await;
            from
        });
        let late = lag.between(from, clock::mono_ns()).unwrap();
        assert!(late.max.unwrap() >= 0.1, "{late:?}");
        assert!(late.p50 <= late.p99 && late.p99 <= late.max);
        assert_eq!(lag.between(0, 1), None);
        let mut histogram = Histogram::new();
        lag.add_to(from, clock::mono_ns(), &mut histogram);
        assert!(histogram.quantile(1.0).unwrap() >= 0.1 && histogram.count() > 1);
    }
}
