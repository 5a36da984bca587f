//! Bringing a model into memory, timed, and making sure that it is the right one.
//!
//! One file per way to load. Everything is verified by listing afterwards: a loader that says it loaded something may
//! have loaded something else (`lms load` matches names loosely and exits 0). Nothing here asks a model a question, but
//! for the one server that can only be told to load by one.

use crate::clock::{self, Stamp};
use crate::http::Api;
use crate::record::{FailureKind, Load, LoadTimeSource, Loader, Model, Source};
use crate::sources::{lmstudio, ollama};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a listing or an unload may take.
pub const SHORT: Duration = Duration::from_secs(30);

/// How often the baseline is begun again when a model turns up in the middle of it.
const BASELINES: u32 = 3;

/// How long a load that was given up is waited for, so that it can be unloaded: servers finish it all the same.
const STRAY: Duration = Duration::from_secs(5);

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
    /// The name under which the loaded instance answers.
    pub identifier: Option<String>,
    /// How long the machine is left alone, with nothing loaded, before the load: the baseline.
    pub settle: Duration,
    /// How long a load may take.
    pub limit: Duration,
}

impl Wanted {
    /// How long one step of a load is waited for: longer than the load, whose limit then is the one that speaks.
    pub fn patience(&self) -> Duration {
        self.limit.saturating_add(SHORT)
    }

    /// What LM Studio's REST API cannot say, so that `lms` must: the flags.
    pub fn beyond_rest(&self) -> Vec<&'static str> {
        let asked = [
            ("--gpu", self.gpu.is_some()),
            ("--ttl", self.ttl.is_some()),
            ("--parallel", self.parallel.is_some()),
            ("--identifier", self.identifier.is_some()),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(flag, _)| flag).collect()
    }
}

/// What a loader reports.
#[derive(Debug)]
pub struct Loaded {
    pub loader: Loader,
    /// When the load itself was asked for, and when it was said to be done: looking things up before and verifying
    /// afterwards is not loading.
    pub began: Stamp,
    pub done: Stamp,
    /// The server's own word for how long it took, in seconds.
    pub server_seconds: Option<f64>,
    /// The loading program's word for it, without its own start, in seconds.
    pub program_seconds: Option<f64>,
    /// Whether anything was loaded at all; a model that was there already takes no time.
    pub fresh: bool,
    pub context_length: Option<u64>,
    pub instance: Option<String>,
    pub doubts: Vec<String>,
}

/// Whether a model is loaded and unloaded by this program. Ollama's cloud models are on nobody's machine.
pub fn has_life_cycle(source: Source, model: &Model) -> bool {
    match source {
        Source::Lmstudio => true,
        Source::Ollama => !ollama::load::is_cloud(&model.id),
        Source::Openrouter | Source::Openai | Source::Minimax => false,
    }
}

/// Unloads every model of the server within `limit`, and makes sure of it.
///
/// # Errors
/// With a sentence, when the server does not do it, or cannot say whether it did.
pub async fn unload_all(api: &Api, source: Source, limit: Duration) -> Result<(), String> {
    let unloading = async {
        match source {
            Source::Lmstudio => lmstudio::load::unload_all(api).await,
            Source::Ollama => ollama::load::unload_all(api).await,
            Source::Openrouter | Source::Openai | Source::Minimax => Ok(()),
        }
    };
    timeout(limit, unloading).await.unwrap_or_else(|_| Err(format!("no end within {limit:?}")))
}

/// The names of what is loaded.
async fn loaded(api: &Api, source: Source) -> Result<Vec<String>, String> {
    match source {
        Source::Lmstudio => lmstudio::load::loaded(api).await,
        Source::Ollama => ollama::load::loaded(api).await,
        Source::Openrouter | Source::Openai | Source::Minimax => Ok(Vec::new()),
    }
}

/// Whether anything answers where the server is to be: a sentence about what to mend where no connection can be made. What else may
/// be wrong with it shows later.
pub async fn unreached(api: &Api, source: Source) -> Option<String> {
    let path = if source == Source::Ollama { "/api/version" } else { "/v1/models" };
    let why = api.get(path, SHORT).await.err().filter(|why| why.kind == FailureKind::Connect)?;
    Some(format!("{}: is the server up, and is --base-url right?", why.message))
}

/// The `load` record of a model whose server was not reached: nothing was asked of it.
pub fn not_begun(source: Source, model: &Model, wanted: &Wanted, run: &str, why: String) -> Load {
    Load { error: Some(why), ..begun(source, model, wanted, run, None, Stamp::now()) }
}

/// Unloads everything, leaves the machine alone for a while, loads `model`, and verifies. The `load` record says how it
/// went, a failure included; `None` when `stop` came before the load was asked for. `notice` hears what is doubtful.
pub async fn load(
    api: &Api,
    source: Source,
    model: &Model,
    wanted: &Wanted,
    run: &str,
    mut stop: Pin<&mut (dyn Future<Output = ()> + Send)>,
    notice: &mut (dyn FnMut(String) + Send),
) -> Option<Load> {
    let mut notice = |text: &str| notice(format!("{}: {text}", model.id));
    for flag in wanted.beyond_rest().into_iter().filter(|flag| source != Source::Lmstudio && *flag != "--ttl") {
        notice(&format!("{flag} is LM Studio's, and not asked of {source}"));
    }
    let baseline = tokio::select! {
        baseline = settle(api, source, wanted, &mut notice) => baseline,
        () = &mut stop => return None,
    };
    let asked = Stamp::now();
    let loading = async {
        match source {
            Source::Lmstudio => lmstudio::load::load(api, model, wanted).await,
            Source::Ollama => ollama::load::load(api, model, wanted).await,
            Source::Openrouter | Source::Openai | Source::Minimax => {
                Err("this kind of server cannot be told to load".into())
            }
        }
    };
    let outcome = tokio::select! {
        outcome = timeout(wanted.limit, loading) => match outcome {
            Ok(outcome) => outcome,
            Err(_) => {
                let why = format!("not loaded within {:?}: --load-timeout sets the limit", wanted.limit);
                stray(api, source, wanted).await;
                Err(why)
            }
        },
        () = &mut stop => {
            stray(api, source, wanted).await;
            Err("stopped before it was loaded".into())
        }
    };
    let mut load = begun(source, model, wanted, run, baseline, asked);
    let ended = match outcome {
        Ok(loaded) => {
            loaded.doubts.iter().for_each(|doubt| notice(doubt));
            (load.started_ts, load.started_mono) = (loaded.began.ts, loaded.began.mono());
            load.loader = loaded.loader;
            load.context_length = loaded.context_length;
            load.instance = loaded.instance.filter(|name| *name != model.id);
            if loaded.fresh {
                let wall = clock::between(loaded.began.mono_ns, loaded.done.mono_ns);
                // A program that says it took longer than it ran has not understood the question.
                let program = loaded.program_seconds.filter(|seconds| *seconds <= wall + 0.01);
                load.load_time_seconds = loaded.server_seconds.or(program).or(Some(wall));
                let by_server = loaded.server_seconds.is_some();
                load.load_time_source = Some(if by_server { LoadTimeSource::Server } else { LoadTimeSource::Wall });
            } else {
                notice("was loaded already, and could not be unloaded: there is no load to time");
            }
            loaded.done
        }
        Err(why) => {
            load.error = Some(why);
            Stamp::now()
        }
    };
    (load.ended_ts, load.ended_mono) = (ended.ts, ended.mono());
    Some(load)
}

/// A load that has not come to anything yet.
fn begun(
    source: Source,
    model: &Model,
    wanted: &Wanted,
    run: &str,
    baseline: Option<[Stamp; 2]>,
    asked: Stamp,
) -> Load {
    Load {
        run: run.to_owned(),
        source,
        model: model.id.clone(),
        baseline_ts: baseline.map(|[from, to]| [from.ts, to.ts]),
        baseline_mono: baseline.map(|[from, to]| [from.mono(), to.mono()]),
        started_ts: asked.ts,
        started_mono: asked.mono(),
        ended_ts: asked.ts,
        ended_mono: asked.mono(),
        load_time_seconds: None,
        load_time_source: None,
        loader: intended(source, wanted),
        gpu_setting: wanted.gpu.clone().filter(|_| source == Source::Lmstudio),
        context_length: None,
        instance: None,
        error: None,
    }
}

/// Unloads everything and leaves the machine alone; from when to when, if nothing was loaded all the while.
async fn settle(
    api: &Api,
    source: Source,
    wanted: &Wanted,
    notice: &mut (dyn FnMut(&str) + Send),
) -> Option<[Stamp; 2]> {
    for _ in 0..BASELINES {
        let unloaded = unload_all(api, source, wanted.limit).await;
        let from = Stamp::now();
        sleep(wanted.settle).await;
        let to = Stamp::now();
        if let Err(why) = unloaded {
            notice(&format!("could not unload what was loaded before, so there is no baseline: {why}"));
            return None;
        }
        // A load that an earlier run, or another program, asked for ends when it ends.
        match loaded(api, source).await {
            Ok(names) if names.is_empty() => return Some([from, to]),
            Ok(names) => notice(&format!("{} was loaded in the middle of the baseline", names.join(", "))),
            Err(_) => return None,
        }
    }
    notice("something else keeps loading models, so there is no baseline");
    None
}

/// Waits a little for a load that was given up to show, so that whoever unloads next finds it. `lms` cancels its own.
async fn stray(api: &Api, source: Source, wanted: &Wanted) {
    if intended(source, wanted) == Loader::Lms {
        return;
    }
    let until = Instant::now() + STRAY;
    while Instant::now() < until && matches!(loaded(api, source).await, Ok(names) if names.is_empty()) {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Who is asked first.
fn intended(source: Source, wanted: &Wanted) -> Loader {
    match source {
        Source::Ollama => Loader::Ollama,
        Source::Lmstudio if !wanted.beyond_rest().is_empty() => Loader::Lms,
        Source::Lmstudio | Source::Openrouter | Source::Openai | Source::Minimax => Loader::Rest,
    }
}
