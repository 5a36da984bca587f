//! Records in, a summary out: each record is folded into what is kept of it and dropped.

mod finish;

use super::accuracy::AccuracyCollector;
use super::building::Building;
use super::describe::told;
use super::figures::{Figures, counts};
use super::goodput::Slo;
use super::key::{GroupBy, Key, Keys};
use super::prepared::{Prepared, Request};
use super::registry::Metric;
use super::row::Row;
use super::sample::Sample;
use super::seen::Runs;
use super::series::Series;
use super::window::{Flight, Stages, Target, Window};
use crate::record::{
    Accuracy, JoinSummary, Load, LoadLevel, Memory, Model, Power, Prompt, Record, ResultFields, Run, RunEnd, Sampler,
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

/// What is totalled over all measured requests.
const TOTALS: [Metric; 4] = [Metric::E2E, Metric::INPUT_TOKENS, Metric::OUTPUT_TOKENS, Metric::OUTPUT_RATE];

/// What is asked of a summary.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// What a request must keep to be good.
    pub slo: Option<Slo>,
    /// By what requests are put together.
    pub by: GroupBy,
    /// What part of a load its throughput is of.
    pub window: Window,
    /// The price of a kilowatt-hour: energy that the join put no price on costs this.
    pub price_per_kwh: Option<f64>,
}

/// Folds records into a summary.
#[derive(Default)]
pub struct Collector {
    keys: Keys,
    stages: Stages,
    /// The groups with requests of no load above one: no steady part is looked for in those.
    apart: HashSet<usize>,
    window: Window,
    price_per_kwh: Option<f64>,
    groups: Vec<Building>,
    by_key: HashMap<Key, usize>,
    rows: Vec<Row>,
    seen: u64,
    asked: Runs,
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
    accuracy_collector: AccuracyCollector,
    accuracy: Option<Accuracy>,
    power: Series,
    memory: Series,
    answers: usize,
    modes: BTreeSet<Option<Source>>,
    levels: BTreeSet<Option<u64>>,
    /// Of the metrics of [`TOTALS`].
    all: [Sample; TOTALS.len()],
    all_tokens: Sample,
    first: Option<f64>,
    last: Option<f64>,
    /// Whether it is known of any request when it ended.
    any_end: bool,
    failed: u64,
    slo: Option<Slo>,
}

impl Collector {
    /// A collector for what is asked.
    pub fn new(asked: Asked) -> Self {
        let Asked { slo, by, window, price_per_kwh } = asked;
        Self { slo, window, price_per_kwh, keys: Keys::new(by), ..Self::default() }
    }

    /// Folds one record in. `folder` is the number of the folder that its relative paths are of, in the caller's count.
    pub fn add(&mut self, record: Record, folder: Option<usize>) {
        match record {
            Record::Result(outcome) => self.result(&mut ResultFields::from(&*outcome).into(), folder),
            other => self.other(other),
        }
    }

    /// Folds one record in that was prepared, and takes from it what the summary keeps.
    pub fn fold(&mut self, prepared: &mut Prepared<'_>, folder: Option<usize>) {
        match prepared {
            Prepared::Result(request) => self.result(request, folder),
            Prepared::Other(record) => self.other(std::mem::replace(record, Record::Unknown)),
        }
    }

    fn other(&mut self, record: Record) {
        match record {
            Record::Run(run) => {
                self.keys.run(&run);
                self.accuracy_collector.run(&run);
                keep(&mut self.runs, *run);
            }
            Record::Prompt(prompt) => {
                self.keys.prompt(&prompt.id, prompt.category.as_deref());
                if self.prompt_ids.len() < HEADS && self.prompt_ids.insert((prompt.id.clone(), prompt.sha256.clone())) {
                    self.prompts.push(*prompt);
                }
            }
            Record::Load(load) => keep(&mut self.loads, *load),
            Record::Model(model) => {
                self.keys.model(&model);
                keep(&mut self.models, *model);
            }
            Record::Sampler(sampler) if sampler.event == SamplerEvent::Start => keep(&mut self.samplers, *sampler),
            Record::Power(power) => self.power(&power),
            Record::Memory(memory) => self.memory(&memory),
            Record::JoinSummary(joined) => keep(&mut self.joined, *joined),
            Record::Level(level) => {
                self.accuracy_collector.level(&level);
                keep(&mut self.load_levels, *level);
            }
            Record::Search(search) => keep(&mut self.searches, *search),
            Record::RunEnd(end) => keep(&mut self.ends, *end),
            Record::Accuracy(accuracy) => self.accuracy = Some(*accuracy),
            // A result is prepared.
            Record::Result(_) | Record::Sampler(_) | Record::Start(_) | Record::Unknown | Record::Newer(_) => {}
        }
    }

    fn result(&mut self, request: &mut Request, folder: Option<usize>) {
        let group = self.group(&request.result);
        let figures = &mut request.figures;
        if let (Some(price), Some(joules), None) =
            (self.price_per_kwh, figures.value(Metric::ENERGY), figures.value(Metric::ENERGY_COST))
        {
            figures.insert(Metric::ENERGY_COST, joules / 3.6e6 * price);
        }
        let Request { result: o, figures, .. } = request;
        self.asked.add(o);
        self.accuracy_collector.result(o);
        told(&mut self.groups[group].details, o);
        let good = self.slo.as_ref().is_some_and(|slo| figures.keeps(slo));
        self.fly(o, figures, group, good);
        if counts(o) {
            self.total(o, figures);
            self.groups[group].add(request, good);
        } else {
            self.warmups += 1;
        }
        self.keep_row(request, group, folder);
    }

    /// The group of a result; a new one where none like it came before.
    fn group(&mut self, o: &ResultFields) -> usize {
        *self.by_key.entry(self.keys.of(o)).or_insert_with_key(|key| {
            self.groups.push(Building::new(key.clone()));
            self.groups.len() - 1
        })
    }

    /// Keeps when a request was in flight, where its load has a steady part to look for, and of one that does not count
    /// wherever its load has several at once.
    fn fly(&mut self, o: &ResultFields, figures: &Figures, group: usize, good: bool) {
        let level = level(figures.rate, o.concurrency);
        let target = match (figures.rate, o.concurrency) {
            (Some(_), _) => Target::Open,
            (None, Some(n)) if n > 1 => Target::Closed(n),
            _ => {
                self.apart.insert(group);
                return;
            }
        };
        let (Some(start), Some(length), Some(level)) = (figures.start_ts, figures.end_seconds, level) else { return };
        let flight = Flight {
            start,
            first: start + figures.value(Metric::TTFT).unwrap_or(length).min(length),
            end: start + length,
            tokens: if figures.ok() { figures.value(Metric::OUTPUT_TOKENS).unwrap_or(0.0) as f32 } else { 0.0 },
            group: group as u32,
            ok: figures.ok(),
            good,
            warmup: !counts(o),
        };
        if flight.warmup {
            self.groups[group].warm(&o.run, flight);
        }
        if self.window == Window::Steady {
            self.stages.add(&o.run, &o.model, level, target, flight);
        }
    }

    /// An answer, while there is room for answers; a long one in part, and says so.
    fn answer(&mut self, text: &str) -> Option<String> {
        let (text, more) = match text.len() {
            0..=ANSWER => (text, ""),
            _ => (&text[..text.floor_char_boundary(ANSWER)], "\n\n…"),
        };
        self.answers += text.len() + more.len();
        (self.answers <= ANSWERS).then(|| [text, more].concat())
    }

    /// Keeps every row while there is room, then each with the same chance (Vitter's algorithm R). The draw is a fixed
    /// sequence, so that the same input gives the same report.
    fn keep_row(&mut self, request: &mut Request, group: usize, folder: Option<usize>) {
        let Request { result: o, figures, .. } = request;
        let text = o.text.as_deref().and_then(|text| self.answer(text));
        self.seen += 1;
        let at = if self.rows.len() < ROWS {
            self.rows.len()
        } else {
            usize::try_from(scramble(self.seen) % self.seen).unwrap_or(usize::MAX)
        };
        if at >= ROWS {
            return;
        }
        let row = Row { folder, text, ..Row::of(o, std::mem::take(figures), group) };
        match self.rows.get_mut(at) {
            Some(place) => *place = row,
            None => self.rows.push(row),
        }
    }

    fn total(&mut self, o: &ResultFields, figures: &Figures) {
        self.measured += 1;
        self.modes.insert(o.source);
        self.levels.insert(o.concurrency);
        if let Some(from) = figures.start_ts {
            // Of a request that nobody knows the end of it is known that it lasted until its start.
            let to = from + figures.end_seconds.unwrap_or(0.0);
            self.first = Some(self.first.map_or(from, |first| first.min(from)));
            self.last = Some(self.last.map_or(to, |last| last.max(to)));
            self.any_end |= figures.end_seconds.is_some();
        }
        if !figures.ok() {
            self.failed += 1;
            return;
        }
        for (metric, all) in TOTALS.into_iter().zip(&mut self.all) {
            if let Some(value) = figures.value(metric) {
                all.add(value);
            }
        }
        if let (Some(input), Some(output)) = (figures.value(Metric::INPUT_TOKENS), figures.value(Metric::OUTPUT_TOKENS))
        {
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
}

/// The load that requests were part of, as [`Stages`] tells loads apart: the bits of a rate, else how many ran at once. No
/// rate that anybody asks for has the bits of so small a number.
fn level(rate: Option<f64>, concurrency: Option<u64>) -> Option<u64> {
    rate.map(f64::to_bits).or(concurrency)
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
