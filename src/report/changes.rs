//! A comparison with a baseline, in words that every format shares.

use super::number;
use crate::summary::{Change, Comparison, Summary, Verdict};

/// A change in words.
pub struct Said<'a> {
    /// The change.
    pub change: &'a Change,
    /// The model, and what tells its group from others.
    pub model: String,
    /// The metric, without underscores.
    pub metric: String,
    /// The median before, with its unit.
    pub old: String,
    /// The median now.
    pub new: String,
    /// How much more or less: `-12.3 %`.
    pub percent: String,
    /// The interval of that: `-15.1 to -9.4 %`; empty with too few values.
    pub interval: String,
}

/// Every change in words, in order.
pub fn said<'a>(summary: &Summary, comparison: &'a Comparison) -> Vec<Said<'a>> {
    let say = |change: &'a Change| {
        let group = &summary.groups[change.group];
        // Of several baselines each change says which.
        let of = comparison.baselines.get(change.baseline).filter(|_| comparison.baselines.len() > 1);
        Said {
            change,
            model: of.map_or(group.name(), |baseline| format!("{} vs {baseline}", group.name())),
            metric: change.metric.name().replace('_', " "),
            old: number::alone(change.old, change.metric.unit()),
            new: number::alone(change.new, change.metric.unit()),
            percent: format!("{} %", percent(change.ratio)),
            interval: change
                .low
                .zip(change.high)
                .map(|(low, high)| format!("{} to {} %", percent(low), percent(high)))
                .unwrap_or_default(),
        }
    };
    comparison.changes.iter().map(say).collect()
}

/// How many changes there are of each verdict, in words.
pub fn tally(comparison: &Comparison) -> String {
    let count = |verdict| comparison.changes.iter().filter(|change| change.verdict == verdict).count();
    [
        (Verdict::Better, "better"),
        (Verdict::Worse, "worse"),
        (Verdict::Same, "not told from noise"),
        (Verdict::NotEnoughData, "with not enough data"),
    ]
    .into_iter()
    .map(|(verdict, words)| (count(verdict), words))
    .filter(|(n, _)| *n > 0)
    .map(|(n, words)| format!("{n} {words}"))
    .collect::<Vec<_>>()
    .join(", ")
}

/// What only one side has, in a sentence each.
pub fn missing(comparison: &Comparison) -> Vec<String> {
    let say = |words: &str, models: &[String]| (!models.is_empty()).then(|| format!("{words}: {}", models.join(", ")));
    [
        say("Compared although it was set otherwise", &comparison.set_otherwise),
        say("Only in the baseline", &comparison.only_before),
        say("Not in the baseline", &comparison.only_now),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn percent(ratio: f64) -> String {
    format!("{:+.1}", (ratio - 1.0) * 100.0)
}
