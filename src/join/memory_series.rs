//! Memory streams: the reading nearest to a moment, and the highest of a stretch of time. Nothing is interpolated.

use super::memory_figures::{FIGURES, Figures, merge, to_figures, to_record};
use super::queue_search::count_before;
use super::sample::MemorySample;
use crate::record::{MemoryFigures, MemoryPoint};
use std::collections::VecDeque;

/// How many times the usual time between two readings a moment may be away from its nearest one: further, nothing was read
/// about it. A sampler that misses two readings in a row is late; one that misses three was not there.
const NEAR_INTERVALS: f64 = 3.0;

/// The same in seconds, where readings are so dense, or so few, that their interval says little.
const NEAR_SECONDS: f64 = 2.0;

/// One reading.
#[derive(Debug, Clone)]
struct MemoryReading {
    at: f64,
    ts: f64,
    figures: Figures,
}

/// The readings of all memory streams, as far back as they are needed.
#[derive(Debug)]
pub struct MemorySeries {
    streams: Vec<VecDeque<MemoryReading>>,
}

impl MemorySeries {
    /// `streams` memory streams, nothing read yet.
    pub fn new(streams: usize) -> Self {
        Self { streams: (0..streams).map(|_| VecDeque::new()).collect() }
    }

    /// A reading, at its place on the axis. One that is there already changes nothing.
    pub fn add(&mut self, stream: usize, at: f64, memory: &MemorySample) {
        let readings = &mut self.streams[stream];
        let mut i = readings.len();
        while i > 0 && readings[i - 1].at > at {
            i -= 1;
        }
        if i > 0 && readings[i - 1].at == at {
            return;
        }
        readings.insert(i, MemoryReading { at, ts: memory.ts, figures: memory.figures });
    }

    /// The figures nearest to `at`, how far they are from it, and when they were read. Several streams complete each
    /// other; the first that has a figure tells it.
    pub fn nearest(&self, at: f64) -> Option<MemoryPoint> {
        let mut point: Option<(f64, f64, Figures)> = None;
        for readings in &self.streams {
            let after = count_before(readings, |reading| reading.at < at);
            let near = |i: usize| readings.get(i).map(|reading| ((reading.at - at).abs(), reading));
            let before = after.checked_sub(1).and_then(near);
            let Some((_, reading)) = [before, near(after)].into_iter().flatten().min_by(|a, b| a.0.total_cmp(&b.0))
            else {
                continue;
            };
            if (reading.at - at).abs() > near_enough(readings) {
                continue;
            }
            let to = point.get_or_insert((reading.ts, reading.at - at, [None; FIGURES]));
            merge(&mut to.2, &reading.figures, |have, _| have);
        }
        let (ts, distance, figures) = point?;
        Some(MemoryPoint {
            ts: Some(ts),
            distance_seconds: Some(crate::clock::micros(distance)),
            figures: to_record(&figures),
        })
    }

    /// The last figures read between two moments; `None` where none were.
    pub fn last_between(&self, from: f64, to: f64) -> Option<MemoryPoint> {
        let last = |readings: &VecDeque<MemoryReading>| {
            let end = count_before(readings, |reading| reading.at <= to);
            end.checked_sub(1).map(|i| readings[i].at).filter(|&at| at >= from)
        };
        let at = self.streams.iter().filter_map(last).max_by(f64::total_cmp)?;
        self.nearest(at)
    }

    /// The highest of each figure between two moments and at the readings nearest to both, and how many readings lie
    /// between.
    pub fn highest(&self, from: f64, to: f64) -> Option<(MemoryFigures, u64)> {
        let mut highest = [None; FIGURES];
        let mut samples = 0;
        for readings in &self.streams {
            // A figure that several streams read is the first one's.
            let mut own = [None; FIGURES];
            let begin = count_before(readings, |reading| reading.at < from);
            let end = count_before(readings, |reading| reading.at <= to);
            for reading in readings.range(begin..end.max(begin)) {
                merge(&mut own, &reading.figures, i64::max);
            }
            samples = samples.max(end.saturating_sub(begin) as u64);
            merge(&mut highest, &own, |have, _| have);
        }
        for moment in [from, to] {
            if let Some(point) = self.nearest(moment) {
                merge(&mut highest, &to_figures(&point.figures), i64::max);
            }
        }
        highest.iter().any(Option::is_some).then(|| (to_record(&highest), samples))
    }

    /// Drops what was read before `before`, but for one reading.
    pub fn forget(&mut self, before: f64) {
        for readings in &mut self.streams {
            while readings.len() > 1 && readings[1].at < before {
                readings.pop_front();
            }
        }
    }

    /// Drops the oldest readings of a stream beyond `most`.
    pub fn cap(&mut self, stream: usize, most: usize) {
        let readings = &mut self.streams[stream];
        while readings.len() > most {
            readings.pop_front();
        }
    }
}

/// How far a moment may be from the reading that tells about it, in seconds.
fn near_enough(readings: &VecDeque<MemoryReading>) -> f64 {
    let ends = readings.front().zip(readings.back()).filter(|_| readings.len() > 1);
    let interval = ends.map_or(0.0, |(first, last)| (last.at - first.at) / (readings.len() - 1) as f64);
    NEAR_SECONDS.max(NEAR_INTERVALS * interval)
}

#[cfg(test)]
mod tests;
