//! `--verify-cost`: results wait for OpenRouter's ledger beside the run, and never hold it up.
//!
//! So many may wait at once; a result for which there is no room goes its way at once, unverified. Few of them ask at a time, so
//! that the questions stay small beside the requests that are timed.

use super::{Event, Shared, Stop};
use crate::account;
use crate::record::{Failure, Outcome, Source};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many results may wait. A result that waits holds its answer.
const WAITING: u32 = 256;

/// How many of them may ask at a time.
const ASKING: usize = 4;

/// The results that wait.
#[derive(Debug)]
pub struct Ledger {
    places: Arc<Semaphore>,
    turns: Semaphore,
}

impl Ledger {
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(WAITING as usize)), turns: Semaphore::new(ASKING) }
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Returns when no result waits any more.
    pub async fn empty(&self) {
        // The semaphore is never closed.
        let _ = self.places.acquire_many(WAITING).await;
    }
}

impl Shared {
    /// Hands a result on: at once, or once its cost is verified.
    pub(super) async fn deliver(self: &Arc<Self>, mut outcome: Box<Outcome>, text: String, target: &super::Target) {
        let asked = self.settings.verify_cost && outcome.source == Some(Source::Openrouter);
        // What was refused cost nothing, and is in no book; what was cut may have cost much.
        let cut = |error: &Failure| outcome.generation_id.is_some() && error.status.is_none_or(|status| status < 400);
        let charged = outcome.error.as_ref().is_none_or(cut);
        if !asked || !charged {
            return self.hand_on(outcome, text).await;
        }
        let Some(place) = self.ledger.place() else {
            outcome.warnings.push("cost_unverified".into());
            return self.hand_on(outcome, text).await;
        };
        self.tell(Event::Verifying(outcome.id));
        let (shared, api) = (Arc::clone(self), target.api.clone());
        self.main.spawn(async move {
            account::verify(&api, &shared.ledger.turns, &mut outcome, shared.stop_at(Stop::Leave)).await;
            shared.hand_on(outcome, text).await;
            drop(place);
        });
    }
}
