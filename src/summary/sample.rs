//! Samples: numbers of one metric, kept exactly while they are few and in a sketch when they are many.

use super::shape::Shape;
use crate::record::Quantiles;
use crate::stats::{self, Sketch};
use serde::Serialize;
use serde_with::skip_serializing_none;

/// How many numbers of one metric are kept exactly. More go into a sketch, so that the size of a sample no longer grows with the
/// input.
pub const EXACT: usize = 20_000;

/// The numbers of one metric in one group.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The numbers; none once there is a sketch.
    exact: Vec<f64>,
    sketch: Option<Box<Sketch>>,
}

/// The statistics of one metric in one group.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stat {
    /// Count, mean, extremes and percentiles.
    #[serde(flatten)]
    pub quantiles: Quantiles,
    /// Their standard deviation (n − 1); absent for one number.
    pub sd: Option<f64>,
    /// The percentiles that so small a sample cannot tell: fewer than five numbers lie beyond them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<&'static str>,
    /// Whether the percentiles are of classes (within 0.2 %) rather than of the numbers themselves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub classed: bool,
}

impl Stat {
    fn exact(quantiles: Quantiles, sd: Option<f64>) -> Self {
        Self { unsupported: quantiles.unsupported(), quantiles, sd, classed: false }
    }

    /// Statistics whose percentiles are of the classes of a histogram or a sketch.
    pub fn classed(quantiles: Quantiles, sd: Option<f64>) -> Self {
        Self { classed: true, ..Self::exact(quantiles, sd) }
    }
}

impl Sample {
    /// Adds a number; ignores what is not finite.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if let Some(sketch) = &mut self.sketch {
            return sketch.add(value);
        }
        self.exact.push(value);
        if self.exact.len() > EXACT {
            let exact = std::mem::take(&mut self.exact);
            let sketch = self.sketch.insert(Box::default());
            exact.into_iter().for_each(|v| sketch.add(v));
        }
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: Sample) {
        match (&mut self.sketch, other.sketch) {
            (Some(mine), Some(theirs)) => mine.merge(&theirs),
            (None, Some(theirs)) => {
                let sketch = self.sketch.insert(theirs);
                std::mem::take(&mut self.exact).into_iter().for_each(|v| sketch.add(v));
            }
            (_, None) => other.exact.into_iter().for_each(|v| self.add(v)),
        }
    }

    /// The distribution of its numbers, as a page draws it.
    pub fn shape(&self) -> Shape {
        match &self.sketch {
            Some(sketch) => Shape::of(sketch.drawn()),
            None => Shape::of(stats::drawn(&stats::sorted(self.exact.iter().copied()))),
        }
    }

    /// Its statistics; `None` when it is empty.
    pub fn stat(&self) -> Option<Stat> {
        if let Some(sketch) = &self.sketch {
            return sketch.quantiles().map(|(quantiles, sd)| Stat::classed(quantiles, sd));
        }
        let quantiles = stats::quantiles(self.exact.iter().copied())?;
        let (n, mean) = (quantiles.count, quantiles.mean?);
        let squares: f64 = self.exact.iter().map(|v| (v - mean).powi(2)).sum();
        let sd = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        Some(Stat::exact(quantiles, sd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Percentile;

    fn of(values: impl IntoIterator<Item = f64>) -> Sample {
        let mut sample = Sample::default();
        values.into_iter().for_each(|v| sample.add(v));
        sample
    }

    #[test]
    fn a_sample_of_one_number_is_that_number() {
        assert_eq!(of([f64::NAN, f64::INFINITY]).stat(), None);
        let one = of([2.5]).stat().unwrap();
        let numbers = one.quantiles;
        assert_eq!((numbers.count, numbers.mean, one.sd, numbers.p999), (1, Some(2.5), None, Some(2.5)));
    }

    #[test]
    fn parts_of_any_size_merge_into_the_whole() {
        let values = || (0..60_000).map(|i| f64::from(i) + 1.0);
        let whole = stats::quantiles(values()).unwrap();
        for split in [1, 100, EXACT as u32, 30_000, 59_900] {
            let (low, high): (Vec<f64>, Vec<f64>) = values().partition(|v| *v < f64::from(split));
            let mut sample = of(low);
            sample.merge(of(high));
            let stat = sample.stat().unwrap();
            let numbers = &stat.quantiles;
            assert!(stat.classed);
            assert_eq!((numbers.count, numbers.min, numbers.max), (60_000, Some(1.0), Some(60_000.0)));
            assert_eq!((numbers.mean, stat.sd.map(f64::round)), (whole.mean, Some(17_321.0)));
            for percentile in Percentile::ALL {
                let (got, expect) = (numbers.get(percentile.name).unwrap(), whole.get(percentile.name).unwrap());
                assert!((got - expect).abs() <= expect * 2e-3, "{split}: {got} {expect}");
            }
            assert_eq!(sample.shape().count(), 60_000);
        }
    }
}
