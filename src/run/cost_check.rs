//! `--verify-cost`: results wait for OpenRouter's record of their cost beside the run, and never
//! hold it up. A result for which there is no room goes on unverified.

use super::config::Target;
use super::event::{Event, EventSender};
use crate::load::shutdown::ShutdownSignal;
use crate::record::{Failure, Outcome};
use crate::sources;
use crate::sources::openrouter::account;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How many results may wait; each holds its answer.
const MAX_WAITING: u32 = 256;

/// How many look-ups run at once: they stay small beside the requests that are timed.
const MAX_LOOKUPS: usize = 4;

/// Verifies the cost of results on their way to the sink.
#[derive(Debug)]
pub struct CostVerifier {
    enabled: bool,
    room: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    events: EventSender,
    shutdown: ShutdownSignal,
    /// The runtime of what is not timed.
    runtime: Handle,
}

impl CostVerifier {
    /// A verifier that looks up costs where `enabled`, in the current runtime.
    pub fn new(enabled: bool, events: EventSender, shutdown: ShutdownSignal) -> Self {
        Self {
            enabled,
            room: Arc::new(Semaphore::new(MAX_WAITING as usize)),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            events,
            shutdown,
            runtime: Handle::current(),
        }
    }

    /// Sends a result to the sink: at once, or once its cost is verified.
    pub async fn deliver(&self, mut result: Box<Outcome>, text: String, target: &Target) {
        if !self.enabled || !sources::kind(target.source).is_router || !may_have_cost(&result) {
            return self.events.result(result, text).await;
        }
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            result.warnings.push("cost_unverified".into());
            return self.events.result(result, text).await;
        };
        self.events.send(Event::VerifyingCost(result.id));
        let (events, shutdown, api) = (self.events.clone(), self.shutdown.clone(), target.api.clone());
        let lookups = Arc::clone(&self.lookups);
        self.runtime.spawn(async move {
            account::verify(&api, &lookups, &mut result, shutdown.immediate()).await;
            events.result(result, text).await;
            drop(place);
        });
    }

    /// Waits until no result waits any more.
    pub async fn finish(&self) {
        // The semaphore is never closed.
        let _ = self.room.acquire_many(MAX_WAITING).await;
    }
}

/// A refused request cost nothing and has no record; an interrupted one may have cost much.
fn may_have_cost(result: &Outcome) -> bool {
    let interrupted =
        |error: &Failure| result.generation_id.is_some() && error.status.is_none_or(|status| status < 400);
    result.error.as_ref().is_none_or(interrupted)
}
