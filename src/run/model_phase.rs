//! The phases of a model: loaded, measured level by level, unloaded.

use super::config::{Target, stages};
use super::context::RunContext;
use super::event::Event;
use super::jobs::{Batch, BatchPhase};
use super::level::{add_left, run_batch, run_level};
use super::prompt_fitting::fit_prompts;
use super::search::run_search;
use crate::clock::{self, Stamp};
use crate::record::{Failure, FailureKind, Load, Outcome, Phase};
use crate::sources::{LoadOptions, load as loader};
use futures_util::future::join_all;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How long a model stays loaded after its last answer, at most; `--settle` shortens it.
const LINGER: Duration = Duration::from_secs(1);

/// How a model was loaded.
#[derive(Debug, Clone, Default)]
struct ModelLoad {
    /// Its load time; `None` where this run did not load it.
    seconds: Option<Option<f64>>,
    gpu_setting: Option<String>,
}

/// Runs all stages, one after another.
pub async fn run_stages(run: &Arc<RunContext>) {
    for stage in stages(&run.targets) {
        let first = &run.targets[stage[0]];
        let options = run.config.load.as_ref();
        match options.filter(|_| loader::has_life_cycle(first.source, &first.model)) {
            None => run_levels(run, &stage, ModelLoad::default()).await,
            Some(options) => run_model(run, &stage, first, options).await,
        }
    }
}

/// Loads a model, measures and unloads it.
async fn run_model(run: &Arc<RunContext>, stage: &[usize], target: &Target, options: &LoadOptions) {
    let batches: Vec<Batch> = batches(run, stage, &ModelLoad::default()).collect();
    let add_all_left = || batches.iter().for_each(|batch| add_left(run, batch, 0));
    if batches.is_empty() {
        return;
    }
    if run.shutdown.is_requested() {
        return add_all_left();
    }
    let unreached = tokio::select! {
        unreached = loader::unreached(&target.api, target.source) => unreached,
        () = run.shutdown.requested() => None,
    };
    if let Some(reason) = unreached {
        let run_id = &run.config.run;
        let load = loader::not_begun(target.source, &target.model, options, run_id, reason.clone());
        run.events.send(Event::Load(Box::new(load)));
        return report_failed_load(run, target, reason, true).await;
    }
    let Some(load) = load_model(run, target, options).await else {
        add_all_left();
        return unload_quietly(run).await;
    };
    let error = load.error.clone();
    let model_load = ModelLoad { seconds: Some(load.load_time_seconds), gpu_setting: load.gpu_setting.clone() };
    if let Some(instance) = &load.instance {
        // Each target is loaded once.
        let _ = target.instance.set(instance.clone());
    }
    run.events.send(Event::Load(Box::new(load)));
    match error {
        Some(_) if run.shutdown.is_requested() => add_all_left(),
        Some(reason) => report_failed_load(run, target, reason, false).await,
        None => {
            run_levels(run, stage, model_load).await;
            // A sampler that reads once a second must find the model loaded after its last answer.
            let linger = options.settle.min(LINGER);
            tokio::select! {
                () = tokio::time::sleep(linger) => {}
                () = run.shutdown.requested() => {}
            }
        }
    }
    tokio::select! {
        unloaded = loader::unload_all(&target.api, target.source, options.limit) => {
            if let Err(error) = unloaded {
                run.events.notice(format!("{}: could not be unloaded: {error}", target.model.id));
            }
        }
        () = run.shutdown.immediate() => unload_quietly(run).await,
    }
}

/// Loads a model; `None` when a shutdown came first.
async fn load_model(run: &RunContext, target: &Target, options: &LoadOptions) -> Option<Load> {
    run.events.send(Event::Loading(target.model.id.clone()));
    let mut notice = |text: String| run.events.notice(text);
    // A load that still runs at a shutdown is of no use.
    let shutdown = pin!(run.shutdown.requested());
    let (source, model, run_id) = (target.source, &target.model, &run.config.run);
    let loading = loader::load(&target.api, source, model, options, run_id, shutdown, &mut notice);
    tokio::select! {
        load = loading => load,
        () = run.shutdown.immediate() => None,
    }
}

/// The work of a stage: its levels in order, each warmed up first, without those that are done.
fn batches<'a>(run: &'a RunContext, stage: &[usize], load: &'a ModelLoad) -> impl Iterator<Item = Batch> + 'a {
    let targets: Vec<_> = stage.iter().map(|&n| Arc::clone(&run.targets[n])).collect();
    run.config.levels.iter().flat_map(move |&level| {
        let measure = Batch {
            targets: targets.clone(),
            level,
            phase: BatchPhase::Measure,
            round: 0,
            load_seconds: load.seconds,
            gpu_setting: load.gpu_setting.clone(),
        };
        // A search finds out itself what is left of a level.
        let done = run.config.search.is_none() && measure.left(&run.config, 0) == Some(0);
        let warmup = Batch { phase: BatchPhase::Warmup, ..measure.clone() };
        [warmup, measure].into_iter().filter(move |_| !done)
    })
}

async fn run_levels(run: &Arc<RunContext>, stage: &[usize], load: ModelLoad) {
    let batches: Vec<Batch> = batches(run, stage, &load).collect();
    if let Some(batch) = batches.first() {
        fit_prompts(run, &batch.targets).await;
    }
    if let Some((search, batch)) = run.config.search.as_ref().zip(batches.first()) {
        return run_search(run, search, batch).await;
    }
    for batch in batches {
        match batch.phase {
            BatchPhase::Measure => run_level(run, &batch).await,
            BatchPhase::Warmup | BatchPhase::Ramp => run_batch(run, batch).await,
        }
    }
}

async fn report_failed_load(run: &RunContext, target: &Target, reason: String, unreached: bool) {
    let failure = Failure { kind: FailureKind::Load, message: reason.clone(), retryable: true, ..Failure::default() };
    let mut result = Box::new(Outcome {
        run: run.config.run.clone(),
        id: run.next_id(),
        source: Some(target.source),
        model: target.model.id.clone(),
        timestamp: clock::rfc3339(Stamp::now().ts),
        load_time_seconds: Some(None),
        phase: Some(Phase::Measure),
        error: Some(failure),
        ..Outcome::default()
    });
    result.errors.load = Some(reason);
    run.counts.add_failed_load(unreached, run.config.search.is_some());
    run.events.result(result, String::new()).await;
}

/// Unloads the models of all servers, in two seconds at most, because the run is being left.
pub async fn unload_quietly(run: &RunContext) {
    if run.config.load.is_none() {
        return;
    }
    let mut servers: Vec<&Target> = Vec::new();
    for target in &run.targets {
        let same = |server: &&Target| (server.source, &server.base_url) == (target.source, &target.base_url);
        if loader::has_life_cycle(target.source, &target.model) && !servers.iter().any(same) {
            servers.push(target);
        }
    }
    let limit = Duration::from_secs(2);
    let unload = |server: &&Target| {
        let (api, source) = (server.api.clone(), server.source);
        async move { loader::unload_all(&api, source, limit).await }
    };
    // Its failures are of no use to a run that is left.
    join_all(servers.iter().map(unload)).await;
}
