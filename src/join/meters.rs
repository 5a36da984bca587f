//! Power streams: which meter reads which domain, what the total is, and what a request drew of it.
//!
//! A domain that several meters read is taken from one of them, never added: counters before windows before instants,
//! and among equals the stream that was named first. The total is the one that the samplers name; where they name
//! several, or none, it is the largest that contains the others.

use super::domains::largest;
use super::in_flight::InFlight;
use super::power_segment::Estimate;
use super::power_series::{PowerReading, PowerSeries};
use super::sample::{METERS, Meter, PowerSample};
use super::shares::Claim;
use crate::record::{PowerKind, Sampler};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One domain of one meter of one stream.
#[derive(Debug)]
struct Channel {
    stream: usize,
    meter: String,
    domain: String,
    series: PowerSeries,
}

/// A stream, as its sampler describes it.
#[derive(Debug, Default)]
struct Stream {
    total: Option<String>,
    interval: Option<f64>,
    estimated: bool,
    simulated: bool,
    fresh: BTreeSet<String>,
    /// Where the readings of the latest meters go: the channel of each domain that had any.
    known: Vec<(Arc<Meter>, Vec<Option<usize>>)>,
}

/// How an estimate is taken of a series.
type Estimator<'a> = &'a dyn Fn(&PowerSeries) -> Option<Estimate>;

/// All power streams together.
#[derive(Debug)]
pub struct Meters {
    streams: Vec<Stream>,
    channels: Vec<Channel>,
    /// The channels of each domain, by name, the best first.
    domains: Vec<(String, Vec<usize>)>,
    /// Domains of the total.
    total: Vec<String>,
    /// Where each stands in `domains`.
    total_at: Vec<Option<usize>>,
    seen_domains: usize,
}

/// The power that a request claims, by domain.
#[derive(Debug, Clone)]
pub struct PowerEstimate<'a> {
    /// The total; `None` where a part of it was not covered, or where it cannot be true.
    pub total: Option<Estimate>,
    /// Every domain that was covered, by name.
    pub domains: Vec<(&'a str, Estimate)>,
    /// The meters that were used, by name.
    pub meters: Vec<&'a str>,
    /// Parts of the total that were not covered.
    pub missing: Vec<&'a str>,
    /// Whether the total was read, and was exactly nothing.
    pub stuck: bool,
    /// Whether one of the streams that were used estimates, and whether one is simulated.
    pub estimated: bool,
    /// See `estimated`.
    pub simulated: bool,
}

impl Meters {
    /// `streams` power streams, nothing read yet.
    pub fn new(streams: usize) -> Self {
        Self {
            streams: (0..streams).map(|_| Stream::default()).collect(),
            channels: Vec::new(),
            domains: Vec::new(),
            total: Vec::new(),
            total_at: Vec::new(),
            seen_domains: 0,
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
    ///
    /// # Errors
    /// When something unusual in it is left out: what that is.
    pub fn add(&mut self, stream: usize, at: f64, power: &PowerSample) -> Result<(), &'static str> {
        let mut left_out = Ok(());
        for domain in 0..power.values.len() {
            match power.reading(domain, at, self.streams[stream].interval) {
                Ok(Some(reading)) => self.reading(stream, &power.meter, domain, reading),
                Ok(None) => {}
                Err(what) => left_out = Err(what),
            }
        }
        self.streams[stream].estimated |= power.estimated;
        if self.channels.len() != self.seen_domains {
            self.seen_domains = self.channels.len();
            self.sort();
            self.name_total();
        }
        left_out
    }

    /// Puts a reading of a domain into its series.
    fn reading(&mut self, stream: usize, meter: &Arc<Meter>, domain: usize, mut reading: PowerReading) {
        let index = self.channel(stream, meter, domain);
        let channel = &mut self.channels[index];
        let fresh = &mut self.streams[stream].fresh;
        reading.fresh = !fresh.is_empty() && fresh.remove(&format!("{}\0{}", channel.meter, channel.domain));
        channel.series.add(reading);
    }

    /// The channel of a domain of a meter, which is made where there is none yet.
    fn channel(&mut self, stream: usize, meter: &Arc<Meter>, domain: usize) -> usize {
        let from = &mut self.streams[stream];
        let at = from.known.iter().position(|(known, _)| Arc::ptr_eq(known, meter)).unwrap_or_else(|| {
            from.known.truncate(METERS - 1);
            from.known.insert(0, (Arc::clone(meter), vec![None; meter.domains.len()]));
            0
        });
        let known = &mut from.known[at].1[domain];
        let name = &meter.domains[domain];
        let found = known.or_else(|| {
            self.channels.iter().position(|channel| {
                channel.stream == stream
                    && channel.series.kind() == meter.kind
                    && channel.domain == *name
                    && channel.meter == meter.source
            })
        });
        *known.insert(found.unwrap_or_else(|| {
            let mut series = PowerSeries::new(meter.kind);
            series.promise(from.interval);
            self.channels.push(Channel { stream, meter: meter.source.clone(), domain: name.clone(), series });
            self.channels.len() - 1
        }))
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
        let at = |domain: &String| self.domains.iter().position(|(name, _)| name == domain);
        self.total_at = self.total.iter().map(at).collect();
    }

    /// The total's name: its domains joined by `+`.
    pub fn total_name(&self) -> Option<String> {
        (!self.total.is_empty()).then(|| self.total.join("+"))
    }

    /// Sorts the channels by domain, the best of each first.
    fn sort(&mut self) {
        self.domains.clear();
        for (i, channel) in self.channels.iter().enumerate() {
            match self.domains.iter_mut().find(|(domain, _)| *domain == channel.domain) {
                Some((_, channels)) => channels.push(i),
                None => self.domains.push((channel.domain.clone(), vec![i])),
            }
        }
        self.domains.sort();
        let channels = &self.channels;
        for (_, of) in &mut self.domains {
            of.sort_by_key(|&i| {
                let kind = match channels[i].series.kind() {
                    PowerKind::Counter => 0,
                    PowerKind::Window => 1,
                    PowerKind::Instant => 2,
                };
                (kind, channels[i].stream)
            });
        }
    }

    /// The channels of a domain, the best first.
    fn channels_of(&self, domain: usize) -> impl Iterator<Item = &Channel> {
        self.domains[domain].1.iter().map(|&i| &self.channels[i])
    }

    /// The first estimate that a channel of a domain gives, and that channel.
    fn best(&self, domain: usize, estimate: Estimator) -> Option<(&Channel, Estimate)> {
        self.channels_of(domain).find_map(|channel| estimate(&channel.series).map(|estimate| (channel, estimate)))
    }

    /// The sum of the total's domains, whether or not it can be true; `None` where one of them is not covered at all.
    fn sum(&self, estimate: Estimator) -> Option<Estimate> {
        let mut sum: Option<Estimate> = None;
        for domain in &self.total_at {
            let (_, part) = self.best((*domain)?, estimate)?;
            sum = Some(part.and(sum));
        }
        sum
    }

    /// The total from the readings from `from` to `to`, whether or not it can be true; `None` where a part of
    /// it is not covered at all.
    pub fn read_total(&self, from: f64, to: f64) -> Option<Estimate> {
        self.sum(&|series| series.estimate(from, to))
    }

    /// The energy of the total from `from` to `to`; `None` where a part of it is not covered at all, or where it cannot be true.
    pub fn total(&self, from: f64, to: f64) -> Option<Estimate> {
        self.read_total(from, to).filter(|total| !total.is_zero())
    }

    /// The share of a claim in the total; `None` as with [`Self::total`].
    pub fn total_share(&self, claim: &Claim, in_flight: &InFlight) -> Option<Estimate> {
        self.sum(&|series| series.share(claim, in_flight)).filter(|total| !total.is_zero())
    }

    /// Sums up what ends by `until`; what requests may claim was changed from `changed` on.
    pub fn sum_up(&mut self, until: f64, changed: f64, in_flight: &InFlight) {
        self.channels.iter_mut().for_each(|channel| channel.series.sum_up(until, changed, in_flight));
    }

    /// The share of a claim in every domain. All must be summed up to its end.
    pub fn share(&self, claim: &Claim, in_flight: &InFlight) -> PowerEstimate<'_> {
        let mut power = PowerEstimate {
            total: None,
            domains: Vec::with_capacity(self.domains.len()),
            meters: Vec::with_capacity(1),
            missing: Vec::new(),
            stuck: false,
            estimated: false,
            simulated: false,
        };
        for (i, (name, _)) in self.domains.iter().enumerate() {
            let Some((channel, estimate)) = self.best(i, &|series| series.share(claim, in_flight)) else { continue };
            power.domains.push((name, estimate));
            if let Err(at) = power.meters.binary_search(&channel.meter.as_str()) {
                power.meters.insert(at, &channel.meter);
            }
            power.estimated |= self.streams[channel.stream].estimated;
            power.simulated |= self.streams[channel.stream].simulated;
        }
        for part in &self.total {
            match power.domains.iter().find(|(name, _)| name == part) {
                Some((_, estimate)) => power.total = Some(estimate.and(power.total)),
                None => power.missing.push(part),
            }
        }
        power.stuck = power.total.as_ref().is_some_and(Estimate::is_zero);
        if power.stuck || !power.missing.is_empty() {
            power.total = None;
        }
        power
    }

    /// The mean watts and the lengths of the readings of the total that lie wholly between two moments; of a total of
    /// several domains, the first domain's with the median of the others added.
    pub fn idle_readings(&self, from: f64, to: f64) -> Vec<(f64, f64)> {
        let mut parts = self.total_at.iter().map(|domain| {
            let mut channels = self.channels_of((*domain)?);
            channels.find_map(|channel| Some(channel.series.inside(from, to)).filter(|inside| !inside.is_empty()))
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
        readings.retain(|(watts, _)| *watts > 0.0);
        readings
    }

    /// The latest end of a reading of the total at or before `at`.
    pub fn edge(&self, at: f64) -> Option<f64> {
        let domain = (*self.total_at.first()?)?;
        self.channels_of(domain).find_map(|channel| channel.series.edge(at))
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

#[cfg(test)]
mod tests;
