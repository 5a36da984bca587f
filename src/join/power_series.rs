//! The readings of one domain of one meter, and the energy that follows from them.
//!
//! Every kind of reading becomes stretches of known energy. A *window* is a stretch itself; two reads of a *counter*
//! bound one; between two *instants* power runs straight from one to the other (trapezoid). Stretches never overlap and
//! are never stretched beyond their readings. Sources: the clip rules of docs/joining.md; left rectangles, and
//! trapezoids over means, are wrong for all three kinds.

use super::queue_search::count_before;
use crate::record::PowerKind;
use std::collections::VecDeque;

/// Edges closer than this are the same moment: the resolution of the stamps, in seconds.
pub const EDGE: f64 = 1e-6;

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

/// A part of a request, and which part of the power in it is the request's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// From, in seconds on the axis.
    pub from: f64,
    /// To.
    pub to: f64,
    /// The share, 0 to 1.
    pub share: f64,
}

impl Piece {
    /// All of the power from `from` to `to`.
    pub fn whole(from: f64, to: f64) -> [Piece; 1] {
        [Piece { from, to, share: 1.0 }]
    }
}

/// What a series says of some pieces of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Joules, each piece's at its share.
    pub energy: f64,
    /// At least.
    pub lower: f64,
    /// At most.
    pub upper: f64,
    /// Joules, shares left aside: what the machine drew.
    pub gross: f64,
    /// Seconds that are covered.
    pub covered: f64,
    /// Seconds that are covered, each piece's at its share.
    pub share_seconds: f64,
    /// The lowest reading that touches the pieces, in watts.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// How many readings touch them.
    pub samples: u64,
    /// How many lie wholly inside.
    pub contained: u64,
    /// The length of the stretches that touch them, together, in seconds.
    pub touched: f64,
}

impl Estimate {
    const NOTHING: Estimate = Estimate {
        energy: 0.0,
        lower: 0.0,
        upper: 0.0,
        gross: 0.0,
        covered: 0.0,
        share_seconds: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        samples: 0,
        contained: 0,
        touched: 0.0,
    };
}

/// A stretch of time whose energy is known.
#[derive(Debug, Clone, Copy)]
struct Segment {
    from: f64,
    to: f64,
    joules: f64,
    /// The least and the most that it can be: they differ where a window overlaps its neighbour.
    least: f64,
    most: f64,
    /// Watts at both ends, for instants; the readings at the edges otherwise.
    ends: (f64, f64),
    ramp: bool,
}

impl Segment {
    /// Joules from `a` to `b`, both inside.
    fn energy(&self, a: f64, b: f64) -> f64 {
        if !self.ramp {
            return self.joules * ((b - a) / (self.to - self.from));
        }
        let at = |t: f64| self.ends.0 + (self.ends.1 - self.ends.0) * ((t - self.from) / (self.to - self.from));
        (at(a) + at(b)) / 2.0 * (b - a)
    }
}

/// The readings of one domain of one meter, in order of time, as far back as they are needed.
#[derive(Debug)]
pub struct PowerSeries {
    kind: PowerKind,
    readings: VecDeque<PowerReading>,
    /// The time between readings that the sampler promised: beyond [`HOLE`] of them, instants are not connected.
    interval: Option<f64>,
}

impl PowerSeries {
    /// A series without readings.
    pub fn new(kind: PowerKind) -> Self {
        Self { kind, readings: VecDeque::new(), interval: None }
    }

    /// What kind of readings it holds.
    pub fn kind(&self) -> PowerKind {
        self.kind
    }

    /// Sets the time between readings that the sampler promised, in seconds.
    pub fn promise(&mut self, interval: Option<f64>) {
        self.interval = interval;
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
        if at == self.readings.len() { self.readings.push_back(reading) } else { self.readings.insert(at, reading) }
    }

    /// The moment of the first reading that is held.
    pub fn first(&self) -> Option<f64> {
        self.readings.front().map(|reading| reading.at - reading.span)
    }

    /// Drops readings that end before `before`, but for two, by which the first that stays is understood.
    pub fn forget(&mut self, before: f64) {
        while self.readings.len() > 2 && self.readings[2].at < before {
            self.readings.pop_front();
        }
    }

    /// Drops the oldest readings beyond `most`.
    pub fn cap(&mut self, most: usize) {
        while self.readings.len() > most {
            self.readings.pop_front();
        }
    }

    /// The latest end of a reading at or before `at`.
    pub fn edge(&self, at: f64) -> Option<f64> {
        let after = count_before(&self.readings, |reading| reading.at <= at);
        after.checked_sub(1).map(|i| self.readings[i].at)
    }

    fn stretch(&self, i: usize) -> Option<Segment> {
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
                Some(Segment {
                    from: before.at,
                    to: now.at,
                    joules,
                    least: joules,
                    most: joules,
                    ends: (watts, watts),
                    ramp: false,
                })
            }
            PowerKind::Instant => {
                let hole = self.interval.map_or(f64::INFINITY, |interval| interval * HOLE);
                let before = before.filter(|before| !now.fresh && now.at - before.at <= hole)?;
                let joules = (before.value + now.value) / 2.0 * (now.at - before.at);
                Some(Segment {
                    from: before.at,
                    to: now.at,
                    joules,
                    least: joules,
                    most: joules,
                    ends: (before.value, now.value),
                    ramp: true,
                })
            }
        }
    }

    /// What the readings say of `pieces`, which follow each other without overlap. `None` where nothing is covered.
    pub fn estimate(&self, pieces: &[Piece]) -> Option<Estimate> {
        let (a, b) = (pieces.first()?.from, pieces.last()?.to);
        let mut sum = Estimate::NOTHING;
        let mut first = 0;
        let begin = count_before(&self.readings, |reading| reading.at <= a);
        for i in begin..self.readings.len() {
            let Some(stretch) = self.stretch(i) else { continue };
            if stretch.from >= b {
                break;
            }
            while pieces[first].to <= stretch.from && first + 1 < pieces.len() {
                first += 1;
            }
            let inside = stretch.from >= a - EDGE && stretch.to <= b + EDGE;
            let (mut least, mut most, mut seen) = (if inside { f64::INFINITY } else { 0.0 }, 0.0_f64, 0.0);
            let mut reached = stretch.from.max(a);
            for piece in &pieces[first..] {
                let (from, to) = (piece.from.max(stretch.from), piece.to.min(stretch.to));
                if piece.from >= stretch.to {
                    break;
                }
                if to <= from {
                    continue;
                }
                if from > reached + EDGE {
                    least = 0.0;
                }
                reached = to;
                let joules = stretch.energy(from, to);
                seen += to - from;
                sum.energy += joules * piece.share;
                sum.gross += joules;
                sum.share_seconds += (to - from) * piece.share;
                least = least.min(piece.share);
                most = most.max(piece.share);
                if stretch.ramp {
                    let (low, high) = (stretch.ends.0.min(stretch.ends.1), stretch.ends.0.max(stretch.ends.1));
                    sum.lower += low * (to - from) * piece.share;
                    sum.upper += high * (to - from) * piece.share;
                }
            }
            sum.covered += seen;
            if seen <= EDGE {
                // Two edges that are the same moment, written differently: the reading is the neighbour's.
                continue;
            }
            if stretch.to.min(b) > reached + EDGE {
                least = 0.0;
            }
            if !stretch.ramp {
                sum.lower += stretch.least * least;
                sum.upper += stretch.most * most;
            }
            sum.touched += stretch.to - stretch.from;
            sum.samples += 1;
            sum.contained += u64::from(inside);
            sum.min = sum.min.min(stretch.ends.0.min(stretch.ends.1));
            sum.max = sum.max.max(stretch.ends.0.max(stretch.ends.1));
        }
        if sum.samples == 0 {
            return None;
        }
        // Edges that differ by less than a microsecond are one, and must not put the estimate outside its bounds.
        sum.lower = sum.lower.min(sum.energy);
        sum.upper = sum.upper.max(sum.energy);
        Some(sum)
    }

    /// The mean watts and the lengths of the stretches that lie wholly between `from` and `to`.
    pub fn inside(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let begin = count_before(&self.readings, |reading| reading.at <= from);
        let end = count_before(&self.readings, |reading| reading.at <= to + EDGE);
        (begin..end)
            .filter_map(|i| self.stretch(i))
            .filter(|stretch| stretch.from >= from - EDGE && stretch.to > stretch.from)
            .map(|stretch| (stretch.joules / (stretch.to - stretch.from), stretch.to - stretch.from))
            .collect()
    }
}

#[cfg(test)]
mod tests;
