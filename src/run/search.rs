//! `--search`: runs one load after another, each as an ordinary level, until the highest is found that passes.

use super::jobs::{Batch, Part};
use super::{Event, Shared};
use crate::load::search::queue::Growth;
use crate::load::search::{Next, Samples, Search};
use crate::record::{self, SearchOutcome, SearchPoint, SearchQueue};
use std::collections::HashSet;
use std::sync::Arc;

/// How often a load is run, at most, before it is given up that so many requests could tell.
const PARTS: u64 = 20;

/// The same where the objectives hold, and only whether the queue grows is not clear.
const PARTS_OF_A_QUEUE: u64 = 4;

impl Shared {
    /// Searches for the highest load of these targets that passes.
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
            let passes = point.passes;
            points.push(point);
            match passes {
                Some(passes) => bracket.tell(load, passes),
                None => break SearchOutcome::Unclear,
            }
        };
        let found = record::Search {
            run: self.settings.run.clone(),
            models: batch.targets.iter().map(|target| target.model.id.clone()).collect(),
            slos: search.slos.texts(),
            over: search.over,
            minimum: search.minimum,
            maximum: search.maximum,
            tolerance: search.tolerance,
            outcome,
            highest_passing: bracket.low,
            lowest_failing: bracket.high,
            points,
        };
        self.tell(Event::Notice(format!("{}: {}", found.models.join(", "), said(search, &found))));
        self.tell(Event::Search(Box::new(found)));
        let answered = matches!(outcome, SearchOutcome::Found | SearchOutcome::AllPassed);
        self.count(|tally| tally.sought = Some(tally.sought.unwrap_or(true) && answered));
    }

    /// Runs one load, and again where there were too few requests to tell; `None` when the run was asked to stop meanwhile.
    async fn point(self: &Arc<Self>, search: &Search, load: f64, batch: &Batch) -> Option<SearchPoint> {
        let mut samples = Samples::new(search.slos.clone());
        let keys: HashSet<String> = if search.earlier.is_empty() { HashSet::new() } else { batch.keys(&self.settings) };
        search.earlier.iter().filter(|earlier| keys.contains(&earlier.key)).for_each(|earlier| samples.add(earlier));
        let left = batch.left(&self.settings, 0) != Some(0);
        if left {
            self.batch(Batch { part: Part::Warmup, ..batch.clone() }).await;
        }
        self.meter.begin(Some(samples));
        let rate = batch.level.rate();
        let mut parts = 0;
        let judged = loop {
            if left && !self.stopped() {
                self.meter.part();
                self.batch(Batch { round: parts, ..batch.clone() }).await;
                parts += 1;
            }
            if self.stopped() {
                break None;
            }
            // A second part brings what is done already a second time only where time ends it.
            let again = left && batch.left(&self.settings, 0).is_none() && parts < PARTS;
            let judged = self.meter.samples(|samples| Judged::of(samples, rate, again.then_some(parts)))?;
            if !judged.once_more {
                break Some(judged);
            }
            self.tell(Event::Notice(format!("{}: {}: once more", search.said(load), judged.what)));
        };
        if left {
            self.tell_level(batch);
        }
        let Judged { passes, what, queue, reason, .. } = judged.filter(|_| !self.stopped())?;
        self.tell(Event::Notice(format!("{}: {what}", search.said(load))));
        self.meter.samples(|samples| SearchPoint {
            load,
            passes,
            requests: samples.requests,
            failed: samples.failed,
            parts,
            values: samples.values(),
            queue,
            reason,
        })
    }
}

/// What a point came to until now.
struct Judged {
    passes: Option<bool>,
    /// Whether it is to be run once more, because that may tell what cannot be told yet.
    once_more: bool,
    queue: Option<SearchQueue>,
    reason: Option<String>,
    /// All of it, for people.
    what: String,
}

impl Judged {
    /// Of a load of `rate` requests per second, if it is one. `parts` is how often it was run, where it may be run again.
    fn of(samples: &Samples, rate: Option<f64>, parts: Option<u64>) -> Self {
        let (held, values) = (samples.hold(), samples.said());
        let backlog = rate.and_then(|rate| samples.backlog.judged(rate));
        let growth = backlog.as_ref().map(|judged| judged.growth);
        let times = samples.times_needed().filter(|_| held.is_none());
        let enough = |times: u64| parts.is_some_and(|parts| parts.max(1).saturating_mul(times) <= PARTS);
        let unclear = held == Some(true) && growth == Some(Growth::Unclear);
        let (passes, once_more) = match (held, growth) {
            (Some(false), _) | (_, Some(Growth::Grows)) => (Some(false), false),
            (None, _) => (None, times.is_some_and(enough)),
            // A load is only said to hold where the server was seen to keep up with it.
            (Some(true), Some(Growth::Unclear)) => (Some(false), parts.is_some_and(|parts| parts < PARTS_OF_A_QUEUE)),
            (Some(true), Some(Growth::TooShort)) => (None, false),
            (Some(true), Some(Growth::KeptUp) | None) => (Some(true), false),
        };
        let queue = backlog.map(|judged| judged.queue);
        let all_failed = samples.all_failed_of().map(|why| format!("every request failed: {why}"));
        let reason =
            all_failed.or_else(|| growth.zip(queue.as_ref()).and_then(|(growth, queue)| because(growth, queue)));
        let what = match &reason {
            Some(reason) if unclear && once_more => reason.clone(),
            Some(reason) => format!("{reason}; {values}"),
            None => values,
        };
        Self { passes, once_more, queue, reason: reason.filter(|_| passes != Some(true)), what }
    }
}

/// Why a server did not keep up, or cannot be said to have.
fn because(growth: Growth, queue: &SearchQueue) -> Option<String> {
    let ended = queue.ended_per_second.map_or_else(String::new, |ended| format!("{ended:.1}/s ended: "));
    let first = queue.ttft_first_third_seconds.zip(queue.ttft_last_third_seconds);
    let waited = first.map_or_else(String::new, |(first, last)| {
        format!(" (first tokens after {first:.2} s at its beginning, {last:.2} s at its end)")
    });
    match growth {
        Growth::KeptUp => None,
        Growth::Grows => Some(format!("{ended}the queue still grows{waited}")),
        Growth::Unclear => Some(format!("{ended}the queue grew, and was not seen to shrink{waited}")),
        Growth::TooShort => Some(format!(
            "the queue grew, and answers take so long that this was too short to tell whether it goes on{waited}"
        )),
    }
}

/// What was found, in a sentence.
fn said(search: &Search, found: &record::Search) -> String {
    let (slos, say) = (&search.slos, |load: Option<f64>| load.map_or_else(String::new, |load| search.said(load)));
    let points = found.points.len();
    let last = found.points.last();
    match found.outcome {
        SearchOutcome::Found => format!(
            "{slos}: passes up to {}, and no more at {} ({points} points)",
            say(found.highest_passing),
            say(found.lowest_failing)
        ),
        SearchOutcome::NonePassed => match last.filter(|point| point.failed == point.requests) {
            Some(SearchPoint { reason: Some(reason), load, .. }) => {
                format!("{slos}: nothing was found at {}: {reason}", search.said(*load))
            }
            _ => {
                format!("{slos}: fails even at {}: begin lower, or ask less", say(found.lowest_failing))
            }
        },
        SearchOutcome::AllPassed => {
            format!("{slos}: passes up to {}, the most that was to be tried", say(found.highest_passing))
        }
        SearchOutcome::Unclear => match last {
            Some(SearchPoint { reason: Some(reason), load, .. }) => {
                format!("{slos}: {}: {reason}: give a longer --duration, or more --requests", search.said(*load))
            }
            _ => format!(
                "{slos}: {} requests at {} are too few to tell: give a longer --duration, more --requests, or begin higher",
                last.map_or(0, |point| point.requests),
                say(last.map(|point| point.load)),
            ),
        },
        SearchOutcome::Stopped => match found.highest_passing {
            Some(load) => format!("{slos}: stopped; passes at least up to {}", search.said(load)),
            None => format!("{slos}: stopped before anything was found"),
        },
    }
}
