//! Quantiles, histograms and sketches of many numbers.
//!
//! A mean over no numbers is `None`, never zero and never NaN. There is one definition of a percentile: Hyndman and Fan's
//! type 7, of the numbers themselves ([`quantiles`]), or of the classes that a [`Histogram`] or a [`Sketch`] counted them in.

mod histogram;
mod ranks;
mod sketch;
mod sum;

pub use histogram::Histogram;
pub use sketch::Sketch;
pub use sum::{ClassCounts, HistogramSum};

use crate::record::Quantiles;

/// The `q`-quantile (0 to 1) of sorted numbers, linear between neighbours: Hyndman and Fan's type 7, as numpy and R
/// compute it by default. `None` for no numbers.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    ranks::quantile(sorted.len() as u64, q, |rank| sorted[rank as usize])
}

/// The arithmetic mean; `None` for no numbers.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The finite ones of `values`, sorted.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// How many numbers stand for all of them where they are drawn, about.
const DRAWN: u64 = 512;

/// Some of sorted numbers, each with how many it stands for: enough of them to draw all.
pub fn drawn(sorted: &[f64]) -> Vec<(f64, u64)> {
    ranks::drawn(sorted.len() as u64, DRAWN, |rank| sorted[rank as usize])
}

/// The statistics of the finite ones of `values`; `None` when there are none.
pub fn quantiles(values: impl IntoIterator<Item = f64>) -> Option<Quantiles> {
    let sorted = sorted(values);
    let ends = Quantiles {
        count: sorted.len() as u64,
        mean: mean(&sorted),
        min: sorted.first().copied(),
        max: sorted.last().copied(),
        ..Quantiles::default()
    };
    (ends.count > 0).then(|| ends.with_percentiles(|fraction| quantile(&sorted, fraction)))
}

#[cfg(test)]
mod tests;
