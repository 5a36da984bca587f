//! Everything that was read from the streams of samples.

use super::ground_truth::{GroundTruthLog, GroundTruthRecord};
use super::in_flight::InFlight;
use super::memory_series::MemorySeries;
use super::meters::Meters;
use super::notes::Notes;
use super::requests::DISORDER;
use super::run_clocks::RunClocks;
use super::sample::{MemorySample, PowerSample, Sample};
use super::sample_stream::Role;
use super::streams::Streams;
use crate::record::SamplerEvent;

/// The most readings per domain that are kept while no request needs them: a sampler that runs for days before the first
/// request must not fill the memory.
const SPARE_READINGS: usize = 1 << 16;

/// The samples of all streams, as far back as they are needed.
#[derive(Debug)]
pub struct Samples {
    streams: Streams,
    meters: Meters,
    memory: MemorySeries,
    ground_truths: GroundTruthLog,
}

impl Samples {
    /// Nothing is read yet.
    pub fn new(streams: Streams) -> Self {
        Self {
            meters: Meters::new(streams.count(Role::Power)),
            memory: MemorySeries::new(streams.count(Role::Memory)),
            ground_truths: GroundTruthLog::default(),
            streams,
        }
    }

    /// Adds a sample of the stream with that number.
    pub fn add(&mut self, stream: usize, sample: Sample, now: f64, clocks: &mut RunClocks, notes: &mut Notes) {
        match (sample, self.streams.get(stream).role) {
            (Sample::Sampler(sampler), role) if sampler.event == SamplerEvent::Start => {
                self.streams.starts(stream, &sampler, now);
                if role == Role::Power {
                    self.meters.sampler(self.streams.get(stream).index, &sampler);
                }
            }
            (Sample::Power(power), Role::Power) => {
                if let Some(at) = self.place(stream, power.ts, power.mono, clocks, notes) {
                    self.add_power(stream, at, &power, now, notes);
                }
            }
            (Sample::Memory(memory), Role::Memory) => {
                if let Some(at) = self.place(stream, memory.ts, memory.mono, clocks, notes) {
                    self.add_memory(stream, at, &memory, now);
                }
            }
            (Sample::GroundTruth(record), _) => {
                if let Some((at, _)) = clocks.place("", record.arrival_ts, None) {
                    self.add_ground_truth(stream, at, *record, now);
                }
            }
            _ => {}
        }
    }

    fn place(
        &mut self,
        stream: usize,
        ts: f64,
        mono: Option<f64>,
        clocks: &mut RunClocks,
        notes: &mut Notes,
    ) -> Option<f64> {
        let (at, step) = self.streams.place(stream, ts, mono, clocks)?;
        if let Some(step) = step {
            notes.add(format!("the wall clock stepped by {step:.3} s while it was sampled"));
        }
        Some(at)
    }

    fn add_power(&mut self, stream: usize, at: f64, power: &PowerSample, now: f64, notes: &mut Notes) {
        if let Err(what) = self.meters.add(self.streams.get(stream).index, at, power) {
            notes.add(format!("readings of {} were left out: {what}", power.meter.source));
        }
        self.streams.read(stream, &power.meter.source, at, now);
    }

    fn add_memory(&mut self, stream: usize, at: f64, memory: &MemorySample, now: f64) {
        self.memory.add(self.streams.get(stream).index, at, memory);
        self.streams.read(stream, "", at, now);
    }

    fn add_ground_truth(&mut self, stream: usize, at: f64, record: GroundTruthRecord, now: f64) {
        let end = at + (record.end_ts() - record.arrival_ts);
        // The log is written in the order of ends, but for the time that threads take to get there.
        self.streams.read(stream, "", end - DISORDER, now);
        self.ground_truths.add(at, record);
    }

    /// Drops the oldest readings of the stream with that number, when no request needs them.
    pub fn cap(&mut self, stream: usize) {
        let stream = self.streams.get(stream);
        match stream.role {
            Role::Power => self.meters.cap(stream.index, SPARE_READINGS),
            Role::Memory => self.memory.cap(stream.index, SPARE_READINGS),
            Role::GroundTruth => {}
        }
    }

    /// The stream with that number was read to its present end; it was last written to `quiet` seconds ago.
    pub fn caught_up(&mut self, stream: usize, quiet: f64, now: f64) {
        self.streams.caught_up(stream, quiet, now);
    }

    /// The stream with that number has ended.
    pub fn end(&mut self, stream: usize) {
        self.streams.end(stream);
    }

    /// Until when to wait for the stream with that number to come to `until`; `None` when there is nothing to wait for.
    pub fn awaited(&mut self, stream: usize, until: f64, arrived: f64, wait: Option<f64>, now: f64) -> Option<f64> {
        self.streams.awaited(stream, until, arrived, wait, now)
    }

    /// Sums up the power that ends by `until`; what requests may claim was changed from `changed` on.
    pub fn sum_up(&mut self, until: f64, changed: f64, in_flight: &InFlight) {
        self.meters.sum_up(until, changed, in_flight);
    }

    /// The streams.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// The readings of power meters.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The readings of memory.
    pub fn memory(&self) -> &MemorySeries {
        &self.memory
    }

    /// When the last try of a request arrived at the server.
    pub fn arrival(&self, request: &str) -> Option<f64> {
        self.ground_truths.arrival(request)
    }

    /// Takes out the ground truth of a request.
    pub fn take_ground_truth(&mut self, request: &str) -> Option<GroundTruthRecord> {
        self.ground_truths.take(request)
    }

    /// Drops what no request needs: power before `added_up`, anything else before `settled`.
    pub fn forget(&mut self, added_up: f64, settled: f64) {
        self.meters.forget(added_up);
        self.memory.forget(settled);
        self.ground_truths.forget(settled);
    }
}
