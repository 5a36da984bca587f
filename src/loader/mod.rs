//! Bringing a model into memory, timed, and making sure that it is the right one.
//!
//! One file per way to load. Everything is verified by listing afterwards: a loader that says it loaded something may
//! have loaded something else (`lms load` matches names loosely and exits 0). Nothing here asks a model a question.

mod lms;
mod lmstudio;
mod ollama;

use crate::clock::{self, Stamp};
use crate::http::Api;
use crate::record::{Load, LoadTimeSource, Loader, Model, Source};
use std::time::Duration;

/// How a model is to be loaded.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The context length, in tokens.
    pub context_length: Option<u64>,
    /// The GPU offload: `max`, `off` or a ratio from 0 to 1.
    pub gpu: Option<String>,
    /// Unload by itself after so long without a request.
    pub ttl: Option<Duration>,
    /// How many requests the server may work on at once.
    pub parallel: Option<u64>,
    /// How long the machine is left alone, with nothing loaded, before the load: the baseline.
    pub settle: Duration,
    /// How long a load may take.
    pub limit: Duration,
}

impl Wanted {
    /// Whether LM Studio's REST API cannot say it, so that `lms` must.
    fn beyond_rest(&self) -> bool {
        self.gpu.is_some() || self.ttl.is_some() || self.parallel.is_some()
    }
}

/// What a loader reports.
#[derive(Debug)]
struct Loaded {
    loader: Loader,
    /// The server's own word for how long it took, in seconds.
    server_seconds: Option<f64>,
    context_length: Option<u64>,
}

/// Unloads everything, leaves the machine alone for a while, loads `model`, and verifies. The `load` record says how it
/// went, a failure included; `None` when `stopped` said so before the load was asked for. `notice` hears what is doubtful.
pub async fn load(
    api: &Api,
    source: Source,
    model: &Model,
    wanted: &Wanted,
    run: &str,
    stopped: &(dyn Fn() -> bool + Sync),
    notice: &mut (dyn FnMut(String) + Send),
) -> Option<Load> {
    if let Err(why) = unload_all(api, source).await {
        notice(format!("{}: could not unload what was loaded before: {why}", model.id));
    }
    let baseline = Stamp::now();
    let settled = tokio::time::Instant::now() + wanted.settle;
    while tokio::time::Instant::now() < settled && !stopped() {
        tokio::time::sleep_until(settled.min(tokio::time::Instant::now() + Duration::from_millis(100))).await;
    }
    if stopped() {
        return None;
    }
    let started = Stamp::now();
    let loading = async {
        let loaded = match source {
            Source::Lmstudio => lmstudio::load(api, model, wanted).await,
            Source::Ollama => ollama::load(api, model, wanted).await,
            Source::Openrouter | Source::Openai | Source::Minimax => {
                Err("this kind of server cannot be told to load".into())
            }
        }?;
        let took = clock::between(started.mono_ns, clock::mono_ns());
        Ok::<_, String>((loaded, took, Stamp::now()))
    };
    let outcome = match tokio::time::timeout(wanted.limit, loading).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("not loaded within {:?}: --load-timeout sets the limit", wanted.limit)),
    };
    let mut load = Load {
        run: run.to_owned(),
        source,
        model: model.id.clone(),
        baseline_ts: Some([baseline.ts, started.ts]),
        baseline_mono: Some([baseline.mono(), started.mono()]),
        started_ts: started.ts,
        started_mono: started.mono(),
        ended_ts: started.ts,
        ended_mono: started.mono(),
        load_time_seconds: None,
        load_time_source: None,
        loader: intended(source, wanted),
        gpu_setting: wanted.gpu.clone(),
        context_length: None,
        error: None,
    };
    let ended = match outcome {
        Ok((loaded, wall_seconds, ended)) => {
            load.loader = loaded.loader;
            load.context_length = loaded.context_length;
            load.load_time_seconds = Some(loaded.server_seconds.unwrap_or(wall_seconds));
            let by_server = loaded.server_seconds.is_some();
            load.load_time_source = Some(if by_server { LoadTimeSource::Server } else { LoadTimeSource::Wall });
            ended
        }
        Err(why) => {
            load.error = Some(why);
            Stamp::now()
        }
    };
    (load.ended_ts, load.ended_mono) = (ended.ts, ended.mono());
    Some(load)
}

/// Who is asked first.
fn intended(source: Source, wanted: &Wanted) -> Loader {
    match source {
        Source::Ollama => Loader::Ollama,
        Source::Lmstudio if wanted.beyond_rest() => Loader::Lms,
        Source::Lmstudio | Source::Openrouter | Source::Openai | Source::Minimax => Loader::Rest,
    }
}

/// Unloads every model of the server.
///
/// # Errors
/// With a sentence, when the server does not do it.
pub async fn unload_all(api: &Api, source: Source) -> Result<(), String> {
    match source {
        Source::Lmstudio => lmstudio::unload_all(api).await,
        Source::Ollama => ollama::unload_all(api).await,
        Source::Openrouter | Source::Openai | Source::Minimax => Ok(()),
    }
}

/// Whether models of this kind of server are loaded and unloaded one after another.
pub fn has_life_cycle(source: Source) -> bool {
    matches!(source, Source::Lmstudio | Source::Ollama)
}
