//! A group while its requests come in: sums, samples and counts, never the requests themselves.

mod finish;
mod span;

use self::span::Span;
use super::energy::{Energy, Meter, Range, Split};
use super::figures::Figures;
use super::gap_map::GapMap;
use super::group::{Details, Error, Money};
use super::key::Key;
use super::prepared::Request;
use super::prompts::Prompts;
use super::registry::Metric;
use super::sample::Sample;
use super::window::Flight;
use super::words::{LONGEST_WORD, WORDS, Words, note};
use crate::record::{CostMethod, FileFields, JoinedPower, PhaseEnergy, PromptFields, Text, Watts};
use crate::stats::HistogramSum;
use crate::units::{Unit, possible};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How many requests of ramps a group keeps at least: more than any client has in flight when one ends.
const RAMP: usize = 4096;

/// What a group is made from.
pub struct Building {
    pub key: Key,
    pub details: Details,
    ok: u64,
    failed: u64,
    samples: BTreeMap<Metric, Sample>,
    /// Which measurements that count once per run were counted already.
    once: HashSet<(Metric, String)>,
    gaps: HistogramSum,
    gap_map: Option<GapMap>,
    watts: BTreeMap<Metric, Range>,
    energy: Option<Energy>,
    bounds_known: bool,
    net_known: bool,
    net_bounds_known: bool,
    meter: Option<Meter>,
    memory_primary: BTreeSet<String>,
    cost: Option<Money>,
    paid_tokens: f64,
    paid_usd: f64,
    spans: BTreeMap<String, Span>,
    /// Requests of a ramp, by run, of which those that end last are kept.
    ramp: Vec<(String, Flight)>,
    split: Split,
    models: BTreeSet<String>,
    output_tokens: Option<f64>,
    good: u64,
    no_power: Words,
    no_memory: Words,
    worst_error: Option<Error>,
    finish_reasons: Words,
    errors: Words,
    messages: HashMap<(String, Option<u16>, String), u64>,
    warnings: Words,
    cached_requests: u64,
    cache_known: u64,
    retried: u64,
    token_methods: Words,
    served_models: BTreeSet<String>,
    artifacts: Words,
    endpoints: BTreeSet<String>,
    parameters: BTreeSet<String>,
    prompts: Prompts,
}

impl Building {
    pub fn new(key: Key) -> Self {
        Self {
            key,
            details: Details::default(),
            ok: 0,
            failed: 0,
            samples: BTreeMap::new(),
            once: HashSet::new(),
            gaps: HistogramSum::default(),
            gap_map: None,
            watts: BTreeMap::new(),
            energy: None,
            bounds_known: true,
            net_known: true,
            net_bounds_known: true,
            meter: None,
            memory_primary: BTreeSet::new(),
            cost: None,
            paid_tokens: 0.0,
            paid_usd: 0.0,
            spans: BTreeMap::new(),
            ramp: Vec::new(),
            split: Split::default(),
            models: BTreeSet::new(),
            output_tokens: None,
            good: 0,
            no_power: Words::default(),
            no_memory: Words::default(),
            worst_error: None,
            finish_reasons: Words::default(),
            errors: Words::default(),
            messages: HashMap::new(),
            warnings: Words::default(),
            cached_requests: 0,
            cache_known: 0,
            retried: 0,
            token_methods: Words::default(),
            served_models: BTreeSet::new(),
            artifacts: Words::default(),
            endpoints: BTreeSet::new(),
            parameters: BTreeSet::new(),
            prompts: Prompts::default(),
        }
    }

    /// Counts a request that was measured, and whether it was good.
    pub fn add(&mut self, request: &Request, good: bool) {
        let Request { result: o, figures, .. } = request;
        self.good += u64::from(good);
        if let (Some(from), Some(length)) = (figures.start_ts, figures.end_seconds) {
            let (from, to) = (from, from + length);
            match self.spans.get_mut(&*o.run) {
                Some(span) => span.add(from, to),
                None => self.spans.entry(o.run.to_string()).or_default().add(from, to),
            }
        }
        figures.warnings.iter().for_each(|word| self.warnings.add(word, 1));
        if let Some(FileFields { html, text, json, power_log }) = &o.files {
            let kinds = [("html", html), ("text", text), ("json", json), ("power_log", power_log)];
            kinds.iter().filter(|(_, path)| path.is_some()).for_each(|(kind, _)| self.artifacts.add(kind, 1));
        }
        self.retried += u64::from(!o.attempts.is_empty());
        note(&mut self.endpoints, o.endpoint.as_deref());
        note(&mut self.served_models, o.served_model.as_deref().filter(|served| *served != &*o.model));
        if let Some(prompt) = &o.prompt {
            self.prompts.note(&prompt.id);
            sent(prompt).for_each(|word| note(&mut self.parameters, Some(&word)));
        }
        if let Some(Some(power)) = &o.power {
            self.meter(power);
        }
        if let (Some(None), Some(reason)) = (&o.power, &o.power_reason) {
            self.no_power.add(reason, 1);
        }
        if let (Some(None), Some(reason)) = (&o.memory, &o.memory_reason) {
            self.no_memory.add(reason, 1);
        }
        if self.key.model.is_empty() {
            note(&mut self.models, Some(&o.model));
        }
        if let Some(cost) = &o.cost {
            // Failures can cost money too.
            self.pay(cost.usd, cost.method, figures.value(Metric::OUTPUT_TOKENS));
        }
        // A load that failed took no time and no memory that anybody wants compared.
        let loaded = figures.failure.as_ref().is_none_or(|failure| failure.kind != "load");
        for &(metric, value) in figures.values.iter().filter(|(metric, _)| loaded && metric.once_per_run()) {
            if self.once.insert((metric, o.run.to_string())) {
                self.samples.entry(metric).or_default().add(value);
                let load = o.power.as_ref().and_then(|power| power.as_ref()?.load.as_ref());
                if metric == Metric::LOAD_ENERGY
                    && let Some(load) = load
                {
                    self.split.load.get_or_insert_default().add(value, bounds(load));
                }
            }
        }
        if let Some(failure) = &figures.failure {
            self.failed += 1;
            self.errors.add(failure.kind, 1);
            let message = (failure.kind.to_owned(), failure.status, failure.message.clone());
            if self.messages.len() < WORDS || self.messages.contains_key(&message) {
                *self.messages.entry(message).or_default() += 1;
            }
            return;
        }
        self.ok += 1;
        self.measure(request);
    }

    /// Keeps when a request was in flight that only warmed the server or was part of a ramp: where it still ran when those
    /// that count began, it was load like them.
    pub fn warm(&mut self, run: &str, flight: Flight) {
        if self.ramp.len() >= 2 * RAMP {
            self.ramp.sort_by(|(_, a), (_, b)| b.end.total_cmp(&a.end));
            self.ramp.truncate(RAMP);
        }
        self.ramp.push((run.to_owned(), flight));
    }

    /// Counts the numbers of a request that did not fail.
    fn measure(&mut self, request: &Request) {
        let Request { result: o, figures, .. } = request;
        for &(metric, value) in figures.values.iter().filter(|(metric, _)| metric.counts_each_request()) {
            self.samples.entry(metric).or_default().add(value);
        }
        if let Some(steps) = &request.steps {
            self.gap_map.get_or_insert_default().add(steps);
        }
        match &request.gaps {
            Some(Ok(counts)) => self.gaps.add(counts, figures.gap_ends),
            Some(Err(_)) => self.warnings.add("unreadable_histogram", 1),
            None => {}
        }
        if let Some(truth) = &o.ground_truth {
            let error = self.worst_error.get_or_insert_default();
            error.requests += 1;
            for (worst, seen) in [
                (&mut error.ttft_seconds, truth.ttft_error_seconds),
                (&mut error.gap_seconds, truth.gap_error_seconds),
                (&mut error.end_seconds, truth.end_error_seconds),
            ] {
                if let Some(seen) = seen.map(f64::abs).filter(|seen| seen.is_finite()) {
                    *worst = Some(worst.map_or(seen, |worst| worst.max(seen)));
                }
            }
        }
        if let Some(tokens) = figures.value(Metric::OUTPUT_TOKENS) {
            *self.output_tokens.get_or_insert(0.0) += tokens;
        }
        if let Some(reason) = &o.finish_reason {
            self.finish_reasons.add(reason, 1);
        }
        if let Some(source) = o.tokens.as_ref().and_then(|tokens| tokens.method) {
            self.token_methods.add(source.into(), 1);
        }
        if let Some(cached) = figures.value(Metric::CACHED_TOKENS) {
            self.cache_known += 1;
            self.cached_requests += u64::from(cached > 0.0);
        }
        note(&mut self.memory_primary, o.memory.iter().flatten().next().and_then(|memory| memory.primary.as_deref()));
        if let Some(Some(power)) = &o.power {
            self.energy(power, figures);
        }
    }

    fn pay(&mut self, usd: f64, method: Option<CostMethod>, tokens: Option<f64>) {
        if !possible(Unit::Usd, usd) {
            return;
        }
        let cost = self.cost.get_or_insert_default();
        cost.requests += 1;
        cost.usd += usd;
        if let Some(method) = method {
            *cost.methods.entry(method.to_string()).or_default() += 1;
        }
        if let Some(tokens) = tokens {
            self.paid_tokens += tokens;
            self.paid_usd += usd;
        }
    }

    fn meter(&mut self, power: &JoinedPower) {
        let meter = self.meter.get_or_insert_default();
        power.meters.iter().for_each(|name| note(&mut meter.meters, Some(name)));
        note(&mut meter.total_domains, power.total_domain.as_deref());
        note(&mut meter.attribution, power.attribution.as_deref());
        meter.estimated |= power.estimated;
        meter.simulated |= power.simulated;
        if let Some(reason) = &power.reason
            && (meter.reasons.len() < WORDS || meter.reasons.contains_key(reason))
        {
            *meter.reasons.entry(reason.chars().take(LONGEST_WORD).collect()).or_default() += 1;
        }
    }

    fn energy(&mut self, power: &JoinedPower, figures: &Figures) {
        let meter = self.meter.get_or_insert_default();
        if let Some(coverage) = power.coverage.filter(|coverage| possible(Unit::Share, *coverage)) {
            let lowest = meter.coverage_min.get_or_insert(coverage);
            *lowest = lowest.min(coverage);
        }
        if let Some(quality) = power.quality {
            *meter.quality.entry(quality.to_string()).or_default() += 1;
        }
        let domains: [(Metric, &Option<Watts>); 4] = [
            (Metric::CPU_WATTS, &power.cpu_watts),
            (Metric::GPU_WATTS, &power.gpu_watts),
            (Metric::ANE_WATTS, &power.ane_watts),
            (Metric::TOTAL_WATTS, &power.total_watts),
        ];
        for (metric, watts) in domains {
            let Some(watts) = watts.as_ref().filter(|w| possible(Unit::Watts, w.min) && possible(Unit::Watts, w.max))
            else {
                continue;
            };
            let range = self.watts.entry(metric).or_insert(Range { low: watts.min, peak: watts.max });
            *range = Range { low: range.low.min(watts.min), peak: range.peak.max(watts.max) };
        }
        for (part, value, bounds) in [
            (&mut self.split.prefill, figures.value(Metric::PREFILL_ENERGY), power.prefill.as_ref().and_then(bounds)),
            (&mut self.split.decode, figures.value(Metric::DECODE_ENERGY), power.decode.as_ref().and_then(bounds)),
            // What idling takes is known from one mean, not from windows: it has no bounds of this kind.
            (&mut self.split.idle, figures.value(Metric::IDLE_ENERGY), None),
        ] {
            if let Some(joules) = value {
                part.get_or_insert_default().add(joules, bounds);
            }
        }
        if let (Some(whole), Some(prefill), Some(decode)) =
            (figures.value(Metric::ENERGY), figures.value(Metric::PREFILL_ENERGY), figures.value(Metric::DECODE_ENERGY))
        {
            let same = self.split.same.get_or_insert_default();
            same.whole.add(whole, figures.energy_bounds);
            same.prefill.add(prefill, power.prefill.as_ref().and_then(bounds));
            same.decode.add(decode, power.decode.as_ref().and_then(bounds));
            if let Some(idle) = figures.value(Metric::IDLE_ENERGY) {
                same.idle.add(idle, None);
            }
        }
        let (Some(joules), Some(tokens)) = (figures.value(Metric::ENERGY), figures.value(Metric::OUTPUT_TOKENS)) else {
            return;
        };
        if tokens <= 0.0 {
            return;
        }
        let energy = self.energy.get_or_insert_default();
        energy.requests += 1;
        energy.output_tokens += tokens;
        energy.joules += joules;
        match figures.energy_bounds {
            Some((lower, upper)) => {
                *energy.lower_joules.get_or_insert(0.0) += lower;
                *energy.upper_joules.get_or_insert(0.0) += upper;
            }
            None => self.bounds_known = false,
        }
        match figures.value(Metric::NET_ENERGY) {
            Some(net) => *energy.net_joules.get_or_insert(0.0) += net,
            None => self.net_known = false,
        }
        match figures.net_bounds {
            Some((lower, upper)) => {
                *energy.net_lower_joules.get_or_insert(0.0) += lower;
                *energy.net_upper_joules.get_or_insert(0.0) += upper;
            }
            None => self.net_bounds_known = false,
        }
    }

    /// Takes over what `other`, of the same model and load, has counted.
    pub fn merge(&mut self, other: Building) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.good += other.good;
        for (metric, sample) in other.samples {
            self.samples.entry(metric).or_default().merge(sample);
        }
        for (run, theirs) in other.spans {
            self.spans.entry(run).or_default().merge(theirs);
        }
        self.ramp.extend(other.ramp);
        self.errors.merge(other.errors);
        self.warnings.merge(other.warnings);
        self.artifacts.merge(other.artifacts);
        self.retried += other.retried;
        for (message, n) in other.messages {
            *self.messages.entry(message).or_default() += n;
        }
        self.endpoints.extend(other.endpoints);
        self.parameters.extend(other.parameters);
        self.prompts.merge(&other.prompts);
        if let Some(theirs) = other.cost {
            let cost = self.cost.get_or_insert_default();
            cost.requests += theirs.requests;
            cost.usd += theirs.usd;
            theirs.methods.into_iter().for_each(|(word, n)| *cost.methods.entry(word).or_default() += n);
            self.paid_tokens += other.paid_tokens;
            self.paid_usd += other.paid_usd;
        }
    }

    /// Whether nothing but failures was counted.
    pub fn only_failures(&self) -> bool {
        self.ok == 0
    }
}

/// The bounds of a part of the energy, where both are numbers that can be.
fn bounds(part: &PhaseEnergy) -> Option<(f64, f64)> {
    let bounds = part.energy_lower_joules.zip(part.energy_upper_joules);
    bounds.filter(|(low, high)| possible(Unit::Joules, *low) && possible(Unit::Joules, *high) && low <= high)
}

/// The parameters that were sent, as words.
fn sent(prompt: &PromptFields) -> impl Iterator<Item = String> {
    let parameters = [
        ("temperature", prompt.temperature.map(|v| v.to_string())),
        ("top_p", prompt.top_p.map(|v| v.to_string())),
        ("max_tokens", prompt.max_tokens.map(|v| v.to_string())),
        ("num_ctx", prompt.num_ctx.map(|v| v.to_string())),
        ("seed", prompt.seed.map(|v| v.to_string())),
        ("reasoning_effort", Text::owned(&prompt.reasoning_effort)),
        ("gpu", Text::owned(&prompt.gpu_setting)),
    ];
    parameters.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)))
}
