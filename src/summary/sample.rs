//! Samples: numbers of one metric, kept exactly while they are few and as counts of classes of 0.2 % when they are many.

use super::shape::Shape;
use crate::stats;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// How many numbers of one metric are kept exactly. Beyond it a sample holds counts of classes, so
/// that its size no longer grows with the input.
pub const EXACT: usize = 20_000;

/// How many numbers wait to be put into their classes together, which takes less time than one by one: the classes of many
/// samples do not fit into a processor's cache, those of one do.
const WAITING: usize = 256;

/// The percentiles that are reported, with their names.
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];

/// The numbers of one metric in one group.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The numbers; once there are classes, those of them that are not in theirs yet.
    exact: Vec<f64>,
    classes: Option<Box<Classes>>,
}

/// What is known of a sample that outgrew [`EXACT`]: how many numbers fall into each of a fixed set of classes whose
/// bounds grow by 0.2 %, as in DDSketch (Masson, Rim, Lee: VLDB 2019). Two of them add up exactly.
#[derive(Debug, Clone, Default)]
struct Classes {
    counts: Counts,
    n: u64,
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
}

/// What a sample says. Percentiles that it cannot support are named in `unsupported`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stat {
    /// How many numbers.
    pub n: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n − 1); absent for one number.
    pub sd: Option<f64>,
    /// The smallest.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// The percentiles that so small a sample cannot tell: fewer than five numbers lie beyond them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<&'static str>,
    /// Whether the percentiles are of classes of 0.2 % rather than of the numbers themselves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub classed: bool,
}

impl Stat {
    /// A percentile by its name, `None` for a name that is none.
    pub fn percentile(&self, name: &str) -> Option<f64> {
        Some(match name {
            "mean" => self.mean,
            "min" => self.min,
            "p50" => self.p50,
            "p90" => self.p90,
            "p95" => self.p95,
            "p99" => self.p99,
            "max" => self.max,
            _ => return None,
        })
    }

    /// Whether the sample can tell this percentile. A single number tells none, as little as eight do.
    pub fn supports(&self, name: &str) -> bool {
        !self.unsupported.contains(&name)
    }
}

/// Which percentiles a sample of `n` cannot tell.
pub fn unsupported(n: u64) -> Vec<&'static str> {
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    PERCENTILES.iter().filter(|(_, q)| !stats::supports(n, *q)).map(|(name, _)| *name).collect()
}

impl Sample {
    /// Adds a number; what is not finite is none.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.exact.push(value);
        if self.exact.len() > if self.classes.is_some() { WAITING } else { EXACT } {
            self.settle();
        }
    }

    /// Puts every number into its class.
    fn settle(&mut self) {
        let classes = self.classes.get_or_insert_with(|| Box::new(Classes::new()));
        self.exact.drain(..).for_each(|v| classes.add(v));
        self.exact.shrink_to(WAITING + 1);
    }

    /// The classes with every number in its own; `None` where the sample has none.
    fn settled(&self) -> Option<Classes> {
        let mut classes = self.classes.as_deref()?.clone();
        self.exact.iter().for_each(|v| classes.add(*v));
        Some(classes)
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, mut other: Sample) {
        if other.classes.is_none() {
            return other.exact.into_iter().for_each(|v| self.add(v));
        }
        other.settle();
        if self.classes.is_some() {
            self.settle();
        }
        let mine = std::mem::take(&mut self.exact);
        match (&mut self.classes, other.classes) {
            (Some(classes), Some(theirs)) => classes.merge(&theirs),
            (classes, theirs) => *classes = theirs,
        }
        mine.into_iter().for_each(|v| self.add(v));
    }

    /// How its numbers are spread over classes 2 % wide.
    pub fn shape(&self) -> Shape {
        let mut shape = Shape::default();
        match self.settled() {
            Some(classes) => classes.counts.iter().for_each(|(class, n)| shape.add(Classes::value(class), n)),
            None => self.exact.iter().for_each(|v| shape.add(*v, 1)),
        }
        shape
    }

    /// What the sample says; `None` when it is empty.
    pub fn stat(&self) -> Option<Stat> {
        if let Some(classes) = self.settled() {
            return Some(classes.stat());
        }
        let spread = stats::spread(self.exact.iter().copied())?;
        let n = spread.n as u64;
        let squares: f64 = self.exact.iter().map(|v| (v - spread.mean).powi(2)).sum();
        Some(Stat {
            n,
            mean: spread.mean,
            sd: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()),
            min: spread.min,
            p50: spread.p50,
            p90: spread.p90,
            p95: spread.p95,
            p99: spread.p99,
            max: spread.max,
            unsupported: unsupported(n),
            classed: false,
        })
    }
}

/// How many neighbouring classes are counted in one piece.
const NEAR: i64 = 256;

/// Counts of classes. What lies near each other is in one piece, which is found faster than each class by itself; numbers that
/// lie far apart take no more room than they need.
#[derive(Debug, Clone, Default)]
struct Counts {
    /// In order, with the number of each.
    pieces: Vec<(i64, Box<[u64; NEAR as usize]>)>,
    /// Where the class before was.
    last: usize,
}

impl Counts {
    fn add(&mut self, class: i64, n: u64) {
        let piece = class.div_euclid(NEAR);
        if self.pieces.get(self.last).is_none_or(|(at, _)| *at != piece) {
            self.last = self.pieces.binary_search_by_key(&piece, |(at, _)| *at).unwrap_or_else(|place| {
                self.pieces.insert(place, (piece, Box::new([0; NEAR as usize])));
                place
            });
        }
        self.pieces[self.last].1[class.rem_euclid(NEAR) as usize] += n;
    }

    /// The classes that have a number, from the lowest on.
    fn iter(&self) -> impl Iterator<Item = (i64, u64)> {
        let each = |(at, near): &(i64, Box<[u64; NEAR as usize]>)| {
            let first = at * NEAR;
            (first..).zip(**near).filter(|(_, n)| *n > 0)
        };
        self.pieces.iter().flat_map(each)
    }
}

/// Twice the relative error of a class.
const GROWTH: f64 = 1.002;

/// Lifts the class of the smallest positive double above zero, so that the sign of a class is the sign of its numbers.
const LIFT: i64 = 1_000_000;

impl Classes {
    fn new() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, ..Self::default() }
    }

    fn class(value: f64) -> i64 {
        if value == 0.0 {
            return 0;
        }
        let class = (value.abs().ln() / GROWTH.ln()).round() as i64 + LIFT;
        if value < 0.0 { -class } else { class }
    }

    fn value(class: i64) -> f64 {
        if class == 0 {
            return 0.0;
        }
        let size = GROWTH.powf((class.abs() - LIFT) as f64);
        if class < 0 { -size } else { size }
    }

    fn add(&mut self, value: f64) {
        self.counts.add(Self::class(value), 1);
        self.n += 1;
        self.sum += value;
        self.squares += value * value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn merge(&mut self, other: &Classes) {
        other.counts.iter().for_each(|(class, n)| self.counts.add(class, n));
        self.n += other.n;
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    fn quantile(&self, q: f64) -> f64 {
        let rank = (q * self.n as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let class = self.counts.iter().find(|(_, n)| {
            seen += *n;
            seen >= rank
        });
        class.map_or(self.max, |(class, _)| Self::value(class)).clamp(self.min, self.max)
    }

    fn stat(&self) -> Stat {
        let n = self.n as f64;
        let mean = self.sum / n;
        Stat {
            n: self.n,
            mean,
            sd: Some(((self.squares - n * mean * mean).max(0.0) / (n - 1.0)).sqrt()),
            min: self.min,
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p95: self.quantile(0.95),
            p99: self.quantile(0.99),
            max: self.max,
            unsupported: unsupported(self.n),
            classed: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Sample {
        let mut sample = Sample::default();
        values.into_iter().for_each(|v| sample.add(v));
        sample
    }

    #[test]
    fn nothing_says_nothing_and_one_number_is_itself() {
        assert_eq!(of([f64::NAN, f64::INFINITY]).stat(), None);
        let one = of([2.5]).stat().unwrap();
        assert_eq!((one.n, one.mean, one.sd, one.p99), (1, 2.5, None, 2.5));
        assert!(!one.supports("p50") && !one.supports("p99") && one.supports("max"));
    }

    #[test]
    fn a_small_sample_names_the_percentiles_it_cannot_tell() {
        for (n, expect) in
            [(4, vec!["p50", "p90", "p95", "p99"]), (32, vec!["p90", "p95", "p99"]), (100, vec!["p99"]), (500, vec![])]
        {
            assert_eq!(of((0..n).map(f64::from)).stat().unwrap().unsupported, expect, "{n}");
        }
    }

    #[test]
    fn a_sample_that_outgrew_its_memory_keeps_its_percentiles_whatever_its_unit_and_sign() {
        for scale in [1e-6, 1.0, 1e10] {
            let values = (0..60_000).map(|i| (f64::from(i) - 15_000.0) * scale);
            let exact = stats::spread(values.clone()).unwrap();
            let (even, odd): (Vec<_>, Vec<_>) = values.enumerate().partition(|(i, _)| i % 2 == 0);
            let mut sample = of(even.into_iter().map(|(_, v)| v));
            sample.merge(of(odd.into_iter().map(|(_, v)| v)));
            let stat = sample.stat().unwrap();
            assert!(stat.classed);
            assert_eq!((stat.n, stat.min, stat.max), (60_000, exact.min, exact.max));
            for (got, expect) in [(stat.p50, exact.p50), (stat.p95, exact.p95), (stat.p99, exact.p99)] {
                assert!((got - expect).abs() <= expect.abs() * 4e-3, "{got} {expect}");
            }
            assert!((stat.mean - exact.mean).abs() < exact.mean.abs() * 1e-6);
        }
    }
}
