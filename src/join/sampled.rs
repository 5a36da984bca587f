//! What a stream of samples says, as small as the join needs it. It is made on the thread that reads the stream, so that the
//! core has neither names to compare nor maps to take apart.

use super::axis::LONGEST;
use super::domains::never_zero;
use super::memory::Figures;
use super::series::Reading;
use super::truth::Written;
use crate::record::{Memory, Power, PowerKind, Record, Sampler};
use std::sync::Arc;

/// How many meters of a stream are remembered: more than write to one file, and few enough to be looked through.
pub(super) const METERS: usize = 16;

/// The most that anything draws, in watts. What shows more is broken, and would spoil every sum that it is in.
const MOST_WATTS: f64 = 1e9;

/// The most that a counter shows, in joules: that much for some thirty years.
const MOST_JOULES: f64 = MOST_WATTS * LONGEST;

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
            meter: self.meter(&power.meter, power.kind(), &domains),
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

impl PowerSample {
    /// What was read of the domain with that number, at its place on the axis; `None` where nothing was, or where a stuck meter
    /// shows nothing. A window that does not say its length is as long as the sampler's `interval`.
    ///
    /// # Errors
    /// When it is left out and nobody would expect it to be: what it is.
    pub fn reading(&self, domain: usize, at: f64, interval: Option<f64>) -> Result<Option<Reading>, &'static str> {
        let (watts, joules) = self.values[domain];
        if self.meter.kind == PowerKind::Counter {
            let Some(joules) = joules else { return Ok(None) };
            if !(0.0..=MOST_JOULES).contains(&joules) {
                return Err("joules below 0 or beyond 1e18");
            }
            let watts = watts.filter(|watts| sane(*watts));
            return Ok(Some(Reading { at, span: 0.0, value: joules, watts, fresh: false }));
        }
        let span = self.window_seconds.or(interval).filter(|&span| span > 0.0 && span <= LONGEST);
        let mean =
            || joules.zip(span).filter(|_| self.meter.kind == PowerKind::Window).map(|(joules, span)| joules / span);
        let Some(watts) = watts.or_else(mean) else { return Ok(None) };
        if watts == 0.0 && never_zero(&self.meter.domains[domain]) {
            return Ok(None);
        }
        if !sane(watts) {
            return Err("watts below 0 or beyond 1e9");
        }
        let mut reading = Reading { at, span: 0.0, value: watts, watts: Some(watts), fresh: false };
        if self.meter.kind == PowerKind::Window {
            let Some(span) = span else { return Err("windows of no known length") };
            (reading.span, reading.value) = (span, joules.unwrap_or(watts * span));
            if !sane(reading.value / span) {
                return Err("windows of less than 0 W or more than 1e9 W");
            }
        }
        Ok(Some(reading))
    }
}

impl MemorySample {
    fn new(memory: &Memory) -> Self {
        Self { ts: memory.ts, mono: memory.mono, figures: super::memory::read(memory) }
    }
}

/// Whether a meter can have shown that much.
fn sane(watts: f64) -> bool {
    (0.0..=MOST_WATTS).contains(&watts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;
    use serde_json::json;

    fn power(
        sampling: &mut Sampling,
        source: &str,
        watts: serde_json::Value,
        joules: serde_json::Value,
    ) -> PowerSample {
        let fields = json!({"meter": source, "window_seconds": null, "watts": watts, "joules": joules});
        match sampling.sample(fixture::power(1.0, 1.0, 0.0).merge(fields).into()) {
            Some(Sample::Power(power)) => power,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_domain_has_its_watts_and_its_joules_where_either_was_read() {
        for (watts, joules, domains, values) in [
            (json!({"b": 1.0, "a": null}), json!(null), vec!["a", "b"], vec![(None, None), (Some(1.0), None)]),
            (
                json!({"b": 1.0, "d": 2.0}),
                json!({"a": 3.0, "b": 4.0, "c": null}),
                vec!["a", "b", "c", "d"],
                vec![(None, Some(3.0)), (Some(1.0), Some(4.0)), (None, None), (Some(2.0), None)],
            ),
        ] {
            let power = power(&mut Sampling::default(), "m", watts, joules);
            assert_eq!(
                (&power.meter.domains, &power.values),
                (&domains.into_iter().map(str::to_owned).collect(), &values)
            );
        }
    }

    #[test]
    fn a_meter_is_the_same_while_it_reads_the_same_and_only_so_many_are_remembered() {
        let mut sampling = Sampling::default();
        let first = power(&mut sampling, "m", json!({"a": 1.0}), json!(null)).meter;
        power(&mut sampling, "n", json!({"a": 1.0}), json!(null));
        let again = power(&mut sampling, "m", json!({"a": 2.0}), json!(null)).meter;
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &power(&mut sampling, "m", json!({"b": 2.0}), json!(null)).meter));
        for n in 0..100 {
            power(&mut sampling, &n.to_string(), json!({"a": 1.0}), json!(null));
        }
        assert_eq!(sampling.meters.len(), METERS);
        assert_eq!(power(&mut sampling, "m", json!({"a": 2.0}), json!(null)).meter, first, "made anew, and alike");
    }
}
