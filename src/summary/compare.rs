//! Comparison with a baseline: how much a metric changed, how sure that is, and whether it is better.
//!
//! The ratio is new ÷ old. Where both sides answered the same prompts it is the geometric mean of the ratios of prompts,
//! so that an easy prompt is compared with itself; else it is the ratio of medians. Its interval is a percentile
//! bootstrap (Efron 1979) of 2,000 resamples: of prompts, or of each side's requests. A difference counts when the
//! interval excludes no difference *and* a permutation test agrees at 5 %: of signs where paired, of labels where not.
//! The draws are a fixed sequence, so that the same input gives the same verdict.

use super::group::{Group, Key};
use super::metric::{Better, Metric};
use super::{Row, Summary};
use crate::stats;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many resamples, and how many permutations.
const DRAWS: usize = 2000;

/// Fewer values on a side, or fewer pairs, cannot tell: of five pairs even the clearest is chance one time in sixteen.
const LEAST: usize = 6;

/// More values than this on a side are thinned evenly: more would only take longer.
const MOST: usize = 2000;

/// What is compared.
const COMPARED: [Metric; 11] = [
    Metric::LoadTime,
    Metric::Ttft,
    Metric::FirstAnswer,
    Metric::DecodeRate,
    Metric::TokenRate,
    Metric::PromptRate,
    Metric::GenerationTime,
    Metric::Energy,
    Metric::EnergyPerToken,
    Metric::MemoryHighWater,
    Metric::Cost,
];

/// Whether a metric is better than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Better,
    /// It is worse.
    Worse,
    /// The difference is not told from noise.
    Same,
    /// There are too few values.
    NotEnoughData,
}

impl Verdict {
    /// The verdict in a word; `~` for a difference that is noise.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Same => "~",
            Verdict::NotEnoughData => "not enough data",
        }
    }
}

/// One metric of one group against the same group of the baseline.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The index of the group.
    pub group: usize,
    /// The metric.
    pub metric: Metric,
    /// How many values, or pairs, there were before.
    pub n_old: usize,
    /// How many there are now.
    pub n_new: usize,
    /// The median before.
    pub old: f64,
    /// The median now.
    pub new: f64,
    /// New ÷ old.
    pub ratio: f64,
    /// The lower end of its 95 % interval; absent with too few values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// How often chance alone would make such a difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// Whether prompts were compared with themselves.
    pub paired: bool,
    /// What to think of it.
    pub verdict: Verdict,
}

/// A comparison with a baseline.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Comparison {
    /// The changes, by group and metric.
    pub changes: Vec<Change>,
    /// Groups that the baseline has and this does not, by model.
    pub only_before: Vec<String>,
    /// Groups that this has and the baseline does not.
    pub only_now: Vec<String>,
}

/// Compares a summary with a baseline, group by group; groups are the same when model, source, provider and load are.
pub fn compare(new: &Summary, old: &Summary) -> Comparison {
    let place: BTreeMap<Key, usize> = old.groups.iter().enumerate().map(|(at, group)| (group.key(), at)).collect();
    let mut comparison = Comparison::default();
    let (now, before) = (by_group(new), by_group(old));
    for (at, group) in new.groups.iter().enumerate() {
        let Some(&was) = place.get(&group.key()) else {
            comparison.only_now.push(name(group));
            continue;
        };
        let changes = COMPARED.iter().filter_map(|&metric| change(at, metric, &now[at], &before[was]));
        comparison.changes.extend(changes);
    }
    let known: BTreeSet<Key> = new.groups.iter().map(Group::key).collect();
    comparison.only_before = old.groups.iter().filter(|group| !known.contains(&group.key())).map(name).collect();
    comparison
}

fn name(group: &Group) -> String {
    let parts = [Some(group.model.clone()), group.provider.clone(), group.key().load()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// The measured requests of each group.
fn by_group(summary: &Summary) -> Vec<Vec<&Row>> {
    let mut rows: Vec<Vec<&Row>> = vec![Vec::new(); summary.groups.len()];
    for row in summary.rows.iter().filter(|row| row.ok() && !row.warmup) {
        rows[row.group].push(row);
    }
    rows
}

fn change(group: usize, metric: Metric, now: &[&Row], before: &[&Row]) -> Option<Change> {
    let (now, before) = (once(now, metric), once(before, metric));
    let values = |rows: &[&Row]| rows.iter().filter_map(|row| row.value(metric)).collect::<Vec<f64>>();
    let (new, old) = (thinned(values(&now)), thinned(values(&before)));
    let median = |values: &[f64]| stats::quantile(&stats::sorted(values.iter().copied()), 0.5);
    let (middle_new, middle_old) = (median(&new)?, median(&old)?);
    // Of what is zero or below there is no ratio.
    if new.iter().chain(&old).any(|v| *v <= 0.0) {
        return None;
    }
    let pairs = pairs(metric, &now, &before);
    let paired = pairs.len() >= LEAST;
    let (ratio, interval, p) = if paired {
        let logs: Vec<f64> = pairs.iter().map(|(old, new)| (new / old).ln()).collect();
        (stats::mean(&logs)?.exp(), Some(bootstrap_pairs(&logs)), Some(flip_signs(&logs)))
    } else if new.len() >= LEAST && old.len() >= LEAST {
        (middle_new / middle_old, Some(bootstrap_sides(&new, &old)), Some(shuffle_labels(&new, &old)))
    } else {
        (middle_new / middle_old, None, None)
    };
    let verdict = match (interval, p) {
        (Some((low, high)), Some(p)) if p < 0.05 && !(low <= 1.0 && 1.0 <= high) => {
            if (ratio < 1.0) == (metric.better() == Better::Lower) { Verdict::Better } else { Verdict::Worse }
        }
        (Some(_), _) => Verdict::Same,
        (None, _) => Verdict::NotEnoughData,
    };
    let n = |side: &[f64]| if paired { pairs.len() } else { side.len() };
    Some(Change {
        group,
        metric,
        n_old: n(&old),
        n_new: n(&new),
        old: middle_old,
        new: middle_new,
        ratio,
        low: interval.map(|i| i.0),
        high: interval.map(|i| i.1),
        p,
        paired,
        verdict,
    })
}

/// The rows that count for a metric: what counts once per run is taken from the first row of each run.
fn once<'a>(rows: &[&'a Row], metric: Metric) -> Vec<&'a Row> {
    let mut seen = BTreeSet::new();
    rows.iter().copied().filter(|row| !metric.once_per_run() || seen.insert(&row.run)).collect()
}

fn thinned(values: Vec<f64>) -> Vec<f64> {
    let n = values.len();
    if n <= MOST { values } else { (0..MOST).map(|i| values[i * n / MOST]).collect() }
}

/// Medians of the prompts that both sides answered: (before, now).
fn pairs(metric: Metric, now: &[&Row], before: &[&Row]) -> Vec<(f64, f64)> {
    if metric.once_per_run() {
        return Vec::new();
    }
    let medians = |rows: &[&Row]| {
        let mut by: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for row in rows {
            if let (Some(prompt), Some(value)) = (&row.prompt, row.value(metric)) {
                by.entry(prompt.clone()).or_default().push(value);
            }
        }
        by.into_iter()
            .filter_map(|(prompt, values)| Some((prompt, stats::quantile(&stats::sorted(values), 0.5)?)))
            .collect::<BTreeMap<_, _>>()
    };
    let (now, before) = (medians(now), medians(before));
    before.iter().filter_map(|(prompt, old)| Some((*old, *now.get(prompt)?))).collect()
}

/// A fixed sequence of draws (SplitMix64).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        super::collect::scramble(self.0)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap_or(0)
    }
}

fn interval(values: Vec<f64>) -> (f64, f64) {
    let sorted = stats::sorted(values);
    let q = |q| stats::quantile(&sorted, q).unwrap_or(f64::NAN);
    (q(0.025), q(0.975))
}

fn bootstrap_pairs(logs: &[f64]) -> (f64, f64) {
    let mut draws = Draws(logs.len() as u64);
    let one = |draws: &mut Draws| logs.iter().map(|_| logs[draws.below(logs.len())]).sum::<f64>() / logs.len() as f64;
    interval((0..DRAWS).map(|_| one(&mut draws).exp()).collect())
}

fn bootstrap_sides(new: &[f64], old: &[f64]) -> (f64, f64) {
    let mut draws = Draws((new.len() + old.len()) as u64);
    let mut middle = |values: &[f64]| {
        let mut resample: Vec<f64> = values.iter().map(|_| values[draws.below(values.len())]).collect();
        median_of(&mut resample)
    };
    interval((0..DRAWS).map(|_| middle(new) / middle(old)).collect())
}

fn median_of(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    stats::quantile(values, 0.5).unwrap_or(f64::NAN)
}

/// How often a random choice of signs makes a mean as far from zero.
fn flip_signs(logs: &[f64]) -> f64 {
    let seen: f64 = logs.iter().sum::<f64>().abs();
    let mut draws = Draws(77);
    let mut as_far = 0;
    for _ in 0..DRAWS {
        let sum: f64 = logs.iter().map(|log| if draws.next() & 1 == 0 { *log } else { -log }).sum();
        as_far += usize::from(sum.abs() >= seen - 1e-12);
    }
    (as_far + 1) as f64 / (DRAWS + 1) as f64
}

/// How often a random division of all values into the two sides makes medians as far apart.
fn shuffle_labels(new: &[f64], old: &[f64]) -> f64 {
    let far = |a: &mut [f64], b: &mut [f64]| (median_of(a) / median_of(b)).ln().abs();
    let seen = far(&mut new.to_vec(), &mut old.to_vec());
    let mut all: Vec<f64> = new.iter().chain(old).copied().collect();
    let mut draws = Draws(78);
    let mut as_far = 0;
    for _ in 0..DRAWS {
        for at in (1..all.len()).rev() {
            all.swap(at, draws.below(at + 1));
        }
        let (a, b) = all.split_at_mut(new.len());
        as_far += usize::from(far(a, b) >= seen - 1e-12);
    }
    (as_far + 1) as f64 / (DRAWS + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, PromptUsed, Record};
    use crate::summary::Collector;

    /// A summary of one model whose times to first token are `values`, each of its own prompt when asked for.
    fn summary(values: impl IntoIterator<Item = f64>, prompts: bool) -> Summary {
        let mut collector = Collector::default();
        for (i, ttft) in values.into_iter().enumerate() {
            let mut o = Outcome { model: "m".into(), id: i as u64, ttft_seconds: Some(ttft), ..Outcome::default() };
            o.prompt = prompts.then(|| PromptUsed { id: format!("p{i}"), ..PromptUsed::default() });
            collector.add(Record::Result(Box::new(o)), None);
        }
        collector.finish()
    }

    fn noise(i: u64) -> f64 {
        1.0 + (super::super::collect::scramble(i) % 1000) as f64 / 5000.0
    }

    fn verdict(new: &Summary, old: &Summary) -> (Verdict, f64, bool) {
        let changes = compare(new, old).changes;
        let [change] = &changes[..] else { panic!("{changes:?}") };
        (change.verdict, change.ratio, change.paired)
    }

    #[test]
    fn a_real_difference_is_told_and_noise_is_not() {
        let side = |seed: u64, factor: f64| summary((0..40).map(|i| noise(seed + i) * factor), false);
        assert_eq!(verdict(&side(1000, 1.0), &side(2000, 1.0)).0, Verdict::Same);
        let (faster, ratio, paired) = verdict(&side(1000, 0.8), &side(2000, 1.0));
        assert_eq!((faster, paired), (Verdict::Better, false));
        assert!((0.75..0.85).contains(&ratio), "{ratio}");
        assert_eq!(verdict(&side(1000, 1.3), &side(2000, 1.0)).0, Verdict::Worse);
        assert_eq!(verdict(&summary([1.0; 5], false), &side(1, 1.0)).0, Verdict::NotEnoughData);
    }

    #[test]
    fn prompts_are_compared_with_themselves_where_both_sides_answered_them() {
        // Prompts differ a hundredfold; a change of 5 % would drown, were they not paired.
        let side = |seed: u64, factor: f64| {
            summary((0..12).map(|i| 1.5f64.powi(i as i32) * noise(seed + i) / noise(seed) * factor), true)
        };
        let (verdict_, ratio, paired) = verdict(&side(5, 1.05), &side(5, 1.0));
        assert!(paired && (ratio - 1.05).abs() < 1e-9, "{ratio}");
        assert_eq!(verdict_, Verdict::Worse);
    }

    #[test]
    fn groups_of_only_one_side_are_named() {
        let comparison = compare(&summary([1.0], false), &Collector::default().finish());
        assert_eq!((comparison.only_now, comparison.only_before.len()), (vec!["m".to_owned()], 0));
    }
}
