//! One request to be made, and the key by which another run knows it again.
//!
//! Jobs are numbered and made when their turn comes: a run of a million requests holds none of them before it sends them.

use super::config::{Settings, Target};
use super::planned_request::parameters;
use crate::load::Level;
use crate::prompts::Item;
use crate::record::Phase;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
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
    /// [`key`] of it; of a conversation, of each turn.
    pub keys: Vec<String>,
    /// How long the model took to load: `Some(None)` when that failed.
    pub load_seconds: Option<Option<f64>>,
    /// The GPU offload with which it was loaded.
    pub gpu_setting: Option<String>,
}

impl Job {
    /// Whether it was to be made however long it takes: one of a number that was asked for, and not of a time, nor of an open loop's
    /// ramp.
    pub fn is_planned(&self, settings: &Settings) -> bool {
        let rises = self.phase == Phase::Warmup && self.due_ns.is_some();
        !rises && asked_of_each(settings).is_some()
    }
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
    /// For the how-manieth time, from 0: a search runs a level again where too few requests could tell. Each time has arrivals of its own.
    pub round: u64,
    /// How long the model took to load.
    pub load_seconds: Option<Option<f64>>,
    /// The GPU offload with which it was loaded.
    pub gpu_setting: Option<String>,
}

/// How many requests that count are still to be made; `None` where only the time, or a search, ends them.
pub fn left(settings: &Settings, targets: &[Target]) -> Option<u64> {
    if settings.search.is_some() {
        // Nobody knows where it will lead.
        return None;
    }
    let each = asked_of_each(settings)?;
    if settings.done.is_empty() {
        return Some(settings.turns(each).saturating_mul((settings.levels.len() * targets.len()) as u64));
    }
    let is_left = |target: &Target, level: Level, n: u64| {
        let keys = in_turn(settings.prompts.len(), n).map(|asked| keys(settings, target, asked, level));
        keys.filter(|keys| !all_done(settings, keys)).map_or(0, |keys| keys.len() as u64)
    };
    let of = |target: &Target, level| (0..each).map(|n| is_left(target, level, n)).sum::<u64>();
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
        let keys = keys(settings, target, (prompt, repeat), self.level);
        if self.part == Part::Measure && all_done(settings, &keys) {
            return Some(None);
        }
        Some(Some(Job {
            target: Arc::clone(target),
            prompt,
            repeat,
            phase: if self.part == Part::Measure { Phase::Measure } else { Phase::Warmup },
            level: self.level,
            due_ns: None,
            nonce: settings.nonces(),
            keys,
            load_seconds: self.load_seconds,
            gpu_setting: self.gpu_setting.clone(),
        }))
    }

    /// The keys of all requests that count; none where only the time ends them.
    pub fn keys(&self, settings: &Settings) -> HashSet<String> {
        let of = |n| {
            let (target, turn) = self.place(settings, n)?;
            let asked = in_turn(settings.prompts.len(), turn)?;
            Some(keys(settings, self.targets.get(target)?, asked, self.level))
        };
        (0..self.len(settings).unwrap_or(0)).filter_map(of).flatten().collect()
    }

    /// How many requests from the `n`th job on are not done already: each turn of a conversation is one. `None` where only the
    /// time ends them.
    pub fn left(&self, settings: &Settings, n: u64) -> Option<u64> {
        let left = self.len(settings)?.saturating_sub(n);
        if settings.done.is_empty() || self.part != Part::Measure {
            let (each, targets) = (self.each(settings)?, self.targets.len() as u64);
            // Of each target's prompts, those that came before the `n`th job.
            let before = |target: u64| match self.level {
                Level::Closed { .. } => n.saturating_sub(target.saturating_mul(each)),
                Level::Open { .. } => n / targets + u64::from(target < n % targets),
            };
            let asked: u64 = (0..targets).map(|target| settings.turns(before(target).min(each))).sum();
            return Some(settings.turns(each).saturating_mul(targets).saturating_sub(asked));
        }
        Some((n..n + left).filter_map(|n| self.job(settings, n)?).map(|job| job.keys.len() as u64).sum())
    }
}

/// Which prompt the `n`th request (from 0) asks when prompts are taken in turn, and for the how-manieth time (from 1).
/// `None` without prompts.
fn in_turn(prompts: usize, n: u64) -> Option<(usize, u64)> {
    let count = prompts as u64;
    Some(((n.checked_rem(count)?) as usize, n / count + 1))
}

/// The keys of a job, turn by turn.
fn keys(settings: &Settings, target: &Target, (prompt, repeat): (usize, u64), level: Level) -> Vec<String> {
    let item = &settings.prompts[prompt];
    (1..=item.turns()).map(|turn| key(settings, target, item, turn, level, repeat)).collect()
}

/// A conversation is taken up as a whole: what a turn was answered is not there to be carried on.
fn all_done(settings: &Settings, keys: &[String]) -> bool {
    keys.iter().all(|key| settings.done.contains(key))
}

/// The hash of server, model, prompt, settings, repetition and turn: 16 hex digits.
fn key(settings: &Settings, target: &Target, item: &Item, turn: u64, level: Level, repeat: u64) -> String {
    let load = settings.load.as_ref().map(|load| (load.context_length, load.gpu.clone(), load.parallel));
    let level = match level {
        Level::Closed { concurrency } => concurrency.to_string(),
        Level::Open { rate, arrival, at_most } => format!("{rate}/s {arrival} {at_most}"),
    };
    let mut what = format!(
        "{}\0{}\0{}\0{:?}\0{}\0{:?}\0{level}\0{repeat}\0{load:?}\0{:?}",
        target.source,
        target.base_url,
        target.model.id,
        target.model.provider,
        item.identity(),
        parameters(settings, item),
        settings.api,
    );
    if let Some(tokens) = settings.shared_prefix {
        what += &format!("\0prefix {} {tokens}", settings.load_seed);
    }
    if item.turns() > 1 {
        what += &format!("\0turn {turn}");
    }
    Sha256::digest(what.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Arrival;
    use crate::record::Source;
    use crate::run::config::tests::{settings, target};
    use std::time::Duration;

    const CLOSED: Level = Level::Closed { concurrency: 2 };
    const OPEN: Level = Level::Open { rate: 5.0, arrival: Arrival::Poisson, at_most: 9 };

    fn batch(level: Level, part: Part) -> Batch {
        let target = |id: &str| {
            let mut target = target(Source::Openrouter, "https://openrouter.ai");
            target.model.id = id.into();
            Arc::new(target)
        };
        Batch { targets: vec![target("a"), target("b")], level, part, round: 0, load_seconds: None, gpu_setting: None }
    }

    /// Model, place of the prompt and repetition of the first requests of a batch.
    fn asked(batch: &Batch, settings: &Settings) -> String {
        let jobs = (0..9).map_while(|n| batch.job(settings, n)).flatten();
        jobs.map(|job| format!("{}{}{} ", job.target.model.id, job.prompt, job.repeat)).collect()
    }

    #[test]
    fn prompts_are_asked_in_turn() {
        let asked: Vec<_> = (0..5).filter_map(|n| in_turn(2, n)).collect();
        assert_eq!(asked, [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3)]);
        assert_eq!(in_turn(3, u64::MAX), Some((0, u64::MAX / 3 + 1)));
        assert_eq!(in_turn(0, 2), None);
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
        let keys = [0, 1, 2, 3].map(|n| measure.job(&settings, n).unwrap().unwrap().keys.remove(0));
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
    fn a_conversation_has_a_key_for_each_turn_and_is_done_when_all_of_them_are() {
        let mut settings = settings(1);
        let turns = ["a", "b"].map(str::to_owned).to_vec();
        settings.prompts = vec![Item::Text(Arc::new(crate::prompts::conversation("talk", None, turns).unwrap()))];
        let measure = batch(CLOSED, Part::Measure);
        assert_eq!([0, 1, 2, 9].map(|n| measure.left(&settings, n)), [Some(4), Some(2), Some(0), Some(0)]);
        assert_eq!(batch(OPEN, Part::Measure).left(&settings, 1), Some(2), "two models, two turns each");
        let keys = measure.job(&settings, 0).unwrap().unwrap().keys;
        assert!(keys.len() == 2 && keys[0] != keys[1]);
        settings.done = [keys[0].clone()].into();
        assert_eq!(asked(&measure, &settings), "a01 b01 ");
        settings.done.extend(keys);
        assert_eq!((asked(&measure, &settings).as_str(), measure.left(&settings, 0)), ("b01 ", Some(2)));
    }

    #[test]
    fn what_only_the_time_would_have_brought_was_not_planned() {
        let mut settings = settings(1);
        let job = |settings: &Settings, part, due_ns| {
            Job { due_ns, ..batch(OPEN, part).job(settings, 0).unwrap().unwrap() }.is_planned(settings)
        };
        settings.warmup = 1;
        settings.requests = Some(3);
        assert!(job(&settings, Part::Measure, Some(5)) && job(&settings, Part::Warmup, None));
        assert!(!job(&settings, Part::Ramp, Some(5)));
        settings.requests = None;
        settings.duration = Some(Duration::from_secs(1));
        assert!(!job(&settings, Part::Measure, Some(5)));
    }

    #[test]
    fn requests_of_another_load_are_other_requests() {
        let settings = settings(1);
        let key = |level| batch(level, Part::Measure).job(&settings, 0).unwrap().unwrap().keys.remove(0);
        let slower = Level::Open { rate: 2.0, arrival: Arrival::Poisson, at_most: 9 };
        let constant = Level::Open { rate: 5.0, arrival: Arrival::Constant, at_most: 9 };
        let keys = [CLOSED, Level::Closed { concurrency: 5 }, OPEN, slower, constant].map(key);
        assert_eq!(std::collections::BTreeSet::from(keys.clone()).len(), keys.len(), "{keys:?}");
    }
}
