//! Requests that lie far out: counted and named, never dropped.
//!
//! The modified z-score of Iglewicz and Hoaglin (How to Detect and Handle Outliers, 1993): 0.6745 × the distance from the
//! median ÷ the median distance; above 3.5 a number is outlying. Where half of all numbers are the same, so that the
//! median distance is zero, the mean distance × 1.2533 takes its place, as they propose.

use crate::stats;
use serde::Serialize;

/// Of fewer numbers none is called outlying.
pub const FEWEST: usize = 8;

/// Above this a number is outlying.
pub const LIMIT: f64 = 3.5;

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

/// The modified z-scores of numbers, in their order; `None` for too few, or where all are the same.
pub fn scores(values: &[f64]) -> Option<Vec<f64>> {
    if values.len() < FEWEST {
        return None;
    }
    let middle = stats::quantile(&stats::sorted(values.iter().copied()), 0.5)?;
    let distances: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    let half = stats::quantile(&stats::sorted(distances.iter().copied()), 0.5)?;
    let scale = if half > 0.0 { half / 0.6745 } else { stats::mean(&distances)? * 1.2533 };
    (scale > 0.0).then(|| values.iter().map(|v| (v - middle) / scale).collect())
}

/// Those of `values` that lie far out, with their names; `None` where there are none.
pub fn outlying(values: &[f64], name: impl Fn(usize) -> String) -> Option<Outlying> {
    let scores = scores(values)?;
    let mut far: Vec<usize> = (0..values.len()).filter(|at| scores[*at].abs() > LIMIT).collect();
    far.sort_by(|a, b| scores[*b].abs().total_cmp(&scores[*a].abs()));
    (!far.is_empty()).then(|| Outlying {
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
        let values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3];
        let found = outlying(&values, name).unwrap();
        assert_eq!((found.n, found.of, found.requests), (2, 10, vec!["9".to_owned(), "8".to_owned()]));
        for none in [&values[..7], &[1.0; 20][..], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0][..]] {
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
