//! The sum of many encoded histograms, without a histogram of each.
//!
//! A decoded HdrHistogram from a microsecond to an hour is a table of 23,552 counts to clear and to add up, of which a
//! request fills a hundred. Here the encoded counts are added, and a group keeps what it counted.

use super::histogram::{HOUR_MICROS, Histogram, field, of_classes};
use super::ranks::Classes;
use crate::record::Quantiles;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What one encoded histogram counted: classes in ascending order, and how many.
#[derive(Debug, Clone, Default)]
pub struct ClassCounts(Vec<(u32, u64)>);

/// The bits of a class within its power of two: at three digits, 1024 classes of half of 2048 steps.
const HALF_BITS: u32 = 10;
const HALF: u32 = 1 << HALF_BITS;

/// What stands before the counts: cookie, length, offset, digits, lowest, highest, ratio.
const HEADER: usize = 40;

/// The first bytes of a V2 encoding that is not compressed: the format's base, and that words have eight bytes.
const COOKIE: u64 = 0x1c84_9303 | 0x10;

impl ClassCounts {
    /// Reads what [`Histogram::encode`], or any HdrHistogram library, wrote.
    ///
    /// # Errors
    /// When it is not base64 of a V2 histogram of microseconds.
    pub fn read(text: &str) -> Result<Self, String> {
        let bytes = BASE64.decode(text.trim()).map_err(|why| format!("not base64: {why}"))?;
        if let Some(counts) = own(&bytes) {
            return Ok(Self(counts));
        }
        let histogram = Histogram::decode(text)?;
        Ok(Self(histogram.lowest().map(|(micros, n)| (class(micros), n)).collect()))
    }
}

/// Reads an encoding whose classes are those of [`Histogram`]; `None` for any other.
fn own(bytes: &[u8]) -> Option<Vec<(u32, u64)>> {
    let (digits, lowest, highest) = (field(bytes, 12, 4)?, field(bytes, 16, 8)?, field(bytes, 24, 8)?);
    let plain = field(bytes, 0, 4)? == COOKIE && field(bytes, 8, 4)? == 0 && field(bytes, 32, 8)? == 1f64.to_bits();
    if !plain || digits != 3 || lowest != 1 || !(2..=HOUR_MICROS * 48).contains(&highest) {
        return None;
    }
    let payload = bytes.get(HEADER..HEADER.checked_add(usize::try_from(field(bytes, 4, 4)?).ok()?)?)?;
    let last = (class(highest) | (HALF - 1)).max(2 * HALF - 1);
    let (mut counts, mut class, mut highest_counted) = (Vec::with_capacity(payload.len() / 2 + 1), 0u64, 0);
    let mut bytes = payload.iter();
    while let Some(&byte) = bytes.next() {
        let number = if byte < 0x80 { u64::from(byte) } else { long(byte, &mut bytes)? };
        // Zig-zag: an odd number is negative, and skips classes. Counts and skips alternate by chance: no branch guesses them.
        let (skips, half) = (number & 1, number >> 1);
        counts.push((class as u32, half));
        counts.truncate(counts.len() - usize::from(skips == 1 || half == 0));
        highest_counted = if skips == 1 { highest_counted } else { class };
        class = class.saturating_add(1 + half * skips);
    }
    (highest_counted <= u64::from(last)).then_some(counts)
}

/// A number in LEB128 of two to nine bytes, the last of which has eight bits for it.
fn long(first: u8, bytes: &mut std::slice::Iter<u8>) -> Option<u64> {
    let mut number = u64::from(first & 0x7f);
    for at in 1..8 {
        let byte = *bytes.next()?;
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some(number);
        }
    }
    Some(number | u64::from(*bytes.next()?) << 56)
}

/// How many classes with their counts are kept as they came, before there is a table of all classes.
const FEW: usize = 1024;

/// The sum of many histograms.
#[derive(Debug, Clone, Default)]
pub struct HistogramSum {
    /// Classes with their counts, in any order and more than once: a report may have thousands of groups of one request.
    few: Vec<(u32, u64)>,
    /// A count for each class up to the highest.
    table: Vec<u64>,
    n: u64,
    ends: Option<(f64, f64)>,
}

impl HistogramSum {
    /// Adds what one histogram counted, with its exact shortest and longest in seconds, where they are known.
    pub fn add(&mut self, counts: &ClassCounts, ends: Option<(f64, f64)>) {
        if self.table.is_empty() && self.few.len() + counts.0.len() <= FEW {
            self.few.extend_from_slice(&counts.0);
        } else {
            std::mem::take(&mut self.few).into_iter().for_each(|(class, n)| self.count_in(class, n));
            counts.0.iter().for_each(|(class, n)| self.count_in(*class, *n));
        }
        // Counts that overflow are no measurement, but must not end the program.
        self.n = counts.0.iter().fold(self.n, |sum, (_, n)| sum.saturating_add(*n));
        let middle = |entry: Option<&(u32, u64)>| entry.map(|(class, _)| middle(*class));
        let Some((min, max)) = ends.or_else(|| middle(counts.0.first()).zip(middle(counts.0.last()))) else { return };
        let (low, high) = self.ends.unwrap_or((min, max));
        self.ends = Some((low.min(min), high.max(max)));
    }

    fn count_in(&mut self, class: u32, n: u64) {
        let class = class as usize;
        if class >= self.table.len() {
            self.table.resize(class + 1, 0);
        }
        self.table[class] = self.table[class].saturating_add(n);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.n
    }

    /// The statistics in seconds; `None` when nothing was counted.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let classes = self.classes();
        let sum: f64 = classes.iter().map(|(seconds, n)| seconds * *n as f64).sum();
        Some(of_classes(self.n, sum, self.ends.filter(|_| self.n > 0)?, &Classes::of(classes.into_iter())))
    }

    /// The classes that hold any duration, in ascending order: the middle in seconds, and how many.
    fn classes(&self) -> Vec<(f64, u64)> {
        let mut few = self.few.clone();
        few.sort_unstable();
        let few = few.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, same.iter().map(|(_, n)| n).sum()));
        let table = (0..).zip(self.table.iter().copied()).filter(|(_, n)| *n > 0);
        few.chain(table).map(|(class, n)| (middle(class), n)).collect()
    }
}

/// The class of a number of microseconds.
fn class(micros: u64) -> u32 {
    let power = u64::BITS - (micros | u64::from(2 * HALF - 1)).leading_zeros() - (HALF_BITS + 1);
    (power << HALF_BITS) + u32::try_from(micros >> power).unwrap_or(u32::MAX >> 1)
}

/// The middle of a class, in seconds.
fn middle(class: u32) -> f64 {
    let power = (class >> HALF_BITS).saturating_sub(1);
    let (lowest, width) = (u64::from(class - (power << HALF_BITS)) << power, 1u64 << power);
    (lowest + width / 2) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_histograms_are_read_directly() {
        for nanos in [0, 1_000, 20_000_000, 3_600_000_000_000] {
            let mut histogram = Histogram::new();
            histogram.add_ns(nanos);
            let bytes = BASE64.decode(histogram.encode()).unwrap();
            let decoded: Vec<_> = histogram.lowest().map(|(micros, n)| (class(micros), n)).collect();
            assert_eq!(own(&bytes), Some(decoded), "{nanos}: the slow path would hide it");
        }
    }
}
