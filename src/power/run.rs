//! The stream of a power sampler: reads what is due, takes what comes, and writes one record for each reading between a
//! `sampler` record that opens and one that closes.

use super::dating::{Dated, GAP};
use super::feed::{Clock, Fed, Sample};
use super::honest::honest;
use super::polled::Polled;
use super::reading;
use super::total::total;
use crate::clock::{Stamp, boot_id, cpu_seconds, mono_ns};
use crate::record::{self, Power, PowerKind, Sampler, SamplerEvent, Tool};
use crate::schedule::Schedule;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// A counter is looked at this often even when it is read less often, so that it cannot wrap around twice unseen.
const LOOK: Duration = Duration::from_secs(30);
/// How long the opening record waits for the first reading to say what is measured.
const PATIENCE: Duration = Duration::from_secs(3);

/// What comes from other threads.
pub enum Event {
    /// A signal, or the end of the process that was to be watched.
    Stop,
    /// Nobody reads what is written.
    ReaderLeft,
    /// A text said something; whether it is of this moment and host.
    Fed {
        /// The text.
        feed: usize,
        /// The meter, once it is known.
        meter: Option<&'static str>,
        /// Whether it is of this moment and host.
        live: bool,
        /// What it said.
        fed: Vec<Fed>,
    },
    /// A text has ended, or failed for this reason.
    Ended {
        /// The text.
        feed: usize,
        /// Why, where it should not have.
        why: Option<String>,
    },
}

/// What shapes the stream.
pub struct Settings {
    /// The program.
    pub tool: Tool,
    /// Time between readings of polled meters, and of spawned ones.
    pub interval: Duration,
    /// Whether the texts keep to that interval too, because they were told.
    pub told: bool,
    /// Stop after so long.
    pub limit: Option<Duration>,
    /// Stop after so many readings of each meter.
    pub count: Option<u64>,
}

/// How the stream ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Readings written.
    pub samples: u64,
    /// Readings cut off.
    pub torn: u64,
    /// What failed on the way.
    pub reason: Option<String>,
    /// Whether it ended because nobody reads.
    pub reader_left: bool,
    /// Whether a text was read to its end and said nothing that a meter says.
    pub no_meter: bool,
}

/// Samples until told to stop, until all texts have ended, or until a limit is reached; `write` takes the lines.
///
/// # Errors
/// When a line cannot be written.
pub fn sample(
    mut polled: Vec<Polled>,
    feeds: usize,
    settings: &Settings,
    events: &Receiver<Event>,
    mut write: impl FnMut(&str) -> io::Result<()>,
) -> anyhow::Result<Ended> {
    let begun = Stamp::now();
    let mut stream = Stream::new(settings, begun, feeds, polled.len());
    for meter in &polled {
        stream.meters.insert(meter.meter().to_owned());
        stream.domains.extend(meter.domains());
        stream.estimated |= matches!(meter, Polled::Estimate(_));
    }
    let mut schedule = Schedule::new(begun.mono_ns, settings.interval);
    let mut looks = Schedule::new(begun.mono_ns, LOOK);
    let deadline = settings.limit.map(|limit| begun.mono_ns.saturating_add(limit.as_nanos() as u64));
    let patience = begun.mono_ns + PATIENCE.as_nanos() as u64;
    let mut running = feeds;
    let mut ended = Ended::default();
    if feeds == 0 {
        stream.open(&mut write)?;
    }
    while !stream.full() && (running > 0 || !polled.is_empty()) {
        let now = mono_ns();
        if !polled.is_empty() && schedule.is_due(now) {
            stream.gaps += schedule.take(now);
            for (place, meter) in polled.iter_mut().enumerate() {
                let powers = meter.read(Stamp::now());
                stream.counts[feeds + place] += u64::from(!powers.is_empty());
                for power in powers {
                    stream.put(power, &mut write)?;
                }
            }
            continue;
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            break;
        }
        if !polled.is_empty() && looks.is_due(now) {
            looks.take(now);
            polled.iter_mut().for_each(|meter| meter.look(Stamp::now()));
        }
        if !stream.opened && now >= patience {
            stream.open(&mut write)?;
        }
        let due = [(!polled.is_empty()).then(|| schedule.due_ns().min(looks.due_ns())), deadline]
            .into_iter()
            .chain([(!stream.opened).then_some(patience)])
            .flatten()
            .min();
        let wait = due.map_or(Duration::from_secs(3600), |due| Duration::from_nanos(due.saturating_sub(mono_ns())));
        match events.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
            Ok(Event::Stop) => break,
            Ok(Event::ReaderLeft) => return Ok(Ended { reader_left: true, ..ended }),
            Ok(Event::Fed { feed, meter, live, fed }) => {
                stream.live &= live;
                stream.meters.extend(meter.map(str::to_owned));
                // What comes together is announced together: a card for each line, say.
                for dated in fed.iter().filter_map(|fed| if let Fed::Sample(dated) = fed { Some(dated) } else { None })
                {
                    stream.measured(&dated.sample.watts, dated.sample.joules.as_ref());
                }
                for fed in fed {
                    stream.take(feed, fed, &mut write)?;
                }
            }
            Ok(Event::Ended { feed, why }) => {
                running -= 1;
                // One that was told how many readings to write has written them.
                let done = settings.count.is_some_and(|most| stream.counts[feed] >= most);
                if why.is_some() && !done {
                    ended.reason = why;
                }
            }
        }
    }
    // What the meter said of itself says more than how it ended.
    ended.reason = stream.refused.take().or(ended.reason);
    let no_meter = stream.seq == 0 && stream.machine.is_none() && feeds > 0 && running == 0;
    // A meter that never gave a reading is no stream: the caller says what is wrong.
    if stream.opened || (ended.reason.is_none() && !no_meter) {
        stream.close(ended.reason.clone(), &mut write)?;
    }
    Ok(Ended { samples: stream.seq, torn: stream.torn, no_meter, ..ended })
}

struct Stream<'a> {
    settings: &'a Settings,
    begun: Stamp,
    opened: bool,
    live: bool,
    meters: BTreeSet<String>,
    domains: BTreeSet<String>,
    machine: Option<String>,
    label: Option<String>,
    window: Option<f64>,
    estimated: bool,
    seq: u64,
    gaps: u64,
    torn: u64,
    refused: Option<String>,
    /// Per meter: readings, and the end of the last.
    counts: Vec<u64>,
    /// Per text: readings of each domain that begins a line.
    lines: Vec<Vec<(String, u64)>>,
    ends: Vec<Option<f64>>,
}

impl<'a> Stream<'a> {
    fn new(settings: &'a Settings, begun: Stamp, feeds: usize, polled: usize) -> Self {
        Self {
            settings,
            begun,
            opened: false,
            live: true,
            meters: BTreeSet::new(),
            domains: BTreeSet::new(),
            machine: None,
            label: None,
            window: None,
            estimated: false,
            seq: 0,
            gaps: 0,
            torn: 0,
            refused: None,
            counts: vec![0; feeds + polled],
            lines: vec![Vec::new(); feeds],
            ends: vec![None; feeds],
        }
    }

    /// Whether every meter has given as many readings as were asked for.
    fn full(&self) -> bool {
        self.settings.count.is_some_and(|most| self.counts.iter().all(|&n| n >= most))
    }

    fn take(&mut self, feed: usize, fed: Fed, write: &mut impl FnMut(&str) -> io::Result<()>) -> anyhow::Result<()> {
        match fed {
            Fed::Machine(name) => self.machine = Some(name),
            Fed::Refused(why) => self.refused = Some(why),
            Fed::Torn(torn) => self.torn += torn,
            Fed::Missed(readings) => self.gaps += readings,
            Fed::Sample(dated) => {
                if let (Some(last), Some(window)) = (self.ends[feed], dated.sample.window_seconds) {
                    // What lies between the end of one window and the start of the next was not measured.
                    let between = dated.ts - window - last;
                    // Of a clock cut to the second, a second is no gap.
                    let slack = if dated.sample.clock == Clock::Loose { 1.0 } else { 0.0 };
                    if between > GAP * window + slack {
                        self.gaps += (between / window).round().max(1.0) as u64;
                    }
                }
                self.ends[feed] = Some(dated.ts);
                self.label = self.label.take().or_else(|| dated.sample.label.clone());
                self.window = self.window.or(dated.sample.window_seconds);
                // Asked for so many of this meter, and another is not done yet.
                if self.count(feed, &dated) {
                    self.put(power_of(dated), write)?;
                }
            }
        }
        Ok(())
    }

    /// Counts a reading of a text; whether it is one that was asked for. A meter may tell what it measures on several lines,
    /// such as one per card: it has been read as often as the first of them.
    fn count(&mut self, feed: usize, dated: &Dated) -> bool {
        let Sample { watts, joules, .. } = &dated.sample;
        let Some(domain) = watts.keys().chain(joules.iter().flat_map(BTreeMap::keys)).next() else { return true };
        let lines = &mut self.lines[feed];
        let place = lines.iter().position(|(known, _)| known == domain).unwrap_or_else(|| {
            lines.push((domain.clone(), 0));
            lines.len() - 1
        });
        if self.settings.count.is_some_and(|most| lines[place].1 >= most) {
            return false;
        }
        lines[place].1 += 1;
        self.counts[feed] = lines[0].1;
        true
    }

    fn measured(&mut self, watts: &BTreeMap<String, Option<f64>>, joules: Option<&BTreeMap<String, Option<f64>>>) {
        self.domains.extend(watts.keys().chain(joules.into_iter().flat_map(BTreeMap::keys)).cloned());
    }

    fn put(&mut self, mut power: Power, write: &mut impl FnMut(&str) -> io::Result<()>) -> anyhow::Result<()> {
        honest(&mut power);
        self.seq += 1;
        power.seq = self.seq;
        self.estimated |= power.estimated;
        self.measured(&power.watts, power.joules.as_ref());
        self.open(write)?;
        write(&record::line(&power)?)?;
        Ok(())
    }

    fn open(&mut self, write: &mut impl FnMut(&str) -> io::Result<()>) -> anyhow::Result<()> {
        if !std::mem::replace(&mut self.opened, true) {
            let mut record = self.record(SamplerEvent::Start, self.begun);
            record.interval_seconds = match self.window {
                Some(window) if !self.settings.told => Some(window),
                _ => Some(self.settings.interval.as_secs_f64()),
            };
            write(&record::line(&record)?)?;
        }
        Ok(())
    }

    fn close(&mut self, reason: Option<String>, write: &mut impl FnMut(&str) -> io::Result<()>) -> anyhow::Result<()> {
        self.open(write)?;
        let record = Sampler {
            samples: Some(self.seq),
            gaps: Some(self.gaps),
            truncated_samples: Some(self.torn),
            cpu_seconds: Some(cpu_seconds()),
            reason,
            ..self.record(SamplerEvent::End, Stamp::now())
        };
        write(&record::line(&record)?)?;
        Ok(())
    }

    fn record(&self, event: SamplerEvent, at: Stamp) -> Sampler {
        Sampler {
            event,
            tool: Some(self.settings.tool.clone()),
            ts: Some(at.ts),
            mono: self.live.then(|| at.mono()),
            boot: if self.live { boot_id() } else { None },
            meters: self.meters.iter().cloned().collect(),
            measures: (!self.domains.is_empty()).then(|| self.domains.iter().cloned().collect()),
            total_domain: total(self.domains.iter().map(String::as_str)),
            total_label: self.label.clone(),
            machine: self.machine.clone(),
            interval_seconds: None,
            estimated: self.estimated,
            simulated: self.machine.as_deref() == Some("llm-sim"),
            samples: None,
            gaps: None,
            truncated_samples: None,
            cpu_seconds: None,
            reason: None,
            ..Sampler::default()
        }
    }
}

/// The record of a reading that came as text.
fn power_of(dated: Dated) -> Power {
    let Dated { sample, ts, mono } = dated;
    let mut power = reading(sample.meter, sample.kind, ts, mono);
    power.window_seconds = sample.window_seconds;
    power.joules = sample.joules.or_else(|| {
        let window = sample.window_seconds.filter(|_| sample.kind == PowerKind::Window)?;
        // To the nanojoule: the sum over a long log must not show the rounding.
        let joules = |watts: &Option<f64>| watts.map(|watts| (watts * window * 1e9).round() / 1e9);
        Some(sample.watts.iter().map(|(domain, watts)| (domain.clone(), joules(watts))).collect())
    });
    power.watts = sample.watts;
    power.unavailable = (!sample.unavailable.is_empty()).then_some(sample.unavailable);
    power
}
