//! Power streams: which meter reads which domain, what the total is, and what a request drew of it.
//!
//! A domain that several meters read is taken from one of them, never added: counters before windows before instants,
//! and among equals the stream that was named first. The total is the one that the samplers name; where they name
//! several, or none, it is the largest that contains the others.

use super::idle::Level;
use super::series::{EDGE, Estimate, Piece, Reading, Series};
use crate::clock::micros;
use crate::record::{PhaseEnergy, Power, PowerKind, Quality, Record, Sampler, SamplerEvent, Watts};
use std::collections::{BTreeMap, BTreeSet};

/// Less than this covered part of a request is called partial.
const COVERED: f64 = 0.95;

/// Bounds within this part of the estimate are called good.
const GOOD: f64 = 0.10;

/// One domain of one meter of one stream.
#[derive(Debug)]
struct Channel {
    stream: usize,
    meter: String,
    domain: String,
    series: Series,
}

/// What a stream says of itself.
#[derive(Debug, Default)]
struct Stream {
    total: Option<String>,
    interval: Option<f64>,
    estimated: bool,
    simulated: bool,
    fresh: BTreeSet<String>,
}

/// All power streams together.
#[derive(Debug)]
pub struct Meters {
    streams: Vec<Stream>,
    channels: Vec<Channel>,
    /// Domains of the total, and the name under which it goes.
    total: Vec<String>,
    seen_domains: usize,
    /// Readings that could not be used, such as windows of unknown length.
    pub unusable: u64,
}

/// What was drawn in some pieces of time.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The total; `None` where a part of it was not covered.
    pub total: Option<Estimate>,
    /// Every domain that was covered.
    pub domains: BTreeMap<String, Estimate>,
    /// The meters that were used.
    pub meters: BTreeSet<String>,
    /// Parts of the total that were not covered.
    pub missing: Vec<String>,
    /// Whether one of the streams that were used estimates, and whether one is simulated.
    pub estimated: bool,
    /// See `estimated`.
    pub simulated: bool,
    /// The streams that were used.
    pub streams: BTreeSet<usize>,
}

impl Meters {
    /// `streams` power streams, nothing read yet.
    pub fn new(streams: usize) -> Self {
        Self {
            streams: (0..streams).map(|_| Stream::default()).collect(),
            channels: Vec::new(),
            total: Vec::new(),
            seen_domains: 0,
            unusable: 0,
        }
    }

    /// A sampler says that it starts, or restarts: counters before and after are not compared.
    pub fn sampler(&mut self, stream: usize, sampler: &Sampler) {
        let to = &mut self.streams[stream];
        to.total = sampler.total_domain.clone().or(to.total.take());
        to.interval = sampler.interval_seconds.or(to.interval);
        to.estimated = sampler.estimated;
        to.simulated = sampler.simulated;
        to.fresh.clear();
        for channel in self.channels.iter_mut().filter(|channel| channel.stream == stream) {
            to.fresh.insert(format!("{}\0{}", channel.meter, channel.domain));
            channel.series.promise(to.interval);
        }
        self.name_total();
    }

    /// A reading, at its place on the axis.
    pub fn add(&mut self, stream: usize, at: f64, power: &Power) {
        let mut done = false;
        if power.kind == PowerKind::Counter {
            for (domain, joules) in power.joules.iter().flatten() {
                let watts = power.watts.get(domain).copied().flatten();
                done |= self.reading(stream, power, domain, at, *joules, watts, 0.0);
            }
        } else {
            for (domain, watts) in &power.watts {
                let Some(watts) = *watts else { continue };
                if watts == 0.0 && never_zero(domain) {
                    continue;
                }
                let span = if power.kind == PowerKind::Window { self.span(stream, power) } else { Some(0.0) };
                let Some(span) = span else { continue };
                let value = match power.kind {
                    PowerKind::Window => {
                        let joules = power.joules.as_ref().and_then(|joules| joules.get(domain).copied().flatten());
                        joules.unwrap_or(watts * span)
                    }
                    _ => watts,
                };
                done |= self.reading(stream, power, domain, at, Some(value), Some(watts), span);
            }
        }
        self.unusable += u64::from(!done);
        let estimated = &mut self.streams[stream].estimated;
        *estimated |= power.estimated;
        if self.channels.len() != self.seen_domains {
            self.seen_domains = self.channels.len();
            self.name_total();
        }
    }

    /// The length of a window; where the reading does not say, the sampler's interval.
    fn span(&self, stream: usize, power: &Power) -> Option<f64> {
        power.window_seconds.or(self.streams[stream].interval).filter(|&span| span > 0.0)
    }

    #[allow(clippy::too_many_arguments)] // one reading, field by field
    fn reading(
        &mut self,
        stream: usize,
        power: &Power,
        domain: &str,
        at: f64,
        value: Option<f64>,
        watts: Option<f64>,
        span: f64,
    ) -> bool {
        let Some(value) = value.filter(|&value| value >= 0.0) else { return false };
        let found = self.channels.iter().position(|channel| {
            channel.stream == stream
                && channel.domain == domain
                && channel.series.kind() == power.kind
                && channel.meter == power.source
        });
        let index = found.unwrap_or_else(|| {
            let mut series = Series::new(power.kind);
            series.promise(self.streams[stream].interval);
            let (meter, domain) = (power.source.clone(), domain.to_owned());
            self.channels.push(Channel { stream, meter, domain, series });
            self.channels.len() - 1
        });
        let channel = &mut self.channels[index];
        let fresh = &mut self.streams[stream].fresh;
        let fresh = !fresh.is_empty() && fresh.remove(&format!("{}\0{}", channel.meter, channel.domain));
        channel.series.add(Reading { at, span, value, watts, fresh });
        true
    }

    /// Which domains the total is made of.
    fn name_total(&mut self) {
        let named: BTreeSet<&str> = self.streams.iter().filter_map(|stream| stream.total.as_deref()).collect();
        let all: BTreeSet<&str> = if named.is_empty() {
            self.channels.iter().map(|channel| channel.domain.as_str()).collect()
        } else {
            named.iter().flat_map(|total| total.split('+')).collect()
        };
        self.total = match named.first() {
            Some(one) if named.len() == 1 => one.split('+').map(str::to_owned).collect(),
            _ => largest(&all),
        };
    }

    /// The total's name: its domains joined by `+`.
    pub fn total_name(&self) -> Option<String> {
        (!self.total.is_empty()).then(|| self.total.join("+"))
    }

    /// The channels of a domain, the best first.
    fn of<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a Channel> {
        let mut channels: Vec<&Channel> =
            self.channels.iter().filter(move |channel| channel.domain == domain).collect();
        channels.sort_by_key(|channel| {
            let kind = match channel.series.kind() {
                PowerKind::Counter => 0,
                PowerKind::Window => 1,
                PowerKind::Instant => 2,
            };
            (kind, channel.stream)
        });
        channels.into_iter()
    }

    fn best<'a>(&'a self, domain: &'a str, pieces: &[Piece]) -> Option<(&'a Channel, Estimate)> {
        self.of(domain).find_map(|channel| channel.series.estimate(pieces).map(|estimate| (channel, estimate)))
    }

    /// What the total drew in `pieces`; `None` where a part of it is not covered at all.
    pub fn total(&self, pieces: &[Piece]) -> Option<Estimate> {
        let mut sum = None;
        for domain in &self.total {
            let (_, estimate) = self.best(domain, pieces)?;
            add(&mut sum, estimate);
        }
        sum
    }

    /// What every domain drew in `pieces`.
    pub fn drawn(&self, pieces: &[Piece]) -> Drawn {
        let mut drawn = Drawn {
            total: None,
            domains: BTreeMap::new(),
            meters: BTreeSet::new(),
            missing: Vec::new(),
            estimated: false,
            simulated: false,
            streams: BTreeSet::new(),
        };
        let names: BTreeSet<&str> = self.channels.iter().map(|channel| channel.domain.as_str()).collect();
        for name in names {
            let Some((channel, estimate)) = self.best(name, pieces) else { continue };
            drawn.domains.insert(name.to_owned(), estimate);
            drawn.meters.insert(channel.meter.clone());
            drawn.streams.insert(channel.stream);
            drawn.estimated |= self.streams[channel.stream].estimated;
            drawn.simulated |= self.streams[channel.stream].simulated;
        }
        for part in &self.total {
            match drawn.domains.get(part) {
                Some(estimate) => add(&mut drawn.total, *estimate),
                None => drawn.missing.push(part.clone()),
            }
        }
        if !drawn.missing.is_empty() {
            drawn.total = None;
        }
        drawn
    }

    /// The mean watts and the lengths of the readings of the total that lie wholly between two moments; of a total of
    /// several domains, the first domain's with the median of the others added.
    pub fn idle_readings(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let mut parts = self.total.iter().map(|domain| {
            self.of(domain).map(|channel| channel.series.inside(from, to)).find(|readings| !readings.is_empty())
        });
        let Some(Some(mut readings)) = parts.next() else { return Vec::new() };
        for part in parts {
            let Some(part) = part else { return Vec::new() };
            let watts = crate::stats::sorted(part.iter().map(|(watts, _)| *watts));
            let Some(median) = crate::stats::quantile(&watts, 0.5) else { return Vec::new() };
            for reading in &mut readings {
                reading.0 += median;
            }
        }
        readings
    }

    /// The latest end of a reading of the total at or before `at`.
    pub fn edge(&self, at: f64) -> Option<f64> {
        let domain = self.total.first()?;
        self.of(domain).find_map(|channel| channel.series.edge(at))
    }

    /// The first moment of a reading that is held.
    pub fn first(&self) -> Option<f64> {
        self.channels.iter().filter_map(|channel| channel.series.first()).min_by(f64::total_cmp)
    }

    /// Drops what ended before `before`.
    pub fn forget(&mut self, before: f64) {
        self.channels.iter_mut().for_each(|channel| channel.series.forget(before));
    }

    /// Drops the oldest readings of a stream beyond `most` per domain.
    pub fn cap(&mut self, stream: usize, most: usize) {
        for channel in self.channels.iter_mut().filter(|channel| channel.stream == stream) {
            channel.series.cap(most);
        }
    }
}

/// Adds another part of a total: energies add up, and the total is covered only where its parts are.
fn add(sum: &mut Option<Estimate>, part: Estimate) {
    let Some(sum) = sum else {
        *sum = Some(part);
        return;
    };
    sum.energy += part.energy;
    sum.lower += part.lower;
    sum.upper += part.upper;
    sum.gross += part.gross;
    sum.min += part.min;
    sum.max += part.max;
    sum.covered = sum.covered.min(part.covered);
    sum.share_seconds = sum.share_seconds.min(part.share_seconds);
    sum.samples = sum.samples.min(part.samples);
    sum.contained = sum.contained.min(part.contained);
    sum.touched = sum.touched.min(part.touched);
}

/// The domains of the largest total: the plug, else the machine, else the platform, else the chip, else the processors
/// with their memory, and the graphics cards.
fn largest(domains: &BTreeSet<&str>) -> Vec<String> {
    for whole in ["wall", "system", "psys"] {
        if domains.contains(whole) {
            return vec![whole.to_owned()];
        }
    }
    let is = |domain: &str, stem: &str| {
        domain.strip_prefix(stem).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let of = |stem: &str| domains.iter().filter(|d| is(d, stem)).map(|&d| d.to_owned()).collect::<Vec<_>>();
    let mut parts = if domains.contains("soc") {
        vec!["soc".to_owned()]
    } else {
        let mut parts = of("package-");
        let names: &[&str] = if parts.is_empty() { &["cpu", "gpu", "ane", "dram"] } else { &["dram"] };
        parts.extend(names.iter().filter(|&&name| domains.contains(name)).map(|&name| name.to_owned()));
        parts.extend(of("dram-"));
        parts
    };
    parts.extend(of("gpu"));
    parts
}

/// Domains that cannot draw nothing while the sampler itself runs: their exact zero is a meter that is stuck.
fn never_zero(domain: &str) -> bool {
    matches!(domain, "cpu" | "soc" | "psys" | "system" | "wall") || domain.starts_with("package-")
}

/// How far to trust an estimate for a request of `length` seconds.
pub fn quality(estimate: Option<&Estimate>, length: f64) -> Quality {
    let Some(estimate) = estimate.filter(|estimate| estimate.covered > 0.0) else { return Quality::None };
    let near = |a: f64, b: f64, part: f64| (a - b).abs() <= part * b.abs();
    if estimate.covered < COVERED * length {
        Quality::Partial
    } else if near(estimate.lower, estimate.upper, 1e-9) {
        Quality::Exact
    } else if length < 2.0 * estimate.touched / estimate.samples as f64 {
        Quality::SubInterval
    } else if near(estimate.lower, estimate.energy, GOOD) && near(estimate.upper, estimate.energy, GOOD) {
        Quality::Good
    } else {
        Quality::Coarse
    }
}

/// The covered part of `length` seconds, 0 to 1.
pub fn coverage(estimate: Option<&Estimate>, length: f64) -> f64 {
    estimate.map_or(0.0, |estimate| micros(estimate.covered / length).min(1.0))
}

/// Watts over the covered part.
pub fn watts(estimate: &Estimate) -> Watts {
    Watts {
        avg: round(estimate.gross / estimate.covered),
        min: round(estimate.min),
        max: round(estimate.max),
        samples: estimate.samples,
    }
}

/// The energy of a phase of `length` seconds.
pub fn phase(estimate: Option<Estimate>, length: f64) -> PhaseEnergy {
    PhaseEnergy {
        energy_joules: estimate.map(|e| round(e.energy)),
        energy_lower_joules: estimate.map(|e| round(e.lower)),
        energy_upper_joules: estimate.map(|e| round(e.upper)),
        avg_watts: estimate.map(|e| round(e.gross / e.covered)),
        coverage: coverage(estimate.as_ref(), length),
        quality: quality(estimate.as_ref(), length),
    }
}

/// Watts of several domains that add up to one: `package-0` and `package-1` to the processor.
pub fn together(domains: &BTreeMap<String, Estimate>, plain: &str, stem: &str) -> Option<Watts> {
    if let Some(estimate) = domains.get(plain) {
        return Some(watts(estimate));
    }
    let numbered = |domain: &str| {
        domain.strip_prefix(stem).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut sum = None;
    domains.iter().filter(|(domain, _)| numbered(domain)).for_each(|(_, estimate)| add(&mut sum, *estimate));
    sum.map(|estimate| watts(&estimate))
}

/// The idle power that a recording of an idle machine tells: the median of the readings of its total.
pub fn idle_of(records: impl IntoIterator<Item = Record>) -> Option<Level> {
    let mut meters = Meters::new(1);
    let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
    for record in records {
        match record {
            Record::Sampler(sampler) if sampler.event == SamplerEvent::Start => meters.sampler(0, &sampler),
            Record::Power(power) => {
                // One recording has one clock; the wall will do.
                meters.add(0, power.ts, &power);
                (first, last) = (first.min(power.ts - power.window_seconds.unwrap_or(0.0)), last.max(power.ts));
            }
            _ => {}
        }
    }
    Level::of(&meters.idle_readings(first - EDGE, last + EDGE), "file")
}

/// Twelve significant digits: more than any meter has, and few enough to be read.
pub fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 11 - value.abs().log10().floor() as i32;
    if !(-300..=300).contains(&digits) {
        return value;
    }
    let scale = 10f64.powi(digits.abs());
    if digits >= 0 { (value * scale).round() / scale } else { (value / scale).round() * scale }
}

#[cfg(test)]
mod tests;
