//! A counter of energy that wraps around, stands still, or starts again, as every energy counter does one day.

use crate::clock::between;

/// More than any socket, module or board draws: a step beyond it is a counter that was set back, not energy. Over the time
/// since it moved last, because a plug that counts tenths of a kilowatt hour takes a large step once in a while.
const MOST_WATTS: f64 = 20_000.0;
/// A counter that has not moved for so many readings, or for so long, is stuck.
const STUCK_READINGS: u32 = 3;
const STUCK_SECONDS: f64 = 2.0;

/// What a reading of a counter says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The counter with its wrap-arounds undone, in joules.
    pub joules: f64,
    /// The mean since the reading before; `None` for the first.
    pub watts: Option<f64>,
}

/// One counter. It may be looked at more often than it is read, so that it never wraps around twice unseen.
#[derive(Debug, Clone)]
pub struct Counter {
    unit: f64,
    range: Option<u64>,
    last: Option<(u64, u64)>,
    joules: f64,
    /// What it had come to, and when, at the last reading.
    mark: Option<(f64, u64)>,
    moved_ns: u64,
    /// Whether it ever moved while it was looked at.
    alive: bool,
    still: u32,
    stuck: bool,
    set_back: bool,
}

impl Counter {
    /// A counter of `unit` joules per step that starts again at zero after `range`.
    pub fn new(unit: f64, range: Option<u64>) -> Self {
        Self {
            unit,
            range,
            last: None,
            joules: 0.0,
            mark: None,
            moved_ns: 0,
            alive: false,
            still: 0,
            stuck: false,
            set_back: false,
        }
    }

    /// Looks at the counter: `raw` at `at_ns` of the monotonic clock.
    pub fn look(&mut self, raw: u64, at_ns: u64) {
        let Some((last, _)) = self.last.replace((raw, at_ns)) else {
            self.joules = raw as f64 * self.unit;
            self.moved_ns = at_ns;
            return;
        };
        let steps = if raw >= last {
            Some(raw - last)
        } else {
            self.range.and_then(|range| (range - last.min(range)).checked_add(raw))
        };
        let joules = steps.map(|steps| steps as f64 * self.unit);
        match joules.filter(|joules| *joules <= MOST_WATTS * between(self.moved_ns, at_ns).max(1e-3)) {
            Some(joules) => {
                self.joules += joules;
                if joules > 0.0 {
                    self.moved_ns = at_ns;
                }
            }
            None => {
                self.set_back = true;
                self.moved_ns = at_ns;
            }
        }
    }

    /// The reading at `at_ns`, after a look at that moment.
    ///
    /// # Errors
    /// The reason, when the counter was never seen, was set back, or is stuck.
    pub fn read(&mut self, at_ns: u64) -> Result<Step, &'static str> {
        let Some((_, seen_ns)) = self.last else { return Err("never read") };
        let now = (self.joules, seen_ns);
        if std::mem::take(&mut self.set_back) {
            (self.mark, self.still, self.stuck) = (Some(now), 0, false);
            return Err("the counter was set back");
        }
        let Some((joules, then_ns)) = self.mark else {
            self.mark = Some(now);
            return Ok(Step { joules: self.joules, watts: None });
        };
        let moved = self.joules != joules;
        self.still = if moved { 0 } else { self.still + 1 };
        if !moved && (self.still >= STUCK_READINGS || between(self.moved_ns, at_ns) >= STUCK_SECONDS) {
            // The mark stays: what the next step holds was drawn over all of the time since then.
            self.stuck = true;
            return Err("the counter does not move");
        }
        // Of a step that is the first one seen, nobody knows when it began.
        let known = !std::mem::take(&mut self.stuck) || self.alive;
        self.alive |= moved;
        self.mark = Some(now);
        let seconds = between(then_ns, seen_ns);
        Ok(Step { joules: self.joules, watts: (known && seconds > 0.0).then(|| (self.joules - joules) / seconds) })
    }

    /// Says that the counter could not be looked at: what comes next is measured from then on.
    pub fn lost(&mut self) {
        (self.last, self.mark) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn read(range: Option<u64>, raws: &[u64]) -> Vec<Result<Option<f64>, &'static str>> {
        let mut counter = Counter::new(1e-6, range);
        let readings = raws.iter().zip(1..).map(|(&raw, second)| {
            counter.look(raw, second * S);
            counter.read(second * S).map(|step| step.watts.map(|w| (w * 1e6).round() / 1e6))
        });
        readings.collect()
    }

    #[test]
    fn a_counter_gives_watts_across_its_wrap_around() {
        let range = 262_143_328_850;
        assert_eq!(
            read(Some(range), &[262_103_000_000, 262_143_000_000, 9_671_150]),
            [Ok(None), Ok(Some(40.0)), Ok(Some(10.0))]
        );
        let mut counter = Counter::new(1e-6, Some(100_000_000));
        let mut last = 0.0;
        for (raw, second) in [50_000_000, 90_000_000, 20_000_000, 60_000_000].into_iter().zip(1..) {
            counter.look(raw, second * S);
            let joules = counter.read(second * S).unwrap().joules;
            assert!(joules > last, "{joules} after {last}");
            last = joules;
        }
        assert!((last - 160.0).abs() < 1e-9, "{last}");
    }

    #[test]
    fn a_counter_that_was_set_back_gives_no_number_and_then_goes_on() {
        assert_eq!(
            read(None, &[5_000_000, 9_000_000, 1_000_000, 3_000_000]),
            [Ok(None), Ok(Some(4.0)), Err("the counter was set back"), Ok(Some(2.0))]
        );
        let far = read(Some(262_143_328_850), &[50_000_000_000, 50_010_000_000, 7, 5_000_007]);
        assert_eq!(far[2..], [Err("the counter was set back"), Ok(Some(5.0))]);
    }

    #[test]
    fn a_counter_that_stands_still_is_stuck_after_three_readings_or_two_seconds() {
        let mut counter = Counter::new(1.0, None);
        let mut said = Vec::new();
        for (raw, tenth) in [(5, 0), (6, 1), (6, 2), (6, 3), (6, 4), (7, 5)] {
            counter.look(raw, tenth * S / 10);
            said.push(counter.read(tenth * S / 10).is_ok());
        }
        assert_eq!(said, [true, true, true, true, false, true]);
        assert_eq!(
            read(None, &[5, 5, 5, 6]).iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, true, false, true],
            "at one reading a second, two seconds"
        );
    }

    #[test]
    fn a_coarse_counter_gives_the_mean_since_it_moved_last() {
        // A plug that counts watt hours, at 60 W: a step of 3600 J each minute.
        let mut counter = Counter::new(3600.0, None);
        let mut told = Vec::new();
        for second in 1..=200_u64 {
            counter.look((second + 30) / 60, second * S);
            if let Ok(step) = counter.read(second * S) {
                told.extend(step.watts.filter(|watts| *watts > 0.0).map(|watts| (second, watts)));
            }
        }
        // The first step is of unknown length; the others are known to the second or two in which they may have begun.
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|(_, watts)| (watts - 60.0).abs() < 3.0), "{told:?}");
        assert_eq!(counter.joules, 3.0 * 3600.0);
    }

    #[test]
    fn a_gap_in_looking_is_no_window() {
        let mut counter = Counter::new(1.0, None);
        counter.look(5, S);
        let _ = counter.read(S);
        counter.lost();
        assert!(counter.read(2 * S).is_err());
        counter.look(500, 3 * S);
        assert_eq!(counter.read(3 * S).unwrap().watts, None);
    }
}
