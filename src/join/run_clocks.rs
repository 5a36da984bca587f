//! The runs of a stream of results: which came last, whose clock each was stamped by, and where its stamps stand.

use super::input::ResultView;
use super::time_axis::{ClockStamp, StepDetector, TimeAxis};
use std::collections::HashMap;

/// The runs so far, and the axis that all stamps are placed on.
#[derive(Debug, Default)]
pub struct RunClocks {
    axis: TimeAxis,
    /// The run whose head came last.
    run: String,
    boot: Option<String>,
    /// The boots of the runs before this one.
    earlier_boots: HashMap<String, Option<String>>,
    /// Notices steps of the wall clock, of one boot at a time.
    wall: StepDetector,
    wall_boot: Option<String>,
}

impl RunClocks {
    /// A run begins, stamped by the clocks of `boot`.
    pub fn begin_run(&mut self, run: String, boot: Option<String>) {
        let former = std::mem::replace(&mut self.run, run);
        let former_boot = std::mem::replace(&mut self.boot, boot);
        self.earlier_boots.insert(former, former_boot);
    }

    /// The run of that name; the last one where a record does not say.
    pub fn run_or_last<'a>(&'a self, run: Option<&'a str>) -> &'a str {
        run.unwrap_or(&self.run)
    }

    /// The boot that the stamps of a run are of.
    pub fn boot_of(&self, run: &str) -> Option<&str> {
        if run == self.run { self.boot.as_deref() } else { self.earlier_boots.get(run)?.as_deref() }
    }

    /// Where a stamp of a run stands, and whether its monotonic clock says so; `None` for what can be no moment.
    pub fn place(&mut self, run: &str, ts: f64, mono: Option<f64>) -> Option<(f64, bool)> {
        let boot =
            if run == self.run { self.boot.as_ref() } else { self.earlier_boots.get(run).and_then(Option::as_ref) };
        let stamp = ClockStamp { ts, mono, boot: boot.map(String::as_str) };
        stamp.is_plausible().then(|| (self.axis.place(stamp), mono.is_some() && boot.is_some()))
    }

    /// Where a stamp of a stream of samples stands.
    pub fn place_sample(&mut self, stamp: ClockStamp) -> Option<f64> {
        stamp.is_plausible().then(|| self.axis.place(stamp))
    }

    /// By how much the wall clock has stepped since the result before, in seconds.
    pub fn wall_step(&mut self, result: &ResultView) -> Option<f64> {
        let boot = self.boot_of(self.run_or_last(result.run.as_deref())).map(str::to_owned);
        if self.wall_boot != boot {
            self.wall.reset();
            self.wall_boot = boot;
        }
        let ts = result.start_ts.filter(|_| self.wall_boot.is_some())?;
        self.wall.observe(ts, result.start_mono)
    }

    /// Unix seconds of a place on the axis.
    pub fn wall_ts(&self, at: f64) -> f64 {
        self.axis.ts(at)
    }
}
