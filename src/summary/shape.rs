//! The shape of a metric: how many requests took how long, in classes 2 % wide, so that any number of requests can be drawn.

use serde::Serialize;
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// How much wider a class is than the one below it.
const GROWTH: f64 = 1.02;

/// How many numbers lie in which class. The classes are logarithmic, and those without a number are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Shape {
    counts: BTreeMap<i32, u64>,
    /// Numbers that are zero or below, which have no class.
    pub zeros: u64,
}

/// A class of a shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    /// From here on.
    pub low: f64,
    /// To here.
    pub high: f64,
    /// How many numbers.
    pub n: u64,
}

impl Shape {
    /// Counts `n` numbers of this size.
    pub fn add(&mut self, value: f64, n: u64) {
        if value > 0.0 && value.is_finite() {
            *self.counts.entry((value.ln() / GROWTH.ln()).floor() as i32).or_default() += n;
        } else if value <= 0.0 {
            self.zeros += n;
        }
    }

    /// The classes that have a number, from the smallest on.
    pub fn classes(&self) -> impl Iterator<Item = Class> {
        self.counts.iter().map(|(&at, &n)| Class { low: GROWTH.powi(at), high: GROWTH.powi(at + 1), n })
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.zeros
    }

    /// The counts of `bins` equally wide steps from `low` to `high`; a class counts where its middle lies, and what lies
    /// outside counts in the step at that end.
    pub fn bins(&self, low: f64, high: f64, bins: usize) -> Vec<u64> {
        let mut counts = vec![0; bins];
        let place = |value: f64| {
            let at = (value - low) / (high - low) * bins as f64;
            (at.max(0.0) as usize).min(bins.saturating_sub(1))
        };
        if bins > 0 && high > low {
            counts[place(0.0)] += self.zeros;
            self.classes().for_each(|class| counts[place((class.low * class.high).sqrt())] += class.n);
        }
        counts
    }
}

/// The shapes of a group that a page draws, of all its requests, however many there are.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Shapes {
    /// Time to first token, in seconds.
    pub ttft: Option<Shape>,
    /// Decode rate, in tokens per second.
    pub decode: Option<Shape>,
    /// Gaps between chunks, in seconds.
    pub itl: Option<Shape>,
    /// The whole request, in seconds.
    pub e2e: Option<Shape>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_the_class_around_it() {
        let mut shape = Shape::default();
        for value in [0.001, 0.5, 0.5, 1.0, 3e4] {
            shape.add(value, 1);
            assert!(shape.classes().any(|c| c.low <= value * 1.000_001 && value < c.high * 1.000_001), "{value}");
        }
        shape.add(0.0, 2);
        shape.add(f64::NAN, 1);
        assert_eq!((shape.count(), shape.zeros), (7, 2));
    }

    #[test]
    fn equal_steps_hold_all_numbers() {
        let mut shape = Shape::default();
        (1..=100).for_each(|i| shape.add(f64::from(i), 1));
        let bins = shape.bins(0.0, 100.0, 4);
        assert_eq!(bins.iter().sum::<u64>(), 100);
        assert!(bins.iter().all(|n| (23..=27).contains(n)), "{bins:?}");
        assert_eq!(shape.bins(1.0, 1.0, 3), [0, 0, 0]);
    }
}
