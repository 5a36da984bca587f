//! The counts of a run.

use crate::locks::locked;
use crate::record::{FailureKind, Outcome};
use std::sync::Mutex;

/// The counts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Requests that ended well.
    pub ok: u64,
    /// Requests that failed, and models that did not load.
    pub failed: u64,
    /// Those among the failed ones that found no server to connect to.
    pub unreached: u64,
    /// Requests that were planned and never sent.
    pub not_sent: u64,
    /// Whether a level with a duration was stopped before its end.
    pub interrupted: bool,
    /// Whether every search found an answer; `None` without a search.
    pub search_found: Option<bool>,
}

impl RunCounts {
    /// Whether no request that was made found a server.
    pub fn no_server(&self) -> bool {
        self.failed > 0 && self.ok == 0 && self.failed == self.unreached
    }
}

/// Counts a run while it goes on.
#[derive(Debug, Default)]
pub struct RunCounter(Mutex<RunCounts>);

impl RunCounter {
    /// Adds a result.
    pub fn add(&self, result: &Outcome) {
        let mut counts = locked(&self.0);
        match &result.error {
            None => counts.ok += 1,
            Some(failure) => {
                counts.failed += 1;
                let unreached = failure.kind == FailureKind::Connect && result.start_ts.is_none();
                counts.unreached += u64::from(unreached);
            }
        }
    }

    /// Adds a failure without a server's part in it.
    pub fn add_failure(&self) {
        locked(&self.0).failed += 1;
    }

    /// Adds a model that did not load.
    pub fn add_failed_load(&self, unreached: bool, searching: bool) {
        let mut counts = locked(&self.0);
        counts.failed += 1;
        counts.unreached += u64::from(unreached);
        if searching {
            counts.search_found = Some(false);
        }
    }

    /// Adds requests that were planned and are not sent.
    pub fn add_not_sent(&self, requests: u64) {
        locked(&self.0).not_sent += requests;
    }

    /// Adds a search.
    pub fn add_search(&self, found: bool) {
        let mut counts = locked(&self.0);
        counts.search_found = Some(counts.search_found.unwrap_or(true) && found);
    }

    /// Notes that a level with a duration was stopped before its end.
    pub fn interrupt(&self) {
        locked(&self.0).interrupted = true;
    }

    /// The counts until now.
    pub fn finish(&self) -> RunCounts {
        *locked(&self.0)
    }
}
