//! The metrics of a request: their names, their units, which way is better, and where a result holds them.

use crate::record::{FailureKind, JoinedMemory, MemoryFigures, Outcome, Phase};
use serde::{Serialize, Serializer};

/// One number of a request. The order is the order of every output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// How long the model took to load.
    LoadTime,
    /// Time to first token.
    Ttft,
    /// Time to first token, from the scheduled moment of sending (open loop).
    TtftScheduled,
    /// Time to the first token that is not reasoning.
    FirstAnswer,
    /// Output tokens per second between the first and the last token.
    DecodeRate,
    /// Output tokens over the whole request's time.
    TokenRate,
    /// Input tokens that were not cached over the time to first token.
    PromptRate,
    /// Time per output token after the first chunk.
    Tpot,
    /// The whole request.
    GenerationTime,
    /// Tokens of the prompt.
    TokensIn,
    /// Tokens of the answer, reasoning included.
    TokensOut,
    /// Tokens of reasoning.
    TokensReasoning,
    /// Tokens of the prompt that came from a cache.
    TokensCached,
    /// Mean power of the processor while the request ran.
    CpuWatts,
    /// Mean power of the graphics processor.
    GpuWatts,
    /// Mean power of the neural engine.
    AneWatts,
    /// Mean power of the total, as the meter defines it.
    TotalWatts,
    /// Energy of the request, gross.
    Energy,
    /// Energy less what idling would have taken.
    EnergyNet,
    /// Gross energy per output token.
    EnergyPerToken,
    /// The part of the energy from the start to the first token.
    PrefillEnergy,
    /// The part of the energy from the first to the last token.
    DecodeEnergy,
    /// What idling would have taken in the same time: gross less net.
    IdleEnergy,
    /// What the energy cost, in whatever money its price was given.
    EnergyPrice,
    /// What the energy emitted, in grams of CO₂ equivalent.
    Carbon,
    /// Energy of the load.
    LoadEnergy,
    /// Memory after the load less the baseline.
    MemoryLoad,
    /// Memory after the answer less after the load.
    MemoryGeneration,
    /// The most memory held.
    MemoryHighWater,
    /// What the request cost.
    Cost,
    /// The worst lateness of the client's event loop while the request ran.
    ClientLag,
}

/// The unit of a metric, which decides how it is written for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Seconds that are so few between two tokens that people read them as milliseconds.
    Gap,
    /// Tokens per second.
    TokensPerSecond,
    /// Tokens.
    Tokens,
    /// Watts.
    Watts,
    /// Joules.
    Joules,
    /// Joules per output token.
    JoulesPerToken,
    /// Bytes.
    Bytes,
    /// US dollars.
    Usd,
    /// Things that are counted.
    Count,
    /// A share, 0 to 1.
    Share,
    /// A mean of things that are counted.
    Average,
    /// Things per second.
    PerSecond,
    /// Money of a kind that nobody told.
    Money,
    /// Grams.
    Grams,
}

/// Which way a number is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// It only describes.
    Neither,
}

impl Metric {
    /// Every metric, in order.
    pub const ALL: [Metric; 31] = [
        Metric::LoadTime,
        Metric::Ttft,
        Metric::TtftScheduled,
        Metric::FirstAnswer,
        Metric::DecodeRate,
        Metric::TokenRate,
        Metric::PromptRate,
        Metric::Tpot,
        Metric::GenerationTime,
        Metric::TokensIn,
        Metric::TokensOut,
        Metric::TokensReasoning,
        Metric::TokensCached,
        Metric::CpuWatts,
        Metric::GpuWatts,
        Metric::AneWatts,
        Metric::TotalWatts,
        Metric::Energy,
        Metric::EnergyNet,
        Metric::EnergyPerToken,
        Metric::PrefillEnergy,
        Metric::DecodeEnergy,
        Metric::IdleEnergy,
        Metric::EnergyPrice,
        Metric::Carbon,
        Metric::LoadEnergy,
        Metric::MemoryLoad,
        Metric::MemoryGeneration,
        Metric::MemoryHighWater,
        Metric::Cost,
        Metric::ClientLag,
    ];

    /// The name in outputs for machines, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Metric::LoadTime => "load_time_seconds",
            Metric::Ttft => "ttft_seconds",
            Metric::TtftScheduled => "ttft_scheduled_seconds",
            Metric::FirstAnswer => "time_to_first_output_token_seconds",
            Metric::DecodeRate => "decode_tokens_per_second",
            Metric::TokenRate => "tokens_per_second",
            Metric::PromptRate => "prompt_tokens_per_second",
            Metric::Tpot => "tpot_corrected_seconds",
            Metric::GenerationTime => "generation_time_seconds",
            Metric::TokensIn => "input_tokens",
            Metric::TokensOut => "output_tokens",
            Metric::TokensReasoning => "reasoning_tokens",
            Metric::TokensCached => "cached_tokens",
            Metric::CpuWatts => "cpu_watts",
            Metric::GpuWatts => "gpu_watts",
            Metric::AneWatts => "ane_watts",
            Metric::TotalWatts => "total_watts",
            Metric::Energy => "energy_joules",
            Metric::EnergyNet => "net_energy_joules",
            Metric::EnergyPerToken => "joules_per_output_token",
            Metric::PrefillEnergy => "prefill_energy_joules",
            Metric::DecodeEnergy => "decode_energy_joules",
            Metric::IdleEnergy => "idle_energy_joules",
            Metric::EnergyPrice => "energy_cost",
            Metric::Carbon => "carbon_grams",
            Metric::LoadEnergy => "load_energy_joules",
            Metric::MemoryLoad => "memory_delta_load_bytes",
            Metric::MemoryGeneration => "memory_delta_generation_bytes",
            Metric::MemoryHighWater => "memory_high_water_bytes",
            Metric::Cost => "cost_usd",
            Metric::ClientLag => "client_lag_seconds",
        }
    }

    /// The unit.
    pub fn unit(self) -> Unit {
        match self {
            Metric::LoadTime | Metric::Ttft | Metric::TtftScheduled | Metric::FirstAnswer | Metric::GenerationTime => {
                Unit::Seconds
            }
            Metric::Tpot | Metric::ClientLag => Unit::Gap,
            Metric::DecodeRate | Metric::TokenRate | Metric::PromptRate => Unit::TokensPerSecond,
            Metric::TokensIn | Metric::TokensOut | Metric::TokensReasoning | Metric::TokensCached => Unit::Tokens,
            Metric::CpuWatts | Metric::GpuWatts | Metric::AneWatts | Metric::TotalWatts => Unit::Watts,
            Metric::Energy
            | Metric::EnergyNet
            | Metric::PrefillEnergy
            | Metric::DecodeEnergy
            | Metric::IdleEnergy
            | Metric::LoadEnergy => Unit::Joules,
            Metric::EnergyPrice => Unit::Money,
            Metric::Carbon => Unit::Grams,
            Metric::EnergyPerToken => Unit::JoulesPerToken,
            Metric::MemoryLoad | Metric::MemoryGeneration | Metric::MemoryHighWater => Unit::Bytes,
            Metric::Cost => Unit::Usd,
        }
    }

    /// Which way is better.
    pub fn better(self) -> Better {
        match self {
            Metric::DecodeRate | Metric::TokenRate | Metric::PromptRate => Better::Higher,
            Metric::TokensIn | Metric::TokensOut | Metric::TokensReasoning | Metric::TokensCached => Better::Neither,
            _ => Better::Lower,
        }
    }

    /// Whether every result of a model in a run repeats the same measurement, so that it counts once per run.
    pub fn once_per_run(self) -> bool {
        matches!(self, Metric::LoadTime | Metric::LoadEnergy | Metric::MemoryLoad)
    }

    /// Whether a number can be one of this metric. A record may hold anything that is a number: a negative length of time, a
    /// price of 10³⁰⁸. Only differences may be negative.
    pub fn possible(self, value: f64) -> bool {
        let negative = matches!(self, Metric::EnergyNet | Metric::MemoryLoad | Metric::MemoryGeneration);
        possible(self.unit(), value) || (negative && possible(self.unit(), -value))
    }

    /// The number that a result holds; `None` where it was not measured.
    pub fn of(self, o: &Outcome) -> Option<f64> {
        let (tokens, power) = (o.tokens.as_ref(), o.power.as_ref().and_then(Option::as_ref));
        let derived = o.derived.as_ref();
        let memory = o.memory.as_ref().and_then(Option::as_deref);
        let count = |n: Option<u64>| n.map(|n| n as f64);
        match self {
            Metric::LoadTime => o.load_time_seconds.flatten(),
            Metric::Ttft => o.ttft_seconds,
            Metric::TtftScheduled => o.ttft_scheduled_seconds.flatten(),
            Metric::FirstAnswer => o.time_to_first_output_token_seconds,
            Metric::DecodeRate => derived.and_then(|d| d.decode_tokens_per_second),
            Metric::TokenRate => derived.and_then(|d| d.tokens_per_second.or(d.tokens_per_second_fallback)),
            Metric::PromptRate => derived.and_then(|d| d.prompt_tokens_per_second),
            Metric::Tpot => o.tpot_corrected_seconds,
            Metric::GenerationTime => o.generation_time_seconds,
            Metric::TokensIn => count(tokens.and_then(|t| t.input)),
            Metric::TokensOut => count(tokens.and_then(|t| t.output)),
            Metric::TokensReasoning => count(tokens.and_then(|t| t.reasoning)),
            Metric::TokensCached => count(tokens.and_then(|t| t.cached)),
            Metric::CpuWatts => power.and_then(|p| p.cpu_watts.as_ref()).map(|w| w.avg),
            Metric::GpuWatts => power.and_then(|p| p.gpu_watts.as_ref()).map(|w| w.avg),
            Metric::AneWatts => power.and_then(|p| p.ane_watts.as_ref()).map(|w| w.avg),
            Metric::TotalWatts => power.and_then(|p| p.total_watts.as_ref()).map(|w| w.avg),
            Metric::Energy => power.and_then(|p| p.energy_joules),
            Metric::EnergyNet => power.and_then(|p| p.net_energy_joules),
            Metric::EnergyPerToken => power.and_then(|p| p.joules_per_output_token),
            Metric::PrefillEnergy => power.and_then(|p| p.prefill.as_ref()).and_then(|part| part.energy_joules),
            Metric::DecodeEnergy => power.and_then(|p| p.decode.as_ref()).and_then(|part| part.energy_joules),
            Metric::IdleEnergy => power.and_then(|p| Some(p.energy_joules? - p.net_energy_joules?)),
            Metric::EnergyPrice => power.and_then(|p| p.cost.as_ref()).map(|cost| cost.amount),
            Metric::Carbon => power.and_then(|p| p.carbon.as_ref()).map(|carbon| carbon.amount),
            Metric::LoadEnergy => power.and_then(|p| p.load.as_ref()).and_then(|load| load.energy_joules),
            Metric::MemoryLoad => figure(memory, |m| m.delta_load.as_ref()),
            Metric::MemoryGeneration => figure(memory, |m| m.delta_generation.as_ref()),
            Metric::MemoryHighWater => figure(memory, |m| m.high_water.as_ref()),
            Metric::Cost => o.cost.as_ref().map(|c| c.usd),
            Metric::ClientLag => o.client.as_ref().and_then(|c| c.lag_seconds.as_ref()).and_then(|lag| lag.max),
        }
    }
}

/// Whether a number can be one of this unit: not negative, and no more than anything on earth has of it.
pub fn possible(unit: Unit, value: f64) -> bool {
    let most = match unit {
        // A hundred years.
        Unit::Seconds | Unit::Gap => 3.2e9,
        Unit::TokensPerSecond | Unit::PerSecond => 1e9,
        Unit::Tokens | Unit::Count | Unit::Average => 1e12,
        Unit::Watts => 1e9,
        Unit::Joules | Unit::JoulesPerToken => 1e15,
        Unit::Bytes => 1e17,
        Unit::Usd | Unit::Money => 1e9,
        Unit::Grams => 1e15,
        Unit::Share => 1.0,
    };
    (0.0..=most).contains(&value)
}

/// Whether a moment can be one of a run: Unix seconds of this or the next few thousand years.
pub fn moment(ts: f64) -> bool {
    (0.0..=1e11).contains(&ts)
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The figure of the kind that the join calls primary: the one that says best what the model takes on this machine.
fn figure(memory: Option<&JoinedMemory>, of: fn(&JoinedMemory) -> Option<&MemoryFigures>) -> Option<f64> {
    let memory = memory?;
    let figures = of(memory)?;
    let bytes = match memory.primary.as_deref()?.trim_end_matches("_bytes") {
        "footprint" => figures.footprint_bytes,
        "pss" => figures.pss_bytes,
        "rss" => figures.rss_bytes,
        "gpu" | "gpu_process" => figures.gpu_process_bytes.or(figures.gpu_used_bytes),
        "gpu_used" => figures.gpu_used_bytes,
        "system_used" => figures.system_used_bytes,
        _ => None,
    };
    bytes.map(|b| b as f64)
}

/// Whether a result is a failure: it carries an error, in any of the forms that the contract has.
pub fn failed(o: &Outcome) -> bool {
    o.error.is_some() || o.errors.load.is_some() || o.errors.generation.is_some()
}

/// Whether a result counts: everything but warm-up.
pub fn counts(o: &Outcome) -> bool {
    o.phase != Some(Phase::Warmup)
}

/// A kind of failure in the words of the contract.
pub fn kind_name(kind: FailureKind) -> &'static str {
    kind.into()
}
