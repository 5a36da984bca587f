//! llm-run: load × models × prompts → records.
//!
//! Models on this machine are measured one after another, each loaded, measured and unloaded; remote
//! ones share one pool. Workers send; one sink writes: [`run`] hands it every event in the order in
//! which it happened. Nothing here knows standard output or the command line.

mod config;
mod context;
mod cost_check;
mod counts;
mod event;
mod fallback;
mod fitted_prompts;
mod jit_load;
mod jobs;
mod level;
mod model_phase;
mod planned_request;
mod progress;
mod prompt_fitting;
mod request;
mod result;
mod resume;
mod retry;
mod search;
mod worker;

pub use config::{ApiChoice, Nonce, RunConfig, Target};
pub use counts::RunCounts;
pub use event::Event;
pub use fitted_prompts::FittedPrompts;
pub use jobs::requests_left;
pub use planned_request::PlannedRequest;
pub use progress::{RequestProgress, RequestState};

use crate::load::shutdown::ShutdownSignal;
use context::RunContext;
use event::{EventReceiver, event_queue};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Runs everything and hands every event to `sink`. A sink that failed still gets what had happened
/// until then, and its answer is ignored.
///
/// # Errors
/// When the sink fails: requests in flight are dropped at once, and models are unloaded. When the
/// system has no thread for an event loop.
pub async fn run(
    config: RunConfig,
    targets: Vec<Target>,
    shutdown: ShutdownSignal,
    mut sink: impl FnMut(Event) -> io::Result<()>,
) -> io::Result<RunCounts> {
    let (events, mut received) = event_queue();
    let context = Arc::new(RunContext::new(config, targets, shutdown, events)?);
    let driver = tokio::spawn(drive(Arc::clone(&context)));
    let abort = driver.abort_handle();
    if let Err(error) = pump(&mut received, std::pin::pin!(driver), &mut sink).await {
        abort.abort();
        model_phase::unload_quietly(&context).await;
        while let Some(event) = received.try_next() {
            let _ = sink(event);
        }
        return Err(error);
    }
    while let Some(event) = received.try_next() {
        sink(event)?;
    }
    Ok(context.counts.finish())
}

async fn drive(context: Arc<RunContext>) {
    model_phase::run_stages(&context).await;
    context.cost.finish().await;
}

/// Hands events to the sink until the driver ends: the context holds a sender, so the queue does not.
async fn pump(
    received: &mut EventReceiver,
    mut driver: Pin<&mut JoinHandle<()>>,
    sink: &mut impl FnMut(Event) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            biased;
            Some(event) = received.next() => {
                let done = matches!(event, Event::Done { .. });
                sink(event)?;
                if done {
                    received.make_room();
                }
            }
            ended = &mut driver => return ended.map_err(io::Error::other),
        }
    }
}

/// Whether a run loads and unloads the model of a target.
pub fn loads(target: &Target) -> bool {
    crate::sources::load::has_life_cycle(target.source, &target.model)
}
