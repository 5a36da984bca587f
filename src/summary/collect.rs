//! Records in, a summary out: each record is folded into what is kept of it and dropped.

use super::building::Building;
use super::calibrating::Calibrating;
use super::describe::{listed, told};
use super::goodput::Slo;
use super::group::Key;
use super::metric::{Metric, counts};
use super::row::Row;
use super::sample::Sample;
use super::series::Series;
use super::{Summary, Totals};
use crate::record::{
    Calibration, JoinSummary, Load, LoadLevel, Memory, Model, Outcome, Power, Prompt, Record, Run, RunEnd, Sampler,
    SamplerEvent, Search, Source,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// How many requests a summary keeps one by one. Of more, it keeps a sample of this size, drawn evenly.
pub const ROWS: usize = 20_000;

/// How many prompts, runs, loads and samplers are kept: far more than any report can show.
const HEADS: usize = 2000;

/// How many bytes of answers are kept, and of one answer; the artifacts have all of it.
const ANSWERS: usize = 4 << 20;
const ANSWER: usize = 64 << 10;

/// Folds records into a summary.
#[derive(Default)]
pub struct Collector {
    groups: Vec<Building>,
    by_key: HashMap<Key, usize>,
    rows: Vec<Row>,
    seen: u64,
    measured: u64,
    warmups: u64,
    runs: Vec<Run>,
    prompts: Vec<Prompt>,
    prompt_ids: HashSet<(String, String)>,
    loads: Vec<Load>,
    models: Vec<Model>,
    samplers: Vec<Sampler>,
    joined: Vec<JoinSummary>,
    load_levels: Vec<LoadLevel>,
    searches: Vec<Search>,
    ends: Vec<RunEnd>,
    calibrating: Calibrating,
    calibration: Option<Calibration>,
    power: Series,
    memory: Series,
    answers: usize,
    modes: BTreeSet<Option<Source>>,
    levels: BTreeSet<Option<u64>>,
    all: HashMap<Metric, Sample>,
    all_tokens: Sample,
    first: Option<f64>,
    last: Option<f64>,
    failed: u64,
    slo: Option<Slo>,
}

impl Collector {
    /// A collector that also counts how many requests keep these limits.
    pub fn with_slo(slo: Option<Slo>) -> Self {
        Self { slo, ..Self::default() }
    }

    /// Folds one record in. `folder` is the number of the folder that its relative paths are of, in the caller's count.
    pub fn add(&mut self, record: Record, folder: Option<usize>) {
        match record {
            Record::Result(o) => self.result(&o, folder),
            Record::Run(run) => {
                self.calibrating.run(&run);
                keep(&mut self.runs, *run);
            }
            Record::Prompt(prompt) => {
                if self.prompt_ids.len() < HEADS && self.prompt_ids.insert((prompt.id.clone(), prompt.sha256.clone())) {
                    self.prompts.push(*prompt);
                }
            }
            Record::Load(load) => keep(&mut self.loads, *load),
            Record::Model(model) => keep(&mut self.models, *model),
            Record::Sampler(sampler) if sampler.event == SamplerEvent::Start => keep(&mut self.samplers, *sampler),
            Record::Power(power) => self.power(&power),
            Record::Memory(memory) => self.memory(&memory),
            Record::JoinSummary(joined) => keep(&mut self.joined, *joined),
            Record::Level(level) => {
                self.calibrating.level(&level);
                keep(&mut self.load_levels, *level);
            }
            Record::Search(search) => keep(&mut self.searches, *search),
            Record::RunEnd(end) => keep(&mut self.ends, *end),
            Record::Calibration(calibration) => self.calibration = Some(*calibration),
            Record::Sampler(_) | Record::Start(_) | Record::Unknown | Record::Newer(_) => {}
        }
    }

    /// Folds one result in; the caller may use its room again.
    pub fn result(&mut self, o: &Outcome, folder: Option<usize>) {
        let key = Key::new(o.source, &o.model, o.provider.as_deref(), o.concurrency, o.rate);
        let group = *self.by_key.entry(key.clone()).or_insert_with(|| {
            self.groups.push(Building::new(key));
            self.groups.len() - 1
        });
        let mut row = Row::of(o, group);
        row.folder = folder;
        row.text = row.text.take().and_then(|text| self.answer(text));
        self.calibrating.result(o);
        let building = &mut self.groups[group];
        told(&mut building.details, o);
        if counts(o) {
            building.add(o, &row, self.slo.is_some_and(|slo| slo.keeps(&row)));
            self.total(o, &row);
        } else {
            self.warmups += 1;
        }
        self.keep_row(row);
    }

    /// Keeps an answer while there is room; a long one in part, and says so.
    fn answer(&mut self, mut text: String) -> Option<String> {
        if text.len() > ANSWER {
            let cut = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= ANSWER).last().unwrap_or(0);
            text.truncate(cut);
            text.push_str("\n\n…");
        }
        self.answers += text.len();
        (self.answers <= ANSWERS).then_some(text)
    }

    /// Keeps every row while there is room, then each with the same chance (Vitter's algorithm R). The draw is a fixed
    /// sequence, so that the same input gives the same report.
    fn keep_row(&mut self, row: Row) {
        self.seen += 1;
        if self.rows.len() < ROWS {
            self.rows.push(row);
            return;
        }
        let at = usize::try_from(scramble(self.seen) % self.seen).unwrap_or(usize::MAX);
        if let Some(place) = self.rows.get_mut(at) {
            *place = row;
        }
    }

    fn total(&mut self, o: &Outcome, row: &Row) {
        self.measured += 1;
        self.modes.insert(o.source);
        self.levels.insert(o.concurrency);
        if let Some(from) = row.start_ts {
            let to = from + row.end_seconds.unwrap_or(0.0);
            self.first = Some(self.first.map_or(from, |first| first.min(from)));
            self.last = Some(self.last.map_or(to, |last| last.max(to)));
        }
        if !row.ok() {
            self.failed += 1;
            return;
        }
        for metric in [Metric::GenerationTime, Metric::TokensIn, Metric::TokensOut, Metric::TokenRate] {
            if let Some(value) = row.value(metric) {
                self.all.entry(metric).or_default().add(value);
            }
        }
        if let (Some(input), Some(output)) = (row.value(Metric::TokensIn), row.value(Metric::TokensOut)) {
            self.all_tokens.add(input + output);
        }
    }

    fn power(&mut self, power: &Power) {
        let watts = power.watts.iter().filter_map(|(domain, watts)| Some((domain.as_str(), (*watts)?)));
        self.power.add(power.ts, watts);
    }

    fn memory(&mut self, memory: &Memory) {
        let known = |field: Option<Option<u64>>| field.flatten();
        let gpu = memory.gpu.as_ref().map(|gpus| gpus.values().filter_map(|gpu| gpu.used_bytes).sum::<u64>());
        let figures = [
            ("system", memory.system.as_ref().map(|system| system.used_bytes)),
            ("footprint", known(memory.footprint_bytes)),
            ("pss", known(memory.pss_bytes)),
            ("rss", known(memory.rss_bytes)),
            ("gpu", gpu),
        ];
        self.memory.add(memory.ts, figures.into_iter().filter_map(|(name, bytes)| Some((name, bytes? as f64))));
    }

    /// The summary of everything that came.
    pub fn finish(mut self) -> Summary {
        self.describe();
        let place = self.fold_homeless_failures();
        let mut order: Vec<usize> = (0..self.groups.len()).filter(|at| place[*at] == *at).collect();
        order.sort_by(|a, b| self.groups[*a].key.cmp(&self.groups[*b].key));
        let rank: HashMap<usize, usize> = order.iter().enumerate().map(|(rank, at)| (*at, rank)).collect();
        let mut rows = self.rows;
        for row in &mut rows {
            row.group = rank[&place[row.group]];
        }
        rows.sort_by(|a, b| {
            let time = |row: &Row| row.start_ts.unwrap_or(f64::INFINITY);
            time(a).total_cmp(&time(b)).then_with(|| (&a.run, a.id).cmp(&(&b.run, b.id)))
        });
        let mut groups: Vec<Option<Building>> = self.groups.into_iter().map(Some).collect();
        let groups =
            order.iter().filter_map(|at| groups[*at].take()).map(|group| group.finish(self.slo.is_some())).collect();
        let stat = |metric| self.all.get(&metric).and_then(Sample::stat);
        let modes: BTreeSet<String> =
            self.modes.iter().map(|source| source.map_or_else(|| "unknown".into(), |s| s.to_string())).collect();
        let levels: Vec<Option<u64>> = self.levels.into_iter().collect();
        Summary {
            groups,
            rows,
            results: self.seen,
            warmups: self.warmups,
            totals: Totals {
                mode: (!modes.is_empty()).then(|| modes.into_iter().collect::<Vec<_>>().join("+")),
                concurrency: if let [level] = levels[..] { level } else { None },
                requests: self.measured,
                failed: self.failed,
                started_ts: self.first,
                seconds: self.first.zip(self.last).map(|(first, last)| last - first),
                latency: stat(Metric::GenerationTime),
                tokens_in: stat(Metric::TokensIn),
                tokens_out: stat(Metric::TokensOut),
                tokens_both: self.all_tokens.stat(),
                token_rate: stat(Metric::TokenRate),
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
            calibrated: self.calibrating.finish(),
            calibration: self.calibration,
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
                if model.provider.is_some() && model.provider != key.provider {
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

    /// A request that fails before a router has chosen a provider belongs to none. Where its model was served by exactly
    /// one provider at that load, it is counted there. Says for every group where its requests are now.
    fn fold_homeless_failures(&mut self) -> Vec<usize> {
        let mut place: Vec<usize> = (0..self.groups.len()).collect();
        // By model and load: the one provider that served it, or that there are several.
        let mut homes: HashMap<Key, Option<usize>> = HashMap::new();
        for (at, group) in self.groups.iter().enumerate().filter(|(_, group)| group.key.provider.is_some()) {
            homes.entry(group.key.without_provider()).and_modify(|home| *home = None).or_insert(Some(at));
        }
        for (at, place) in place.iter_mut().enumerate() {
            let homeless = &self.groups[at];
            if homeless.key.provider.is_some() || !homeless.only_failures() {
                continue;
            }
            if let Some(Some(home)) = homes.get(&homeless.key) {
                *place = *home;
                let gone = Building::new(homeless.key.clone());
                let gone = std::mem::replace(&mut self.groups[at], gone);
                self.groups[*home].merge(gone);
            }
        }
        place
    }
}

fn keep<T>(kept: &mut Vec<T>, one: T) {
    if kept.len() < HEADS {
        kept.push(one);
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: OOPSLA 2014): a number that looks random from its place.
pub(super) fn scramble(place: u64) -> u64 {
    let z = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
