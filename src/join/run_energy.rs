//! The account of a whole run: what was drawn while anyone was in flight, and what while nobody was.
//!
//! It is kept piece by piece, up to where nothing can change any more, so that readings need not be kept. Every moment
//! counts once, however many requests shared it.

use super::idle::IdleGaps;
use super::in_flight::InFlight;
use super::meters::Meters;
use super::power_series::{Estimate, Piece};

/// How long after the last request or load a gap counts as idle, in seconds: power takes a while to fall.
const SETTLE: f64 = 5.0;

/// Beyond this many seconds without a reading, the account goes on without one.
const LOST: f64 = 60.0;

/// What was drawn over some stretches.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnergyTotal {
    /// Joules.
    pub energy: f64,
    /// At least.
    pub lower: f64,
    /// At most.
    pub upper: f64,
    /// Seconds.
    pub seconds: f64,
    /// Seconds that readings cover.
    pub covered: f64,
    /// Readings.
    pub samples: u64,
    /// The length of what they cover, together.
    pub touched: f64,
    /// The lowest reading; meaningless without any.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl EnergyTotal {
    fn add(&mut self, seconds: f64, estimate: Option<Estimate>) {
        self.seconds += seconds;
        let Some(estimate) = estimate else { return };
        self.energy += estimate.energy;
        self.lower += estimate.lower;
        self.upper += estimate.upper;
        self.covered += estimate.covered;
        self.touched += estimate.touched;
        self.min = if self.samples == 0 { estimate.min } else { self.min.min(estimate.min) };
        self.max = if self.samples == 0 { estimate.max } else { self.max.max(estimate.max) };
        self.samples += estimate.samples;
    }

    /// The sum as an estimate; `None` where nothing is covered.
    pub fn estimate(&self) -> Option<Estimate> {
        (self.covered > 0.0).then_some(Estimate {
            energy: self.energy,
            lower: self.lower,
            upper: self.upper,
            gross: self.energy,
            covered: self.covered,
            share_seconds: self.covered,
            min: self.min,
            max: self.max,
            samples: self.samples,
            contained: 0,
            touched: self.touched,
        })
    }
}

/// The account so far.
#[derive(Debug, Default)]
pub struct RunEnergy {
    /// While anyone was in flight.
    pub busy: EnergyTotal,
    /// While nobody was, between the first start and the last end.
    pub between: EnergyTotal,
    /// Readings of gaps, for the idle power.
    pub gaps: IdleGaps,
    /// When models were being loaded.
    pub loads: InFlight,
    /// The first start.
    pub begun: Option<f64>,
    cursor: Option<f64>,
    /// Since when nobody has been in flight.
    quiet: Option<f64>,
}

impl RunEnergy {
    /// To where the account is kept.
    pub fn cursor(&self) -> Option<f64> {
        self.cursor
    }

    /// Goes on to the last reading before `until`, or, when it is the end, to `until`.
    pub fn account(&mut self, until: f64, end: bool, meters: &Meters, flights: &InFlight) {
        let Some(from) = self.cursor.or_else(|| self.first(meters)) else { return };
        self.cursor = Some(from);
        // Only ever to an edge, so that no reading is counted in two parts.
        let edge = meters.edge(until).unwrap_or(from);
        let to = if end || until - edge > LOST { until } else { edge };
        if to <= from {
            return;
        }
        for (a, b, busy) in flights.stretches(from, to) {
            if busy {
                self.busy.add(b - a, meters.sum(&Piece::whole(a, b)));
                self.quiet = Some(b);
                continue;
            }
            if let Some(begun) = self.begun.filter(|&begun| begun < b) {
                let a = a.max(begun);
                self.between.add(b - a, meters.sum(&Piece::whole(a, b)));
            }
            for (a, b, loading) in self.loads.stretches(a, b) {
                if loading {
                    self.quiet = Some(b);
                    continue;
                }
                let settled = self.quiet.map_or(a, |quiet| a.max(quiet + SETTLE));
                if b > settled {
                    self.gaps.add(meters.idle_readings(settled, b));
                }
            }
        }
        self.cursor = Some(to);
        self.loads.forget(to);
    }

    /// The first start, or the first reading if that is earlier: what the machine drew before anyone asked it anything.
    fn first(&self, meters: &Meters) -> Option<f64> {
        [meters.first(), self.begun].into_iter().flatten().min_by(f64::total_cmp)
    }
}
