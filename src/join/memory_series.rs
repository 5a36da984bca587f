//! Memory streams: the reading nearest to a moment, and the highest of a stretch of time. Nothing is interpolated.

use super::queue_search::seek;
use super::sample::MemorySample;
use crate::record::{GpuMemory, Memory, MemoryFigures, MemoryPoint};
use std::collections::VecDeque;

/// Every figure of a reading, in the order in which [`read`] takes them.
const FIGURES: usize = 9;

/// The figures of a reading, in bytes.
pub type Figures = [Option<i64>; FIGURES];

/// How many times the usual time between two readings a moment may be away from its nearest one: further, nothing was read
/// about it. A sampler that misses two readings in a row is late; one that misses three was not there.
const NEAR_INTERVALS: f64 = 3.0;

/// The same in seconds, where readings are so dense, or so few, that their interval says little.
const NEAR_SECONDS: f64 = 2.0;

/// One reading.
#[derive(Debug, Clone)]
struct Reading {
    at: f64,
    ts: f64,
    figures: Figures,
}

/// The readings of all memory streams, as far back as they are needed.
#[derive(Debug)]
pub struct Held {
    streams: Vec<VecDeque<Reading>>,
}

impl Held {
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
        readings.insert(i, Reading { at, ts: memory.ts, figures: memory.figures });
    }

    /// The figures nearest to `at`, how far they are from it, and when they were read. Several streams complete each
    /// other; the first that has a figure tells it.
    pub fn nearest(&self, at: f64) -> Option<MemoryPoint> {
        let mut point: Option<(f64, f64, Figures)> = None;
        for readings in &self.streams {
            let after = seek(readings, |reading| reading.at < at);
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
            figures: write(&figures),
        })
    }

    /// The last figures read between two moments; `None` where none were.
    pub fn last_between(&self, from: f64, to: f64) -> Option<MemoryPoint> {
        let last = |readings: &VecDeque<Reading>| {
            let end = seek(readings, |reading| reading.at <= to);
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
            let begin = seek(readings, |reading| reading.at < from);
            let end = seek(readings, |reading| reading.at <= to);
            for reading in readings.range(begin..end.max(begin)) {
                merge(&mut own, &reading.figures, i64::max);
            }
            samples = samples.max(end.saturating_sub(begin) as u64);
            merge(&mut highest, &own, |have, _| have);
        }
        for moment in [from, to] {
            if let Some(point) = self.nearest(moment) {
                merge(&mut highest, &take(&point.figures), i64::max);
            }
        }
        highest.iter().any(Option::is_some).then(|| (write(&highest), samples))
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
fn near_enough(readings: &VecDeque<Reading>) -> f64 {
    let ends = readings.front().zip(readings.back()).filter(|_| readings.len() > 1);
    let interval = ends.map_or(0.0, |(first, last)| (last.at - first.at) / (readings.len() - 1) as f64);
    NEAR_SECONDS.max(NEAR_INTERVALS * interval)
}

fn merge(to: &mut Figures, from: &Figures, both: impl Fn(i64, i64) -> i64) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = match (*to, *from) {
            (Some(a), Some(b)) => Some(both(a, b)),
            (a, b) => a.or(b),
        };
    }
}

/// The highest of each figure of two.
pub fn higher(a: &MemoryFigures, b: &MemoryFigures) -> MemoryFigures {
    let mut figures = take(a);
    merge(&mut figures, &take(b), i64::max);
    write(&figures)
}

/// `a` less `b`, where both are known.
pub fn less(a: &MemoryFigures, b: &MemoryFigures) -> MemoryFigures {
    let (a, b) = (take(a), take(b));
    let mut figures = [None; FIGURES];
    for (to, (a, b)) in figures.iter_mut().zip(a.into_iter().zip(b)) {
        *to = a.zip(b).map(|(a, b)| a - b);
    }
    write(&figures)
}

/// Which figure says best what a model takes here.
///
/// A discrete card that holds the processes' memory; else the footprint, as macOS counts it; else the proportional set;
/// else what is resident; else the machine's use.
pub fn primary(figures: &MemoryFigures) -> Option<&'static str> {
    if figures.gpu_process_bytes.is_some_and(|bytes| bytes > 0) {
        return Some("gpu");
    }
    let known = [
        (figures.footprint_bytes, "footprint"),
        (figures.pss_bytes, "pss"),
        (figures.rss_bytes, "rss"),
        (figures.system_used_bytes, "system_used"),
    ];
    known.into_iter().find(|(bytes, _)| bytes.is_some()).map(|(_, name)| name)
}

/// The figure of that name.
pub fn figure(figures: &MemoryFigures, name: &str) -> Option<i64> {
    match name {
        "gpu" => figures.gpu_process_bytes,
        "footprint" => figures.footprint_bytes,
        "pss" => figures.pss_bytes,
        "rss" => figures.rss_bytes,
        _ => figures.system_used_bytes,
    }
}

/// The figures that a record has.
pub(super) fn read(memory: &Memory) -> Figures {
    let signed = |bytes: u64| i64::try_from(bytes).ok();
    let tried = |bytes: Option<Option<u64>>| bytes.flatten().and_then(signed);
    let gpu = |of: fn(&GpuMemory) -> Option<u64>| {
        let cards = memory.gpu.iter().flat_map(|cards| cards.values()).filter_map(of).map(signed);
        cards.fold(None, |sum: Option<i64>, bytes| bytes.map(|bytes| sum.unwrap_or(0).saturating_add(bytes)).or(sum))
    };
    [
        memory.system.as_ref().and_then(|system| signed(system.used_bytes)),
        tried(memory.rss_bytes),
        tried(memory.anon_bytes),
        tried(memory.file_bytes),
        tried(memory.pss_bytes),
        tried(memory.footprint_bytes),
        tried(memory.peak_bytes),
        gpu(|card| card.used_bytes),
        gpu(|card| card.process_bytes),
    ]
}

fn take(f: &MemoryFigures) -> Figures {
    [
        f.system_used_bytes,
        f.rss_bytes,
        f.anon_bytes,
        f.file_bytes,
        f.pss_bytes,
        f.footprint_bytes,
        f.peak_bytes,
        f.gpu_used_bytes,
        f.gpu_process_bytes,
    ]
}

fn write(figures: &Figures) -> MemoryFigures {
    let [system, rss, anon, file, pss, footprint, peak, gpu_used, gpu_process] = *figures;
    MemoryFigures {
        system_used_bytes: system,
        rss_bytes: rss,
        anon_bytes: anon,
        file_bytes: file,
        pss_bytes: pss,
        footprint_bytes: footprint,
        peak_bytes: peak,
        gpu_used_bytes: gpu_used,
        gpu_process_bytes: gpu_process,
    }
}

#[cfg(test)]
mod tests;
