//! A comparison with a baseline, in words that every format shares.

use super::number;
use crate::record::Source;
use crate::summary::{Aside, Change, Comparison, Group, Summary, Verdict};
use std::collections::{BTreeSet, HashMap};

/// A change in words.
pub struct Said<'a> {
    /// The change.
    pub change: &'a Change,
    /// The model, and what tells its group from others.
    pub model: String,
    /// The baseline.
    pub baseline: &'a str,
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

/// Every change in words: what is worse, what is better, what is noise, and last what nobody can tell.
pub fn said<'a>(summary: &Summary, comparison: &'a Comparison) -> Vec<Said<'a>> {
    let mut sources: HashMap<&str, BTreeSet<Option<Source>>> = HashMap::new();
    for group in &summary.groups {
        sources.entry(&group.model).or_default().insert(group.source);
    }
    // The name of a group, with its kind of server where another kind has the model too.
    let named = |group: &Group| match group.source.filter(|_| sources[group.model.as_str()].len() > 1) {
        Some(source) => format!("{} · {source}", group.name()),
        None => group.name(),
    };
    let say = |change: &'a Change| Said {
        change,
        model: named(&summary.groups[change.group]),
        baseline: name(comparison, change.baseline),
        metric: change.metric.name().replace('_', " "),
        old: number::alone(change.old, change.metric.unit()),
        new: number::alone(change.new, change.metric.unit()),
        percent: format!("{} %", percent(change.ratio)),
        interval: change
            .low
            .zip(change.high)
            .map(|(low, high)| format!("{} to {} %", percent(low), percent(high)))
            .unwrap_or_default(),
    };
    let mut said: Vec<Said> = comparison.changes.iter().map(say).collect();
    said.sort_by_key(|said| match said.change.verdict {
        Verdict::Worse => 0,
        Verdict::Better => 1,
        Verdict::Same => 2,
        Verdict::NotEnoughData => 3,
    });
    said
}

/// That so many changes are told only as a number, without a full stop; `None` of none.
pub fn untold(n: usize) -> Option<String> {
    match n {
        0 => None,
        1 => Some("1 more with not enough data, in json".into()),
        n => Some(format!("{n} more with not enough data, in json")),
    }
}

fn name(comparison: &Comparison, baseline: usize) -> &str {
    comparison.baselines.get(baseline).map_or("", String::as_str)
}

/// How many changes there are of each verdict against each baseline, in words: `old.ndjson: 2 better, 1 worse`.
pub fn tally(comparison: &Comparison) -> String {
    let said = comparison.baselines.iter().enumerate().map(|(at, name)| {
        let verdicts = verdicts(comparison, at);
        format!("{name}: {}", if verdicts.is_empty() { "nothing that both have" } else { &verdicts })
    });
    said.collect::<Vec<_>>().join("; ")
}

/// How many changes there are of each verdict against one baseline.
fn verdicts(comparison: &Comparison, baseline: usize) -> String {
    let of = || comparison.changes.iter().filter(|change| change.baseline == baseline);
    let count = |verdict| of().filter(|change| change.verdict == verdict).count();
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

/// What only one side has, in a sentence each; every sentence names the baseline that it is about.
pub fn missing(comparison: &Comparison) -> Vec<String> {
    let say = |at: usize, words: &str, asides: &[Aside]| {
        let of = asides.iter().filter(|aside| aside.baseline == at).map(|aside| aside.group.as_str());
        let groups: Vec<&str> = of.collect();
        (!groups.is_empty()).then(|| format!("{words} {}: {}", name(comparison, at), groups.join(", ")))
    };
    let of = |at| {
        [
            say(at, "Compared although it was set otherwise in the baseline", &comparison.set_otherwise),
            say(at, "Only in the baseline", &comparison.only_before),
            say(at, "Not in the baseline", &comparison.only_now),
        ]
    };
    (0..comparison.baselines.len()).flat_map(of).flatten().collect()
}

fn percent(ratio: f64) -> String {
    format!("{:+.1}", (ratio - 1.0) * 100.0)
}
