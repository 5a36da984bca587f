//! One request to be made, and the key by which another run knows it again.

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

/// The jobs of a stage at one level, in order, without those that are done already: warm-up first, then prompt by
/// prompt, model by model.
pub fn jobs<'a>(
    settings: &'a Settings,
    targets: &'a [Arc<Target>],
    stage: &'a [usize],
    level: Closed,
) -> impl Iterator<Item = Job> + 'a {
    let prompts = settings.prompts.len();
    let requests = settings.requests.unwrap_or(prompts as u64 * settings.repeat);
    let again = requests > prompts as u64 || settings.levels.len() > 1 || settings.warmup > 0;
    let nonce = match settings.nonce {
        Nonce::On => true,
        Nonce::Off => false,
        Nonce::Auto => again,
    };
    let phases = [(Phase::Warmup, settings.warmup), (Phase::Measure, requests)];
    phases.into_iter().flat_map(move |(phase, requests)| {
        stage.iter().flat_map(move |&target| {
            in_turn(prompts, requests).filter_map(move |(prompt, repeat)| {
                let target = &targets[target];
                let key = key(settings, target, &settings.prompts[prompt], level, repeat);
                let skip = phase == Phase::Measure && settings.done.contains(&key);
                (!skip).then(|| Job {
                    target: Arc::clone(target),
                    prompt,
                    repeat,
                    phase,
                    level,
                    nonce,
                    key,
                    load_seconds: None,
                    gpu_setting: None,
                })
            })
        })
    })
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
