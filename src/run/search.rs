//! `--search`: runs one load after another, each as a level, until the highest that passes is found.

use super::context::RunContext;
use super::event::Event;
use super::jobs::{Batch, BatchPhase};
use super::level::{report_level, run_batch};
use crate::load::search::{MAX_ROUNDS, Next, PointVerdict, Search, SloSamples};
use crate::record::{self, SearchOutcome, SearchPoint};
use std::collections::HashSet;
use std::sync::Arc;

/// Searches for the highest load of these targets that passes.
pub async fn run_search(run: &Arc<RunContext>, search: &Search, batch: &Batch) {
    let mut bracket = search.bracket();
    let mut points = Vec::new();
    let outcome = loop {
        let load = match bracket.next() {
            Next::Try(load) => load,
            Next::Over(outcome) => break outcome,
        };
        let batch = Batch { level: search.level(load), phase: BatchPhase::Measure, ..batch.clone() };
        let Some(point) = run_point(run, search, load, &batch).await else {
            break SearchOutcome::Stopped;
        };
        let passes = point.passes;
        points.push(point);
        match passes {
            Some(passes) => bracket.add(load, passes),
            None => break SearchOutcome::Unclear,
        }
    };
    let record = record::Search {
        run: run.config.run.clone(),
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
    run.events.notice(format!("{}: {}", record.models.join(", "), describe(search, &record)));
    run.events.send(Event::Search(Box::new(record)));
    run.counts.add_search(matches!(outcome, SearchOutcome::Found | SearchOutcome::AllPassed));
}

/// Runs one load, in several rounds where one has too few requests; `None` after a shutdown.
async fn run_point(run: &Arc<RunContext>, search: &Search, load: f64, batch: &Batch) -> Option<SearchPoint> {
    let left = batch.left(&run.config, 0) != Some(0);
    if left {
        run_batch(run, Batch { phase: BatchPhase::Warmup, ..batch.clone() }).await;
    }
    run.level.begin(Some(earlier_samples(run, search, batch)));
    let mut rounds = 0;
    let verdict = loop {
        if left && !run.shutdown.is_requested() {
            run.level.begin_round();
            run_batch(run, Batch { round: rounds, ..batch.clone() }).await;
            rounds += 1;
        }
        if run.shutdown.is_requested() {
            break None;
        }
        // Without a duration another round would bring the same requests.
        let again = left && batch.left(&run.config, 0).is_none() && rounds < MAX_ROUNDS;
        let (rate, rounds) = (batch.level.rate(), again.then_some(rounds));
        let verdict = run.level.samples(|samples| PointVerdict::new(samples, rate, rounds))?;
        if !verdict.repeat {
            break Some(verdict);
        }
        run.events.notice(format!("{}: {}: once more", search.describe(load), verdict.text));
    };
    if left {
        report_level(run, batch);
    }
    let verdict = verdict.filter(|_| !run.shutdown.is_requested())?;
    let PointVerdict { passes, text, queue, reason, .. } = verdict;
    run.events.notice(format!("{}: {text}", search.describe(load)));
    run.level.samples(|samples| SearchPoint {
        load,
        passes,
        requests: samples.requests,
        failed: samples.failed,
        parts: rounds,
        values: samples.values(),
        queue,
        reason,
    })
}

/// The samples of a load, with those of an earlier run that this one resumes.
fn earlier_samples(run: &RunContext, search: &Search, batch: &Batch) -> SloSamples {
    let mut samples = SloSamples::new(search.slos.clone());
    if !search.earlier.is_empty() {
        let keys: HashSet<String> = batch.keys(&run.config);
        let of_batch = search.earlier.iter().filter(|result| keys.contains(&result.key));
        of_batch.for_each(|result| samples.add(result));
    }
    samples
}

/// The result of a search in a sentence.
fn describe(search: &Search, found: &record::Search) -> String {
    let (slos, shown) = (&search.slos, |load: Option<f64>| load.map_or_else(String::new, |load| search.describe(load)));
    let points = found.points.len();
    let last = found.points.last();
    match found.outcome {
        SearchOutcome::Found => format!(
            "{slos}: passes up to {}, and no more at {} ({points} points)",
            shown(found.highest_passing),
            shown(found.lowest_failing)
        ),
        SearchOutcome::NonePassed => match last.filter(|point| point.failed == point.requests) {
            Some(SearchPoint { reason: Some(reason), load, .. }) => {
                format!("{slos}: nothing was found at {}: {reason}", search.describe(*load))
            }
            _ => {
                format!("{slos}: fails even at {}: begin lower, or ask less", shown(found.lowest_failing))
            }
        },
        SearchOutcome::AllPassed => {
            format!("{slos}: passes up to {}, the most that was to be tried", shown(found.highest_passing))
        }
        SearchOutcome::Unclear => match last {
            Some(SearchPoint { reason: Some(reason), load, .. }) => {
                format!("{slos}: {}: {reason}: give a longer --duration, or more --requests", search.describe(*load))
            }
            _ => format!(
                "{slos}: {} requests at {} are too few to tell: give a longer --duration, more --requests, or begin higher",
                last.map_or(0, |point| point.requests),
                shown(last.map(|point| point.load)),
            ),
        },
        SearchOutcome::Stopped => match found.highest_passing {
            Some(load) => format!("{slos}: stopped; passes at least up to {}", search.describe(load)),
            None => format!("{slos}: stopped before anything was found"),
        },
    }
}
