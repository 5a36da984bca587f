//! Requests that lie far out: counted and named, never dropped.
//!
//! The modified z-score of Iglewicz and Hoaglin (How to Detect and Handle Outliers, 1993): 0.6745 × the distance from the
//! median ÷ the median distance; above 3.5 a number is outlying. Where half of all numbers are the same, so that the
//! median distance is zero, the mean distance × 1.2533 takes its place, as they propose.
//!
//! The score knows no size: of numbers that hardly differ it finds some far out, and of numbers in two heaps a whole heap. So
//! what is nearer to the median than [`NEWS`] of it is not far out, and where more than [`MOST`] of a group would be, it is
//! the group that is spread, and nothing in it is far out.

use crate::stats;
use serde::Serialize;

/// Of fewer numbers none is called outlying.
pub const FEWEST: usize = 8;

/// Above this a number is outlying.
pub const LIMIT: f64 = 3.5;

/// A number that differs by less than this share of the median is not far out.
pub const NEWS: f64 = 0.1;

/// More than this share of a group is not far out; one always may be.
pub const MOST: f64 = 0.1;

/// How many are named.
const NAMED: usize = 10;

/// The requests of a group that lie far out in one metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outlying {
    /// How many.
    pub n: u64,
    /// Of how many that were looked at.
    pub of: u64,
    /// The numbers of the farthest of them: `RUN/ID`.
    pub requests: Vec<String>,
}

/// The modified z-scores of numbers, in their order, zero of those that are too near to the median to be news; `None` for too
/// few, or where all are the same.
fn scores(values: &[f64]) -> Option<Vec<f64>> {
    if values.len() < FEWEST {
        return None;
    }
    let middle = stats::quantile(&stats::sorted(values.iter().copied()), 0.5)?;
    let distances: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    let half = stats::quantile(&stats::sorted(distances.iter().copied()), 0.5)?;
    let scale = if half > 0.0 { half / 0.6745 } else { stats::mean(&distances)? * 1.2533 };
    let score = |v: &f64| if (v - middle).abs() > NEWS * middle.abs() { (v - middle) / scale } else { 0.0 };
    (scale > 0.0).then(|| values.iter().map(score).collect())
}

/// Those of `values` that lie far out, with their names; `None` where there are none.
pub fn outlying(values: &[f64], name: impl Fn(usize) -> String) -> Option<Outlying> {
    let scores = scores(values)?;
    let mut far: Vec<usize> = (0..values.len()).filter(|at| scores[*at].abs() > LIMIT).collect();
    far.sort_by(|a, b| scores[*b].abs().total_cmp(&scores[*a].abs()));
    let most = (values.len() as f64 * MOST).ceil() as usize;
    (!far.is_empty() && far.len() <= most).then(|| Outlying {
        n: far.len() as u64,
        of: values.len() as u64,
        requests: far.iter().take(NAMED).map(|at| name(*at)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_far_out_is_named_and_what_is_merely_spread_is_not() {
        let name = |at: usize| at.to_string();
        // The example of the NIST handbook's page on outliers has one of a size like this.
        let values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 2.2, 2.4, 8.2, 8.3];
        let found = outlying(&values, name).unwrap();
        assert_eq!((found.n, found.of, found.requests), (2, 12, vec!["11".to_owned(), "10".to_owned()]));
        let one = outlying(&values[..11], name).unwrap();
        assert_eq!((one.n, one.requests), (1, vec!["10".to_owned()]));
        // Two heaps: the smaller one is no accident. And numbers that hardly differ, one by more than the others.
        let heaps = [72.6, 72.7, 72.6, 72.7, 72.6, 72.7, 72.6, 72.7, 99.4, 99.4, 99.4];
        let near = [72.6, 72.7, 72.6, 72.7, 72.6, 72.7, 72.6, 72.7, 72.6, 72.7, 78.4];
        for none in [&values[..7], &[1.0; 20][..], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0][..], &heaps, &near] {
            assert_eq!(outlying(none, name), None, "{none:?}");
        }
    }

    #[test]
    fn one_of_many_equals_is_measured_by_the_mean_distance() {
        let mut values = vec![1.0; 30];
        values[3] = 9.0;
        assert_eq!(outlying(&values, |at| at.to_string()).unwrap().requests, ["3"]);
    }
}
