//! How the models of a server are loaded and unloaded.

use crate::clock::Stamp;
use crate::http::Api;
use crate::record::{Loader, Model};
use futures_util::future::BoxFuture;
use std::time::Duration;

/// Timeout for a listing or an unload.
pub const SHORT: Duration = Duration::from_secs(30);

/// How a kind of server loads and unloads models. Errors are sentences for the user.
#[derive(Debug, Clone, Copy)]
pub struct LifeCycle {
    /// Whether the server loads this model into its own memory.
    pub loads: fn(&Model) -> bool,
    /// Loads a model and verifies that it is the one that was requested.
    pub load: for<'a> fn(&'a Api, &'a Model, &'a LoadOptions) -> BoxFuture<'a, Result<LoadedModel, String>>,
    /// The names of the loaded models.
    pub loaded: for<'a> fn(&'a Api) -> BoxFuture<'a, Result<Vec<String>, String>>,
    /// Unloads every model, and verifies that none is left.
    pub unload_all: for<'a> fn(&'a Api) -> BoxFuture<'a, Result<(), String>>,
    /// What is asked first to load a model.
    pub loader: fn(&LoadOptions) -> Loader,
    /// The flags of [`LoadOptions`] that the server understands.
    pub flags: &'static [&'static str],
}

/// How a model is to be loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Context length, in tokens.
    pub context_length: Option<u64>,
    /// GPU offload: `max`, `off` or a ratio from 0 to 1.
    pub gpu: Option<String>,
    /// Time without a request after which the server unloads the model by itself.
    pub ttl: Option<Duration>,
    /// Number of requests that the server may process at once.
    pub parallel: Option<u64>,
    /// Name under which the loaded instance answers.
    pub identifier: Option<String>,
    /// Idle time before the load, with no model loaded: the baseline.
    pub settle: Duration,
    /// Timeout for the load.
    pub limit: Duration,
}

impl LoadOptions {
    /// Timeout for one step of a load: longer than the load, so that the timeout of the load is the one that is reported.
    pub fn step_limit(&self) -> Duration {
        self.limit.saturating_add(SHORT)
    }

    /// The flags that are set, except the context length.
    pub fn flags(&self) -> Vec<&'static str> {
        let flags = [
            ("--gpu", self.gpu.is_some()),
            ("--ttl", self.ttl.is_some()),
            ("--parallel", self.parallel.is_some()),
            ("--identifier", self.identifier.is_some()),
        ];
        flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag).collect()
    }
}

/// A model that was loaded.
#[derive(Debug)]
pub struct LoadedModel {
    /// What loaded it.
    pub loader: Loader,
    /// Start of the load request; listing before it is not loading.
    pub began: Stamp,
    /// End of the load request; verifying after it is not loading.
    pub done: Stamp,
    /// Duration that the server reports, in seconds.
    pub server_seconds: Option<f64>,
    /// Duration that the loading program reports, without its own start, in seconds.
    pub program_seconds: Option<f64>,
    /// Whether anything was loaded; a model that was loaded before takes no time.
    pub fresh: bool,
    /// Context length of the loaded instance, in tokens.
    pub context_length: Option<u64>,
    /// Name under which the loaded instance answers.
    pub instance: Option<String>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}
