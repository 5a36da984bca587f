//! A statistic of many numbers: a percentile, a mean, an extreme or a sum.

use crate::record::{Percentile, Quantiles};

/// What of the numbers of a group a column shows and an SLO limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// The arithmetic mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The sum over the requests that have a number.
    Sum,
    /// The percentile at this fraction, from 0 to 1.
    Percentile(f64),
}

impl Statistic {
    /// The median.
    pub const MEDIAN: Statistic = Statistic::Percentile(0.5);

    /// Those that a group has of each metric of requests.
    pub fn all() -> impl Iterator<Item = Statistic> {
        let percentiles = Percentile::ALL.iter().map(|percentile| Statistic::Percentile(percentile.fraction));
        percentiles.chain([Statistic::Mean, Statistic::Min, Statistic::Max, Statistic::Sum])
    }

    /// Reads a statistic: `p95`, `p99.9` or `p999`, `median`, `mean` or `avg`, `min`, `max`, `sum`.
    pub fn parse(text: &str) -> Option<Statistic> {
        match text {
            "median" => return Some(Statistic::MEDIAN),
            "mean" | "avg" | "average" => return Some(Statistic::Mean),
            "min" | "minimum" => return Some(Statistic::Min),
            "max" | "maximum" => return Some(Statistic::Max),
            "sum" => return Some(Statistic::Sum),
            _ => {}
        }
        if let Some(known) = Percentile::named(text) {
            return Some(Statistic::Percentile(known.fraction));
        }
        let digits = text.strip_prefix('p').filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))?;
        let percent: f64 = digits.parse().ok()?;
        (percent > 0.0 && percent < 100.0).then_some(Statistic::Percentile(percent / 100.0))
    }

    /// The percentile of the list that it is.
    pub fn listed(self) -> Option<&'static Percentile> {
        match self {
            Statistic::Percentile(fraction) => Percentile::ALL.iter().find(|known| known.fraction == fraction),
            _ => None,
        }
    }

    /// Its name at the end of a key, as `p999`.
    pub fn name(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Min => "min",
            Statistic::Max => "max",
            Statistic::Sum => "sum",
            Statistic::Percentile(_) => self.listed().map_or("", |percentile| percentile.name),
        }
    }

    /// Its name in a head, as `p99.9`.
    pub fn label(self) -> &'static str {
        self.listed().map_or(self.name(), |percentile| percentile.label)
    }

    /// What it is, in words: `95th percentile`.
    pub fn words(self) -> String {
        match self {
            Statistic::Mean => "mean".into(),
            Statistic::Min => "lowest".into(),
            Statistic::Max => "highest".into(),
            Statistic::Sum => "sum".into(),
            Statistic::MEDIAN => "median".into(),
            Statistic::Percentile(_) => format!("{}th percentile", self.label().trim_start_matches('p')),
        }
    }

    /// Its value.
    pub fn of(self, numbers: &Quantiles) -> Option<f64> {
        match self {
            Statistic::Sum => Some(numbers.mean? * numbers.count as f64),
            other => numbers.get(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statistic_has_several_spellings() {
        for (text, expect) in [
            ("p95", Some(Statistic::Percentile(0.95))),
            ("p99.9", Some(Statistic::Percentile(0.999))),
            ("p999", Some(Statistic::Percentile(0.999))),
            ("p97.5", Some(Statistic::Percentile(0.975))),
            ("median", Some(Statistic::MEDIAN)),
            ("avg", Some(Statistic::Mean)),
            ("sum", Some(Statistic::Sum)),
            ("p100", None),
            ("p0", None),
            ("p-5", None),
            ("pnan", None),
            ("p", None),
            ("", None),
            ("tok", None),
        ] {
            assert_eq!(Statistic::parse(text), expect, "{text}");
        }
        for statistic in Statistic::all() {
            assert_eq!(Statistic::parse(statistic.name()), Some(statistic));
            assert_eq!(Statistic::parse(statistic.label()), Some(statistic));
            assert!(!statistic.words().is_empty());
        }
    }
}
