//! The streams of samples together: what was read for each role, by which clock, and of which machine.

use super::requests::RequestInterval;
use super::run_clocks::RunClocks;
use super::sample_stream::{Role, SampleStream};
use super::time_axis::ClockStamp;
use crate::clock::micros;
use crate::record::Sampler;

/// All streams of samples, by number.
#[derive(Debug)]
pub struct Streams {
    streams: Vec<SampleStream>,
    /// Seconds that are added to the times of each stream; none where there are fewer.
    offsets: Vec<f64>,
}

impl Streams {
    /// Streams that are read for `roles` from `now` on; of each, whether it is a file, whose present contents are read first.
    pub fn new(roles: &[(Role, bool)], offsets: Vec<f64>, now: f64) -> Self {
        let stream = |(i, &(role, grows)): (usize, &(Role, bool))| {
            let index = roles[..i].iter().filter(|(other, _)| *other == role).count();
            SampleStream::new(role, index, grows, now)
        };
        Self { streams: roles.iter().enumerate().map(stream).collect(), offsets }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The stream with that number.
    pub fn get(&self, stream: usize) -> &SampleStream {
        &self.streams[stream]
    }

    fn of(&self, role: Role) -> impl Iterator<Item = &SampleStream> {
        self.streams.iter().filter(move |stream| stream.role == role)
    }

    /// How many are read for a role.
    pub fn count(&self, role: Role) -> usize {
        self.of(role).count()
    }

    /// Whether any is read for a role.
    pub fn has(&self, role: Role) -> bool {
        self.of(role).next().is_some()
    }

    /// The stream with that number was read to its present end; it was last written to `quiet` seconds ago.
    pub fn caught_up(&mut self, stream: usize, quiet: f64, now: f64) {
        self.streams[stream].caught_up(quiet, now);
    }

    /// The stream with that number has ended.
    pub fn end(&mut self, stream: usize) {
        self.streams[stream].end();
    }

    /// A sampler starts in the stream with that number.
    pub fn starts(&mut self, stream: usize, sampler: &Sampler, now: f64) {
        self.streams[stream].starts(sampler.boot.clone(), sampler.interval_seconds, now);
    }

    /// Where a sample's stamp stands on the axis, and by how much the wall clock has stepped before it; `None` for what can be
    /// no moment.
    pub fn place(
        &mut self,
        stream: usize,
        ts: f64,
        mono: Option<f64>,
        clocks: &mut RunClocks,
    ) -> Option<(f64, Option<f64>)> {
        let offset = self.offsets.get(stream).copied().unwrap_or(0.0);
        let stream = &mut self.streams[stream];
        let at = clocks.place_sample(ClockStamp { ts, mono, boot: stream.boot.as_deref() })?;
        Some((micros(at + offset), stream.stamped(ts, mono)))
    }

    /// A reading of `meter` came in the stream with that number, and reaches to `at`.
    pub fn read(&mut self, stream: usize, meter: &str, at: f64, now: f64) {
        self.streams[stream].read(meter, at, now);
    }

    /// Until when to wait for the stream with that number to come to `until`: see [`SampleStream::awaited`].
    pub fn awaited(&mut self, stream: usize, until: f64, arrived: f64, wait: Option<f64>, now: f64) -> Option<f64> {
        self.streams[stream].awaited(until, arrived, wait, now)
    }

    /// Why the streams of a role have nothing on a request.
    pub fn missing(&self, role: Role, sampler: &str) -> String {
        if self.of(role).all(|stream| stream.samples == 0) {
            format!("the {sampler} gave no reading")
        } else {
            format!("no reading of the {sampler} covers the request")
        }
    }

    fn read_for(&self, role: Role) -> impl Iterator<Item = &SampleStream> {
        self.of(role).filter(|stream| stream.samples > 0)
    }

    /// The clock that joins the streams of a role with a request of `boot`.
    pub fn clock(&self, role: Role, boot: Option<&str>, interval: RequestInterval) -> &'static str {
        let same = |stream: &SampleStream| stream.mono && stream.boot.as_deref() == boot;
        if interval.mono && self.read_for(role).all(same) { "mono" } else { "wall" }
    }

    /// Whether all that was read for a role is of the machine that booted as `boot`.
    pub fn all_of_boot(&self, role: Role, boot: Option<&str>) -> bool {
        boot.is_some() && self.read_for(role).next().is_some() && self.read_for(role).all(|s| s.boot.as_deref() == boot)
    }

    /// Whether the wall clock stepped in a stream of a role.
    pub fn stepped(&self, role: Role) -> bool {
        self.of(role).any(|stream| stream.stepped)
    }
}
