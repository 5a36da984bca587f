//! One request to be made, and the key by which another run knows it again.
//!
//! Jobs are numbered and made when their turn comes: a run of a million requests holds none of them before it sends them.

use super::asking::parameters;
use super::plan::{Settings, Target};
use crate::pace::{Closed, in_turn};
use crate::prompts::Item;
use crate::record::Phase;
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
    /// [`key`] of it; of a conversation, of each turn.
    pub keys: Vec<String>,
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

impl Batch {
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
        let item = &settings.prompts[prompt];
        let key_of = |turn| key(settings, target, item, turn, self.level, repeat);
        let keys: Vec<String> = (1..=item.turns()).map(key_of).collect();
        // A conversation is taken up as a whole: what a turn was answered is not there to be carried on.
        if self.phase == Phase::Measure && keys.iter().all(|key| settings.done.contains(key)) {
            return Some(None);
        }
        Some(Some(Job {
            target: Arc::clone(target),
            prompt,
            repeat,
            phase: self.phase,
            level: self.level,
            nonce: settings.nonces(),
            keys,
            load_seconds: self.load_seconds,
            gpu_setting: self.gpu_setting.clone(),
        }))
    }

    /// How many requests from the `n`th job on are not done already: each turn of a conversation is one.
    pub fn left(&self, settings: &Settings, n: u64) -> u64 {
        let left = self.len(settings).saturating_sub(n);
        let plain = settings.prompts.iter().all(|item| item.turns() == 1);
        if plain && (settings.done.is_empty() || self.phase == Phase::Warmup) {
            return left;
        }
        (n..n + left).filter_map(|n| self.job(settings, n)?).map(|job| job.keys.len() as u64).sum()
    }
}

/// The hash of server, model, prompt, settings, repetition and turn: 16 hex digits.
fn key(settings: &Settings, target: &Target, item: &Item, turn: u64, level: Closed, repeat: u64) -> String {
    let load = settings.load.as_ref().map(|load| (load.context_length, load.gpu.clone(), load.parallel));
    let mut what = format!(
        "{}\0{}\0{}\0{:?}\0{}\0{:?}\0{}\0{repeat}\0{load:?}\0{:?}",
        target.source,
        target.base_url,
        target.model.id,
        target.model.provider,
        item.identity(),
        parameters(settings, item),
        level.concurrency,
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
