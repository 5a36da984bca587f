//! Stretches of time whose energy is known, and what a request claims of them.

use super::in_flight::InFlight;
use super::range_sums::Sum;
use super::shares::{EDGE, Share};

/// What a series says of a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Joules that a request claims.
    pub energy: f64,
    /// At least.
    pub lower: f64,
    /// At most.
    pub upper: f64,
    /// Joules, claims left aside: what the machine drew.
    pub gross: f64,
    /// Seconds that are covered.
    pub covered: f64,
    /// Seconds that are covered, each at the claim's share.
    pub share_seconds: f64,
    /// The lowest reading that touches the time, in watts.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// How many readings touch it.
    pub samples: u64,
    /// How many lie wholly inside.
    pub contained: u64,
    /// The length of the segments that touch it, together, in seconds.
    pub touched: f64,
}

impl Estimate {
    /// Nothing is covered.
    pub const NOTHING: Estimate = Estimate {
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

    /// The sum with `other` parts of a total: energies add up, and the total is covered only where its parts are.
    pub fn and(self, other: Option<Self>) -> Self {
        let Some(sum) = other else { return self };
        Self {
            energy: sum.energy + self.energy,
            lower: sum.lower + self.lower,
            upper: sum.upper + self.upper,
            gross: sum.gross + self.gross,
            covered: sum.covered.min(self.covered),
            share_seconds: sum.share_seconds.min(self.share_seconds),
            min: sum.min + self.min,
            max: sum.max + self.max,
            samples: sum.samples.min(self.samples),
            contained: sum.contained.min(self.contained),
            touched: sum.touched.min(self.touched),
        }
    }

    /// Whether every reading is exactly zero: a part of a total may well be switched off, a whole that is read is not.
    pub fn is_zero(&self) -> bool {
        self.max == 0.0
    }

    /// Adds the part of a segment that lies between `from` and `to`, as far as `share` claims it.
    pub fn add(&mut self, segment: &Segment, from: f64, to: f64, share: impl Fn(f64, f64) -> Option<Share>) {
        let (a, b) = (segment.from.max(from), segment.to.min(to));
        let inside = segment.from >= from - EDGE && segment.to <= to + EDGE;
        if let Some(share) = (b > a).then(|| share(a, b)).flatten() {
            self.touch(&segment.coverage(a, b, inside));
            self.claim(1.0, &segment.claimed(a, b, inside, &share));
        }
    }

    /// Adds whole segments that lie in a part of a claim with `rate` tokens per second.
    pub fn add_sum(&mut self, sum: &SegmentSum, rate: f64) {
        self.touch(&sum.read);
        self.claim(1.0, &sum.each);
        self.claim(rate, &sum.per_token);
    }

    /// Adds what is claimed of a segment; `rate` is 1, or tokens per second.
    fn claim(&mut self, rate: f64, claimed: &Claimed) {
        self.energy += rate * claimed.energy;
        self.lower += rate * claimed.lower;
        self.upper += rate * claimed.upper;
        self.share_seconds += rate * claimed.seconds;
    }

    /// Adds what a segment is, claims left aside.
    fn touch(&mut self, read: &Coverage) {
        self.gross += read.gross;
        self.covered += read.covered;
        self.min = self.min.min(read.min);
        self.max = self.max.max(read.max);
        self.samples += read.samples;
        self.contained += read.contained;
        self.touched += read.touched;
    }

    /// The estimate, unless nothing is covered. Rounding puts it neither above the whole nor outside its bounds.
    pub fn finish(mut self) -> Option<Self> {
        self.energy = self.energy.min(self.gross);
        self.share_seconds = self.share_seconds.min(self.covered);
        self.lower = self.lower.min(self.energy);
        self.upper = self.upper.max(self.energy);
        (self.samples > 0).then_some(self)
    }
}

/// What segments are, claims left aside: see [`Estimate`] for the fields.
#[derive(Debug, Clone, Copy)]
struct Coverage {
    gross: f64,
    covered: f64,
    min: f64,
    max: f64,
    samples: u64,
    contained: u64,
    touched: f64,
}

/// What is claimed of segments: joules, their bounds, and seconds.
#[derive(Debug, Clone, Copy)]
struct Claimed {
    energy: f64,
    lower: f64,
    upper: f64,
    seconds: f64,
}

/// Whole segments, and what requests may claim of them.
#[derive(Debug, Clone, Copy)]
pub struct SegmentSum {
    read: Coverage,
    /// For every request in flight.
    each: Claimed,
    /// For each token per second that a request emits.
    per_token: Claimed,
}

impl SegmentSum {
    const UNCLAIMED: Claimed = Claimed { energy: 0.0, lower: 0.0, upper: 0.0, seconds: 0.0 };

    /// No segment.
    pub const NOTHING: Self = Self {
        read: Coverage {
            gross: 0.0,
            covered: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            samples: 0,
            contained: 0,
            touched: 0.0,
        },
        each: Self::UNCLAIMED,
        per_token: Self::UNCLAIMED,
    };
}

impl Sum for Coverage {
    fn then(self, later: Self) -> Self {
        Self {
            gross: self.gross + later.gross,
            covered: self.covered + later.covered,
            min: self.min.min(later.min),
            max: self.max.max(later.max),
            samples: self.samples + later.samples,
            contained: self.contained + later.contained,
            touched: self.touched + later.touched,
        }
    }
}

impl Sum for Claimed {
    fn then(self, later: Self) -> Self {
        Self {
            energy: self.energy + later.energy,
            lower: self.lower + later.lower,
            upper: self.upper + later.upper,
            seconds: self.seconds + later.seconds,
        }
    }
}

impl Sum for SegmentSum {
    fn then(self, later: Self) -> Self {
        Self {
            read: self.read.then(later.read),
            each: self.each.then(later.each),
            per_token: self.per_token.then(later.per_token),
        }
    }
}

/// A stretch of time whose energy is known.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// From, in seconds on the axis.
    pub from: f64,
    /// To.
    pub to: f64,
    /// Its energy.
    pub joules: f64,
    /// The least and the most that it can be: they differ where a window overlaps its neighbour.
    pub least: f64,
    /// See `least`.
    pub most: f64,
    /// Watts at both ends, for instants; the readings at the edges otherwise.
    pub ends: (f64, f64),
    /// Whether power runs straight from one end to the other.
    pub ramp: bool,
}

impl Segment {
    /// A stretch whose energy is certain; the watts at its ends, and whether power runs straight from one to the other.
    pub fn exact(from: f64, to: f64, joules: f64, ends: (f64, f64), ramp: bool) -> Self {
        Self { from, to, joules, least: joules, most: joules, ends, ramp }
    }

    /// Its joules from `a` to `b`, both inside.
    pub fn energy(&self, a: f64, b: f64) -> f64 {
        if !self.ramp {
            return self.joules * ((b - a) / (self.to - self.from));
        }
        let at = |t: f64| self.ends.0 + (self.ends.1 - self.ends.0) * ((t - self.from) / (self.to - self.from));
        (at(a) + at(b)) / 2.0 * (b - a)
    }

    /// All of it, and what requests may claim of it.
    pub fn sum(&self, in_flight: &InFlight) -> SegmentSum {
        let shares = in_flight.shares(self.from, self.to);
        let claimed = |share: &Share| self.claimed(self.from, self.to, true, share);
        SegmentSum {
            read: self.coverage(self.from, self.to, true),
            each: claimed(&shares.each),
            per_token: claimed(&shares.per_token),
        }
    }

    /// What it is between `a` and `b`; `inside` says whether all of it counts.
    fn coverage(&self, a: f64, b: f64, inside: bool) -> Coverage {
        let covered = b - a;
        // Two edges that are the same moment, written differently: the reading is the neighbour's.
        let counts = covered > EDGE;
        Coverage {
            gross: self.energy(a, b),
            covered,
            min: if counts { self.ends.0.min(self.ends.1) } else { f64::INFINITY },
            max: if counts { self.ends.0.max(self.ends.1) } else { f64::NEG_INFINITY },
            samples: u64::from(counts),
            contained: u64::from(counts && inside),
            touched: if counts { self.to - self.from } else { 0.0 },
        }
    }

    /// What a share claims of it between `a` and `b`. All of a window may have been drawn where the share is greatest; none
    /// of it where it is least, or outside the claim.
    fn claimed(&self, a: f64, b: f64, inside: bool, share: &Share) -> Claimed {
        let length = self.to - self.from;
        if self.ramp {
            let slope = (self.ends.1 - self.ends.0) / length;
            let watts = self.ends.0 + slope * (a - self.from);
            let (low, high) = (self.ends.0.min(self.ends.1), self.ends.0.max(self.ends.1));
            return Claimed {
                energy: watts * share.seconds + slope * share.moment,
                lower: low * share.seconds,
                upper: high * share.seconds,
                seconds: share.seconds,
            };
        }
        let counts = b - a > EDGE;
        Claimed {
            energy: self.joules * (share.seconds / length),
            lower: if counts && inside { self.least * share.least } else { 0.0 },
            upper: if counts { self.most * share.most } else { 0.0 },
            seconds: share.seconds,
        }
    }
}
