//! A stage of a run: models that are measured together, loaded before and unloaded after where they have a life cycle, and
//! asked level by level.

use super::jobs::{Batch, Part};
use super::{Event, Shared, Stop, Target, config};
use crate::clock::{self, Stamp};
use crate::loader;
use crate::record::{Failure, FailureKind, Outcome, Phase};
use futures_util::future::join_all;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a model stays loaded after its last answer, at most: `--settle` shortens it.
const LINGER: Duration = Duration::from_secs(1);

impl Shared {
    /// Runs all stages, one after another.
    pub(super) async fn stages(self: &Arc<Self>) {
        for stage in config::stages(&self.targets) {
            let first = &self.targets[stage[0]];
            let cycle = self.settings.load.as_ref().filter(|_| loader::has_life_cycle(first.source, &first.model));
            let Some(wanted) = cycle else {
                self.levels(&stage, None, None).await;
                continue;
            };
            let batches: Vec<Batch> = self.batches(&stage, None, None).collect();
            if batches.is_empty() {
                continue;
            }
            if self.stopped() {
                batches.iter().for_each(|batch| self.unsent(batch, 0));
                continue;
            }
            let nobody = tokio::select! {
                nobody = loader::unreached(&first.api, first.source) => nobody,
                () = self.stop_at(Stop::Drain) => None,
            };
            if let Some(why) = nobody {
                let run = &self.settings.run;
                let load = loader::not_begun(first.source, &first.model, wanted, run, why.clone());
                self.tell(Event::Load(Box::new(load)));
                self.count(|tally| tally.unreached += 1);
                self.failed_load(first, why).await;
                continue;
            }
            self.tell(Event::Loading(first.model.id.clone()));
            let mut notice = |text: String| self.tell(Event::Notice(text));
            let run = &self.settings.run;
            // Nothing will be asked of a model whose load is still running when the run is to stop.
            let stop = pin!(self.stop_at(Stop::Drain));
            let loading = loader::load(&first.api, first.source, &first.model, wanted, run, stop, &mut notice);
            let load = tokio::select! {
                load = loading => load,
                () = self.stop_at(Stop::Leave) => None,
            };
            let Some(load) = load else {
                batches.iter().for_each(|batch| self.unsent(batch, 0));
                self.unload_quietly().await;
                continue;
            };
            let (seconds, gpu, error) = (load.load_time_seconds, load.gpu_setting.clone(), load.error.clone());
            if let Some(instance) = &load.instance {
                // Each target is loaded once.
                let _ = first.instance.set(instance.clone());
            }
            self.tell(Event::Load(Box::new(load)));
            match error {
                Some(_) if self.stopped() => batches.iter().for_each(|batch| self.unsent(batch, 0)),
                Some(why) => self.failed_load(first, why).await,
                None => {
                    self.levels(&stage, Some(seconds), gpu).await;
                    // A sampler that reads once a second must find the model still loaded after its last answer.
                    let linger = wanted.settle.min(LINGER);
                    tokio::select! {
                        () = tokio::time::sleep(linger) => {}
                        () = self.stop_at(Stop::Drain) => {}
                    }
                }
            }
            tokio::select! {
                unloaded = loader::unload_all(&first.api, first.source, wanted.limit) => {
                    if let Err(why) = unloaded {
                        self.tell(Event::Notice(format!("{}: could not be unloaded: {why}", first.model.id)));
                    }
                }
                () = self.stop_at(Stop::Leave) => self.unload_quietly().await,
            }
        }
    }

    /// What a stage has to do: levels one after another, each warmed up first; nothing for a level that is done already.
    fn batches<'a>(
        &'a self,
        stage: &'a [usize],
        load_seconds: Option<Option<f64>>,
        gpu_setting: Option<String>,
    ) -> impl Iterator<Item = Batch> + 'a {
        let targets: Vec<_> = stage.iter().map(|&n| Arc::clone(&self.targets[n])).collect();
        self.settings.levels.iter().flat_map(move |&level| {
            let measure = Batch {
                targets: targets.clone(),
                level,
                part: Part::Measure,
                round: 0,
                load_seconds,
                gpu_setting: gpu_setting.clone(),
            };
            // A search looks for itself what of a level is left.
            let done = self.settings.search.is_none() && measure.left(&self.settings, 0) == Some(0);
            let warmup = Batch { part: Part::Warmup, ..measure.clone() };
            [warmup, measure].into_iter().filter(move |_| !done)
        })
    }

    async fn levels(self: &Arc<Self>, stage: &[usize], load_seconds: Option<Option<f64>>, gpu: Option<String>) {
        let batches: Vec<Batch> = self.batches(stage, load_seconds, gpu).collect();
        if let Some(batch) = batches.first() {
            self.fit(&batch.targets).await;
        }
        if let Some((search, batch)) = self.settings.search.as_ref().zip(batches.first()) {
            return self.seek(search, batch).await;
        }
        for batch in batches {
            match batch.part {
                Part::Measure => self.metered(batch).await,
                Part::Warmup | Part::Ramp => self.batch(batch).await,
            }
        }
    }

    async fn failed_load(&self, target: &Target, why: String) {
        let failure = Failure { kind: FailureKind::Load, status: None, message: why.clone(), retryable: true };
        let mut outcome = Box::new(Outcome {
            run: self.settings.run.clone(),
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            source: Some(target.source),
            model: target.model.id.clone(),
            timestamp: clock::rfc3339(Stamp::now().ts),
            load_time_seconds: Some(None),
            phase: Some(Phase::Measure),
            error: Some(failure),
            ..Outcome::default()
        });
        outcome.errors.load = Some(why);
        self.count(|tally| tally.failed += 1);
        if self.settings.search.is_some() {
            self.count(|tally| tally.sought = Some(false));
        }
        self.hand_on(outcome, String::new()).await;
    }

    /// Unloads what may be loaded, in two seconds at most: the run is being left.
    pub(super) async fn unload_quietly(&self) {
        if self.settings.load.is_none() {
            return;
        }
        let mut servers: Vec<&Target> = Vec::new();
        for target in &self.targets {
            let known =
                servers.iter().any(|known| (known.source, &known.base_url) == (target.source, &target.base_url));
            if loader::has_life_cycle(target.source, &target.model) && !known {
                servers.push(target);
            }
        }
        let mut unloads = Vec::new();
        for target in servers {
            unloads.push(loader::unload_all(&target.api, target.source, Duration::from_secs(2)));
        }
        // Nobody is left to be told of a failure.
        join_all(unloads).await;
    }
}
