//! Energy and memory of a request: the fields that go into its result.

use super::energy::{self, round};
use super::ground_truth::GroundTruthRecord;
use super::idle::IdlePower;
use super::in_flight::InFlight;
use super::input::ResultView;
use super::loads::LoadFigures;
use super::memory_figures;
use super::memory_series::MemorySeries;
use super::meters::{Meters, PowerEstimate};
use super::output::LinePatch;
use super::power_segment::Estimate;
use super::requests::RequestInterval;
use super::run_summary::ResultTotals;
use super::sample_stream::Role;
use super::settings::EnergyRates;
use super::shares::{Attribution, Claim, TokenFlow};
use super::streams::Streams;
use crate::clock::micros;
use crate::record::{JoinedMemory, JoinedPower, MemoryFigures, MemoryPoint, PhaseEnergy, Quality};

const ANOTHER_MACHINE: &str = "another machine served the request, and the readings are of this one";
const STUCK: &str = "every reading of the total is exactly 0 W: the meter is stuck, or cannot see what draws";
const NO_TIME: &str = "the result does not say when it began and ended";

/// A request whose result goes out.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its result.
    pub result: &'a ResultView,
    /// The boot that its stamps are of.
    pub boot: Option<&'a str>,
    /// When it ran, if that is known.
    pub interval: Option<RequestInterval>,
    /// Its tokens, where energy is shared by them.
    pub flow: Option<TokenFlow>,
    /// The load of its model.
    pub load: Option<&'a LoadFigures>,
    /// The streams of samples.
    pub streams: &'a Streams,
}

impl Request<'_> {
    /// When it ran.
    ///
    /// # Errors
    /// When that is not known, or when what was read of a role cannot be of what served it: readings of the client's boot,
    /// where the request left that machine. Readings of another boot were taken where the server runs, and do count.
    fn interval(&self, role: Role) -> Result<RequestInterval, String> {
        let interval = self.interval.ok_or(NO_TIME)?;
        if self.result.elsewhere && self.streams.all_of_boot(role, self.boot) {
            return Err(ANOTHER_MACHINE.to_owned());
        }
        Ok(interval)
    }
}

/// Everything known of the time in which a request ran.
#[derive(Debug)]
pub struct Known<'a> {
    /// The readings of power meters, summed up to the end of the request.
    pub meters: &'a Meters,
    /// The requests in flight.
    pub in_flight: &'a InFlight,
    /// The idle power, as far as it is known.
    pub idle: Option<IdlePower>,
    /// Cost and emissions of energy.
    pub rates: EnergyRates,
    /// The readings of memory.
    pub memory: &'a MemorySeries,
    /// The server's own times of the request.
    pub ground_truth: Option<GroundTruthRecord>,
}

/// Adds what is known of a request to its result and to the totals.
///
/// # Errors
/// When a value cannot be written as JSON.
pub fn join(
    line: &mut LinePatch,
    request: &Request,
    known: &Known,
    totals: &mut ResultTotals,
) -> Result<(), serde_json::Error> {
    let result = request.result;
    totals.result(result);
    if request.streams.has(Role::Power) {
        let power = power(known, request).map(|(power, joules)| {
            totals.energy(joules, result);
            power
        });
        line.set_known(["power", "power_reason"], power, result.had_power)?;
    }
    if request.streams.has(Role::Memory) {
        let memory = memory(known.memory, request).map(|(memory, highest)| {
            totals.memory(&highest);
            memory
        });
        line.set_known(["memory", "memory_reason"], memory, result.had_memory)?;
    }
    if let Some(record) = &known.ground_truth {
        totals.truth();
        line.set("ground_truth", &record.compare_with(result))?;
    }
    Ok(())
}

/// The power that a request claims.
struct ClaimedPower<'a> {
    claim: Claim,
    power: PowerEstimate<'a>,
    /// The most requests in flight.
    most: u64,
    /// Whether it has an energy of its own.
    separable: bool,
}

impl<'a> ClaimedPower<'a> {
    fn new(known: &Known<'a>, claim: Claim) -> Self {
        let most = known.in_flight.most(claim.from, claim.to);
        let separable = known.in_flight.attribution() != Attribution::Exclusive || most <= 1;
        Self { claim, power: known.meters.share(&claim, known.in_flight), most, separable }
    }

    /// The total, where the request has an energy.
    fn energy(&self) -> Option<Estimate> {
        self.power.total.filter(|_| self.separable)
    }

    /// The energy of a phase that lies between two times since the start.
    fn phase(&self, known: &Known, from: Option<f64>, to: Option<f64>) -> Option<PhaseEnergy> {
        let (from, to) = (micros(self.claim.from + from?), micros(self.claim.from + to?).min(self.claim.to));
        if to <= from {
            return None;
        }
        let claim = Claim { from, to, ..self.claim };
        let phase = energy::phase(known.meters.total_share(&claim, known.in_flight), to - from);
        Some(if self.separable {
            phase
        } else {
            PhaseEnergy {
                energy_joules: None,
                energy_lower_joules: None,
                energy_upper_joules: None,
                quality: Some(Quality::None),
                ..phase
            }
        })
    }

    /// The fields of the domains and their meters.
    fn domain_fields(&self) -> JoinedPower {
        let power = &self.power;
        JoinedPower {
            cpu_watts: energy::together(&power.domains, "cpu", "package-"),
            gpu_watts: energy::together(&power.domains, "gpu", "gpu"),
            ane_watts: energy::together(&power.domains, "ane", "ane"),
            domains: power.domains.iter().map(|(name, e)| ((*name).to_owned(), energy::watts(e))).collect(),
            meters: power.meters.iter().filter(|name| !name.is_empty()).map(|&name| name.to_owned()).collect(),
            estimated: power.estimated,
            simulated: power.simulated,
            ..JoinedPower::default()
        }
    }

    /// The fields that follow from the energy, and those of the domains.
    fn energy_fields(&self, known: &Known, result: &ResultView) -> JoinedPower {
        let (energy, idle) = (self.energy(), known.idle.as_ref());
        let joules = energy.map(|energy| energy.energy);
        let per_token = energy::PerToken::new(joules, result.input, result.output);
        JoinedPower {
            energy_joules: joules.map(round),
            energy_lower_joules: energy.map(|energy| round(energy.lower)),
            energy_upper_joules: energy.map(|energy| round(energy.upper)),
            joules_per_output_token: per_token.joules_per_output_token,
            joules_per_total_token: per_token.joules_per_total_token,
            output_tokens_per_joule: per_token.output_tokens_per_joule,
            wh_per_1k_output_tokens: per_token.wh_per_1k_output_tokens,
            net_energy_joules: energy.zip(idle).map(|(e, idle)| round(e.energy - idle.watts * e.share_seconds)),
            idle_watts: idle.map(|idle| idle.watts),
            idle: idle.map(|idle| idle.idle.clone()),
            cost: known.rates.cost(joules),
            carbon: known.rates.carbon(joules),
            ..self.domain_fields()
        }
    }

    /// Why there is no energy, or why it is in doubt.
    fn reason(&self, streams: &Streams) -> Option<String> {
        if !self.separable {
            Some(format!("up to {} requests ran at once, and energy is not shared", self.most))
        } else if self.power.domains.is_empty() {
            Some(streams.missing(Role::Power, "meter"))
        } else if !self.power.missing.is_empty() {
            Some(format!("the total lacks {}", self.power.missing.join(", ")))
        } else {
            self.power.stuck.then(|| STUCK.to_owned())
        }
    }

    fn warnings(&self, idle: Option<&IdlePower>, clock_step: bool) -> Vec<String> {
        let mut warnings: Vec<String> = idle.into_iter().flat_map(IdlePower::warnings).map(str::to_owned).collect();
        if self.most > 1 {
            warnings.push("phase_mixed".to_owned());
        }
        if clock_step {
            warnings.push("clock_step".to_owned());
        }
        warnings
    }
}

/// The power of a request, and its energy in joules with all digits.
///
/// # Errors
/// The reason when nothing is known of it.
fn power(known: &Known, request: &Request) -> Result<(JoinedPower, Option<f64>), String> {
    let interval = request.interval(Role::Power)?;
    let length = interval.to - interval.from;
    let claimed = ClaimedPower::new(known, Claim { from: interval.from, to: interval.to, flow: request.flow });
    let load = request.load.and_then(|load| load.power.clone());
    if claimed.power.domains.is_empty() && load.as_ref().is_none_or(|load| load.energy_joules.is_none()) {
        return Err(request.streams.missing(Role::Power, "meter"));
    }
    let (total, energy) = (claimed.power.total, claimed.energy());
    let samples = total.map(|total| total.samples);
    let samples = samples.or(claimed.power.domains.iter().map(|(_, estimate)| estimate.samples).max());
    let clock = request.streams.clock(Role::Power, request.boot, interval);
    let clock_step = clock == "wall" && request.streams.stepped(Role::Power);
    let idle = known.idle.as_ref();
    let joined = JoinedPower {
        total_watts: total.as_ref().map(energy::watts),
        coverage: Some(energy::coverage(total.as_ref(), length)),
        quality: Some(energy::quality(energy.as_ref(), length)),
        attribution: Some(known.in_flight.attribution().to_string()),
        in_flight_max: Some(claimed.most),
        samples: Some(samples.unwrap_or(0)),
        clock: Some(clock.to_owned()),
        total_domain: known.meters.total_name(),
        reason: claimed.reason(request.streams),
        load,
        prefill: claimed.phase(known, Some(0.0), request.result.first_token),
        decode: claimed.phase(known, request.result.first_token, request.result.last_token),
        warnings: claimed.warnings(idle, clock_step),
        ..claimed.energy_fields(known, request.result)
    };
    Ok((joined, energy.map(|energy| energy.energy)))
}

/// The memory of a request, and the highest figures while it ran.
///
/// # Errors
/// The reason when nothing is known of it.
fn memory(series: &MemorySeries, request: &Request) -> Result<(JoinedMemory, MemoryFigures), String> {
    let interval = request.interval(Role::Memory)?;
    let missing = || request.streams.missing(Role::Memory, "memory sampler");
    let after = series.nearest(interval.to).ok_or_else(missing)?;
    let (own, samples) = series.highest(interval.from, interval.to).ok_or_else(missing)?;
    let load = request.load.filter(|load| load.baseline.is_some());
    let baseline = load.map_or_else(|| series.nearest(interval.from), |load| load.baseline.clone());
    let after_load = load.and_then(|load| load.after.clone());
    let load = load.and_then(|load| load.memory.clone());
    let highest = load.as_ref().map_or_else(|| own.clone(), |load| memory_figures::higher(&load.high_water, &own));
    let before = after_load.clone().or_else(|| baseline.clone());
    let clock = request.streams.clock(Role::Memory, request.boot, interval);
    let joined = JoinedMemory {
        delta_load: difference(after_load.as_ref(), baseline.as_ref()),
        delta_generation: difference(Some(&after), before.as_ref()),
        baseline,
        after_load,
        after_generation: Some(after),
        primary: memory_figures::primary(&highest).map(str::to_owned),
        high_water: Some(highest),
        load,
        samples: Some(samples),
        clock: Some(clock.to_owned()),
        reason: None,
    };
    Ok((joined, own))
}

/// `after` less `before`. One reading that is the nearest to both moments tells nothing of the time between them.
fn difference(after: Option<&MemoryPoint>, before: Option<&MemoryPoint>) -> Option<MemoryFigures> {
    let two = after.zip(before).filter(|(after, before)| after.ts != before.ts);
    two.map(|(after, before)| memory_figures::less(&after.figures, &before.figures))
}
