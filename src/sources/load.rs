//! Loads a model, times it, and verifies that it is the right one.
//!
//! The result is verified by the server's listing, because a loader may report success for another model (`lms load` matches names
//! loosely and exits 0).

use super::life_cycle::{LoadOptions, SHORT};
use super::{WHEN_DOWN, kind, with_advice};
use crate::clock::{self, Stamp};
use crate::http::Api;
use crate::record::{FailureKind, Load, LoadTimeMethod, Loader, Model, Source};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Attempts at a baseline during which no model is loaded.
const BASELINES: u32 = 3;

/// Wait for a load that was given up, so that it can be unloaded: servers finish it all the same.
const STRAY: Duration = Duration::from_secs(5);

/// Whether this program loads and unloads a model.
pub fn has_life_cycle(source: Source, model: &Model) -> bool {
    kind(source).life_cycle.is_some_and(|cycle| (cycle.loads)(model))
}

/// Unloads every model of the server within `limit`, and verifies it.
///
/// # Errors
/// With a sentence, when the server does not do it, or cannot say whether it did.
pub async fn unload_all(api: &Api, source: Source, limit: Duration) -> Result<(), String> {
    let Some(cycle) = kind(source).life_cycle else { return Ok(()) };
    timeout(limit, (cycle.unload_all)(api)).await.unwrap_or_else(|_| Err(format!("no end within {limit:?}")))
}

/// The names of the loaded models.
async fn loaded(api: &Api, source: Source) -> Result<Vec<String>, String> {
    match kind(source).life_cycle {
        Some(cycle) => (cycle.loaded)(api).await,
        None => Ok(Vec::new()),
    }
}

/// Checks that a connection to the server can be made; otherwise returns a sentence with what to do.
pub async fn unreached(api: &Api, source: Source) -> Option<String> {
    let error =
        api.get(kind(source).probe_path, SHORT).await.err().filter(|error| error.kind == FailureKind::Connect)?;
    Some(with_advice(&error, WHEN_DOWN))
}

/// The `load` record of a model whose server was not reached.
pub fn not_begun(source: Source, model: &Model, options: &LoadOptions, run: &str, error: String) -> Load {
    Load { error: Some(error), ..new_record(source, model, options, run, None, Stamp::now()) }
}

/// Unloads everything, leaves the machine idle for the baseline, loads `model`, and verifies it. Returns the `load` record, also of a
/// failed load; `None` when `stop` completes before the load request. `notice` gets warnings.
pub async fn load(
    api: &Api,
    source: Source,
    model: &Model,
    options: &LoadOptions,
    run: &str,
    mut stop: Pin<&mut (dyn Future<Output = ()> + Send)>,
    notice: &mut (dyn FnMut(String) + Send),
) -> Option<Load> {
    let mut notice = |text: &str| notice(format!("{}: {text}", model.id));
    for flag in options.flags().into_iter().filter(|flag| !understands(source, flag)) {
        notice(&format!("{flag} is LM Studio's, and not asked of {source}"));
    }
    let baseline = tokio::select! {
        baseline = settle(api, source, options, &mut notice) => baseline,
        () = &mut stop => return None,
    };
    let requested = Stamp::now();
    let loading = async {
        match kind(source).life_cycle {
            Some(cycle) => (cycle.load)(api, model, options).await,
            None => Err("this kind of server cannot be told to load".into()),
        }
    };
    let outcome = tokio::select! {
        outcome = timeout(options.limit, loading) => match outcome {
            Ok(outcome) => outcome,
            Err(_) => {
                let error = format!("not loaded within {:?}: --load-timeout sets the limit", options.limit);
                wait_for_stray_load(api, source, options).await;
                Err(error)
            }
        },
        () = &mut stop => {
            wait_for_stray_load(api, source, options).await;
            Err("stopped before it was loaded".into())
        }
    };
    let mut load = new_record(source, model, options, run, baseline, requested);
    let ended = match outcome {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| notice(warning));
            (load.started_ts, load.started_mono) = (loaded.began.ts, loaded.began.mono());
            load.loader = loaded.loader;
            load.context_length = loaded.context_length;
            load.instance = loaded.instance.filter(|name| *name != model.id);
            if loaded.fresh {
                let wall = clock::between(loaded.began.mono_ns, loaded.done.mono_ns);
                // A reported duration longer than the run of the program is wrong.
                let program = loaded.program_seconds.filter(|seconds| *seconds <= wall + 0.01);
                load.load_time_seconds = loaded.server_seconds.or(program).or(Some(wall));
                let by_server = loaded.server_seconds.is_some();
                load.load_time_method = Some(if by_server { LoadTimeMethod::Server } else { LoadTimeMethod::Wall });
            } else {
                notice("was loaded already, and could not be unloaded: there is no load to time");
            }
            loaded.done
        }
        Err(error) => {
            load.error = Some(error);
            Stamp::now()
        }
    };
    (load.ended_ts, load.ended_mono) = (ended.ts, ended.mono());
    Some(load)
}

/// The `load` record before the result is known.
fn new_record(
    source: Source,
    model: &Model,
    options: &LoadOptions,
    run: &str,
    baseline: Option<[Stamp; 2]>,
    requested: Stamp,
) -> Load {
    Load {
        run: run.to_owned(),
        source,
        model: model.id.clone(),
        baseline_ts: baseline.map(|[from, to]| [from.ts, to.ts]),
        baseline_mono: baseline.map(|[from, to]| [from.mono(), to.mono()]),
        started_ts: requested.ts,
        started_mono: requested.mono(),
        ended_ts: requested.ts,
        ended_mono: requested.mono(),
        load_time_seconds: None,
        load_time_method: None,
        loader: intended(source, options),
        gpu_setting: options.gpu.clone().filter(|_| understands(source, "--gpu")),
        context_length: None,
        instance: None,
        error: None,
    }
}

/// Unloads everything and leaves the machine idle; returns start and end if nothing was loaded meanwhile.
async fn settle(
    api: &Api,
    source: Source,
    options: &LoadOptions,
    notice: &mut (dyn FnMut(&str) + Send),
) -> Option<[Stamp; 2]> {
    for _ in 0..BASELINES {
        let unloaded = unload_all(api, source, options.limit).await;
        let from = Stamp::now();
        sleep(options.settle).await;
        let to = Stamp::now();
        if let Err(error) = unloaded {
            notice(&format!("could not unload what was loaded before, so there is no baseline: {error}"));
            return None;
        }
        // A load that an earlier run, or another program, requested may end now.
        match loaded(api, source).await {
            Ok(names) if names.is_empty() => return Some([from, to]),
            Ok(names) => notice(&format!("{} was loaded in the middle of the baseline", names.join(", "))),
            Err(_) => return None,
        }
    }
    notice("something else keeps loading models, so there is no baseline");
    None
}

/// Waits until a load that was given up is listed, so that the next unload finds it. `lms` cancels its own.
async fn wait_for_stray_load(api: &Api, source: Source, options: &LoadOptions) {
    if intended(source, options) == Loader::Lms {
        return;
    }
    let until = Instant::now() + STRAY;
    while Instant::now() < until && matches!(loaded(api, source).await, Ok(names) if names.is_empty()) {
        sleep(Duration::from_millis(100)).await;
    }
}

/// What is asked first to load a model.
fn intended(source: Source, options: &LoadOptions) -> Loader {
    kind(source).life_cycle.map_or(Loader::Rest, |cycle| (cycle.loader)(options))
}

/// Whether the server understands a flag of the load options.
fn understands(source: Source, flag: &str) -> bool {
    kind(source).life_cycle.is_some_and(|cycle| cycle.flags.contains(&flag))
}
