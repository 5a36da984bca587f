//! The last line: the run as a whole.

use super::energy::{self, PerToken, round};
use super::idle::IdlePower;
use super::input::ResultView;
use super::loads::LoadFigures;
use super::memory_figures;
use super::requests::Requests;
use super::run_clocks::RunClocks;
use super::run_energy::RunEnergy;
use super::sample_stream::Role;
use super::settings::EnergyRates;
use super::shares::Attribution;
use super::streams::Streams;
use crate::clock::micros;
use crate::record::{JoinSummary, MemoryFigures, RunMemory, RunPower};

/// The most runs that are named.
const NAMED: usize = 1000;

/// Sums over results.
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
    pub fn result(&mut self, result: &ResultView) {
        self.results += 1;
        count(&mut self.input, result.input);
        count(&mut self.output, result.output);
    }

    /// Its energy, in joules.
    pub fn energy(&mut self, joules: Option<f64>, result: &ResultView) {
        more(&mut self.attributed, joules);
        count(&mut self.powered_input, result.input);
        count(&mut self.powered_output, result.output);
    }

    /// The highest memory while it ran.
    pub fn memory(&mut self, highest: &MemoryFigures) {
        self.highest =
            Some(self.highest.as_ref().map_or_else(|| highest.clone(), |h| memory_figures::higher(h, highest)));
    }

    /// A load goes out.
    pub fn load(&mut self, load: &LoadFigures) {
        more(&mut self.loads, load.power.as_ref().and_then(|power| power.energy_joules));
        if let Some(memory) = &load.memory {
            self.memory(&memory.high_water);
        }
    }

    /// The truth of a result is known.
    pub fn truth(&mut self) {
        self.ground_truths += 1;
    }
}

/// The parts of a run's summary besides the totals.
#[derive(Debug)]
pub struct RunView<'a> {
    /// Its requests.
    pub requests: &'a Requests,
    /// Its clocks.
    pub clocks: &'a RunClocks,
    /// The streams of samples.
    pub streams: &'a Streams,
    /// Its energy.
    pub energy: &'a RunEnergy,
    /// The idle power, as far as it is known.
    pub idle: Option<IdlePower>,
    /// The name of the total's domain.
    pub total_domain: Option<String>,
    /// How energy is shared.
    pub attribution: Attribution,
    /// Cost and emissions of energy.
    pub rates: EnergyRates,
    /// Everything doubtful.
    pub warnings: Vec<String>,
}

impl RunView<'_> {
    /// From the first start to the last end.
    fn span(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.requests.first_start()?, self.requests.last_event());
        (last > first).then_some((first, last))
    }
}

impl ResultTotals {
    /// The summary of everything that went out.
    pub fn finish(&self, run: &RunView) -> JoinSummary {
        let span = run.span();
        let has = |role: Role| run.streams.has(role).then_some(());
        JoinSummary {
            runs: self.runs.clone(),
            results: self.results,
            unfinished: run.requests.unfinished(),
            started_ts: span.map(|(first, _)| micros(run.clocks.wall_ts(first))),
            ended_ts: span.map(|(_, last)| micros(run.clocks.wall_ts(last))),
            span_seconds: span.map(|(first, last)| micros(last - first)),
            busy_seconds: has(Role::Power).and(span).map(|_| micros(run.energy.busy().seconds)),
            input_tokens: self.input,
            output_tokens: self.output,
            ground_truths: has(Role::GroundTruth).map(|()| self.ground_truths),
            warnings: run.warnings.clone(),
            power: has(Role::Power).map(|()| self.power(run)),
            memory: has(Role::Memory).map(|()| self.highest.clone().map(run_memory)),
        }
    }

    fn power(&self, run: &RunView) -> Option<RunPower> {
        let (busy, between) = (run.energy.busy(), run.energy.between());
        let estimate = busy.estimate().filter(|total| !total.is_zero())?;
        let energy = estimate.energy;
        let span_energy = energy + between.energy;
        let attributed = self.attributed.unwrap_or(0.0);
        let idle = run.idle.as_ref();
        let per_token = PerToken::new(Some(energy), self.powered_input, self.powered_output);
        Some(RunPower {
            energy_joules: Some(round(energy)),
            energy_lower_joules: Some(round(estimate.lower)),
            energy_upper_joules: Some(round(estimate.upper)),
            avg_watts: Some(round(energy / estimate.covered)),
            max_watts: Some(round(estimate.max)),
            coverage: energy::coverage(Some(&estimate), busy.seconds),
            quality: energy::quality(Some(&estimate), busy.seconds),
            span_energy_joules: Some(round(span_energy)),
            attributed_joules: Some(round(attributed)),
            unattributed_joules: Some(round(span_energy - attributed)),
            between_joules: Some(round(between.energy)),
            load_joules: self.loads.map(round),
            net_energy_joules: idle.map(|idle| round(energy - idle.watts * estimate.covered)),
            idle_watts: idle.map(|idle| idle.watts),
            idle: idle.map(|idle| idle.idle.clone()),
            joules_per_output_token: per_token.joules_per_output_token,
            joules_per_total_token: per_token.joules_per_total_token,
            output_tokens_per_joule: per_token.output_tokens_per_joule,
            wh_per_1k_output_tokens: per_token.wh_per_1k_output_tokens,
            cost: run.rates.cost(Some(energy)),
            carbon: run.rates.carbon(Some(energy)),
            attribution: run.attribution.to_string(),
            total_domain: run.total_domain.clone(),
            samples: estimate.samples,
        })
    }
}

fn run_memory(high_water: MemoryFigures) -> RunMemory {
    let primary = memory_figures::primary(&high_water);
    RunMemory {
        peak_bytes: primary.and_then(|name| memory_figures::figure(&high_water, name)),
        primary: primary.map(str::to_owned),
        high_water,
    }
}
