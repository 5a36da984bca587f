//! How far a sample stream has come, and how long it is worth waiting for.

use super::shares::EDGE;
use super::time_axis::StepDetector;

/// The interval that is assumed of a stream without a record yet, in seconds.
const UNKNOWN_INTERVAL: f64 = 1.0;

/// How many intervals are waited for a reading, by default.
const INTERVALS: f64 = 3.0;

/// The purpose of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `power` records.
    Power,
    /// `memory` records.
    Memory,
    /// llm-sim's log of what it wrote.
    GroundTruth,
}

impl Role {
    /// The records that it is read for, in the plural.
    pub fn records(self) -> &'static str {
        match self {
            Role::Power => "power records",
            Role::Memory => "memory records",
            Role::GroundTruth => "ground_truth records",
        }
    }
}

/// One stream.
#[derive(Debug)]
pub struct SampleStream {
    /// Its purpose.
    pub role: Role,
    /// Its number among the streams of its role.
    pub index: usize,
    /// The boot that its stamps are of.
    pub boot: Option<String>,
    /// Whether its last reading carried a stamp of that boot's clock.
    pub mono: bool,
    /// How many readings it has given.
    pub samples: u64,
    /// Whether the wall clock was seen to step.
    pub stepped: bool,
    steps: StepDetector,
    stated: Option<f64>,
    observed: Option<f64>,
    /// Per meter, the latest moment that was read.
    latest: Vec<(String, f64)>,
    first: Option<f64>,
    ended: bool,
    /// Whether everything that was there when it was opened has been read.
    caught_up: Option<f64>,
    active: f64,
    mark: Option<(f64, f64)>,
    extended: f64,
}

impl SampleStream {
    /// A stream that is read from `now` on. One that `grows` is a file, whose present contents are read without hurry.
    pub fn new(role: Role, index: usize, grows: bool, now: f64) -> Self {
        Self {
            role,
            index,
            boot: None,
            mono: false,
            samples: 0,
            steps: StepDetector::default(),
            stepped: false,
            stated: None,
            observed: None,
            latest: Vec::new(),
            first: None,
            ended: false,
            caught_up: (!grows).then_some(now),
            active: now,
            mark: None,
            extended: f64::NEG_INFINITY,
        }
    }

    /// A sampler starts in it: what other meters had read before is no measure of how far it has come.
    pub fn starts(&mut self, boot: Option<String>, interval: Option<f64>, now: f64) {
        self.boot = boot;
        self.stated = interval.filter(|&seconds| seconds > 0.0).or(self.stated);
        self.steps.reset();
        self.active = now;
        if self.latest.len() > 1 {
            self.latest.clear();
        }
    }

    /// A sample came with a stamp that has its place on the axis. Returns by how much the wall clock has stepped before it,
    /// the first time that it did.
    pub fn stamped(&mut self, ts: f64, mono: Option<f64>) -> Option<f64> {
        self.mono = mono.is_some() && self.boot.is_some();
        let step = self.steps.observe(ts, mono).filter(|_| !self.stepped)?;
        self.stepped = true;
        Some(step)
    }

    /// Adds a reading of `meter` that reaches to `at`.
    pub fn read(&mut self, meter: &str, at: f64, now: f64) {
        self.active = now;
        self.samples += 1;
        self.first.get_or_insert(at);
        match self.latest.iter_mut().find(|(name, _)| name == meter) {
            Some((_, latest)) => {
                if at > *latest {
                    // Two that come close together say less of the interval than one that takes its time.
                    let distance = at - *latest;
                    self.observed = Some(self.observed.map_or(distance, |known| distance.max(known * 0.9)));
                    *latest = at;
                }
            }
            None => self.latest.push((meter.to_owned(), at)),
        }
    }

    /// Everything that was there has been read; it was last written to `quiet` seconds ago.
    pub fn caught_up(&mut self, quiet: f64, now: f64) {
        self.caught_up = Some(now);
        self.active = now - quiet;
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The moment to which every meter of it has come.
    pub fn covered(&self) -> Option<f64> {
        self.latest.iter().map(|(_, at)| *at).min_by(f64::total_cmp)
    }

    /// The time between its readings, in seconds, as its sampler or the readings say.
    pub fn interval(&self) -> Option<f64> {
        // Requests end when they end: a log of them has no interval.
        self.stated.or(self.observed).filter(|_| self.role != Role::GroundTruth)
    }

    /// Whether it has come to `until`, or will never.
    pub fn reaches(&self, until: f64) -> bool {
        self.ended || self.covered().is_some_and(|at| at >= until - EDGE)
    }

    /// Until when to wait for it to come to `until`, for something that came at `arrived`; `None` when there is nothing
    /// to wait for.
    ///
    /// At most `wait` seconds, or three intervals. A stream that has been silent for as long is not waited for; one
    /// whose readings come at least twice as fast as time passes is catching up, and is.
    pub fn awaited(&mut self, until: f64, arrived: f64, wait: Option<f64>, now: f64) -> Option<f64> {
        if self.reaches(until) {
            self.mark = None;
            return None;
        }
        let Some(caught_up) = self.caught_up else { return Some(f64::INFINITY) };
        let interval = self.interval().unwrap_or(UNKNOWN_INTERVAL);
        let patience = wait.unwrap_or(INTERVALS * interval);
        let (marked, from) = *self.mark.get_or_insert((now, self.covered().unwrap_or(f64::NAN)));
        let silent = self.active + patience.max(INTERVALS * interval);
        let due = (arrived.max(caught_up) + patience).min(silent.max(arrived)).max(self.extended);
        if now < due {
            return Some(due);
        }
        let from = if from.is_nan() { self.first } else { Some(from) };
        let progress = self.covered().zip(from).map_or(0.0, |(to, from)| to - from);
        if progress > 0.0 && progress >= 2.0 * (now - marked) && now > marked {
            self.mark = self.covered().map(|at| (now, at));
            self.extended = now + patience.clamp(0.05, 1.0);
            return Some(self.extended);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> SampleStream {
        let mut source = SampleStream::new(Role::Power, 0, false, 0.0);
        source.starts(None, Some(0.1), 0.0);
        source
    }

    #[test]
    fn a_reading_that_covers_the_end_ends_the_wait() {
        let mut source = live();
        assert!(source.awaited(5.0, 0.0, None, 0.0).is_some());
        source.read("m", 4.9, 0.1);
        assert!(source.awaited(5.0, 0.0, None, 0.1).is_some());
        source.read("m", 5.0, 0.2);
        assert_eq!(source.awaited(5.0, 0.0, None, 0.2), None);
    }

    #[test]
    fn the_wait_is_three_intervals_or_as_given_and_ends() {
        for (wait, due) in [(None, 10.3), (Some(2.0), 12.0), (Some(0.05), 10.05)] {
            let mut source = live();
            source.read("m", 4.0, 10.0);
            let until = source.awaited(1e9, 10.0, wait, 10.0).unwrap();
            assert!((until - due).abs() < 1e-9, "{wait:?}: {until}");
            assert_eq!(source.awaited(1e9, 10.0, wait, due + 0.001), None, "{wait:?}");
        }
    }

    #[test]
    fn a_log_of_requests_has_no_interval_and_a_burst_makes_none() {
        let mut log = SampleStream::new(Role::GroundTruth, 0, false, 0.0);
        let mut meter = SampleStream::new(Role::Power, 0, false, 0.0);
        for source in [&mut log, &mut meter] {
            [1.0, 1.5, 1.501].into_iter().for_each(|at| source.read("", at, 10.0));
        }
        assert_eq!(log.awaited(9.0, 10.0, None, 10.0), Some(13.0));
        assert!(meter.awaited(9.0, 10.0, None, 10.0).unwrap() > 11.0);
    }

    #[test]
    fn every_meter_of_a_stream_is_waited_for() {
        let mut source = live();
        source.read("rapl", 6.0, 0.1);
        source.read("nvml", 4.0, 0.1);
        assert!(source.awaited(5.0, 0.0, None, 0.1).is_some());
    }

    #[test]
    fn silent_and_ended_streams_are_not_awaited() {
        let mut source = live();
        source.read("m", 4.0, 10.0);
        assert_eq!(source.awaited(5.0, 20.0, None, 20.0), None);
        let mut source = live();
        source.end();
        assert_eq!(source.awaited(5.0, 20.0, None, 20.0), None);
    }

    #[test]
    fn only_a_lagging_stream_that_catches_up_is_awaited() {
        for (pace, waits) in [(1.0, false), (10.0, true)] {
            let mut source = live();
            source.read("m", 0.0, 0.0);
            assert!(source.awaited(100.0, 0.0, None, 0.0).is_some());
            source.read("m", 0.31 * pace, 0.31);
            assert_eq!(source.awaited(100.0, 0.0, None, 0.31).is_some(), waits, "pace {pace}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_present_end_before_the_wait_begins() {
        let mut source = SampleStream::new(Role::Power, 0, true, 0.0);
        assert_eq!(source.awaited(5.0, 0.0, Some(1.0), 100.0), Some(f64::INFINITY));
        source.caught_up(0.0, 101.0);
        assert!(source.awaited(5.0, 0.0, Some(1.0), 101.0).is_some());
        let mut old = SampleStream::new(Role::Power, 0, true, 0.0);
        old.caught_up(3600.0, 1.0);
        assert_eq!(old.awaited(5.0, 0.0, None, 1.0), None, "an old file is not growing");
    }
}
