//! Quantiles and histograms: what a set of numbers says, and nothing when there is no number.
//!
//! A mean over nothing is `None`, never zero and never NaN. Exact samples are sorted; the gaps of streams, of which there
//! may be millions, go into an HdrHistogram of microseconds that merges exactly across requests, runs and hosts.

use crate::record::Quantiles;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

mod merged;

pub use merged::{Counts, Merged};

/// The `q`-quantile (0 to 1) of sorted numbers, linear between neighbours: Hyndman and Fan's type 7, as numpy and R
/// compute it by default. `None` for no numbers.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64))
}

/// The arithmetic mean; `None` for no numbers.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The finite ones of `values`, sorted.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
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

/// A histogram of durations: microseconds from 1 to an hour, three significant digits. (Zero is kept as zero.)
#[derive(Debug, Clone)]
pub struct Histogram(Hdr<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        // Three digits from 1 µs: the bounds are constants that the crate accepts.
        Self(Hdr::new_with_max(HOUR_MICROS, 3).unwrap_or_else(|_| unreachable!("1 µs to 1 h at 3 digits is valid")))
    }

    /// Counts one duration, in nanoseconds; longer than an hour counts as an hour.
    pub fn add_ns(&mut self, nanos: u64) {
        self.0.saturating_record(((nanos + 500) / 1000).min(HOUR_MICROS));
    }

    /// Counts everything that `other` counted.
    ///
    /// # Errors
    /// When `other` holds values beyond an hour, which this program never writes.
    pub fn add(&mut self, other: &Histogram) -> Result<(), String> {
        self.0.add(&other.0).map_err(|why| format!("histograms do not add up: {why:?}"))
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The `q`-quantile in seconds; `None` when nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(q) as f64 / 1e6)
    }

    /// The mean in seconds, as exact as the classes are; `None` when nothing was counted.
    pub fn mean(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.mean() / 1e6)
    }

    /// Its statistics; `None` when nothing was counted.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let ends = Quantiles {
            count: self.count(),
            mean: self.mean(),
            min: self.quantile(0.0),
            max: self.quantile(1.0),
            ..Quantiles::default()
        };
        (ends.count > 0).then(|| ends.with_percentiles(|fraction| self.quantile(fraction)))
    }

    /// The classes in which something was counted: the upper end in seconds, and how many.
    pub fn classes(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.0.iter_recorded().map(|class| (class.value_iterated_to() as f64 / 1e6, class.count_at_value()))
    }

    /// Base64 of HdrHistogram's V2 encoding.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        // Writing into memory fails only for counts beyond i64, which nothing here can reach.
        let _ = V2Serializer::new().serialize(&self.0, &mut bytes);
        BASE64.encode(bytes)
    }

    /// Reads what [`Histogram::encode`], or any HdrHistogram library, wrote.
    ///
    /// # Errors
    /// When it is not base64 of a V2 histogram of microseconds.
    pub fn decode(text: &str) -> Result<Self, String> {
        let bytes = BASE64.decode(text.trim()).map_err(|why| format!("not base64: {why}"))?;
        // The header promises how large the table is; nobody's gaps are longer than days or finer than three digits.
        let field = |at: usize, n: usize| {
            bytes.get(at..at + n).map(|bytes| bytes.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte)))
        };
        let (digits, highest) = (field(12, 4), field(24, 8));
        if digits.is_none_or(|digits| digits > 3) || highest.is_none_or(|highest| highest > HOUR_MICROS * 48) {
            return Err("not a histogram of microseconds with three digits".into());
        }
        let hdr = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|why| format!("not an HdrHistogram V2: {why:?}"))?;
        Ok(Self(hdr))
    }
}

const HOUR_MICROS: u64 = 3_600_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        for (values, q, expect) in [
            (vec![], 0.5, None),
            (vec![3.0], 0.99, Some(3.0)),
            (vec![1.0, 2.0], 0.5, Some(1.5)),
            (vec![1.0, 2.0, 3.0, 4.0], 0.95, Some(3.85)),
            (vec![1.0, 2.0, 3.0, 4.0], 0.0, Some(1.0)),
            (vec![1.0, 2.0, 3.0, 4.0], 1.0, Some(4.0)),
        ] {
            let got = quantile(&values, q);
            assert!(
                got == expect || got.zip(expect).is_some_and(|(a, b)| (a - b).abs() < 1e-12),
                "{values:?} {q}: {got:?}"
            );
        }
    }

    #[test]
    fn nothing_has_no_mean_and_no_quantiles() {
        assert_eq!(mean(&[]), None);
        assert_eq!(quantiles([f64::NAN, f64::INFINITY]), None);
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_inside(values in proptest::collection::vec(-1e6..1e6f64, 1..60)) {
            let sorted = sorted(values);
            let mut last = sorted[0];
            for step in 0..=20 {
                let q = quantile(&sorted, f64::from(step) / 20.0).unwrap();
                prop_assert!(q >= last - 1e-9 && q <= sorted[sorted.len() - 1] + 1e-9);
                last = q;
            }
        }

        #[test]
        fn histograms_of_parts_add_up_to_the_histogram_of_all(
            a in proptest::collection::vec(0..10_000_000_000u64, 0..50),
            b in proptest::collection::vec(0..10_000_000_000u64, 0..50),
        ) {
            let (mut one, mut two, mut all) = (Histogram::new(), Histogram::new(), Histogram::new());
            a.iter().for_each(|&v| { one.add_ns(v); all.add_ns(v) });
            b.iter().for_each(|&v| { two.add_ns(v); all.add_ns(v) });
            let mut sum = Histogram::decode(&one.encode()).unwrap();
            sum.add(&Histogram::decode(&two.encode()).unwrap()).unwrap();
            prop_assert_eq!(sum.count(), all.count());
            prop_assert_eq!(sum.encode(), all.encode());
        }
    }
}
