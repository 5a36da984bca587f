//! The last line: the run as a whole.

use super::attribute::Loaded;
use super::energy::{self, round};
use super::input::ResultView;
use super::joiner::Joiner;
use super::memory_figures;
use super::meters::stuck;
use super::sample_stream::Role;
use crate::clock::micros;
use crate::record::{JoinSummary, MemoryFigures, RunMemory, RunPower};

/// The most runs that are named.
const NAMED: usize = 1000;

/// What adds up over results.
#[derive(Debug, Default)]
pub struct ResultTotals {
    runs: Vec<String>,
    results: u64,
    input: Option<u64>,
    output: Option<u64>,
    attributed: Option<f64>,
    /// The tokens of the requests whose energy is known: only these can share it.
    powered_input: Option<u64>,
    powered_output: Option<u64>,
    loads: Option<f64>,
    highest: Option<MemoryFigures>,
    ground_truths: u64,
}

fn count(sum: &mut Option<u64>, part: Option<u64>) {
    if let Some(part) = part {
        *sum = Some(sum.unwrap_or(0).saturating_add(part));
    }
}

fn more(sum: &mut Option<f64>, part: Option<f64>) {
    *sum = match (sum.take(), part) {
        (Some(sum), Some(part)) => Some(sum + part),
        (sum, part) => sum.or(part),
    };
}

impl ResultTotals {
    /// A run begins.
    pub fn run(&mut self, run: &str) {
        if self.runs.len() < NAMED && !self.runs.iter().any(|have| have == run) {
            self.runs.push(run.to_owned());
        }
    }

    /// A result goes out.
    pub fn result(&mut self, asked: &ResultView) {
        self.results += 1;
        count(&mut self.input, asked.input);
        count(&mut self.output, asked.output);
    }

    /// Its energy, in joules.
    pub fn energy(&mut self, joules: Option<f64>, asked: &ResultView) {
        more(&mut self.attributed, joules);
        count(&mut self.powered_input, asked.input);
        count(&mut self.powered_output, asked.output);
    }

    /// The highest memory while it ran.
    pub fn memory(&mut self, highest: &MemoryFigures) {
        self.highest =
            Some(self.highest.as_ref().map_or_else(|| highest.clone(), |h| memory_figures::higher(h, highest)));
    }

    /// A load goes out.
    pub fn load(&mut self, loaded: &Loaded) {
        more(&mut self.loads, loaded.power.as_ref().and_then(|power| power.energy_joules));
        if let Some(memory) = &loaded.memory {
            self.memory(&memory.high_water);
        }
    }

    /// The truth of a result is known.
    pub fn truth(&mut self) {
        self.ground_truths += 1;
    }
}

impl Joiner {
    /// The summary of everything that went out.
    pub(super) fn summary(&mut self) -> JoinSummary {
        let end = self.last_event;
        let span = self.ledger.begun.filter(|&begun| end > begun).map(|begun| end - begun);
        if span.is_some() {
            self.ledger.account(end, true, &self.meters, &self.flights);
        }
        let of = |role: Role| self.sources.iter().filter(move |source| source.role == role);
        let power = of(Role::Power).next().map(|_| self.run_power());
        let memory = of(Role::Memory).next().map(|_| {
            self.totals.highest.clone().map(|high_water| {
                let primary = memory_figures::primary(&high_water);
                RunMemory {
                    peak_bytes: primary.and_then(|name| memory_figures::figure(&high_water, name)),
                    primary: primary.map(str::to_owned),
                    high_water,
                }
            })
        });
        JoinSummary {
            runs: self.totals.runs.clone(),
            results: self.totals.results,
            unfinished: self.unfinished(),
            started_ts: span.and(self.ledger.begun).map(|at| micros(self.axis.ts(at))),
            ended_ts: span.map(|_| micros(self.axis.ts(end))),
            span_seconds: span.map(micros),
            busy_seconds: of(Role::Power).next().and(span).map(|_| micros(self.ledger.busy.seconds)),
            input_tokens: self.totals.input,
            output_tokens: self.totals.output,
            ground_truths: of(Role::GroundTruth).next().map(|_| self.totals.ground_truths),
            warnings: self.warnings(),
            power,
            memory,
        }
    }

    fn run_power(&self) -> Option<RunPower> {
        let (busy, between) = (&self.ledger.busy, &self.ledger.between);
        let estimate = busy.estimate().filter(|total| !stuck(total))?;
        let energy = estimate.energy;
        let whole = energy + between.energy;
        let attributed = self.totals.attributed.unwrap_or(0.0);
        let idle = self.idle();
        let tokens = |count: Option<u64>| count.filter(|&count| count > 0).map(|count| count as f64);
        let output = tokens(self.totals.powered_output);
        let both = output.zip(self.totals.powered_input).map(|(output, input)| output + input as f64);
        let rates = self.settings.rates;
        Some(RunPower {
            energy_joules: Some(round(energy)),
            energy_lower_joules: Some(round(estimate.lower)),
            energy_upper_joules: Some(round(estimate.upper)),
            avg_watts: Some(round(energy / estimate.covered)),
            max_watts: Some(round(estimate.max)),
            coverage: energy::coverage(Some(&estimate), busy.seconds),
            quality: energy::quality(Some(&estimate), busy.seconds),
            span_energy_joules: Some(round(whole)),
            attributed_joules: Some(round(attributed)),
            unattributed_joules: Some(round(whole - attributed)),
            between_joules: Some(round(between.energy)),
            load_joules: self.totals.loads.map(round),
            net_energy_joules: idle.as_ref().map(|idle| round(energy - idle.watts * estimate.covered)),
            idle_watts: idle.as_ref().map(|idle| idle.watts),
            idle: idle.map(|idle| idle.idle),
            joules_per_output_token: output.map(|count| round(energy / count)),
            joules_per_total_token: both.map(|count| round(energy / count)),
            output_tokens_per_joule: output.map(|count| count / energy).filter(|rate| rate.is_finite()).map(round),
            wh_per_1k_output_tokens: output.map(|count| round(energy / count / 3.6)),
            cost: rates.cost(Some(energy)),
            carbon: rates.carbon(Some(energy)),
            attribution: self.settings.attribution.to_string(),
            total_domain: self.meters.total_name(),
            samples: estimate.samples,
        })
    }
}
