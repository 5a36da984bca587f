//! The numbers of one request, by their metrics: in one piece, because there are millions of them.

use super::registry::Metric;
use std::fmt;

const METRICS: usize = Metric::COUNT;
// One bit for each.
const _: () = assert!(METRICS <= u64::BITS as usize);

/// A number for each metric that a request has one of.
#[derive(Clone, Copy, PartialEq)]
pub struct Values {
    /// A bit for each metric that is known.
    known: u64,
    /// Zero where it is not.
    numbers: [f64; METRICS],
}

impl Default for Values {
    fn default() -> Self {
        Self { known: 0, numbers: [0.0; METRICS] }
    }
}

impl Values {
    /// Sets the number of a metric.
    pub fn insert(&mut self, metric: Metric, value: f64) {
        self.known |= 1 << metric.at();
        self.numbers[metric.at()] = value;
    }

    /// The number of a metric.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        (self.known & (1 << metric.at()) != 0).then(|| self.numbers[metric.at()])
    }

    /// The metrics that are known, in their order, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f64)> {
        let mut left = self.known;
        std::iter::from_fn(move || {
            let at = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            Some((Metric::all().nth(at)?, self.numbers[at]))
        })
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_place_in_the_order_of_all() {
        let mut values = Values::default();
        assert_eq!((values.get(Metric::COST), values.iter().next()), (None, None));
        for (at, metric) in Metric::all().collect::<Vec<_>>().into_iter().enumerate().rev() {
            values.insert(metric, at as f64);
            assert_eq!(values.get(metric), Some(at as f64), "{metric:?}");
        }
        let all: Vec<(Metric, f64)> = values.iter().collect();
        assert_eq!(all, Metric::all().zip((0..).map(f64::from)).collect::<Vec<_>>());
    }
}
