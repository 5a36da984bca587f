//! Energy and memory of model loads, and the idle power before the latest one.

use super::energy;
use super::idle::IdlePower;
use super::input::ResultView;
use super::memory_series::MemorySeries;
use super::meters::Meters;
use super::requests::RequestInterval;
use super::run_clocks::RunClocks;
use crate::record::{Load, MemoryPhase, MemoryPoint, PhaseEnergy};
use std::collections::HashMap;
use std::rc::Rc;

/// A load whose readings are awaited.
#[derive(Debug)]
pub struct PendingLoad {
    /// The run.
    pub run: String,
    /// The model.
    pub model: String,
    /// From its start to its end.
    pub interval: RequestInterval,
    /// When the machine idled before it.
    pub baseline: Option<(f64, f64)>,
}

impl PendingLoad {
    /// A load as its record tells it; `None` where its stamps can be no moments.
    pub fn new(load: &Load, clocks: &mut RunClocks) -> Option<Self> {
        let (from, mono) = clocks.place(&load.run, load.started_ts, Some(load.started_mono))?;
        let (to, _) = clocks.place(&load.run, load.ended_ts, Some(load.ended_mono))?;
        let baseline = load.baseline_ts.and_then(|ts| {
            let mono = load.baseline_mono;
            let mut place = |i: usize| Some(clocks.place(&load.run, ts[i], mono.map(|mono| mono[i]))?.0);
            Some((place(0)?, place(1)?))
        });
        let interval = RequestInterval { from, to, mono };
        Some(Self { run: load.run.clone(), model: load.model.clone(), interval, baseline })
    }

    /// Since when readings are needed.
    pub fn since(&self) -> f64 {
        self.baseline.map_or(self.interval.from, |(since, _)| since.min(self.interval.from))
    }

    /// Its energy and memory, as far as `meters` and `memory` were read.
    pub fn measure(&self, meters: Option<&Meters>, memory: &MemorySeries) -> LoadFigures {
        let RequestInterval { from, to, .. } = self.interval;
        let marked = self.baseline.and_then(|(from, to)| memory.last_between(from, to));
        LoadFigures {
            power: meters.map(|meters| energy::phase(meters.total(from, to), to - from)),
            baseline: marked.or_else(|| memory.nearest(from)),
            after: memory.nearest(to),
            memory: memory
                .highest(from, to)
                .map(|(high_water, samples)| MemoryPhase { high_water, samples: Some(samples) }),
        }
    }
}

/// Energy and memory of a load.
#[derive(Debug, Clone, Default)]
pub struct LoadFigures {
    /// Its energy.
    pub power: Option<PhaseEnergy>,
    /// The memory before it.
    pub baseline: Option<MemoryPoint>,
    /// The memory after it.
    pub after: Option<MemoryPoint>,
    /// The highest memory during it.
    pub memory: Option<MemoryPhase>,
}

/// The latest load of each model of each run.
#[derive(Debug, Default)]
pub struct Loads {
    by_run: HashMap<String, HashMap<String, Rc<LoadFigures>>>,
    idle: Option<IdlePower>,
}

impl Loads {
    /// Adds a load, which replaces an earlier one of the same model in the same run.
    pub fn add(&mut self, load: PendingLoad, figures: LoadFigures) {
        self.by_run.entry(load.run).or_default().insert(load.model, Rc::new(figures));
    }

    /// Sets the idle power before a load; keeps the former where too little was read.
    pub fn set_idle(&mut self, idle: Option<IdlePower>) {
        self.idle = idle.or(self.idle.take());
    }

    /// The idle power before the latest load.
    pub fn idle(&self) -> Option<&IdlePower> {
        self.idle.as_ref()
    }

    /// The load that a result's model was loaded by.
    pub fn of(&self, run: &str, result: &ResultView) -> Option<Rc<LoadFigures>> {
        self.by_run.get(run)?.get(&result.model).cloned()
    }
}
