//! What is to be run: the settings, the targets, and which targets are measured together.

use super::prompt_fitting::Fitted;
use crate::chat::{Dialect, Limits, Parameters};
use crate::http::{Api, Secret, is_loopback};
use crate::load::Level;
use crate::load::search::Search;
use crate::loader;
use crate::prompts::Item;
use crate::record::{Model, Source};
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// When a nonce is put before the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Nonce {
    /// When a model is asked the same prompt more than once in the run.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Which API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ApiChoice {
    /// The best the server has; the next best where an endpoint is missing.
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
    /// In the words of a result's `api`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ApiChoice::Auto => f.write_str("auto"),
            ApiChoice::V1 => Dialect::LmstudioV1.fmt(f),
            ApiChoice::V0 => Dialect::LmstudioV0.fmt(f),
            ApiChoice::Chat => Dialect::Openai.fmt(f),
            ApiChoice::Ollama => Dialect::Ollama.fmt(f),
        }
    }
}

impl ApiChoice {
    /// The dialects to try for a source, best first.
    pub fn dialects(self, source: Source) -> &'static [Dialect] {
        match self {
            ApiChoice::Auto => Dialect::of(source),
            ApiChoice::V1 => &[Dialect::LmstudioV1],
            ApiChoice::V0 => &[Dialect::LmstudioV0],
            ApiChoice::Chat => &[Dialect::Openai],
            ApiChoice::Ollama => &[Dialect::Ollama],
        }
    }
}

/// Everything that shapes a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The run's id.
    pub run: String,
    /// The number of the first request.
    pub first_id: u64,
    /// What is asked.
    pub prompts: Vec<Item>,
    /// The length, in tokens, of a text that stands before every prompt.
    pub shared_prefix: Option<u64>,
    /// What is sent with each.
    pub parameters: Parameters,
    /// The load levels, one after another; of a search, the first.
    pub levels: Vec<Level>,
    /// The highest load that passes is searched, from the first level on.
    pub search: Option<Search>,
    /// How long the load rises before each level; what is sent meanwhile is warm-up.
    pub ramp: Duration,
    /// How long requests of each level are sent, after the ramp; those that run then may finish.
    pub duration: Option<Duration>,
    /// After so many failed requests no more are sent.
    pub max_errors: Option<u64>,
    /// What random arrivals and prompts follow from.
    pub load_seed: u64,
    /// Requests per model and level; otherwise each prompt `repeat` times, or as many as the time allows.
    pub requests: Option<u64>,
    /// How often each prompt is asked.
    pub repeat: u64,
    /// Requests per model and level before those that count.
    pub warmup: u64,
    /// When caches are kept out.
    pub nonce: Nonce,
    /// What makes the nonces of this process its own: two runs of the same name, or of the same second, have others.
    pub salt: u64,
    /// Which API is spoken.
    pub api: ApiChoice,
    /// How long anything may take.
    pub limits: Limits,
    /// How often a request is tried again.
    pub retries: u32,
    /// Look each cost up in OpenRouter's ledger.
    pub verify_cost: bool,
    /// How models are loaded; `None` to leave that to the server.
    pub load: Option<loader::Wanted>,
    /// Keys of results that are there already.
    pub done: HashSet<String>,
    /// Keep the answer in the record.
    pub save_text: bool,
    /// Keep the chunks in the record.
    pub save_stream: bool,
    /// How many event loops there are; at least one.
    pub threads: usize,
}

impl Settings {
    /// Whether a nonce goes before the prompts.
    pub fn nonces(&self) -> bool {
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

    /// How many requests `conversations` prompts take, when they are asked in turn: each turn of a conversation is one.
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
    /// The key that goes there.
    pub key: Option<Secret>,
    /// The server's API, for loading.
    pub api: Api,
    /// The name under which the loaded instance answers, where that is not the model's id.
    pub instance: OnceLock<String>,
    /// Which of the dialects is spoken: the place in [`ApiChoice::dialects`].
    pub dialect: AtomicUsize,
    /// The synthetic texts as its server counts them; made by the runner.
    pub fitted: OnceLock<Fitted>,
    /// Whether it refused `max_tokens` and asked for `max_completion_tokens`.
    pub newer_limit: AtomicBool,
}

impl Target {
    /// The model as requests name it.
    pub fn addressed(&self) -> Model {
        let id = self.instance.get().unwrap_or(&self.model.id).clone();
        Model { id, ..self.model.clone() }
    }

    /// Whether it shares this machine, so that two of its kind would disturb each other. What is asked in the words of a service
    /// that is elsewhere is elsewhere, also where the address is a proxy's or a simulation's on this machine.
    fn is_local(&self) -> bool {
        match self.source {
            Source::Openrouter | Source::Minimax => false,
            _ => loader::has_life_cycle(self.source, &self.model) || is_loopback(&self.base_url),
        }
    }
}

/// Which targets are measured together, by index: each local one alone, all remote ones in one pool at the place of the
/// first of them.
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

    /// A prompt of its own name.
    fn text(name: &str) -> Item {
        Item::Text(Arc::new(prompt(name, None, None, name)))
    }

    /// The settings of a run of so many prompts, one after another.
    pub fn settings(prompts: usize) -> Settings {
        let second = Duration::from_secs(1);
        Settings {
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
    fn a_nonce_is_put_where_a_model_is_asked_the_same_again() {
        let asked = |change: fn(&mut Settings)| {
            let mut settings = settings(2);
            settings.nonce = Nonce::Auto;
            change(&mut settings);
            settings.nonces()
        };
        assert!(!asked(|_| ()));
        assert!(!asked(|settings| settings.requests = Some(2)));
        assert!(asked(|settings| settings.requests = Some(3)));
        assert!(asked(|settings| settings.repeat = 2));
        assert!(asked(|settings| settings.warmup = 1));
        assert!(asked(|settings| settings.ramp = Duration::from_secs(1)));
        assert!(asked(|settings| settings.duration = Some(Duration::from_secs(1))));
        assert!(asked(|settings| settings.levels.push(Level::Closed { concurrency: 2 })));
        assert!(!asked(|settings| (settings.nonce, settings.repeat) = (Nonce::Off, 2)));
    }

    #[test]
    fn the_turns_of_conversations_are_counted_in_turn() {
        let mut settings = settings(2);
        let turns = ["a", "b", "c"].map(str::to_owned).to_vec();
        settings.prompts.push(Item::Text(Arc::new(crate::prompts::conversation("talk", None, turns).unwrap())));
        assert_eq!([0, 1, 3, 4, 7].map(|n| settings.turns(n)), [0, 1, 5, 6, 11]);
    }

    #[test]
    fn local_models_are_alone_and_remote_ones_share_a_pool() {
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
