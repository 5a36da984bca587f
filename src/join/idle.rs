//! Idle power: what the machine draws without requests.

use super::energy::round;
use super::meters::Meters;
use super::sample::{Sample, SampleParser};
use super::shares::EDGE;
use super::time_axis::ClockStamp;
use crate::record::{Idle, Record, SamplerEvent};
use crate::stats;
use std::collections::VecDeque;

/// Fewer readings than this give no idle power.
const FEWEST: usize = 3;

/// Fewer readings than this, or fewer seconds, are called short.
const ENOUGH: (u64, f64) = (10, 10.0);

/// A spread beyond this part of the median is called unsteady.
const STEADY: f64 = 0.20;

/// The most readings of gaps that are kept: the latest.
const KEPT: usize = 1024;

/// Where an idle power is taken from.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum IdleFrom {
    /// Nowhere: there is no net energy.
    #[default]
    Nowhere,
    /// The baseline marks of the latest load, else the gaps without requests so far.
    Auto,
    /// Known.
    Known(IdlePower),
}

/// An idle power, and how it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct IdlePower {
    /// Watts of the total.
    pub watts: f64,
    /// How it is known.
    pub idle: Idle,
}

impl IdlePower {
    /// An idle power that the user gives, in watts.
    pub fn given(watts: f64) -> Self {
        Self { watts, idle: Idle { method: Some("given".to_owned()), ..Idle::default() } }
    }

    /// The median of readings, each with its length in seconds; `None` for fewer than three.
    pub fn of(readings: &[(f64, f64)], source: &str) -> Option<Self> {
        let watts = stats::sorted(readings.iter().map(|(watts, _)| *watts));
        if watts.len() < FEWEST {
            return None;
        }
        let (low, high) = (stats::quantile(&watts, 0.25)?, stats::quantile(&watts, 0.75)?);
        Some(Self {
            watts: round(stats::quantile(&watts, 0.5)?),
            idle: Idle {
                method: Some(source.to_owned()),
                seconds: Some(round(readings.iter().map(|(_, seconds)| seconds).sum())),
                samples: Some(watts.len() as u64),
                spread_watts: Some(round(high - low)),
            },
        })
    }

    /// Reasons to doubt it.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        let short = |have: Option<f64>, least: f64| have.is_some_and(|have| have < least);
        if short(self.idle.seconds, ENOUGH.1) || short(self.idle.samples.map(|n| n as f64), ENOUGH.0 as f64) {
            warnings.push("idle_short");
        }
        if self.idle.spread_watts.is_some_and(|spread| spread > STEADY * self.watts) {
            warnings.push("idle_unsteady");
        }
        warnings
    }
}

/// The idle power of a recording of the idle machine: the median of the readings of its total.
pub fn idle_of(records: impl IntoIterator<Item = Record>) -> Option<IdlePower> {
    let (mut meters, mut sampling) = (Meters::new(1), SampleParser::default());
    let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
    for sample in records.into_iter().filter_map(|record| sampling.sample(record)) {
        match sample {
            Sample::Sampler(sampler) if sampler.event == SamplerEvent::Start => meters.sampler(0, &sampler),
            Sample::Power(power) if (ClockStamp { ts: power.ts, mono: None, boot: None }).is_plausible() => {
                // One recording has one clock; the wall clock will do, and notes are not needed.
                meters.add(0, power.ts, &power).ok();
                (first, last) = (first.min(power.ts - power.window_seconds.unwrap_or(0.0)), last.max(power.ts));
            }
            _ => {}
        }
    }
    IdlePower::of(&meters.idle_readings(first - EDGE, last + EDGE), "file")
}

/// The latest readings of the gaps between requests.
#[derive(Debug, Default)]
pub struct IdleGaps {
    readings: VecDeque<(f64, f64)>,
}

impl IdleGaps {
    /// More readings: watts, and the length in seconds.
    pub fn add(&mut self, readings: Vec<(f64, f64)>) {
        self.readings.extend(readings);
        while self.readings.len() > KEPT {
            self.readings.pop_front();
        }
    }

    /// Their idle power.
    pub fn idle(&self) -> Option<IdlePower> {
        let readings: Vec<_> = self.readings.iter().copied().collect();
        IdlePower::of(&readings, "gaps")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;
    use serde_json::json;

    #[test]
    fn idle_power_is_a_median_and_warns_when_in_doubt() {
        for (watts, seconds, expect) in [
            (vec![], 1.0, None),
            (vec![5.0, 5.0], 1.0, None),
            (vec![5.0, 6.0, 70.0], 1.0, Some((6.0, 3.0, vec!["idle_short", "idle_unsteady"]))),
            (vec![5.0; 10], 1.0, Some((5.0, 10.0, vec![]))),
            (vec![5.0; 20], 0.25, Some((5.0, 5.0, vec!["idle_short"]))),
            (vec![4.0, 4.0, 4.0, 4.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0], 2.0, Some((6.0, 20.0, vec!["idle_unsteady"]))),
        ] {
            let readings: Vec<_> = watts.iter().map(|&watts| (watts, seconds)).collect();
            let level = IdlePower::of(&readings, "gaps");
            let got = level.map(|level| (level.watts, level.idle.seconds.unwrap(), level.warnings()));
            assert_eq!(got, expect, "{watts:?}");
        }
        assert!(IdlePower::given(3.0).warnings().is_empty());
    }

    #[test]
    fn the_idle_power_of_a_recording_is_the_median_of_its_total() {
        let records = |watts: &[f64]| {
            let power = |(i, &watts): (usize, &f64)| {
                let both = json!({"watts": {"cpu": watts, "gpu": 1.0}});
                fixture::power(i as f64, 1.0, watts).merge(both).into()
            };
            watts.iter().enumerate().map(power).collect::<Vec<_>>()
        };
        let level = idle_of(records(&[4.0, 5.0, 90.0])).unwrap();
        assert_eq!((level.watts, level.idle.method.as_deref(), level.idle.samples), (6.0, Some("file"), Some(3)));
        assert_eq!(idle_of(records(&[4.0, 5.0])), None);
    }
}
