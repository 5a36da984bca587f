//! `--search`: runs one load after another, each as an ordinary level, until the highest is found that holds.

use super::conditions::Samples;
use super::job::{Batch, Part};
use super::search::{Next, Search};
use super::{Event, Shared};
use crate::record::{self, SearchOutcome, SearchPoint};
use std::collections::HashSet;
use std::sync::Arc;

/// How often a load is run, at most, before it is given up that so many requests could tell.
const PARTS: u64 = 20;

impl Shared {
    /// Searches for the highest load of these targets that holds.
    pub(super) async fn seek(self: &Arc<Self>, search: &Search, batch: &Batch) {
        let mut bracket = search.bracket();
        let mut points = Vec::new();
        let outcome = loop {
            let load = match bracket.next() {
                Next::Try(load) => load,
                Next::Over(outcome) => break outcome,
            };
            let batch = Batch { level: search.level(load), part: Part::Measure, ..batch.clone() };
            let Some(point) = self.point(search, load, &batch).await else { break SearchOutcome::Stopped };
            let holds = point.holds;
            points.push(point);
            match holds {
                Some(holds) => bracket.tell(load, holds),
                None => break SearchOutcome::Unclear,
            }
        };
        let found = record::Search {
            run: self.settings.run.clone(),
            models: batch.targets.iter().map(|target| target.model.id.clone()).collect(),
            conditions: search.conditions.texts(),
            over: search.over,
            minimum: search.minimum,
            maximum: search.maximum,
            tolerance: search.tolerance,
            outcome,
            highest_holding: bracket.low,
            lowest_breaking: bracket.high,
            points,
        };
        self.tell(Event::Notice(format!("{}: {}", found.models.join(", "), said(search, &found))));
        self.tell(Event::Search(Box::new(found)));
        let answered = matches!(outcome, SearchOutcome::Found | SearchOutcome::AlwaysHolds);
        self.count(|tally| tally.sought = Some(tally.sought.unwrap_or(true) && answered));
    }

    /// Runs one load, and again where there were too few requests to tell; `None` when the run was asked to stop meanwhile.
    async fn point(self: &Arc<Self>, search: &Search, load: f64, batch: &Batch) -> Option<SearchPoint> {
        let mut samples = Samples::new(search.conditions.clone());
        let keys: HashSet<String> = if search.earlier.is_empty() { HashSet::new() } else { batch.keys(&self.settings) };
        search.earlier.iter().filter(|earlier| keys.contains(&earlier.key)).for_each(|earlier| samples.add(earlier));
        let left = batch.left(&self.settings, 0) != Some(0);
        if left {
            self.batch(Batch { part: Part::Warmup, ..batch.clone() }).await;
        }
        self.meter.begin(Some(samples));
        let mut parts = 0;
        let (holds, what) = loop {
            if left && !self.stopped() {
                self.batch(Batch { round: parts, ..batch.clone() }).await;
                parts += 1;
            }
            if self.stopped() {
                break (None, String::new());
            }
            let (holds, times, what) =
                self.meter.samples(|samples| (samples.hold(), samples.times_needed(), samples.said()))?;
            // A second part brings what is done already a second time only where time ends it.
            let again = left && batch.left(&self.settings, 0).is_none() && parts < PARTS;
            match (holds, times) {
                (None, Some(times)) if again && parts.max(1).saturating_mul(times) <= PARTS => {
                    self.tell(Event::Notice(format!("{}: {what}: once more", search.said(load))));
                }
                _ => break (holds, what),
            }
        };
        if left {
            self.tell_level(batch);
        }
        if self.stopped() {
            return None;
        }
        self.tell(Event::Notice(format!("{}: {what}", search.said(load))));
        self.meter.samples(|samples| SearchPoint {
            load,
            holds,
            requests: samples.requests,
            failed: samples.failed,
            parts,
            values: samples.values(),
        })
    }
}

/// What was found, in a sentence.
fn said(search: &Search, found: &record::Search) -> String {
    let (conditions, say) =
        (&search.conditions, |load: Option<f64>| load.map_or_else(String::new, |load| search.said(load)));
    let points = found.points.len();
    match found.outcome {
        SearchOutcome::Found => format!(
            "{conditions}: holds up to {}, and no more at {} ({points} points)",
            say(found.highest_holding),
            say(found.lowest_breaking)
        ),
        SearchOutcome::NeverHolds => {
            format!("{conditions}: does not hold even at {}: begin lower, or ask less", say(found.lowest_breaking))
        }
        SearchOutcome::AlwaysHolds => {
            format!("{conditions}: holds up to {}, the most that was to be tried", say(found.highest_holding))
        }
        SearchOutcome::Unclear => format!(
            "{conditions}: {} requests at {} are too few to tell: give a longer --duration, more --requests, or begin higher",
            found.points.last().map_or(0, |point| point.requests),
            say(found.points.last().map(|point| point.load)),
        ),
        SearchOutcome::Stopped => match found.highest_holding {
            Some(load) => format!("{conditions}: stopped; holds at least up to {}", search.said(load)),
            None => format!("{conditions}: stopped before anything was found"),
        },
    }
}
