//! Any numbers, counted in a DDSketch (Masson, Rim, Lee: VLDB 2019).

use super::{DRAWN, ranks};
use crate::record::Quantiles;
use sketches_ddsketch::{Config, DDSketch};

/// The largest relative error of a class.
const ERROR: f64 = 0.001;

/// More classes than finite numbers of any unit need: from 10⁻¹² to 10¹⁸ there are 34,540.
const CLASSES: u32 = 1 << 16;

/// What is nearer to zero is counted as zero.
const ZERO: f64 = 1e-12;

/// Numbers of any size and sign in classes that are 0.1 % wide on either side. Count, mean, smallest and largest are exact.
#[derive(Clone)]
pub struct Sketch {
    counts: DDSketch,
    squares: f64,
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sketch").field("count", &self.counts.count()).finish_non_exhaustive()
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self { counts: DDSketch::new(Config::new(ERROR, CLASSES, ZERO)), squares: 0.0 }
    }
}

impl Sketch {
    /// Counts a finite number.
    pub fn add(&mut self, value: f64) {
        self.counts.add(value);
        self.squares += value * value;
    }

    /// Counts everything that `other` counted.
    pub fn merge(&mut self, other: &Sketch) {
        // All sketches have one configuration.
        let _ = self.counts.merge(&other.counts);
        self.squares += other.squares;
    }

    /// How many numbers were counted.
    pub fn count(&self) -> u64 {
        self.counts.count() as u64
    }

    /// The number of a rank, from 0.
    fn at(&self, rank: u64) -> f64 {
        let last = (self.count() - 1).max(1) as f64;
        // In the middle of the rank, so that no rounding moves it to a neighbour.
        let value = self.counts.quantile(((rank as f64 + 0.5) / last).min(1.0));
        let (low, high) = (self.counts.min().unwrap_or_default(), self.counts.max().unwrap_or_default());
        value.ok().flatten().unwrap_or_default().clamp(low, high)
    }

    /// The statistics, and the standard deviation (n − 1) of more than one number; `None` when nothing was counted.
    pub fn quantiles(&self) -> Option<(Quantiles, Option<f64>)> {
        let (count, n) = (self.count(), self.count() as f64);
        let mean = self.counts.sum()? / n;
        let (min, max) = (self.counts.min(), self.counts.max());
        let ends = Quantiles { count, mean: Some(mean), min, max, ..Quantiles::default() };
        let sd = (count > 1).then(|| ((self.squares - n * mean * mean).max(0.0) / (n - 1.0)).sqrt());
        Some((ends.with_percentiles(|fraction| ranks::quantile(count, fraction, |rank| self.at(rank))), sd))
    }

    /// Some of the numbers in ascending order, each with how many it stands for: enough of them to draw all.
    pub fn drawn(&self) -> Vec<(f64, u64)> {
        ranks::drawn(self.count(), DRAWN, |rank| self.at(rank))
    }
}
