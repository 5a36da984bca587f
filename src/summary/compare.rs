//! Comparison with a baseline: how much a metric changed, how sure that is, and whether it is better.
//!
//! The ratio is new ÷ old. Where both sides answered the same prompts it is the geometric mean of the ratios of prompts,
//! so that an easy prompt is compared with itself; else it is the ratio of medians. Its interval is a percentile
//! bootstrap (Efron 1979) of 2,000 resamples: of prompts, or of each side's requests. A difference counts when the
//! interval excludes no difference *and* a test agrees at 5 %: of random signs where paired, Mann and Whitney's of ranks
//! where not. The draws are a fixed sequence, so that the same input gives the same verdict.

use super::group::Group;
use super::key::Key;
use super::registry::{Better, Metric};
use super::{Row, Summary};
use crate::stats;
use serde::Serialize;
use serde_with::skip_serializing_none;
use statrs::stats_tests::Alternative;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use strum::{Display, IntoStaticStr};

/// How many resamples, and how many permutations.
const DRAWS: usize = 2000;

/// Fewer values on a side, or fewer pairs, cannot tell: of five pairs even the clearest is chance one time in sixteen.
const LEAST: usize = 6;

/// More values than this on a side are thinned evenly: more would only take longer.
const MOST: usize = 2000;

/// Whether a metric is better than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Better,
    /// It is worse.
    Worse,
    /// The difference is not told from noise.
    #[strum(serialize = "~")]
    Same,
    /// There are too few values.
    #[strum(serialize = "not enough data")]
    NotEnoughData,
}

/// What says how often chance alone would make such a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// A permutation of the signs of the pairs' differences.
    Signs,
    /// Mann and Whitney's test of ranks, by the normal approximation with its corrections for ties and continuity.
    MannWhitney,
}

/// One metric of one group against the same group of a baseline.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The index of the group.
    pub group: usize,
    /// The index of the baseline.
    pub baseline: usize,
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
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// How often chance alone would make such a difference.
    pub p: Option<f64>,
    /// The test that says so.
    pub test: Option<Test>,
    /// Whether prompts were compared with themselves.
    pub paired: bool,
    /// What to think of it.
    pub verdict: Verdict,
}

/// A comparison with baselines.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// The baselines, by the names they were given.
    pub baselines: Vec<String>,
    /// The changes, by baseline, group and metric.
    pub changes: Vec<Change>,
    /// Groups that a baseline has and this does not.
    pub only_before: Vec<Aside>,
    /// Groups that this has and a baseline does not.
    pub only_now: Vec<Aside>,
    /// Groups that were compared although other things were set, with what.
    pub set_otherwise: Vec<Aside>,
}

/// Something to be said of a group and a baseline besides its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// The index of the baseline.
    pub baseline: usize,
    /// The group's name, and what there is to say.
    pub group: String,
}

/// For each group of `new` the one of `old` that it is compared with: the group with the same key; else the same but for the versions;
/// else of the same model, source, provider and load. Of the last two only where each side has just one that is left.
pub fn counterparts(new: &Summary, old: &Summary) -> Vec<Option<usize>> {
    let mut found = vec![None; new.groups.len()];
    for key_of in [Key::clone, Key::without_versions, Key::without_settings] {
        let mut left: HashMap<Key, (Vec<usize>, Vec<usize>)> = HashMap::new();
        let taken: HashSet<usize> = found.iter().flatten().copied().collect();
        for (at, group) in new.groups.iter().enumerate().filter(|(at, _)| found[*at].is_none()) {
            left.entry(key_of(group.key())).or_default().0.push(at);
        }
        for (at, group) in old.groups.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
            left.entry(key_of(group.key())).or_default().1.push(at);
        }
        for (now, before) in left.into_values() {
            if let ([now], [before]) = (&now[..], &before[..]) {
                found[*now] = Some(*before);
            }
        }
    }
    found
}

/// Compares a summary with baselines, group by group.
pub fn compare<'a>(new: &Summary, baselines: impl IntoIterator<Item = (&'a str, &'a Summary)>) -> Comparison {
    let mut comparison = Comparison::default();
    let now = by_group(new);
    for (baseline, (name, old)) in baselines.into_iter().enumerate() {
        comparison.baselines.push(name.to_owned());
        let before = by_group(old);
        let counterparts = counterparts(new, old);
        let aside = |group| Aside { baseline, group };
        for (at, group) in new.groups.iter().enumerate() {
            let Some(was) = counterparts[at] else {
                comparison.only_now.push(aside(group.name()));
                continue;
            };
            if group.settings != old.groups[was].settings {
                comparison.set_otherwise.push(aside(set_otherwise(group, &old.groups[was])));
            }
            let compared = Metric::all().filter(|metric| metric.figure().compared);
            let changes = compared.filter_map(|metric| change((at, baseline), metric, &now[at], &before[was]));
            comparison.changes.extend(changes);
        }
        let taken: HashSet<usize> = counterparts.iter().flatten().copied().collect();
        let only = old.groups.iter().enumerate().filter(|(at, _)| !taken.contains(at));
        comparison.only_before.extend(only.map(|(_, group)| aside(group.name())));
    }
    comparison
}

/// What was set differently: `m · 4 at once (temperature 0 before, 0.7 now)`.
fn set_otherwise(now: &Group, before: &Group) -> String {
    let names: BTreeSet<_> = now.settings.keys().chain(before.settings.keys()).collect();
    let said = |group: &Group, name| group.settings.get(name).map_or("not set", String::as_str).to_owned();
    let differing = names.into_iter().filter(|name| now.settings.get(*name) != before.settings.get(*name));
    let words: Vec<String> = differing
        .map(|name| format!("{} {} before, {} now", name.replace('_', " "), said(before, name), said(now, name)))
        .collect();
    format!("{} ({})", now.name(), words.join("; "))
}

/// The measured requests of each group.
fn by_group(summary: &Summary) -> Vec<Vec<&Row>> {
    let mut rows: Vec<Vec<&Row>> = vec![Vec::new(); summary.groups.len()];
    for row in summary.rows.iter().filter(|row| row.ok() && !row.warmup) {
        rows[row.group].push(row);
    }
    rows
}

fn change((group, baseline): (usize, usize), metric: Metric, now: &[&Row], before: &[&Row]) -> Option<Change> {
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
    let (ratio, interval, tested) = if paired {
        let logs: Vec<f64> = pairs.iter().map(|(old, new)| (new / old).ln()).collect();
        (stats::mean(&logs)?.exp(), Some(bootstrap_pairs(&logs)), Some((flip_signs(&logs), Test::Signs)))
    } else if new.len() >= LEAST && old.len() >= LEAST {
        (middle_new / middle_old, Some(bootstrap_sides(&new, &old)), ranks(&new, &old).map(|p| (p, Test::MannWhitney)))
    } else {
        (middle_new / middle_old, None, None)
    };
    let p = tested.map(|(p, _)| p);
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
        baseline,
        metric,
        n_old: n(&old),
        n_new: n(&new),
        old: middle_old,
        new: middle_new,
        ratio,
        low: interval.map(|i| i.0),
        high: interval.map(|i| i.1),
        p,
        test: tested.map(|(_, test)| test),
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

/// Mann and Whitney's test, two-sided: how often two samples of one distribution have ranks as far apart. By the normal
/// approximation, which from six values a side on differs from the exact tables by less than a hundredth.
fn ranks(new: &[f64], old: &[f64]) -> Option<f64> {
    let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
    mannwhitneyu(new, old, method, Alternative::TwoSided).ok().map(|(_, p)| p).filter(|p| p.is_finite())
}

#[cfg(test)]
mod tests;
