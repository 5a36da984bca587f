//! The energy of a whole run: what was drawn while a request was in flight, and what while none was.
//!
//! It is added up piece by piece, up to where nothing can change any more, so that readings need not be kept. Every
//! moment counts once, however many requests shared it.

use super::idle::{IdleGaps, IdlePower};
use super::in_flight::InFlight;
use super::meters::Meters;
use super::power_segment::Estimate;
use super::shares::Attribution;

/// How long after the last request or load a gap counts as idle, in seconds: power takes a while to fall.
const SETTLE: f64 = 5.0;

/// Beyond this many seconds without a reading, it is added up without one.
const LOST: f64 = 60.0;

/// The energy of several times.
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

/// The energy of a run, as far as it has been added up.
#[derive(Debug)]
pub struct RunEnergy {
    busy: EnergyTotal,
    between: EnergyTotal,
    gaps: IdleGaps,
    /// When models were being loaded.
    loads: InFlight,
    cursor: Option<f64>,
    /// Since when nothing has been in flight.
    quiet: Option<f64>,
}

impl Default for RunEnergy {
    fn default() -> Self {
        Self {
            busy: EnergyTotal::default(),
            between: EnergyTotal::default(),
            gaps: IdleGaps::default(),
            loads: InFlight::new(Attribution::Time),
            cursor: None,
            quiet: None,
        }
    }
}

impl RunEnergy {
    /// A model is loaded: what the machine draws meanwhile is no idle power.
    pub fn add_load(&mut self, from: f64, to: f64) {
        if to > from {
            self.loads.add(from);
            self.loads.remove(to);
        }
    }

    /// Adds what lies before the last reading before `until`; at the `end`, all before `until`. Requests began at
    /// `first_start`.
    pub fn add(&mut self, until: f64, end: bool, meters: &Meters, in_flight: &InFlight, first_start: Option<f64>) {
        let first = || [meters.first(), first_start].into_iter().flatten().min_by(f64::total_cmp);
        // The readings before the first start tell the idle power.
        let Some(from) = self.cursor.or_else(first) else { return };
        self.cursor = Some(from);
        // Only ever to an edge, so that no reading is counted in two parts.
        let edge = meters.edge(until).unwrap_or(from);
        let to = if end || until - edge > LOST { until } else { edge };
        if to <= from {
            return;
        }
        self.loads.settle(to);
        for (a, b, busy) in in_flight.busy_times(from, to) {
            if busy {
                self.busy.add(b - a, meters.read_total(a, b));
                self.quiet = Some(b);
                continue;
            }
            if let Some(first) = first_start.filter(|&first| first < b) {
                let a = a.max(first);
                self.between.add(b - a, meters.read_total(a, b));
            }
            self.add_idle(a, b, meters);
        }
        self.cursor = Some(to);
        self.loads.forget(to);
    }

    /// Adds the idle readings of a time without requests.
    fn add_idle(&mut self, from: f64, to: f64, meters: &Meters) {
        for (a, b, loading) in self.loads.busy_times(from, to) {
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

    /// Up to where it has been added up.
    pub fn cursor(&self) -> Option<f64> {
        self.cursor
    }

    /// The idle power that the gaps between requests tell.
    pub fn idle(&self) -> Option<IdlePower> {
        self.gaps.idle()
    }

    /// The energy while a request was in flight.
    pub fn busy(&self) -> &EnergyTotal {
        &self.busy
    }

    /// The energy while none was, between the first start and the last end.
    pub fn between(&self) -> &EnergyTotal {
        &self.between
    }
}
