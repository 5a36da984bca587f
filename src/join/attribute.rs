//! What is said of a request: the fields that go into its result.

use super::energy::{self, round};
use super::idle::IdlePower;
use super::in_flight::Claim;
use super::input::ResultView;
use super::joiner::{Joiner, Span};
use super::memory_figures;
use super::output::LinePatch;
use super::power_series::Piece;
use super::sample_stream::Role;
use crate::clock::micros;
use crate::record::{JoinedMemory, JoinedPower, MemoryFigures, MemoryPhase, MemoryPoint, PhaseEnergy, Quality};

/// A load whose readings are awaited.
#[derive(Debug)]
pub struct Loading {
    /// The run and the model.
    pub key: (String, String),
    /// From its start to its end.
    pub span: Span,
    /// When the machine idled before it.
    pub baseline: Option<(f64, f64)>,
    /// Since when readings are needed.
    pub since: f64,
}

/// What a load drew and held.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// What it drew.
    pub power: Option<PhaseEnergy>,
    baseline: Option<MemoryPoint>,
    after: Option<MemoryPoint>,
    /// What it held.
    pub memory: Option<MemoryPhase>,
}

/// What a load drew and held.
pub fn load(join: &Joiner, loading: &Loading) -> Loaded {
    let Span { from, to, .. } = loading.span;
    let marked = loading.baseline.and_then(|(from, to)| join.held.last_between(from, to));
    Loaded {
        power: has(join, Role::Power).then(|| energy::phase(join.meters.total(&Piece::whole(from, to)), to - from)),
        baseline: marked.or_else(|| join.held.nearest(from)),
        after: join.held.nearest(to),
        memory: join
            .held
            .highest(from, to)
            .map(|(high_water, samples)| MemoryPhase { high_water, samples: Some(samples) }),
    }
}

fn has(join: &Joiner, role: Role) -> bool {
    join.sources.iter().any(|source| source.role == role)
}

/// Adds what is known of a request to the fields of its result.
///
/// # Errors
/// When a value cannot be written as JSON.
pub fn result(
    join: &mut Joiner,
    asked: &ResultView,
    span: Option<Span>,
    line: &mut LinePatch,
) -> Result<(), serde_json::Error> {
    let loaded = join.loaded.get(join.run_of(asked)).and_then(|of| of.get(&asked.model)).cloned();
    let loaded = loaded.as_deref();
    join.totals.result(asked);
    if has(join, Role::Power) {
        match power(join, asked, span, loaded) {
            Ok((power, energy)) => {
                join.totals.energy(energy, asked);
                line.set("power", &power)?;
            }
            // What an earlier join measured is not lost to one that has nothing to say.
            Err(_) if asked.had_power => {}
            Err(why) => {
                line.set("power", &())?;
                line.set("power_reason", &why)?;
            }
        }
    }
    if has(join, Role::Memory) {
        match held(join, asked, span, loaded) {
            Ok((memory, highest)) => {
                join.totals.memory(&highest);
                line.set("memory", &memory)?;
            }
            Err(_) if asked.had_memory => {}
            Err(why) => {
                line.set("memory", &())?;
                line.set("memory_reason", &why)?;
            }
        }
    }
    if has(join, Role::GroundTruth) {
        let name = join.request_name(asked);
        if let Some(written) = join.writs.take(&name) {
            join.totals.truth();
            line.set("ground_truth", &written.compare_with(asked))?;
        }
    }
    Ok(())
}

/// Why streams that are read for `role` have nothing on a request.
fn nothing(join: &Joiner, role: Role, what: &str) -> String {
    if join.sources.iter().filter(|source| source.role == role).all(|source| source.samples == 0) {
        format!("the {what} gave no reading")
    } else {
        format!("no reading of the {what} covers the request")
    }
}

fn clock(join: &Joiner, role: Role, asked: &ResultView, span: Span) -> String {
    let boot = join.boot_of(asked);
    let mut used = join.sources.iter().filter(|source| source.role == role && source.samples > 0);
    if span.mono && used.all(|source| source.mono && source.boot.as_deref() == boot) { "mono" } else { "wall" }
        .to_owned()
}

/// Whether what serves the request is on another machine than what was read: the readings are of the client's boot, and the
/// request left that machine. Readings of another boot were taken where the server runs, and do count.
fn elsewhere(join: &Joiner, role: Role, asked: &ResultView) -> bool {
    let boot = join.boot_of(asked);
    let mut read = join.sources.iter().filter(|source| source.role == role && source.samples > 0).peekable();
    asked.elsewhere && boot.is_some() && read.peek().is_some() && read.all(|source| source.boot.as_deref() == boot)
}

const ELSEWHERE: &str = "another machine served the request, and the readings are of this one";
const STUCK: &str = "every reading of the total is exactly 0 W: the meter is stuck, or cannot see what draws";
const NO_TIME: &str = "the result does not say when it began and ended";

fn power(
    join: &Joiner,
    asked: &ResultView,
    span: Option<Span>,
    loaded: Option<&Loaded>,
) -> Result<(JoinedPower, Option<f64>), String> {
    let span = span.ok_or(NO_TIME)?;
    if elsewhere(join, Role::Power, asked) {
        return Err(ELSEWHERE.to_owned());
    }
    let length = span.to - span.from;
    let claim = join.claim(asked, span);
    let (pieces, most) = join.flights.pieces(span.from, span.to, claim);
    let drawn = join.meters.drawn(&pieces);
    let load = loaded.and_then(|loaded| loaded.power.clone());
    if drawn.domains.is_empty() && load.as_ref().is_none_or(|load| load.energy_joules.is_none()) {
        return Err(nothing(join, Role::Power, "meter"));
    }
    let total = drawn.total;
    let alone = claim != Claim::Whole || most <= 1;
    let phase = |from: Option<f64>, to: Option<f64>| {
        let (from, to) = (micros(span.from + from?), micros(span.from + to?).min(span.to));
        let (pieces, _) = join.flights.pieces(from, to, claim);
        (to > from).then(|| {
            let mut phase = energy::phase(join.meters.total(&pieces), to - from);
            if !alone {
                (phase.energy_joules, phase.energy_lower_joules, phase.energy_upper_joules) = (None, None, None);
                phase.quality = Some(Quality::None);
            }
            phase
        })
    };
    let energy = total.filter(|_| alone).map(|total| total.energy);
    let tokens = |count: Option<u64>| count.filter(|&count| count > 0).map(|count| count as f64);
    let output = tokens(asked.output);
    let both = output.zip(asked.input).map(|(output, input)| output + input as f64);
    let per = |count: Option<f64>| energy.zip(count).map(|(energy, count)| round(energy / count));
    let reason = if !alone {
        Some(format!("up to {most} requests ran at once, and energy is not shared"))
    } else if drawn.domains.is_empty() {
        Some(nothing(join, Role::Power, "meter"))
    } else if !drawn.missing.is_empty() {
        Some(format!("the total lacks {}", drawn.missing.join(", ")))
    } else {
        drawn.stuck.then(|| STUCK.to_owned())
    };
    let samples = total.as_ref().map(|total| total.samples);
    let idle = join.idle();
    let net = total.filter(|_| alone).zip(idle.as_ref());
    let rates = join.settings.rates;
    let mut warnings: Vec<String> = idle.iter().flat_map(IdlePower::warnings).map(str::to_owned).collect();
    if most > 1 {
        warnings.push("phase_mixed".to_owned());
    }
    let clock = clock(join, Role::Power, asked, span);
    if clock == "wall" && join.sources.iter().any(|source| source.role == Role::Power && source.stepped) {
        warnings.push("clock_step".to_owned());
    }
    let power = JoinedPower {
        cpu_watts: energy::together(&drawn.domains, "cpu", "package-"),
        gpu_watts: energy::together(&drawn.domains, "gpu", "gpu"),
        ane_watts: energy::together(&drawn.domains, "ane", "ane"),
        total_watts: total.as_ref().map(energy::watts),
        domains: drawn.domains.iter().map(|(name, e)| ((*name).to_owned(), energy::watts(e))).collect(),
        energy_joules: energy.map(round),
        energy_lower_joules: total.filter(|_| alone).map(|total| round(total.lower)),
        energy_upper_joules: total.filter(|_| alone).map(|total| round(total.upper)),
        joules_per_output_token: per(output),
        joules_per_total_token: per(both),
        output_tokens_per_joule: output
            .zip(energy)
            .map(|(count, e)| count / e)
            .filter(|rate| rate.is_finite())
            .map(round),
        wh_per_1k_output_tokens: output.zip(energy).map(|(count, energy)| round(energy / count / 3.6)),
        coverage: Some(energy::coverage(total.as_ref(), length)),
        quality: Some(energy::quality(total.as_ref().filter(|_| alone), length)),
        attribution: Some(join.settings.attribution.to_string()),
        in_flight_max: Some(most),
        samples: Some(samples.or(drawn.domains.iter().map(|(_, e)| e.samples).max()).unwrap_or(0)),
        clock: Some(clock),
        meters: drawn.meters.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        total_domain: join.meters.total_name(),
        estimated: drawn.estimated,
        simulated: drawn.simulated,
        reason,
        load,
        prefill: phase(Some(0.0), asked.first_token),
        decode: phase(asked.first_token, asked.last_token),
        net_energy_joules: net.map(|(total, idle)| round(total.energy - idle.watts * total.share_seconds)),
        idle_watts: idle.as_ref().map(|idle| idle.watts),
        idle: idle.map(|idle| idle.idle),
        cost: rates.cost(energy),
        carbon: rates.carbon(energy),
        warnings,
    };
    Ok((power, energy))
}

fn held(
    join: &Joiner,
    asked: &ResultView,
    span: Option<Span>,
    loaded: Option<&Loaded>,
) -> Result<(JoinedMemory, MemoryFigures), String> {
    let span = span.ok_or(NO_TIME)?;
    if elsewhere(join, Role::Memory, asked) {
        return Err(ELSEWHERE.to_owned());
    }
    let none = || nothing(join, Role::Memory, "memory sampler");
    let after = join.held.nearest(span.to).ok_or_else(none)?;
    let (highest, samples) = join.held.highest(span.from, span.to).ok_or_else(none)?;
    let loaded = loaded.filter(|loaded| loaded.baseline.is_some());
    let baseline = loaded.map_or_else(|| join.held.nearest(span.from), |loaded| loaded.baseline.clone());
    let after_load = loaded.and_then(|loaded| loaded.after.clone());
    let load = loaded.and_then(|loaded| loaded.memory.clone());
    let own = highest.clone();
    let highest =
        load.as_ref().map_or_else(|| highest.clone(), |load| memory_figures::higher(&load.high_water, &highest));
    let less = |a: &Option<MemoryPoint>, b: &Option<MemoryPoint>| {
        // One reading that is the nearest to both moments says nothing of what lies between them.
        let two = a.as_ref().zip(b.as_ref()).filter(|(a, b)| a.ts != b.ts);
        two.map(|(a, b)| memory_figures::less(&a.figures, &b.figures))
    };
    let before = after_load.clone().or_else(|| baseline.clone());
    let primary = memory_figures::primary(&highest).map(str::to_owned);
    let memory = JoinedMemory {
        delta_load: less(&after_load, &baseline),
        delta_generation: less(&Some(after.clone()), &before),
        baseline,
        after_load,
        after_generation: Some(after),
        high_water: Some(highest),
        load,
        primary,
        samples: Some(samples),
        clock: Some(clock(join, Role::Memory, asked, span)),
        reason: None,
    };
    Ok((memory, own))
}
