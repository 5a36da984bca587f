//! The readings of one domain of one meter, and the energy that follows from them.
//!
//! Every kind of reading becomes segments of known energy. A *window* is a segment itself; two reads of a *counter*
//! bound one; between two *instants* power runs straight from one to the other (trapezoid). Segments never overlap and
//! are never stretched beyond their readings. Sources: the clip rules of docs/joining.md; left rectangles, and
//! trapezoids over means, are wrong for all three kinds.

use super::in_flight::InFlight;
use super::power_segment::{Estimate, Segment, SegmentSum};
use super::queue_search::count_before;
use super::range_sums::RangeSums;
use super::shares::{Claim, EDGE, Share};
use crate::record::PowerKind;
use std::collections::VecDeque;

/// Windows whose edges miss each other by less than this part of their length are back to back: the stamp is taken when
/// the reading arrives, a little after its window ended.
const JITTER: f64 = 0.05;

/// Instants further apart than this many intervals have a hole between them.
const HOLE: f64 = 3.0;

/// One reading of one domain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerReading {
    /// The end of the window, or the moment, in seconds on the axis.
    pub at: f64,
    /// The length of the window, in seconds.
    pub span: f64,
    /// Joules of the window, joules of the counter, or watts of the instant.
    pub value: f64,
    /// Watts that the meter shows; for a counter that shows none, the difference says it.
    pub watts: Option<f64>,
    /// Whether nothing may be concluded from the reading before: the sampler has just started.
    pub fresh: bool,
}

/// The readings of one domain of one meter, in order of time, as far back as they are needed.
#[derive(Debug)]
pub struct PowerSeries {
    kind: PowerKind,
    readings: VecDeque<PowerReading>,
    /// The time between readings that the sampler promised: beyond [`HOLE`] of them, instants are not connected.
    interval: Option<f64>,
    /// How many readings were forgotten.
    forgotten: usize,
    /// What each reading's segment is, and what requests may claim of it, as far as that was summed up.
    sums: RangeSums<SegmentSum>,
}

impl PowerSeries {
    /// A series without readings.
    pub fn new(kind: PowerKind) -> Self {
        Self { kind, readings: VecDeque::new(), interval: None, forgotten: 0, sums: RangeSums::default() }
    }

    /// What kind of readings it holds.
    pub fn kind(&self) -> PowerKind {
        self.kind
    }

    /// Sets the time between readings that the sampler promised, in seconds.
    pub fn promise(&mut self, interval: Option<f64>) {
        if interval != self.interval {
            self.interval = interval;
            self.sums.truncate(0);
        }
    }

    /// Puts a reading in its place. One that is there already changes nothing.
    pub fn add(&mut self, reading: PowerReading) {
        let mut at = self.readings.len();
        while at > 0 && self.readings[at - 1].at > reading.at + EDGE {
            at -= 1;
        }
        if at > 0 && (self.readings[at - 1].at - reading.at).abs() <= EDGE {
            return;
        }
        self.readings.insert(at, reading);
        self.sums.truncate(self.forgotten + at);
    }

    /// The moment of the first reading that is held.
    pub fn first(&self) -> Option<f64> {
        self.readings.front().map(|reading| reading.at - reading.span)
    }

    /// Drops readings that end before `before`, but for two, by which the first that stays is understood.
    pub fn forget(&mut self, before: f64) {
        let count = count_before(&self.readings, |reading| reading.at < before);
        self.drop_oldest(count.saturating_sub(2));
    }

    /// Drops the oldest readings beyond `most`.
    pub fn cap(&mut self, most: usize) {
        self.drop_oldest(self.readings.len().saturating_sub(most));
    }

    fn drop_oldest(&mut self, count: usize) {
        self.readings.drain(..count);
        self.forgotten += count;
        self.sums.forget(self.forgotten);
    }

    /// The latest end of a reading at or before `at`.
    pub fn edge(&self, at: f64) -> Option<f64> {
        let after = count_before(&self.readings, |reading| reading.at <= at);
        after.checked_sub(1).map(|i| self.readings[i].at)
    }

    fn segment(&self, i: usize) -> Option<Segment> {
        let now = self.readings[i];
        let before = i.checked_sub(1).map(|i| self.readings[i]);
        match self.kind {
            PowerKind::Window => {
                if now.span <= 0.0 {
                    return None;
                }
                let watts = now.watts.unwrap_or(now.value / now.span);
                let raw = now.at - now.span;
                let edge = before.map_or(f64::NEG_INFINITY, |before| before.at);
                let (from, joules, least) = if (raw - edge).abs() <= JITTER * now.span {
                    (edge, now.value, now.value)
                } else if raw < edge {
                    (edge, now.value * ((now.at - edge) / now.span), 0.0)
                } else {
                    (raw, now.value, now.value)
                };
                Some(Segment { from, to: now.at, joules, least, most: now.value, ends: (watts, watts), ramp: false })
            }
            PowerKind::Counter => {
                let before = before.filter(|before| !now.fresh && now.value >= before.value)?;
                let joules = now.value - before.value;
                let watts = now.watts.unwrap_or(joules / (now.at - before.at));
                Some(Segment::exact(before.at, now.at, joules, (watts, watts), false))
            }
            PowerKind::Instant => {
                let hole = self.interval.map_or(f64::INFINITY, |interval| interval * HOLE);
                let before = before.filter(|before| !now.fresh && now.at - before.at <= hole)?;
                let joules = (before.value + now.value) / 2.0 * (now.at - before.at);
                Some(Segment::exact(before.at, now.at, joules, (before.value, now.value), true))
            }
        }
    }

    /// Sums up the segments that end by `until`; shares were changed from `changed` on.
    pub fn sum_up(&mut self, until: f64, changed: f64, in_flight: &InFlight) {
        let same = count_before(&self.readings, |reading| reading.at <= changed);
        self.sums.truncate(self.forgotten + same);
        let end = count_before(&self.readings, |reading| reading.at <= until);
        for i in self.sums.end() - self.forgotten..end {
            let sum = self.segment(i).map_or(SegmentSum::NOTHING, |segment| segment.sum(in_flight));
            self.sums.push(sum);
        }
    }

    /// What the readings say of a claim, which must have been summed up to its end; `None` where nothing is covered.
    pub fn share(&self, claim: &Claim, in_flight: &InFlight) -> Option<Estimate> {
        let mut estimate = Estimate::NOTHING;
        let add = |estimate: &mut Estimate, i: usize| {
            let segment = if i < self.readings.len() { self.segment(i) } else { None };
            if let Some(segment) = segment {
                estimate.add(&segment, claim.from, claim.to, |a, b| in_flight.share(claim, a, b));
            }
        };
        // The segments that the edges of the claim's parts lie in are taken apart; those between them are summed up.
        let mut next = count_before(&self.readings, |reading| reading.at <= claim.from);
        add(&mut estimate, next);
        next += 1;
        for part in claim.parts() {
            let edge = count_before(&self.readings, |reading| reading.at <= part.to);
            if edge < next {
                continue;
            }
            if let Some(sum) = self.sums.sum(self.forgotten + next..self.forgotten + edge) {
                estimate.add_sum(&sum, part.rate);
            }
            add(&mut estimate, edge);
            next = edge + 1;
        }
        estimate.finish()
    }

    /// What the readings say of all that was drawn from `from` to `to`; `None` where nothing is covered.
    pub fn estimate(&self, from: f64, to: f64) -> Option<Estimate> {
        let mut estimate = Estimate::NOTHING;
        let begin = count_before(&self.readings, |reading| reading.at <= from);
        for segment in (begin..self.readings.len()).filter_map(|i| self.segment(i)) {
            if segment.from >= to {
                break;
            }
            estimate.add(&segment, from, to, |a, b| Some(Share::even(a, b, 1.0)));
        }
        estimate.finish()
    }

    /// The mean watts and the lengths of the stretches that lie wholly between `from` and `to`.
    pub fn inside(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let begin = count_before(&self.readings, |reading| reading.at <= from);
        let end = count_before(&self.readings, |reading| reading.at <= to + EDGE);
        (begin..end)
            .filter_map(|i| self.segment(i))
            .filter(|segment| segment.from >= from - EDGE && segment.to > segment.from)
            .map(|segment| (segment.joules / (segment.to - segment.from), segment.to - segment.from))
            .collect()
    }
}

#[cfg(test)]
mod tests;
