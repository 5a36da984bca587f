//! Durations, counted in an HdrHistogram of microseconds that adds up exactly across requests, runs and hosts.

use super::ranks::Classes;
use crate::record::Quantiles;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// An hour in microseconds, the longest duration that is counted as itself.
pub(super) const HOUR_MICROS: u64 = 3_600_000_000;

/// Durations in classes of three significant digits, from 1 µs to an hour; zero is kept as zero. The middle of a class is
/// within 0.05 % of every duration in it. The shortest and the longest are exact.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Hdr<u64>,
    /// The shortest and the longest, in seconds.
    ends: (f64, f64),
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        // The bounds are constants that the crate accepts.
        let counts =
            Hdr::new_with_max(HOUR_MICROS, 3).unwrap_or_else(|_| unreachable!("1 µs to 1 h at 3 digits is valid"));
        Self { counts, ends: (f64::INFINITY, f64::NEG_INFINITY) }
    }

    /// Counts one duration, in nanoseconds; longer than an hour counts as an hour.
    pub fn add_ns(&mut self, nanos: u64) {
        self.counts.saturating_record(((nanos + 500) / 1000).min(HOUR_MICROS));
        let seconds = nanos as f64 / 1e9;
        self.ends = (self.ends.0.min(seconds), self.ends.1.max(seconds));
    }

    /// Counts everything that `other` counted.
    ///
    /// # Errors
    /// When `other` holds values beyond an hour, which this program never writes.
    pub fn add(&mut self, other: &Histogram) -> Result<(), String> {
        self.counts.add(&other.counts).map_err(|why| format!("histograms do not add up: {why:?}"))?;
        self.ends = (self.ends.0.min(other.ends.0), self.ends.1.max(other.ends.1));
        Ok(())
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// The `q`-quantile in seconds; `None` when nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let value = Classes::of(self.classes()).quantile(q)?;
        Some(value.clamp(self.ends.0, self.ends.1))
    }

    /// The statistics in seconds; `None` when nothing was counted.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let (n, classes) = (self.count(), Classes::of(self.classes()));
        let sum: f64 = self.classes().map(|(seconds, n)| seconds * n as f64).sum();
        (n > 0).then(|| of_classes(n, sum, self.ends, &classes))
    }

    /// The classes that hold any duration, in ascending order: the middle in seconds, and how many.
    pub fn classes(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.counts.iter_recorded().map(|class| {
            let middle = self.counts.median_equivalent(class.value_iterated_to());
            (middle as f64 / 1e6, class.count_at_value())
        })
    }

    /// The lowest number of microseconds of each class that holds any, and how many.
    pub(super) fn lowest(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let lowest = |value| self.counts.lowest_equivalent(value);
        self.counts.iter_recorded().map(move |class| (lowest(class.value_iterated_to()), class.count_at_value()))
    }

    /// Base64 of HdrHistogram's V2 encoding.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        // Writing into memory fails only for counts beyond i64, which nothing here can reach.
        let _ = V2Serializer::new().serialize(&self.counts, &mut bytes);
        BASE64.encode(bytes)
    }

    /// Reads what [`Histogram::encode`], or any HdrHistogram library, wrote. The shortest and the longest are the middles of
    /// their classes.
    ///
    /// # Errors
    /// When it is not base64 of a V2 histogram of microseconds.
    pub fn decode(text: &str) -> Result<Self, String> {
        let bytes = BASE64.decode(text.trim()).map_err(|why| format!("not base64: {why}"))?;
        // The header declares the size of the table; no gap is longer than days or finer than three digits.
        let (digits, highest) = (field(&bytes, 12, 4), field(&bytes, 24, 8));
        if digits.is_none_or(|digits| digits > 3) || highest.is_none_or(|highest| highest > HOUR_MICROS * 48) {
            return Err("not a histogram of microseconds with three digits".into());
        }
        let counts = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|why| format!("not an HdrHistogram V2: {why:?}"))?;
        let mut histogram = Self { counts, ends: (f64::INFINITY, f64::NEG_INFINITY) };
        let ends =
            histogram.classes().fold(histogram.ends, |(low, high), (value, _)| (low.min(value), high.max(value)));
        histogram.ends = ends;
        Ok(histogram)
    }
}

/// The statistics of durations that were counted in classes.
pub(super) fn of_classes(n: u64, sum: f64, (min, max): (f64, f64), classes: &Classes) -> Quantiles {
    let ends =
        Quantiles { count: n, mean: Some(sum / n as f64), min: Some(min), max: Some(max), ..Quantiles::default() };
    ends.with_percentiles(|fraction| Some(classes.quantile(fraction)?.clamp(min, max)))
}

/// A number of the header, most significant byte first.
pub(super) fn field(bytes: &[u8], at: usize, n: usize) -> Option<u64> {
    let field = bytes.get(at..at + n)?;
    Some(field.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}
