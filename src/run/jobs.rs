//! The requests of a run as numbered jobs.
//!
//! A job is made when its turn comes: a run of a million requests holds none of them before.

use super::config::{RunConfig, Target};
use super::resume::{all_done, keys};
use crate::load::Level;
use crate::load::workload::Planned;
use crate::record::Phase;
use std::collections::HashSet;
use std::sync::Arc;

/// A request to be sent, or a conversation.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its target.
    pub target: Arc<Target>,
    /// The index of the prompt.
    pub prompt: usize,
    /// The repetition of the prompt, from 1.
    pub repetition: u64,
    /// Whether it counts.
    pub phase: Phase,
    /// The load level.
    pub level: Level,
    /// When it is due, in monotonic nanoseconds; in an open loop only.
    pub due_ns: Option<u64>,
    /// Whether a nonce goes before the prompt.
    pub nonce: bool,
    /// Its key for resuming; of a conversation, one for each turn.
    pub keys: Vec<String>,
    /// The model's load time; `Some(None)` when the server did not report it.
    pub load_seconds: Option<Option<f64>>,
    /// The GPU offload of the model.
    pub gpu_setting: Option<String>,
}

impl Job {
    /// Whether it belongs to a fixed number of requests, and not to a duration or an open loop's ramp.
    pub fn is_planned(&self, config: &RunConfig) -> bool {
        let in_ramp = self.phase == Phase::Warmup && self.due_ns.is_some();
        !in_ramp && requests_of_each(config).is_some()
    }
}

/// The phase of a level that a batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchPhase {
    /// The requests of `--warmup`, before those that are measured.
    Warmup,
    /// Those sent while the load rises, as many as the time allows; not measured.
    Ramp,
    /// Those that are measured.
    Measure,
}

/// The requests of one stage and phase of a level. A closed loop goes prompt by prompt, model by
/// model; in an open loop and in a duration the models take turns, so that the load is shared at
/// every moment.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The targets of the stage.
    pub targets: Vec<Arc<Target>>,
    /// The load level.
    pub level: Level,
    /// The phase of the level.
    pub phase: BatchPhase,
    /// The round, from 0: a search repeats a level that had too few requests. Each has its own arrivals.
    pub round: u64,
    /// The model's load time.
    pub load_seconds: Option<Option<f64>>,
    /// The GPU offload with which it was loaded.
    pub gpu_setting: Option<String>,
}

/// The number of measured requests that are still to be sent; `None` where a duration or a search
/// ends them.
pub fn requests_left(config: &RunConfig, targets: &[Target]) -> Option<u64> {
    if config.search.is_some() {
        return None;
    }
    let each = requests_of_each(config)?;
    if config.done.is_empty() {
        return Some(config.turns(each).saturating_mul((config.levels.len() * targets.len()) as u64));
    }
    let is_left = |target: &Target, level: Level, n: u64| {
        let keys = in_turn(config.prompts.len(), n).map(|item| keys(config, target, item, level));
        keys.filter(|keys| !all_done(config, keys)).map_or(0, |keys| keys.len() as u64)
    };
    let of = |target: &Target, level| (0..each).map(|n| is_left(target, level, n)).sum::<u64>();
    Some(targets.iter().map(|target| config.levels.iter().map(|level| of(target, *level)).sum::<u64>()).sum())
}

/// The number of measured requests of each target at each level; `None` where a duration ends them.
fn requests_of_each(config: &RunConfig) -> Option<u64> {
    match (config.requests, config.duration) {
        (Some(n), _) => Some(n),
        (None, Some(_)) => None,
        (None, None) => Some((config.prompts.len() as u64).saturating_mul(config.repeat)),
    }
}

impl Batch {
    /// The number of requests of each target; `None` where a duration ends them.
    fn each(&self, config: &RunConfig) -> Option<u64> {
        match self.phase {
            BatchPhase::Warmup => Some(config.warmup),
            BatchPhase::Ramp => None,
            BatchPhase::Measure => requests_of_each(config),
        }
    }

    /// The number of requests; `None` where a duration ends them.
    pub fn len(&self, config: &RunConfig) -> Option<u64> {
        self.each(config).map(|each| each.saturating_mul(self.targets.len() as u64))
    }

    /// The target of the `n`th request, and the number of the request among that target's, from 0.
    fn place(&self, config: &RunConfig, n: u64) -> Option<(usize, u64)> {
        let targets = self.targets.len() as u64;
        let (target, turn) = match (self.each(config), self.level) {
            (Some(each), Level::Closed { .. }) => (n.checked_div(each)?, n % each),
            (Some(each), Level::Open { .. }) if n / targets >= each => return None,
            _ => (n % targets, n / targets),
        };
        Some((usize::try_from(target).ok()?, turn))
    }

    /// The `n`th request, from 0.
    pub fn job(&self, config: &RunConfig, n: u64) -> Planned<Job> {
        let place = self
            .place(config, n)
            .and_then(|(target, turn)| Some((self.targets.get(target)?, in_turn(config.prompts.len(), turn)?)));
        let Some((target, (prompt, repetition))) = place else { return Planned::End };
        let keys = keys(config, target, (prompt, repetition), self.level);
        if self.phase == BatchPhase::Measure && all_done(config, &keys) {
            return Planned::Done;
        }
        Planned::Request(Job {
            target: Arc::clone(target),
            prompt,
            repetition,
            phase: if self.phase == BatchPhase::Measure { Phase::Measure } else { Phase::Warmup },
            level: self.level,
            due_ns: None,
            nonce: config.uses_nonces(),
            keys,
            load_seconds: self.load_seconds,
            gpu_setting: self.gpu_setting.clone(),
        })
    }

    /// The keys of all measured requests; none where a duration ends them.
    pub fn keys(&self, config: &RunConfig) -> HashSet<String> {
        let keys_of = |n| {
            let (target, turn) = self.place(config, n)?;
            let item = in_turn(config.prompts.len(), turn)?;
            Some(keys(config, self.targets.get(target)?, item, self.level))
        };
        (0..self.len(config).unwrap_or(0)).filter_map(keys_of).flatten().collect()
    }

    /// The number of requests from the `n`th job on that have no good result yet, one for each turn.
    /// `None` where a duration ends them.
    pub fn left(&self, config: &RunConfig, n: u64) -> Option<u64> {
        let left = self.len(config)?.saturating_sub(n);
        if config.done.is_empty() || self.phase != BatchPhase::Measure {
            let (each, targets) = (self.each(config)?, self.targets.len() as u64);
            // Of each target's prompts, those before the `n`th job.
            let before = |target: u64| match self.level {
                Level::Closed { .. } => n.saturating_sub(target.saturating_mul(each)),
                Level::Open { .. } => n / targets + u64::from(target < n % targets),
            };
            let taken: u64 = (0..targets).map(|target| config.turns(before(target).min(each))).sum();
            return Some(config.turns(each).saturating_mul(targets).saturating_sub(taken));
        }
        Some(
            (n..n + left)
                .map(|n| match self.job(config, n) {
                    Planned::Request(job) => job.keys.len() as u64,
                    Planned::Done | Planned::End => 0,
                })
                .sum(),
        )
    }
}

/// The prompt of the `n`th request, from 0, where prompts are taken in turn, and its repetition, from
/// 1. `None` without prompts.
fn in_turn(prompts: usize, n: u64) -> Option<(usize, u64)> {
    let count = prompts as u64;
    Some(((n.checked_rem(count)?) as usize, n / count + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Arrival;
    use crate::prompts::Item;
    use crate::record::Source;
    use crate::run::config::tests::{config, target};
    use std::time::Duration;

    const CLOSED: Level = Level::Closed { concurrency: 2 };
    const OPEN: Level = Level::Open { rate: 5.0, arrival: Arrival::Poisson, at_most: 9 };

    fn batch(level: Level, phase: BatchPhase) -> Batch {
        let target = |id: &str| {
            let mut target = target(Source::Openrouter, "https://openrouter.ai");
            target.model.id = id.into();
            Arc::new(target)
        };
        Batch { targets: vec![target("a"), target("b")], level, phase, round: 0, load_seconds: None, gpu_setting: None }
    }

    /// The `n`th job of a batch.
    fn job(batch: &Batch, config: &RunConfig, n: u64) -> Job {
        match batch.job(config, n) {
            Planned::Request(job) => job,
            other => panic!("{other:?}"),
        }
    }

    /// Model, prompt and repetition of the first requests of a batch.
    fn order(batch: &Batch, config: &RunConfig) -> String {
        let jobs = (0..9).filter_map(|n| match batch.job(config, n) {
            Planned::Request(job) => Some(job),
            Planned::Done | Planned::End => None,
        });
        jobs.map(|job| format!("{}{}{} ", job.target.model.id, job.prompt, job.repetition)).collect()
    }

    #[test]
    fn prompts_are_taken_in_turn() {
        let taken: Vec<_> = (0..5).filter_map(|n| in_turn(2, n)).collect();
        assert_eq!(taken, [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3)]);
        assert_eq!(in_turn(3, u64::MAX), Some((0, u64::MAX / 3 + 1)));
        assert_eq!(in_turn(0, 2), None);
    }

    #[test]
    fn models_take_turns_in_open_loops_and_durations() {
        let mut config = config(2);
        config.requests = Some(3);
        config.warmup = 1;
        assert_eq!(order(&batch(CLOSED, BatchPhase::Measure), &config), "a01 a11 a02 b01 b11 b02 ");
        assert_eq!(order(&batch(OPEN, BatchPhase::Measure), &config), "a01 b01 a11 b11 a02 b02 ");
        assert_eq!(order(&batch(CLOSED, BatchPhase::Warmup), &config), "a01 b01 ");
        assert_eq!(order(&batch(OPEN, BatchPhase::Ramp), &config), "a01 b01 a11 b11 a02 b02 a12 b12 a03 ");
        config.requests = None;
        assert_eq!(order(&batch(CLOSED, BatchPhase::Measure), &config), "a01 a11 b01 b11 ");
        config.duration = Some(Duration::from_secs(1));
        assert_eq!(order(&batch(CLOSED, BatchPhase::Measure), &config), "a01 b01 a11 b11 a02 b02 a12 b12 a03 ");
        assert_eq!(batch(CLOSED, BatchPhase::Measure).len(&config), None);
        assert_eq!(batch(CLOSED, BatchPhase::Measure).left(&config, 3), None);
    }

    #[test]
    fn resume_skips_measured_requests_only() {
        let mut config = config(2);
        config.warmup = 2;
        let measure = batch(CLOSED, BatchPhase::Measure);
        let keys = [0, 1, 2, 3].map(|n| job(&measure, &config, n).keys.remove(0));
        config.done = [keys[0].clone(), keys[3].clone()].into();
        assert_eq!(order(&measure, &config), "a11 b01 ");
        assert_eq!(
            (measure.left(&config, 0), measure.left(&config, 2), measure.left(&config, 9)),
            (Some(2), Some(1), Some(0))
        );
        assert_eq!(batch(CLOSED, BatchPhase::Warmup).left(&config, 0), Some(4));
        assert_ne!(keys[1], keys[2]);
    }

    #[test]
    fn a_conversation_is_done_when_all_its_turns_are() {
        let mut config = config(1);
        let turns = ["a", "b"].map(str::to_owned).to_vec();
        config.prompts = vec![Item::Text(Arc::new(crate::prompts::conversation("talk", None, turns).unwrap()))];
        let measure = batch(CLOSED, BatchPhase::Measure);
        assert_eq!([0, 1, 2, 9].map(|n| measure.left(&config, n)), [Some(4), Some(2), Some(0), Some(0)]);
        assert_eq!(batch(OPEN, BatchPhase::Measure).left(&config, 1), Some(2), "two models, two turns each");
        let keys = job(&measure, &config, 0).keys;
        assert!(keys.len() == 2 && keys[0] != keys[1]);
        config.done = [keys[0].clone()].into();
        assert_eq!(order(&measure, &config), "a01 b01 ");
        config.done.extend(keys);
        assert_eq!((order(&measure, &config).as_str(), measure.left(&config, 0)), ("b01 ", Some(2)));
    }

    #[test]
    fn requests_of_a_duration_are_not_planned() {
        let mut config = config(1);
        let planned = |config: &RunConfig, phase, due_ns| {
            Job { due_ns, ..job(&batch(OPEN, phase), config, 0) }.is_planned(config)
        };
        config.warmup = 1;
        config.requests = Some(3);
        assert!(planned(&config, BatchPhase::Measure, Some(5)) && planned(&config, BatchPhase::Warmup, None));
        assert!(!planned(&config, BatchPhase::Ramp, Some(5)));
        config.requests = None;
        config.duration = Some(Duration::from_secs(1));
        assert!(!planned(&config, BatchPhase::Measure, Some(5)));
    }

    #[test]
    fn the_key_depends_on_the_level() {
        let config = config(1);
        let key = |level| job(&batch(level, BatchPhase::Measure), &config, 0).keys.remove(0);
        let slower = Level::Open { rate: 2.0, arrival: Arrival::Poisson, at_most: 9 };
        let constant = Level::Open { rate: 5.0, arrival: Arrival::Constant, at_most: 9 };
        let keys = [CLOSED, Level::Closed { concurrency: 5 }, OPEN, slower, constant].map(key);
        assert_eq!(std::collections::BTreeSet::from(keys.clone()).len(), keys.len(), "{keys:?}");
    }
}
