//! One request to be made, and the key by which another run knows it again.
//!
//! Jobs are numbered and made when their turn comes: a run of a million requests holds none of them before it sends them.

use super::plan::{Nonce, Settings, Target};
use crate::pace::{Level, in_turn};
use crate::record::{Phase, Prompt};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A request to be made.
#[derive(Debug, Clone)]
pub struct Job {
    /// Whom to ask.
    pub target: Arc<Target>,
    /// The place of the prompt.
    pub prompt: usize,
    /// Which repetition it is, from 1.
    pub repeat: u64,
    /// Whether it counts.
    pub phase: Phase,
    /// The load level.
    pub level: Level,
    /// When it is due, in monotonic nanoseconds (open loop).
    pub due_ns: Option<u64>,
    /// Whether a nonce goes before the prompt.
    pub nonce: bool,
    /// [`key`] of it.
    pub key: String,
    /// How long the model took to load: `Some(None)` when that failed.
    pub load_seconds: Option<Option<f64>>,
    /// The GPU offload with which it was loaded.
    pub gpu_setting: Option<String>,
}

/// Which requests of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Those before the ones that count, so many as were asked for.
    Warmup,
    /// Those that are sent while the load rises, as many as the time allows; they do not count either.
    Ramp,
    /// Those that count.
    Measure,
}

/// The requests of one stage and part of a level, in order: prompt by prompt, model by model. Where requests arrive by the
/// clock the models take turns, so that each gets its share of the load at every moment.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The targets of the stage.
    pub targets: Vec<Arc<Target>>,
    /// The load level.
    pub level: Level,
    /// Which of its requests.
    pub part: Part,
    /// How long the model took to load.
    pub load_seconds: Option<Option<f64>>,
    /// The GPU offload with which it was loaded.
    pub gpu_setting: Option<String>,
}

/// How many requests that count are still to be made; `None` where only the time ends them.
pub fn left(settings: &Settings, targets: &[Target]) -> Option<u64> {
    let each = asked_of_each(settings)?;
    if settings.done.is_empty() {
        return Some(each.saturating_mul((settings.levels.len() * targets.len()) as u64));
    }
    let is_left = |target: &Target, level: Level, n: u64| {
        in_turn(settings.prompts.len(), n).is_some_and(|(prompt, repeat)| {
            !settings.done.contains(&key(settings, target, &settings.prompts[prompt], level, repeat))
        })
    };
    let of = |target: &Target, level| (0..each).filter(|n| is_left(target, level, *n)).count() as u64;
    Some(targets.iter().map(|target| settings.levels.iter().map(|level| of(target, *level)).sum::<u64>()).sum())
}

/// How many requests that count each target gets at each level; `None` where only the time ends them.
fn asked_of_each(settings: &Settings) -> Option<u64> {
    match (settings.requests, settings.duration) {
        (Some(n), _) => Some(n),
        (None, Some(_)) => None,
        (None, None) => Some((settings.prompts.len() as u64).saturating_mul(settings.repeat)),
    }
}

impl Batch {
    /// How many requests each target gets; `None` where only the time ends them.
    fn each(&self, settings: &Settings) -> Option<u64> {
        match self.part {
            Part::Warmup => Some(settings.warmup),
            Part::Ramp => None,
            Part::Measure => asked_of_each(settings),
        }
    }

    /// How many requests there are; `None` where only the time ends them.
    pub fn len(&self, settings: &Settings) -> Option<u64> {
        self.each(settings).map(|each| each.saturating_mul(self.targets.len() as u64))
    }

    /// Which target the `n`th request asks, and for the how-manieth time (from 0).
    fn place(&self, settings: &Settings, n: u64) -> Option<(usize, u64)> {
        let targets = self.targets.len() as u64;
        let (target, turn) = match (self.each(settings), self.level) {
            (Some(each), Level::Closed { .. }) => (n.checked_div(each)?, n % each),
            (Some(each), Level::Open { .. }) if n / targets >= each => return None,
            _ => (n % targets, n / targets),
        };
        Some((usize::try_from(target).ok()?, turn))
    }

    /// The `n`th request, from 0; `None` beyond the last, `Some(None)` for one that is done already.
    pub fn job(&self, settings: &Settings, n: u64) -> Option<Option<Job>> {
        let (target, turn) = self.place(settings, n)?;
        let target = self.targets.get(target)?;
        let (prompt, repeat) = in_turn(settings.prompts.len(), turn)?;
        let key = key(settings, target, &settings.prompts[prompt], self.level, repeat);
        if self.part == Part::Measure && settings.done.contains(&key) {
            return Some(None);
        }
        let again = self.each(settings).is_none_or(|each| each > settings.prompts.len() as u64)
            || settings.levels.len() > 1
            || settings.warmup > 0
            || !settings.ramp.is_zero();
        Some(Some(Job {
            target: Arc::clone(target),
            prompt,
            repeat,
            phase: if self.part == Part::Measure { Phase::Measure } else { Phase::Warmup },
            level: self.level,
            due_ns: None,
            nonce: match settings.nonce {
                Nonce::On => true,
                Nonce::Off => false,
                Nonce::Auto => again,
            },
            key,
            load_seconds: self.load_seconds,
            gpu_setting: self.gpu_setting.clone(),
        }))
    }

    /// How many requests from the `n`th on are not done already; `None` where only the time ends them.
    pub fn left(&self, settings: &Settings, n: u64) -> Option<u64> {
        let left = self.len(settings)?.saturating_sub(n);
        if settings.done.is_empty() || self.part != Part::Measure {
            return Some(left);
        }
        Some((n..n + left).filter(|n| matches!(self.job(settings, *n), Some(Some(_)))).count() as u64)
    }
}

/// The hash of server, model, prompt, settings and repetition: 16 hex digits.
fn key(settings: &Settings, target: &Target, prompt: &Prompt, level: Level, repeat: u64) -> String {
    let parameters = &settings.parameters;
    let load = settings.load.as_ref().map(|load| (load.context_length, load.gpu.clone(), load.parallel));
    let level = match level {
        Level::Closed { concurrency } => concurrency.to_string(),
        Level::Open { rate, arrival, at_most } => format!("{rate}/s {arrival} {at_most}"),
    };
    let what = format!(
        "{}\0{}\0{}\0{:?}\0{}\0{:?}\0{level}\0{repeat}\0{load:?}\0{:?}",
        target.source, target.base_url, target.model.id, target.model.provider, prompt.sha256, parameters, settings.api,
    );
    Sha256::digest(what.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Arrival;
    use crate::record::Source;
    use crate::runner::plan::tests::{settings, target};
    use std::time::Duration;

    const CLOSED: Level = Level::Closed { concurrency: 2 };
    const OPEN: Level = Level::Open { rate: 5.0, arrival: Arrival::Poisson, at_most: 9 };

    fn batch(level: Level, part: Part) -> Batch {
        let target = |id: &str| {
            let mut target = target(Source::Openrouter, "https://openrouter.ai");
            target.model.id = id.into();
            Arc::new(target)
        };
        Batch { targets: vec![target("a"), target("b")], level, part, load_seconds: None, gpu_setting: None }
    }

    /// Model, place of the prompt and repetition of the first requests of a batch.
    fn asked(batch: &Batch, settings: &Settings) -> String {
        let jobs = (0..9).map_while(|n| batch.job(settings, n)).flatten();
        jobs.map(|job| format!("{}{}{} ", job.target.model.id, job.prompt, job.repeat)).collect()
    }

    #[test]
    fn a_closed_loop_asks_model_by_model_and_by_the_clock_they_take_turns() {
        let mut settings = settings(2);
        settings.requests = Some(3);
        settings.warmup = 1;
        assert_eq!(asked(&batch(CLOSED, Part::Measure), &settings), "a01 a11 a02 b01 b11 b02 ");
        assert_eq!(asked(&batch(OPEN, Part::Measure), &settings), "a01 b01 a11 b11 a02 b02 ");
        assert_eq!(asked(&batch(CLOSED, Part::Warmup), &settings), "a01 b01 ");
        assert_eq!(asked(&batch(OPEN, Part::Ramp), &settings), "a01 b01 a11 b11 a02 b02 a12 b12 a03 ");
        settings.requests = None;
        assert_eq!(asked(&batch(CLOSED, Part::Measure), &settings), "a01 a11 b01 b11 ");
        settings.duration = Some(Duration::from_secs(1));
        assert_eq!(asked(&batch(CLOSED, Part::Measure), &settings), "a01 b01 a11 b11 a02 b02 a12 b12 a03 ");
        assert_eq!(batch(CLOSED, Part::Measure).len(&settings), None);
        assert_eq!(batch(CLOSED, Part::Measure).left(&settings, 3), None);
    }

    #[test]
    fn what_is_done_is_left_out_of_what_counts_and_of_nothing_else() {
        let mut settings = settings(2);
        settings.warmup = 2;
        let measure = batch(CLOSED, Part::Measure);
        let keys = [0, 1, 2, 3].map(|n| measure.job(&settings, n).unwrap().unwrap().key);
        settings.done = [keys[0].clone(), keys[3].clone()].into();
        assert_eq!(asked(&measure, &settings), "a11 b01 ");
        assert_eq!(
            (measure.left(&settings, 0), measure.left(&settings, 2), measure.left(&settings, 9)),
            (Some(2), Some(1), Some(0))
        );
        assert_eq!(batch(CLOSED, Part::Warmup).left(&settings, 0), Some(4));
        assert_ne!(keys[1], keys[2]);
    }

    #[test]
    fn requests_of_another_load_are_other_requests() {
        let settings = settings(1);
        let key = |level| batch(level, Part::Measure).job(&settings, 0).unwrap().unwrap().key;
        let slower = Level::Open { rate: 2.0, arrival: Arrival::Poisson, at_most: 9 };
        let constant = Level::Open { rate: 5.0, arrival: Arrival::Constant, at_most: 9 };
        let keys = [CLOSED, Level::Closed { concurrency: 5 }, OPEN, slower, constant].map(key);
        assert_eq!(std::collections::BTreeSet::from(keys.clone()).len(), keys.len(), "{keys:?}");
    }
}
