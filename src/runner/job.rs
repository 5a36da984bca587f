//! One request to be made, and the key by which another run knows it again.
//!
//! Jobs are numbered and made when their turn comes: a run of a million requests holds none of them before it sends them.

use super::plan::{Nonce, Settings, Target};
use crate::pace::{Closed, in_turn};
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
    pub level: Closed,
    /// Whether a nonce goes before the prompt.
    pub nonce: bool,
    /// [`key`] of it.
    pub key: String,
    /// How long the model took to load: `Some(None)` when that failed.
    pub load_seconds: Option<Option<f64>>,
    /// The GPU offload with which it was loaded.
    pub gpu_setting: Option<String>,
}

/// The requests of one stage, level and phase, in order: prompt by prompt, model by model.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The targets of the stage.
    pub targets: Vec<Arc<Target>>,
    /// The load level.
    pub level: Closed,
    /// Whether they count.
    pub phase: Phase,
    /// How long the model took to load.
    pub load_seconds: Option<Option<f64>>,
    /// The GPU offload with which it was loaded.
    pub gpu_setting: Option<String>,
}

/// How many requests that count are still to be made.
pub fn left(settings: &Settings, targets: &[Target]) -> u64 {
    let each = settings.requests.unwrap_or_else(|| (settings.prompts.len() as u64).saturating_mul(settings.repeat));
    if settings.done.is_empty() {
        return each.saturating_mul((settings.levels.len() * targets.len()) as u64);
    }
    let is_left = |target: &Target, level: Closed, n: u64| {
        in_turn(settings.prompts.len(), n).is_some_and(|(prompt, repeat)| {
            !settings.done.contains(&key(settings, target, &settings.prompts[prompt], level, repeat))
        })
    };
    let of = |target: &Target, level| (0..each).filter(|n| is_left(target, level, *n)).count() as u64;
    targets.iter().map(|target| settings.levels.iter().map(|level| of(target, *level)).sum::<u64>()).sum()
}

impl Batch {
    /// Whether there is anything to do: what is warmed up for nothing is not warmed up.
    pub fn is_needed(&self, settings: &Settings) -> bool {
        let counts = Batch { phase: Phase::Measure, ..self.clone() };
        settings.done.is_empty() || counts.left(settings, 0) > 0
    }

    /// How many requests each target gets.
    fn each(&self, settings: &Settings) -> u64 {
        match self.phase {
            Phase::Warmup => settings.warmup,
            Phase::Measure => {
                settings.requests.unwrap_or_else(|| (settings.prompts.len() as u64).saturating_mul(settings.repeat))
            }
        }
    }

    /// How many requests there are.
    pub fn len(&self, settings: &Settings) -> u64 {
        self.each(settings).saturating_mul(self.targets.len() as u64)
    }

    /// The `n`th request, from 0; `None` beyond the last, `Some(None)` for one that is done already.
    pub fn job(&self, settings: &Settings, n: u64) -> Option<Option<Job>> {
        let each = self.each(settings);
        let target = self.targets.get(usize::try_from(n.checked_div(each)?).ok()?)?;
        let (prompt, repeat) = in_turn(settings.prompts.len(), n % each)?;
        let key = key(settings, target, &settings.prompts[prompt], self.level, repeat);
        if self.phase == Phase::Measure && settings.done.contains(&key) {
            return Some(None);
        }
        let again = each > settings.prompts.len() as u64 || settings.levels.len() > 1 || settings.warmup > 0;
        Some(Some(Job {
            target: Arc::clone(target),
            prompt,
            repeat,
            phase: self.phase,
            level: self.level,
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

    /// How many requests from the `n`th on are not done already.
    pub fn left(&self, settings: &Settings, n: u64) -> u64 {
        let left = self.len(settings).saturating_sub(n);
        if settings.done.is_empty() || self.phase == Phase::Warmup {
            return left;
        }
        (n..n + left).filter(|n| matches!(self.job(settings, *n), Some(Some(_)))).count() as u64
    }
}

/// The hash of server, model, prompt, settings and repetition: 16 hex digits.
fn key(settings: &Settings, target: &Target, prompt: &Prompt, level: Closed, repeat: u64) -> String {
    let parameters = &settings.parameters;
    let load = settings.load.as_ref().map(|load| (load.context_length, load.gpu.clone(), load.parallel));
    let what = format!(
        "{}\0{}\0{}\0{:?}\0{}\0{:?}\0{}\0{repeat}\0{load:?}\0{:?}",
        target.source,
        target.base_url,
        target.model.id,
        target.model.provider,
        prompt.sha256,
        parameters,
        level.concurrency,
        settings.api,
    );
    Sha256::digest(what.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
