//! When all records are in: groups in their order, the requests that are shown of them, and what stands over all.

use super::Collector;
use crate::record::{Load, Model, Source};
use crate::summary::building::Building;
use crate::summary::describe::listed;
use crate::summary::group::Group;
use crate::summary::key::Key;
use crate::summary::label::{described, label};
use crate::summary::outlying::outlying;
use crate::summary::registry::Metric;
use crate::summary::row::Row;
use crate::summary::sample::Sample;
use crate::summary::{Summary, Totals};
use alphanumeric_sort::compare_str;
use std::collections::{BTreeSet, HashMap};

impl Collector {
    /// The summary of everything that came.
    pub fn finish(mut self) -> Summary {
        self.describe();
        let place = self.fold_homeless_failures();
        let mut order: Vec<usize> = (0..self.groups.len()).filter(|at| place[*at] == *at).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&self.groups[*a].key, &self.groups[*b].key);
            a.source.cmp(&b.source).then_with(|| compare_str(&a.model, &b.model)).then_with(|| a.cmp(b))
        });
        let rank: HashMap<usize, usize> = order.iter().enumerate().map(|(rank, at)| (*at, rank)).collect();
        let mut rows = self.rows;
        for row in &mut rows {
            row.group = rank[&place[row.group]];
        }
        rows.sort_by(|a, b| {
            let time = |row: &Row| row.figures.start_ts.unwrap_or(f64::INFINITY);
            time(a).total_cmp(&time(b)).then_with(|| (&a.run, a.id).cmp(&(&b.run, b.id)))
        });
        let lost = self.stages.lost();
        for level in self.load_levels.iter().filter(|level| level.models.len() > 1) {
            if let Some(of) = super::level(level.rate, level.concurrency) {
                self.stages.pool(&level.run, &level.models, of);
            }
        }
        let mut tallies = self.stages.tallies(&place);
        for at in &self.apart {
            if let Some(tally) = tallies.get_mut(&place[*at]) {
                *tally = Err("it holds requests of several loads, of one at a time too".into());
            }
        }
        let mut groups: Vec<Option<Building>> = self.groups.into_iter().map(Some).collect();
        let finished = order.iter().filter_map(|at| Some((tallies.remove(at), groups[*at].take()?)));
        let mut groups: Vec<Group> = finished.map(|(tally, group)| group.finish(self.slo.is_some(), tally)).collect();
        label(&mut groups);
        name_outliers(&mut groups, &rows);
        let [latency, tokens_in, tokens_out, token_rate] = self.all.each_ref().map(Sample::stat);
        let modes: BTreeSet<String> =
            self.modes.iter().map(|source| source.map_or_else(|| "unknown".into(), |s| s.to_string())).collect();
        let levels: Vec<Option<u64>> = self.levels.into_iter().collect();
        Summary {
            window: described(self.window, &groups, lost),
            groups,
            rows,
            results: self.seen,
            warmups: self.warmups,
            unreadable: 0,
            doubled: self.asked.doubled(),
            seen: self.asked,
            totals: Totals {
                mode: (!modes.is_empty()).then(|| modes.into_iter().collect::<Vec<_>>().join("+")),
                concurrency: if let [level] = levels[..] { level } else { None },
                requests: self.measured,
                failed: self.failed,
                started_ts: self.first,
                seconds: self.first.zip(self.last).filter(|_| self.any_end).map(|(first, last)| last - first),
                latency,
                tokens_in,
                tokens_out,
                tokens_both: self.all_tokens.stat(),
                token_rate,
            },
            slo: self.slo,
            comparison: None,
            runs: self.runs,
            prompts: self.prompts,
            loads: self.loads,
            samplers: self.samplers,
            joined: self.joined,
            levels: self.load_levels,
            searches: self.searches,
            ends: self.ends,
            calibrated: self.accuracy_collector.finish(),
            accuracy: self.accuracy,
            power: self.power.columns(),
            memory: self.memory.columns(),
        }
    }

    /// Gives groups what `model` and `load` records tell of their models.
    fn describe(&mut self) {
        let (mut models, mut loads) = (HashMap::<&str, Vec<&Model>>::new(), HashMap::<&str, Vec<&Load>>::new());
        self.models.iter().for_each(|model| models.entry(&model.id).or_default().push(model));
        self.loads.iter().for_each(|load| loads.entry(&load.model).or_default().push(load));
        for group in &mut self.groups {
            let (key, details) = (&group.key, &mut group.details);
            let same = |source: Option<Source>| source == key.source || source.is_none() || key.source.is_none();
            let listings = models.get(key.model.as_str()).into_iter().flatten();
            for model in listings.filter(|model| same(model.source)) {
                // A listing of one provider is pinned by its tag; answers carry its display name.
                let served = [key.settings.get("pinned_provider"), key.provider.as_ref()];
                if model.provider.is_some() && !served.contains(&model.provider.as_ref()) {
                    continue;
                }
                listed(details, model);
            }
            let loaded = loads.get(key.model.as_str()).into_iter().flatten().filter(|load| same(Some(load.source)));
            if let Some(context) = loaded.filter_map(|load| load.context_length).next_back() {
                details.context_length = Some(context);
            }
        }
    }

    /// A request that fails before a router has chosen a provider, or before its parameters were put together, belongs to no
    /// group of its own. Where exactly one group of its model and load has everything that it tells, it is counted there.
    /// Says for every group where its requests are now.
    fn fold_homeless_failures(&mut self) -> Vec<usize> {
        let mut place: Vec<usize> = (0..self.groups.len()).collect();
        let mut homes: HashMap<Key, Vec<usize>> = HashMap::new();
        for (at, group) in self.groups.iter().enumerate().filter(|(_, group)| !group.only_failures()) {
            homes.entry(group.key.without_provider().without_settings()).or_default().push(at);
        }
        for (at, place) in place.iter_mut().enumerate() {
            let key = self.groups[at].key.clone();
            if !self.groups[at].only_failures() {
                continue;
            }
            let near = homes.get(&key.without_provider().without_settings()).into_iter().flatten();
            // More than a few homes are no home.
            let mut fitting = near.take(64).filter(|home| key.fits(&self.groups[**home].key));
            let (first, second) = (fitting.next().copied(), fitting.next());
            if let (Some(home), None) = (first, second) {
                *place = home;
                let gone = std::mem::replace(&mut self.groups[at], Building::new(key));
                self.groups[home].merge(gone);
            }
        }
        place
    }
}

/// Names the requests of each group that lie far out: of all that are kept one by one.
fn name_outliers(groups: &mut [Group], rows: &[Row]) {
    let mut by: Vec<Vec<&Row>> = vec![Vec::new(); groups.len()];
    rows.iter().filter(|row| row.ok() && !row.warmup).for_each(|row| by[row.group].push(row));
    for (group, rows) in groups.iter_mut().zip(by) {
        for metric in [Metric::TTFT, Metric::DECODE_RATE, Metric::E2E] {
            let known: Vec<(&Row, f64)> = rows.iter().filter_map(|row| Some((*row, row.value(metric)?))).collect();
            let values: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
            let name = |at: usize| match known[at].0 {
                row if row.run.is_empty() => row.id.to_string(),
                row => format!("{}/{}", row.run, row.id),
            };
            if let Some(found) = outlying(&values, name) {
                group.outliers.insert(metric, found);
            }
        }
    }
}
