//! Records in, a summary out: each record is folded into what is kept of it and dropped.

use super::building::Building;
use super::goodput::Slo;
use super::group::{Details, Key};
use super::metric::{Metric, counts};
use super::row::Row;
use super::sample::Sample;
use super::series::Series;
use super::{Summary, Totals};
use crate::record::{Load, Memory, Model, Outcome, Power, Prompt, Record, Run, Sampler, SamplerEvent, Source};
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
    power: Series,
    memory: Series,
    answers: usize,
    modes: BTreeSet<String>,
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
            Record::Run(run) => keep(&mut self.runs, *run),
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
            Record::Sampler(_) | Record::Start(_) | Record::Unknown | Record::Newer(_) => {}
        }
    }

    fn result(&mut self, o: &Outcome, folder: Option<usize>) {
        let key = Key::new(o.source, &o.model, o.provider.as_deref(), o.concurrency, o.rate);
        let group = *self.by_key.entry(key.clone()).or_insert_with(|| {
            self.groups.push(Building::new(key));
            self.groups.len() - 1
        });
        let mut row = Row::of(o, group);
        row.folder = folder;
        row.text = row.text.take().and_then(|text| self.answer(text));
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
        self.modes.insert(o.source.map_or_else(|| "unknown".into(), |source| source.to_string()));
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
        let levels: Vec<Option<u64>> = self.levels.into_iter().collect();
        Summary {
            groups,
            rows,
            results: self.seen,
            warmups: self.warmups,
            totals: Totals {
                mode: (!self.modes.is_empty()).then(|| self.modes.into_iter().collect::<Vec<_>>().join("+")),
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
            power: self.power.columns(),
            memory: self.memory.columns(),
        }
    }

    /// Gives groups what `model` and `load` records tell of their models.
    fn describe(&mut self) {
        for group in &mut self.groups {
            let (key, details) = (&group.key, &mut group.details);
            let same = |source: Option<Source>| source == key.source || source.is_none() || key.source.is_none();
            for model in self.models.iter().filter(|model| model.id == key.model && same(model.source)) {
                if model.provider.is_some() && model.provider != key.provider {
                    continue;
                }
                listed(details, model);
            }
            let loaded = self.loads.iter().filter(|load| load.model == key.model && same(Some(load.source)));
            if let Some(context) = loaded.filter_map(|load| load.context_length).next_back() {
                details.context_length = Some(context);
            }
        }
    }

    /// A request that fails before a router has chosen a provider belongs to none. Where its model was served by exactly
    /// one provider at that load, it is counted there. Says for every group where its requests are now.
    fn fold_homeless_failures(&mut self) -> Vec<usize> {
        let mut place: Vec<usize> = (0..self.groups.len()).collect();
        for at in 0..self.groups.len() {
            let homeless = &self.groups[at];
            if homeless.key.provider.is_some() || !homeless.only_failures() {
                continue;
            }
            let mut homes = (0..self.groups.len())
                .filter(|home| *home != at && self.groups[*home].key.without_provider() == homeless.key);
            if let (Some(home), None) = (homes.next(), homes.next()) {
                place[at] = home;
                let key = homeless.key.clone();
                let gone = std::mem::replace(&mut self.groups[at], Building::new(key));
                self.groups[home].merge(gone);
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

/// What the server said of the model with its answer (LM Studio's `model_info`).
fn told(details: &mut Details, o: &Outcome) {
    let Some(info) = &o.model_info else { return };
    let word = |name: &str| info.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    details.arch = details.arch.take().or_else(|| word("arch"));
    details.quantization = details.quantization.take().or_else(|| word("quant").or_else(|| word("quantization")));
    details.format = details.format.take().or_else(|| word("format"));
    details.context_length = details.context_length.or_else(|| info.get("context_length").and_then(|v| v.as_u64()));
}

/// What the server's listing said of the model.
fn listed(details: &mut Details, model: &Model) {
    let fill = |mine: &mut Option<String>, theirs: &Option<String>| {
        if mine.is_none() {
            mine.clone_from(theirs);
        }
    };
    fill(&mut details.name, &model.name);
    fill(&mut details.arch, &model.arch);
    fill(&mut details.format, &model.format);
    fill(&mut details.quantization, &model.quantization);
    fill(&mut details.parameters, &model.parameters);
    details.size_bytes = details.size_bytes.or(model.size_bytes);
    details.context_length = details.context_length.or(model.loaded_context_length).or(model.context_length);
    let million = |price: &Option<String>| {
        price
            .as_deref()
            .and_then(|price| price.parse::<f64>().ok())
            .filter(|v| v.is_finite() && *v >= 0.0)
            .map(|v| v * 1e6)
    };
    if let Some(pricing) = &model.pricing {
        details.listed_usd_per_million_input_tokens =
            details.listed_usd_per_million_input_tokens.or(million(&pricing.prompt_usd_per_token));
        details.listed_usd_per_million_output_tokens =
            details.listed_usd_per_million_output_tokens.or(million(&pricing.completion_usd_per_token));
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
mod tests {
    use super::*;
    use crate::record;
    use serde_json::{Value, json};

    /// The summary of results that are given by the fields that matter.
    fn summary(results: impl IntoIterator<Item = Value>) -> Summary {
        let mut collector = Collector::default();
        for mut result in results {
            result["type"] = json!("result");
            result["v"] = json!(1);
            collector.add(record::read(&result.to_string()).unwrap(), None);
        }
        collector.finish()
    }

    fn failure() -> Value {
        json!({"kind": "rate_limit", "status": 429, "message": "slow down", "retryable": true})
    }

    #[test]
    fn requests_are_one_group_when_model_source_provider_and_load_agree() {
        let summary = summary([
            json!({"model": "b", "source": "openai", "concurrency": 4, "run": "one"}),
            json!({"model": "b", "source": "openai", "concurrency": 4, "run": "two"}),
            json!({"model": "b", "source": "openai", "concurrency": 8}),
            json!({"model": "b", "source": "openai", "rate": 2.5}),
            json!({"model": "a", "source": "openrouter", "provider": "X"}),
            json!({"model": "a", "source": "openrouter", "provider": "Y"}),
        ]);
        let groups: Vec<String> = summary
            .groups
            .iter()
            .map(|g| format!("{} {:?} {:?} {}", g.model, g.provider, g.key().load(), g.ok))
            .collect();
        assert_eq!(
            groups,
            [
                "a Some(\"X\") None 1",
                "a Some(\"Y\") None 1",
                "b None Some(\"2.5/s\") 1",
                "b None Some(\"4 at once\") 2",
                "b None Some(\"8 at once\") 1"
            ]
        );
    }

    #[test]
    fn a_failure_without_a_provider_is_counted_with_the_only_one_there_is() {
        let ok =
            |provider: &str| json!({"model": "m", "source": "openrouter", "provider": provider, "ttft_seconds": 1.0});
        let lost = json!({"model": "m", "source": "openrouter", "error": failure()});
        let one = summary([ok("X"), lost.clone(), ok("X")]);
        assert_eq!(one.groups.iter().map(|g| (g.ok, g.failed)).collect::<Vec<_>>(), [(2, 1)]);
        assert_eq!(one.groups[0].errors["rate_limit"], 1);
        assert!(one.rows.iter().all(|row| row.group == 0));
        let two = summary([ok("X"), lost, ok("Y")]);
        assert_eq!(two.groups.len(), 3, "of two nobody knows whose it was");
    }

    #[test]
    fn warm_up_and_failures_do_not_count_in_any_spread() {
        let summary = summary([
            json!({"model": "m", "ttft_seconds": 9.0, "phase": "warmup"}),
            json!({"model": "m", "ttft_seconds": 1.0, "phase": "measure"}),
            json!({"model": "m", "ttft_seconds": 5.0, "errors": {"generation": "stopped"}}),
        ]);
        let group = &summary.groups[0];
        assert_eq!((group.ok, group.failed, summary.warmups), (1, 1, 1));
        assert_eq!(group.stat(Metric::Ttft).unwrap().max, 1.0);
        assert_eq!((summary.totals.requests, summary.totals.failed), (2, 1));
    }

    #[test]
    fn a_load_counts_once_per_run_and_not_when_it_failed() {
        let loaded = |run: &str, seconds: f64| json!({"model": "m", "run": run, "load_time_seconds": seconds});
        let failed = json!({"model": "n", "run": "a", "load_time_seconds": 0.1, "errors": {"load": "no memory"}});
        let summary = summary([loaded("a", 4.0), loaded("a", 4.0), loaded("b", 6.0), failed]);
        let stat = summary.groups[0].stat(Metric::LoadTime).unwrap();
        assert_eq!((stat.n, stat.mean), (2, 5.0));
        assert_eq!(summary.groups[1].stat(Metric::LoadTime), None);
        assert_eq!(summary.groups[1].errors["load"], 1);
    }

    #[test]
    fn energy_per_token_is_a_quotient_of_sums_and_bounds_need_every_request() {
        let joined = |joules: f64, tokens: u64, bounds: bool| {
            let mut power =
                json!({"energy_joules": joules, "coverage": 1.0, "quality": "good", "samples": 9, "clock": "mono"});
            if bounds {
                power["energy_lower_joules"] = json!(joules * 0.9);
                power["energy_upper_joules"] = json!(joules * 1.1);
            }
            json!({"model": "m", "tokens": {"output": tokens, "source": "usage"}, "power": power})
        };
        let both = summary([joined(10.0, 10, true), joined(300.0, 100, true)]);
        let energy = both.groups[0].energy.as_ref().unwrap();
        assert_eq!(energy.joules_per_output_token, Some(310.0 / 110.0));
        assert!((energy.joules_per_output_token_upper.unwrap() - 341.0 / 110.0).abs() < 1e-12);
        assert_eq!(energy.net_joules, None);
        let one = summary([joined(10.0, 10, true), joined(300.0, 100, false), joined(5.0, 0, true)]);
        let energy = one.groups[0].energy.as_ref().unwrap();
        assert_eq!((energy.requests, energy.lower_joules), (2, None));
    }

    #[test]
    fn of_very_many_requests_an_even_sample_is_kept_and_all_are_counted() {
        let n = ROWS as u64 + 10_000;
        let summary =
            summary((0..n).map(|i| json!({"model": "m", "id": i, "ttft_seconds": i as f64 + 1.0, "start_ts": i})));
        assert!(summary.sampled());
        assert_eq!((summary.rows.len(), summary.groups[0].ok), (ROWS, n));
        let early = summary.rows.iter().filter(|row| row.id < n / 2).count();
        assert!((ROWS * 47 / 100..ROWS * 53 / 100).contains(&early), "{early}");
        let median = summary.groups[0].stat(Metric::Ttft).unwrap().p50;
        assert!((median - n as f64 / 2.0).abs() < n as f64 * 2e-3, "{median}");
    }
}
