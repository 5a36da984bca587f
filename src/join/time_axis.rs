//! One time axis for stamps of several clocks.
//!
//! Stamps of one boot are placed by their monotonic clock, whatever the wall clock does meanwhile; stamps of another
//! boot, or without one, by the wall. The shift between the two is taken once per boot, from the first stamp that
//! carries both, so that within a boot every distance is a distance of the monotonic clock.

use crate::clock::micros;
use std::collections::HashMap;

/// A step of the wall clock that is worth telling, in seconds.
pub const STEP: f64 = 0.020;

/// The longest that anything may be from the beginning of its clock, in seconds: some three thousand years.
const FARTHEST: f64 = 1e11;

/// The longest that anything may take, in seconds: some thirty years.
pub const LONGEST: f64 = 1e9;

/// Where stamps stand on the common axis, in seconds.
#[derive(Debug, Default)]
pub struct TimeAxis {
    base: Option<f64>,
    shifts: HashMap<String, f64>,
    /// The boot of the last stamp: nearly all are of one.
    last: Option<(String, f64)>,
}

/// A stamp as records carry it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockStamp<'a> {
    /// Unix seconds.
    pub ts: f64,
    /// Seconds of the monotonic clock of `boot`.
    pub mono: Option<f64>,
    /// Whose monotonic clock it is.
    pub boot: Option<&'a str>,
}

impl ClockStamp<'_> {
    /// Whether it can be a moment at all: one absurd stamp must not move what is known of all the others.
    pub fn is_plausible(&self) -> bool {
        self.ts.abs() <= FARTHEST && self.mono.is_none_or(|mono| mono.abs() <= FARTHEST)
    }
}

impl TimeAxis {
    /// The place of a stamp, in seconds, to the microsecond: what stamps call the same moment is the same number.
    pub fn place(&mut self, stamp: ClockStamp) -> f64 {
        micros(self.exact(stamp))
    }

    fn exact(&mut self, stamp: ClockStamp) -> f64 {
        let Some((mono, boot)) = stamp.mono.zip(stamp.boot) else {
            // Whole seconds, so that the difference is exact whichever stamp comes first.
            return stamp.ts - *self.base.get_or_insert(stamp.ts.floor());
        };
        if let Some((_, shift)) = self.last.as_ref().filter(|(last, _)| last == boot) {
            return mono + shift;
        }
        if let Some(shift) = self.shifts.get(boot) {
            self.last = Some((boot.to_owned(), *shift));
            return mono + shift;
        }
        let base = *self.base.get_or_insert(stamp.ts - mono);
        let shift = (stamp.ts - base) - mono;
        // The first boot's axis is its own clock, to the last bit.
        let shift = if shift.abs() < 1e-6 { 0.0 } else { shift };
        self.shifts.insert(boot.to_owned(), shift);
        mono + shift
    }

    /// Unix seconds of a place, as the first stamps of each clock had it.
    pub fn ts(&self, at: f64) -> f64 {
        at + self.base.unwrap_or(0.0)
    }
}

/// Notices when the wall clock goes its own way.
#[derive(Debug, Default)]
pub struct StepDetector {
    last: Option<(f64, f64)>,
}

impl StepDetector {
    /// By how many seconds the wall clock has stepped since the stamp before; `None` when it did not, or that cannot be known.
    pub fn observe(&mut self, ts: f64, mono: Option<f64>) -> Option<f64> {
        let mono = mono?;
        let (ts0, mono0) = self.last.replace((ts, mono))?;
        let step = (ts - ts0) - (mono - mono0);
        (step.abs() > STEP).then_some(step)
    }

    /// Forgets: what comes next is of another clock.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ts: f64, mono: Option<f64>, boot: Option<&str>) -> ClockStamp<'_> {
        ClockStamp { ts, mono, boot }
    }

    #[test]
    fn one_boot_is_placed_by_its_own_clock_even_when_the_wall_steps() {
        let mut axis = TimeAxis::default();
        assert_eq!(axis.place(at(1000.0, Some(5.0), Some("b"))), 5.0);
        assert_eq!(axis.place(at(4600.0, Some(6.5), Some("b"))), 6.5);
    }

    #[test]
    fn other_clocks_are_placed_by_the_wall() {
        let mut axis = TimeAxis::default();
        axis.place(at(1000.0, Some(5.0), Some("b")));
        assert_eq!(axis.place(at(1002.0, None, None)), 7.0);
        assert_eq!(axis.place(at(1003.0, Some(900.0), Some("other"))), 8.0);
        assert_eq!(axis.place(at(0.0, Some(901.0), Some("other"))), 9.0);
        assert_eq!(axis.place(at(1004.0, Some(77.0), None)), 9.0, "a monotonic stamp of an unknown boot says nothing");
    }

    #[test]
    fn wall_times_keep_their_microseconds() {
        let mut axis = TimeAxis::default();
        for (ts, expect) in [(1_758_184_983.637_001, 0.637_001), (1_758_184_984.637, 1.637), (1_758_184_980.0, -3.0)] {
            assert_eq!(axis.place(at(ts, None, None)), expect, "{ts}");
        }
    }

    #[test]
    fn a_step_is_noticed_and_a_slow_drift_is_not() {
        for (stamps, expect) in [
            (&[(1.0, Some(1.0)), (2.0, Some(2.019))][..], None),
            (&[(1.0, Some(1.0)), (2.0, Some(2.5))], Some(-0.5)),
            (&[(1.0, Some(1.0)), (3602.0, Some(2.0))], Some(3600.0)),
            (&[(1.0, None), (3602.0, None)], None),
        ] {
            let mut steps = StepDetector::default();
            let seen = stamps.iter().fold(None, |_, &(ts, mono)| steps.observe(ts, mono));
            assert_eq!(seen, expect, "{stamps:?}");
        }
    }
}
