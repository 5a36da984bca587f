//! The distribution of a metric over the requests of a group, small enough to be drawn whatever their number.

use super::metric::Metric;

/// The metrics whose distribution is drawn.
pub const DRAWN: [Metric; 3] = [Metric::Ttft, Metric::DecodeRate, Metric::GenerationTime];

/// Some numbers in ascending order, each with how many requests it stands for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape(Vec<(f64, u64)>);

impl Shape {
    /// The shape of numbers in ascending order with their counts.
    pub fn of(numbers: Vec<(f64, u64)>) -> Self {
        Self(numbers)
    }

    /// The numbers in ascending order, with how many requests each stands for.
    pub fn numbers(&self) -> impl Iterator<Item = (f64, u64)> {
        self.0.iter().copied()
    }

    /// How many requests there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, n)| n).sum()
    }

    /// The counts of `bins` equally wide steps from `low` to `high`; what lies outside counts in the step at that end.
    pub fn bins(&self, low: f64, high: f64, bins: usize) -> Vec<u64> {
        let mut counts = vec![0; bins];
        if bins > 0 && high > low {
            for (value, n) in self.numbers() {
                let at = (value - low) / (high - low) * bins as f64;
                counts[(at.max(0.0) as usize).min(bins - 1)] += n;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_all_numbers() {
        let shape = Shape::of((1..=100).map(|i| (f64::from(i), 2)).collect());
        let bins = shape.bins(0.0, 90.0, 4);
        assert_eq!((bins.iter().sum::<u64>(), shape.count()), (200, 200));
        assert_eq!(bins, [44, 44, 46, 66]);
        assert_eq!(shape.bins(1.0, 1.0, 3), [0, 0, 0]);
    }
}
