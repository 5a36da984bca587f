//! What a stream of samples says, as small as the join needs it. It is made on the thread that reads the stream, so that the
//! core has neither names to compare nor maps to take apart.

use super::memory::Figures;
use super::truth::Written;
use crate::record::{Memory, Power, PowerKind, Record, Sampler};
use std::sync::Arc;

/// How many meters of a stream are remembered: more than write to one file, and few enough to be looked through.
pub(super) const METERS: usize = 16;

/// Something that a stream of samples says.
#[derive(Debug)]
pub enum Sample {
    /// What a power meter read.
    Power(PowerSample),
    /// What the process table read.
    Memory(MemorySample),
    /// A sampler begins or ends.
    Sampler(Box<Sampler>),
    /// What llm-sim did with a request.
    Truth(Box<Written>),
}

/// A meter, and what it reads: the same in nearly all readings of a stream.
#[derive(Debug, PartialEq)]
pub struct Meter {
    /// Its name.
    pub source: String,
    /// What its readings are.
    pub kind: PowerKind,
    /// Its domains by name, in order.
    pub domains: Vec<String>,
}

/// A reading of a power meter.
#[derive(Debug)]
pub struct PowerSample {
    /// The end of the window, or the moment: Unix seconds.
    pub ts: f64,
    /// The same on the monotonic clock, in seconds.
    pub mono: Option<f64>,
    /// The length of the window, in seconds.
    pub window_seconds: Option<f64>,
    /// Whether the meter estimates.
    pub estimated: bool,
    /// What was read.
    pub meter: Arc<Meter>,
    /// Watts and joules of each domain of the meter.
    pub values: Vec<(Option<f64>, Option<f64>)>,
}

/// A reading of memory.
#[derive(Debug)]
pub struct MemorySample {
    /// When it was read: Unix seconds.
    pub ts: f64,
    /// The same on the monotonic clock, in seconds.
    pub mono: Option<f64>,
    /// What was read.
    pub figures: Figures,
}

/// Makes samples of the records of one stream.
#[derive(Debug, Default)]
pub struct Sampling {
    meters: Vec<Arc<Meter>>,
}

impl Sampling {
    /// What a record says to the join; `None` where it says nothing.
    pub fn sample(&mut self, record: Record) -> Option<Sample> {
        match record {
            Record::Power(power) => Some(Sample::Power(self.power(&power))),
            Record::Memory(memory) => Some(Sample::Memory(MemorySample::new(&memory))),
            Record::Sampler(sampler) => Some(Sample::Sampler(sampler)),
            _ => None,
        }
    }

    fn power(&mut self, power: &Power) -> PowerSample {
        let joules = power.joules.as_ref();
        let only_joules = joules.into_iter().flatten().map(|(domain, _)| domain);
        let only_joules = only_joules.filter(|domain| !power.watts.contains_key(*domain));
        let mut domains: Vec<&String> = power.watts.keys().chain(only_joules).collect();
        domains.sort();
        let value = |domain: &&String| {
            let watts = power.watts.get(*domain).copied().flatten();
            (watts, joules.and_then(|joules| joules.get(*domain).copied().flatten()))
        };
        PowerSample {
            ts: power.ts,
            mono: power.mono,
            window_seconds: power.window_seconds,
            estimated: power.estimated,
            values: domains.iter().map(value).collect(),
            meter: self.meter(&power.source, power.kind, &domains),
        }
    }

    /// The meter of that name that reads these domains.
    fn meter(&mut self, source: &str, kind: PowerKind, domains: &[&String]) -> Arc<Meter> {
        let same = |meter: &&Arc<Meter>| {
            meter.kind == kind && meter.source == source && meter.domains.iter().eq(domains.iter().copied())
        };
        if let Some(known) = self.meters.iter().find(same) {
            return Arc::clone(known);
        }
        let domains = domains.iter().map(|&domain| domain.clone()).collect();
        let meter = Arc::new(Meter { source: source.to_owned(), kind, domains });
        self.meters.truncate(METERS - 1);
        self.meters.insert(0, Arc::clone(&meter));
        meter
    }
}

impl MemorySample {
    fn new(memory: &Memory) -> Self {
        Self { ts: memory.ts, mono: memory.mono, figures: super::memory::read(memory) }
    }
}
