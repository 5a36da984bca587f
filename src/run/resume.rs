//! Resuming a run: the key by which a later run recognizes a request that has a good result.

use super::config::{RunConfig, Target};
use super::planned_request::parameters;
use crate::load::Level;
use crate::prompts::Item;
use sha2::{Digest, Sha256};

/// The keys of a prompt's requests, one for each turn.
pub fn keys(config: &RunConfig, target: &Target, (prompt, repetition): (usize, u64), level: Level) -> Vec<String> {
    let item = &config.prompts[prompt];
    (1..=item.turns()).map(|turn| key(config, target, item, turn, level, repetition)).collect()
}

/// Whether all turns have a good result. A conversation is repeated as a whole, because an earlier
/// turn's answer is not there to be carried on.
pub fn all_done(config: &RunConfig, keys: &[String]) -> bool {
    keys.iter().all(|key| config.done.contains(key))
}

/// The hash of server, model, prompt, settings, repetition and turn: 16 hex digits.
fn key(config: &RunConfig, target: &Target, item: &Item, turn: u64, level: Level, repetition: u64) -> String {
    let load = config.load.as_ref().map(|load| (load.context_length, load.gpu.clone(), load.parallel));
    let level = match level {
        Level::Closed { concurrency } => concurrency.to_string(),
        Level::Open { rate, arrival, at_most } => format!("{rate}/s {arrival} {at_most}"),
    };
    let mut identity = format!(
        "{}\0{}\0{}\0{:?}\0{}\0{:?}\0{level}\0{repetition}\0{load:?}\0{:?}",
        target.source,
        target.base_url,
        target.model.id,
        target.model.provider,
        item.identity(),
        parameters(config, item),
        config.api,
    );
    if let Some(tokens) = config.shared_prefix {
        identity += &format!("\0prefix {} {tokens}", config.load_seed);
    }
    if item.turns() > 1 {
        identity += &format!("\0turn {turn}");
    }
    Sha256::digest(identity.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
