//! The plan of a run: its configuration, its targets, and which targets are measured together.

use super::fitted_prompts::FittedPrompts;
use crate::http::{Api, Secret, is_loopback};
use crate::load::Level;
use crate::load::search::Search;
use crate::prompts::Item;
use crate::protocol::{Limits, Parameters, Protocol};
use crate::record::{Model, Source};
use crate::sources::{self, LoadOptions, load};
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// When a nonce goes before the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Nonce {
    /// When a model gets the same prompt more than once in the run.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// The API to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ApiChoice {
    /// The best of the server; the next best where an endpoint is missing.
    Auto,
    /// LM Studio's native chat.
    V1,
    /// LM Studio's older REST API.
    V0,
    /// Chat completions.
    Chat,
    /// Ollama's chat.
    Ollama,
}

impl fmt::Display for ApiChoice {
    /// As in a result's `api`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.protocol().unwrap_or("auto"))
    }
}

impl ApiChoice {
    /// The name of the protocol; `None` where the server decides.
    fn protocol(self) -> Option<&'static str> {
        match self {
            ApiChoice::Auto => None,
            ApiChoice::V1 => Some("lmstudio-v1"),
            ApiChoice::V0 => Some("lmstudio-v0"),
            ApiChoice::Chat => Some("chat"),
            ApiChoice::Ollama => Some("ollama"),
        }
    }

    /// The protocols to try for a source, best first.
    pub fn dialects(self, source: Source) -> &'static [&'static Protocol] {
        sources::protocols(source, self.protocol())
    }
}

/// The configuration of a run.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// The run's id.
    pub run: String,
    /// The number of the first request.
    pub first_id: u64,
    /// The prompts.
    pub prompts: Vec<Item>,
    /// The length, in tokens, of a text that stands before every prompt.
    pub shared_prefix: Option<u64>,
    /// The parameters of every request.
    pub parameters: Parameters,
    /// The load levels in their order; of a search, the first.
    pub levels: Vec<Level>,
    /// The search for the highest load that passes, from the first level on.
    pub search: Option<Search>,
    /// How long the load rises before each level; requests sent meanwhile are warm-up.
    pub ramp: Duration,
    /// How long requests of each level are sent after the ramp; those in flight then may finish.
    pub duration: Option<Duration>,
    /// The number of failed requests after which no more are sent.
    pub max_errors: Option<u64>,
    /// Seed of random arrivals and synthetic prompts.
    pub load_seed: u64,
    /// Requests per model and level; `None`: each prompt `repeat` times, or as many as the duration allows.
    pub requests: Option<u64>,
    /// How often each prompt is sent.
    pub repeat: u64,
    /// Requests per model and level before those that count.
    pub warmup: u64,
    /// When a nonce goes before the prompt.
    pub nonce: Nonce,
    /// Makes the nonces of this process unique, also among runs of the same name or second.
    pub salt: u64,
    /// The API to use.
    pub api: ApiChoice,
    /// The limits of a request.
    pub limits: Limits,
    /// How often a request is tried again.
    pub retries: u32,
    /// Look up each cost at OpenRouter.
    pub verify_cost: bool,
    /// How models are loaded; `None` to leave that to the server.
    pub load: Option<LoadOptions>,
    /// Keys of good results of an earlier run.
    pub done: HashSet<String>,
    /// Keep the answer in the record.
    pub save_text: bool,
    /// Keep the chunks in the record.
    pub save_stream: bool,
    /// The number of event loops; at least one.
    pub threads: usize,
}

impl RunConfig {
    /// Whether a nonce goes before the prompts.
    pub fn uses_nonces(&self) -> bool {
        match self.nonce {
            Nonce::On => true,
            Nonce::Off => false,
            Nonce::Auto => {
                let prompts = self.prompts.len() as u64;
                let each = match (self.requests, self.duration) {
                    (Some(n), _) => Some(n),
                    (None, Some(_)) => None,
                    (None, None) => Some(prompts.saturating_mul(self.repeat)),
                };
                let again = each.is_none_or(|each| each > prompts);
                again || self.levels.len() > 1 || self.search.is_some() || self.warmup > 0 || !self.ramp.is_zero()
            }
        }
    }

    /// The number of requests of the first `conversations` prompts, taken in turn: one for each turn.
    pub fn turns(&self, conversations: u64) -> u64 {
        let all = self.prompts.len() as u64;
        let of = |items: &[Item]| items.iter().map(Item::turns).sum::<u64>();
        let (rounds, rest) = (conversations.checked_div(all).unwrap_or(0), conversations.checked_rem(all).unwrap_or(0));
        let rest = usize::try_from(rest).ok().and_then(|rest| self.prompts.get(..rest));
        rounds.saturating_mul(of(&self.prompts)).saturating_add(rest.map_or(0, of))
    }
}

/// A model and how to reach it.
#[derive(Debug)]
pub struct Target {
    /// The model.
    pub model: Model,
    /// Its kind of server.
    pub source: Source,
    /// Its server.
    pub base_url: String,
    /// The key for it.
    pub key: Option<Secret>,
    /// The server's API, for loading.
    pub api: Api,
    /// The name of the loaded instance, where that is not the model's id.
    pub instance: OnceLock<String>,
    /// The dialect in use: the place in [`ApiChoice::dialects`].
    pub dialect: AtomicUsize,
    /// The synthetic texts as its server counts them.
    pub fitted: OnceLock<FittedPrompts>,
    /// Whether it refused `max_tokens` and asked for `max_completion_tokens`.
    pub newer_limit: AtomicBool,
}

impl Target {
    /// The model as requests name it.
    pub fn addressed(&self) -> Model {
        let id = self.instance.get().unwrap_or(&self.model.id).clone();
        Model { id, ..self.model.clone() }
    }

    /// The URL of its requests in the protocol it answered to last.
    pub fn url(&self, api: ApiChoice) -> String {
        let dialect = api.dialects(self.source)[self.dialect.load(Ordering::Relaxed)];
        dialect.url(&self.base_url)
    }

    /// Whether it runs on this machine, so that two such targets would disturb each other. A cloud
    /// service is elsewhere, also where its address is a proxy or simulator on this machine.
    fn is_local(&self) -> bool {
        let here = load::has_life_cycle(self.source, &self.model) || is_loopback(&self.base_url);
        here && !self.source.is_hosted()
    }
}

/// The targets that are measured together, by index: each local one alone, all remote ones in one
/// pool at the place of the first of them.
pub fn stages(targets: &[Arc<Target>]) -> Vec<Vec<usize>> {
    let mut stages: Vec<Vec<usize>> = Vec::new();
    let mut pool = None;
    for (n, target) in targets.iter().enumerate() {
        match pool {
            _ if target.is_local() => stages.push(vec![n]),
            Some(place) => {
                let stage: &mut Vec<usize> = &mut stages[place];
                stage.push(n);
            }
            None => {
                pool = Some(stages.len());
                stages.push(vec![n]);
            }
        }
    }
    stages
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::KeyRule;
    use crate::prompts::prompt;

    /// A model that is not loaded here.
    pub fn target(source: Source, base: &str) -> Target {
        Target {
            model: Model::default(),
            source,
            base_url: base.into(),
            key: None,
            api: Api::new(base, None, &KeyRule::default()).0,
            instance: OnceLock::new(),
            dialect: AtomicUsize::new(0),
            fitted: OnceLock::new(),
            newer_limit: AtomicBool::new(false),
        }
    }

    /// A prompt with its name as text.
    fn text(name: &str) -> Item {
        Item::Text(Arc::new(prompt(name, None, None, name)))
    }

    /// The configuration of a run of this many prompts, one after another.
    pub fn config(prompts: usize) -> RunConfig {
        let second = Duration::from_secs(1);
        RunConfig {
            threads: 1,
            run: "run".into(),
            first_id: 1,
            prompts: (0..prompts).map(|n| text(&n.to_string())).collect(),
            shared_prefix: None,
            salt: 0,
            parameters: Parameters::default(),
            levels: vec![Level::Closed { concurrency: 1 }],
            search: None,
            ramp: Duration::ZERO,
            duration: None,
            max_errors: None,
            load_seed: 1,
            requests: None,
            repeat: 1,
            warmup: 0,
            nonce: Nonce::Off,
            api: ApiChoice::Auto,
            limits: Limits { connect: second, idle: second, total: second, text_bytes: 1 },
            retries: 0,
            verify_cost: false,
            load: None,
            done: HashSet::new(),
            save_text: false,
            save_stream: false,
        }
    }

    #[test]
    fn auto_nonce_needs_a_repeated_prompt() {
        let uses_nonces = |change: fn(&mut RunConfig)| {
            let mut config = config(2);
            config.nonce = Nonce::Auto;
            change(&mut config);
            config.uses_nonces()
        };
        assert!(!uses_nonces(|_| ()));
        assert!(!uses_nonces(|config| config.requests = Some(2)));
        assert!(uses_nonces(|config| config.requests = Some(3)));
        assert!(uses_nonces(|config| config.repeat = 2));
        assert!(uses_nonces(|config| config.warmup = 1));
        assert!(uses_nonces(|config| config.ramp = Duration::from_secs(1)));
        assert!(uses_nonces(|config| config.duration = Some(Duration::from_secs(1))));
        assert!(uses_nonces(|config| config.levels.push(Level::Closed { concurrency: 2 })));
        assert!(!uses_nonces(|config| (config.nonce, config.repeat) = (Nonce::Off, 2)));
    }

    #[test]
    fn turns_are_counted_in_prompt_order() {
        let mut config = config(2);
        let turns = ["a", "b", "c"].map(str::to_owned).to_vec();
        config.prompts.push(Item::Text(Arc::new(crate::prompts::conversation("talk", None, turns).unwrap())));
        assert_eq!([0, 1, 3, 4, 7].map(|n| config.turns(n)), [0, 1, 5, 6, 11]);
    }

    #[test]
    fn local_models_run_alone_remote_ones_share_a_pool() {
        let targets = [
            target(Source::Lmstudio, "http://127.0.0.1:1234"),
            target(Source::Openrouter, "https://openrouter.ai"),
            target(Source::Openai, "http://localhost:8080"),
            target(Source::Minimax, "https://api.minimax.io"),
            target(Source::Ollama, "http://gpu-box:11434"),
        ]
        .map(Arc::new);
        assert_eq!(stages(&targets), [vec![0], vec![1, 3], vec![2], vec![4]]);
        assert_eq!(stages(&[]), Vec::<Vec<usize>>::new());
    }
}
