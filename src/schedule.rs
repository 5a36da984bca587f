//! When a sampler reads next: a fixed grid from the first reading on, so that the time a reading takes never adds up.
//!
//! Pure: it is told the time and sleeps for nobody. A tick that was slept through is counted and skipped, never made up
//! for by two readings in a row, which would be one reading and a zero-length window.

use std::time::Duration;

/// A grid of moments on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    start_ns: u64,
    interval_ns: u64,
    next: u64,
}

impl Schedule {
    /// Ticks at `start_ns`, and every `interval` after it (at least one nanosecond).
    pub fn new(start_ns: u64, interval: Duration) -> Self {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { start_ns, interval_ns, next: 0 }
    }

    /// When the next tick is due, in nanoseconds of the monotonic clock.
    pub fn due_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.next.saturating_mul(self.interval_ns))
    }

    /// How long to sleep from `now_ns` until the next tick; zero when it is due.
    pub fn wait(&self, now_ns: u64) -> Duration {
        Duration::from_nanos(self.due_ns().saturating_sub(now_ns))
    }

    /// Whether a tick is due.
    pub fn is_due(&self, now_ns: u64) -> bool {
        now_ns >= self.due_ns()
    }

    /// Takes the newest tick that is due at `now_ns` and answers how many older ones were slept through.
    pub fn take(&mut self, now_ns: u64) -> u64 {
        let newest = (now_ns.saturating_sub(self.start_ns) / self.interval_ns).max(self.next);
        let missed = newest - self.next;
        self.next = newest + 1;
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn late_readings_do_not_shift_the_grid_and_missed_ones_are_counted() {
        let mut schedule = Schedule::new(1_000, Duration::from_nanos(100));
        for (now, missed, due) in
            [(1_000, 0, 1_100), (1_130, 0, 1_200), (1_299, 0, 1_300), (1_555, 2, 1_600), (1_600, 0, 1_700)]
        {
            assert!(schedule.is_due(now));
            assert_eq!((schedule.take(now), schedule.due_ns()), (missed, due), "at {now}");
        }
        assert_eq!(schedule.wait(1_650), Duration::from_nanos(50));
        assert_eq!(schedule.wait(9_999), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn every_tick_is_either_taken_or_missed(steps in proptest::collection::vec(0..1_000u64, 1..50)) {
            let mut schedule = Schedule::new(0, Duration::from_nanos(100));
            let (mut now, mut ticks) = (0, 0);
            for step in steps {
                now += step;
                if schedule.is_due(now) {
                    ticks += 1 + schedule.take(now);
                }
                prop_assert_eq!(ticks, now / 100 + 1);
                prop_assert!(schedule.due_ns() > now);
            }
        }
    }
}
