//! The sum of many histograms, as a report reads them: from their texts, a few dozen counts each.
//!
//! A whole HdrHistogram from a microsecond to an hour is a table of 23,552 counts. To make one of every text, and to add it up
//! count by count, costs more than all else that is read of a request; to keep one per group costs 188 kB. What the texts
//! hold is added instead, and only what they hold is kept.

use super::{BASE64, HOUR_MICROS, Histogram};
use crate::record::Quantiles;
use base64::Engine as _;
use std::collections::BTreeMap;

/// The counts of many histograms of microseconds, by the classes of an HdrHistogram with three significant digits.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    few: BTreeMap<u32, u64>,
    /// From [`FEW`] classes on, a count per class up to the highest: it is found faster.
    many: Vec<u64>,
    n: u64,
}

/// How many classes are kept one by one.
const FEW: usize = 256;

/// The bits of a class within its power of two: at three digits, 1024 classes of half of 2048 steps.
const HALF_BITS: u32 = 10;
const HALF: u32 = 1 << HALF_BITS;

/// What stands before the counts: cookie, length, offset, digits, lowest, highest, ratio.
const HEADER: usize = 40;

/// The first bytes of a V2 encoding that is not compressed.
const COOKIE: u64 = 0x1c84_9303;

/// The longest text that is decoded without asking for memory, in bytes.
const SHORT: usize = 1 << 10;

/// What one text counts: the classes that have something, in order, and how much. At most a few ten thousand, whatever the
/// text.
#[derive(Debug, Clone, Default)]
pub struct Counts(Vec<(u32, u64)>);

/// From this many classes on the room of counts is not used again.
const LARGE: usize = 1 << 10;

impl Counts {
    /// Reads what [`Histogram::encode`], or any HdrHistogram library, wrote.
    ///
    /// # Errors
    /// When it is not base64 of a V2 histogram of microseconds; then there are none.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        if self.0.capacity() > LARGE {
            self.0 = Vec::new();
        }
        self.0.clear();
        let mut short = [0; SHORT];
        let text = text.trim();
        let length = (text.len() <= SHORT).then(|| BASE64.decode_slice(text, &mut short).ok()).flatten();
        if let Some(bytes) = length.and_then(|length| short.get(..length))
            && self.read_encoded(bytes).is_some()
        {
            return Ok(());
        }
        self.0.clear();
        let histogram = Histogram::decode(text)?;
        for step in histogram.0.iter_recorded() {
            let class = Merged::class(histogram.0.lowest_equivalent(step.value_iterated_to()));
            match self.0.last_mut().filter(|(last, _)| *last == class) {
                Some((_, n)) => *n = n.saturating_add(step.count_at_value()),
                None => self.0.push((class, step.count_at_value())),
            }
        }
        Ok(())
    }

    /// Reads what [`Histogram::encode`] wrote; `None` where its classes are others or where it is no such thing.
    fn read_encoded(&mut self, bytes: &[u8]) -> Option<()> {
        let field = |at: usize, n: usize| {
            bytes.get(at..at + n).map(|bytes| bytes.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte)))
        };
        let (digits, lowest, highest) = (field(12, 4)?, field(16, 8)?, field(24, 8)?);
        let ours = field(0, 4)? == COOKIE && field(8, 4)? == 0 && field(32, 8)? == 1f64.to_bits();
        if !ours || digits != 3 || lowest != 1 || !(2..=HOUR_MICROS * 48).contains(&highest) {
            return None;
        }
        let payload = bytes.get(HEADER..HEADER.checked_add(usize::try_from(field(4, 4)?).ok()?)?)?;
        let last = (Merged::class(highest) | (HALF - 1)).max(2 * HALF - 1);
        each_count(payload, last, |class, n| self.0.push((class, n)))
    }
}

impl Merged {
    /// Adds what one text counts.
    pub fn add(&mut self, counts: &Counts) {
        for &(class, n) in &counts.0 {
            // Counts that overflow are no measurement, but must not end the program.
            self.n = self.n.saturating_add(n);
            match self.many.get_mut(class as usize) {
                Some(count) => *count = count.saturating_add(n),
                None => self.count_new(class, n),
            }
        }
    }

    /// Counts in a class that is higher than all of the many, or one of the few.
    fn count_new(&mut self, class: u32, n: u64) {
        if !self.many.is_empty() {
            self.many.resize(class as usize, 0);
            self.many.push(n);
            return;
        }
        let count = self.few.entry(class).or_default();
        *count = count.saturating_add(n);
        if self.few.len() > FEW {
            let highest = self.few.last_key_value().map_or(0, |(class, _)| *class as usize);
            self.many = vec![0; highest + 1];
            std::mem::take(&mut self.few).into_iter().for_each(|(class, n)| self.many[class as usize] = n);
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.n
    }

    /// The classes in which something was counted, in order: the upper end in seconds, and how many.
    pub fn recorded(&self) -> impl Iterator<Item = (f64, u64)> {
        self.classes().map(|(class, n)| {
            let (lowest, width) = Self::values(class);
            ((lowest + width - 1) as f64 / 1e6, n)
        })
    }

    fn classes(&self) -> impl Iterator<Item = (u32, u64)> {
        let many = (0..).zip(self.many.iter().copied()).filter(|(_, n)| *n > 0);
        self.few.iter().map(|(class, n)| (*class, *n)).chain(many)
    }

    /// The `q`-quantile in seconds, as [`Histogram::quantile`] computes it; `None` when nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q.clamp(0.0, 1.0) * self.n as f64).ceil().max(1.0) as u64;
        let mut seen = 0u64;
        let (class, _) = self.classes().find(|(_, n)| {
            seen = seen.saturating_add(*n);
            seen >= rank
        })?;
        let (lowest, width) = Self::values(class);
        let micros = if q <= 0.0 { lowest } else { lowest + width - 1 };
        Some(micros as f64 / 1e6)
    }

    /// Its statistics; `None` when nothing was counted.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let sum: f64 = self.recorded().map(|(seconds, n)| seconds * n as f64).sum();
        let ends = Quantiles {
            count: self.n,
            mean: (self.n > 0).then(|| sum / self.n as f64),
            min: self.quantile(0.0),
            max: self.quantile(1.0),
            ..Quantiles::default()
        };
        (ends.count > 0).then(|| ends.with_percentiles(|fraction| self.quantile(fraction)))
    }

    /// The class of a number of microseconds.
    fn class(micros: u64) -> u32 {
        let power = u64::BITS - (micros | u64::from(2 * HALF - 1)).leading_zeros() - (HALF_BITS + 1);
        (power << HALF_BITS) + u32::try_from(micros >> power).unwrap_or(u32::MAX >> 1)
    }

    /// The lowest number of microseconds of a class, and how many numbers it holds.
    fn values(class: u32) -> (u64, u64) {
        let power = (class >> HALF_BITS).saturating_sub(1);
        (u64::from(class - (power << HALF_BITS)) << power, 1 << power)
    }
}

/// Calls `each` with every count that is not zero and its class; `None` where it cannot be read or goes beyond `last`.
/// A number is a ZigZag LEB128 of at most nine bytes: a count, or, negative, how many classes have none.
fn each_count(payload: &[u8], last: u32, mut each: impl FnMut(u32, u64)) -> Option<()> {
    let mut bytes = payload.iter();
    let mut class = 0u32;
    while let Some(&first) = bytes.next() {
        let (mut number, mut shift, mut byte) = (u64::from(first & 0x7f), 7, first);
        while byte & 0x80 != 0 {
            byte = *bytes.next()?;
            // The ninth byte has all its eight bits for the number.
            let bits = if shift == 56 { byte } else { byte & 0x7f };
            number |= u64::from(bits) << shift;
            if shift == 56 {
                break;
            }
            shift += 7;
        }
        let magnitude = number >> 1;
        if number & 1 == 1 {
            class = class.checked_add(u32::try_from(magnitude.checked_add(1)?).ok()?)?;
            continue;
        }
        if class > last {
            return None;
        }
        if magnitude > 0 {
            each(class, magnitude);
        }
        class += 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(nanos: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        nanos.iter().for_each(|&v| histogram.add_ns(v));
        histogram
    }

    fn add(merged: &mut Merged, text: &str) -> Result<(), String> {
        // In the room of others.
        let mut counts = Counts(vec![(7, 7)]);
        let read = counts.read(text);
        merged.add(&counts);
        read
    }

    #[test]
    fn what_is_no_histogram_is_refused_and_adds_nothing() {
        let whole = BASE64.decode(of(&[1_000_000, 5_000_000, 5_000_000_000]).encode()).unwrap();
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            BASE64.encode(bytes)
        };
        for text in [
            String::new(),
            "no base64!".into(),
            "HISTFAAAAEAV42pNpmSzMwMDAxAABzFCaEUoz2X+AMIKZAE".into(),
            BASE64.encode(&whole[..whole.len() - 1]),
            BASE64.encode(&whole[..20]),
            with(0, 0),
            with(15, 9),
            with(24, 0xff),
            with(whole.len() - 1, 0x80),
        ] {
            let mut merged = Merged::default();
            assert!(add(&mut merged, &text).is_err(), "{text}");
            assert_eq!((merged.count(), merged.quantile(0.5)), (0, None), "{text}");
        }
    }

    #[test]
    fn histograms_of_other_classes_are_added_by_their_values() {
        let mut coarse = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 60_000_000, 2).unwrap();
        coarse.record_n(250_000, 7).unwrap();
        let mut merged = Merged::default();
        add(&mut merged, &Histogram(coarse).encode()).unwrap();
        assert_eq!(merged.count(), 7);
        assert!((merged.quantile(0.5).unwrap() - 0.25).abs() < 0.25 * 0.01);
    }

    proptest! {
        #[test]
        fn sums_and_quantiles_are_those_of_the_crate(
            parts in proptest::collection::vec(proptest::collection::vec(0..4_000_000_000_000u64, 1..200), 1..6),
        ) {
            let (mut merged, mut all) = (Merged::default(), Histogram::new());
            for part in &parts {
                let histogram = of(part);
                add(&mut merged, &histogram.encode()).unwrap();
                all.add(&histogram).unwrap();
            }
            prop_assert_eq!(merged.count(), all.count());
            prop_assert_eq!(merged.recorded().map(|(_, n)| n).sum::<u64>(), all.count());
            prop_assert_eq!(merged.recorded().last().map(|(seconds, _)| seconds), all.quantile(1.0));
            for q in [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0] {
                prop_assert_eq!(merged.quantile(q), all.quantile(q));
            }
        }

        #[test]
        fn any_bytes_are_read_as_the_crate_reads_them(mut payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = BASE64.decode(Histogram::new().encode()).unwrap();
            bytes.truncate(HEADER);
            bytes[4..8].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
            bytes.append(&mut payload);
            let text = BASE64.encode(bytes);
            let mut merged = Merged::default();
            let read = add(&mut merged, &text);
            match Histogram::decode(&text) {
                Ok(histogram) => prop_assert_eq!((read.is_ok(), merged.count()), (true, histogram.count())),
                Err(_) => prop_assert!(read.is_err()),
            }
        }
    }
}
