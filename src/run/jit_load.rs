//! Model loads that a request caused.

use super::config::Target;
use crate::clock::{self, Stamp};
use crate::protocol::StreamedAnswer;
use crate::record::{Load, LoadTimeMethod, Loader};
use serde_json::Value;

/// The load time that a server reports in the statistics of a response.
pub fn load_seconds(stats: &Value) -> Option<f64> {
    stats.get("model_load_time_seconds").and_then(Value::as_f64).filter(|seconds| (0.0..1e6).contains(seconds))
}

/// The load that a request caused because its model was not there, once it is done, where the server
/// reports it (LM Studio's native chat). It has no baseline.
pub fn jit_load(run: &str, target: &Target, answer: &StreamedAnswer) -> Option<Load> {
    let stats = answer.metadata.rest_stats.as_ref()?;
    let mono = |name: &str| stats.get(name).and_then(Value::as_f64);
    let (started_mono, ended_mono) = (mono("model_load_start_mono")?, mono("model_load_end_mono")?);
    let now = Stamp::now();
    let ts = |mono: f64| clock::micros(now.ts - (now.mono() - mono));
    Some(Load {
        run: run.to_owned(),
        source: target.source,
        model: target.model.id.clone(),
        baseline_ts: None,
        baseline_mono: None,
        started_ts: ts(started_mono),
        started_mono,
        ended_ts: ts(ended_mono),
        ended_mono,
        load_time_seconds: load_seconds(stats),
        load_time_method: load_seconds(stats).map(|_| LoadTimeMethod::Server),
        loader: Loader::Jit,
        gpu_setting: None,
        context_length: None,
        instance: answer.metadata.served_model.clone().filter(|name| *name != target.model.id),
        error: None,
    })
}
