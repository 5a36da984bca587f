//! What requests failed of, for people: the first of each kind when it happens, and at the end how often it came.

use llm_bench::record::{FailureKind, Outcome};

/// How many kinds are told; what is beyond them is in the records, and counted.
const KINDS: usize = 10;

/// The failures of a run.
#[derive(Debug, Default)]
pub struct Failures {
    kinds: Vec<Kind>,
    /// How many are of none of these.
    others: u64,
}

/// Failures that say the same of the same endpoint.
#[derive(Debug)]
struct Kind {
    endpoint: Option<String>,
    kind: FailureKind,
    message: String,
    times: u64,
}

impl Failures {
    /// Takes a result; what is to be said of it now, if anything.
    pub fn take(&mut self, outcome: &Outcome) -> Option<String> {
        let why = outcome.error.as_ref()?;
        // What was not sent is told in one line for all of it, and a failed load when it failed.
        if why.kind == FailureKind::Load || outcome.start_ts.is_none() && why.kind == FailureKind::Cancelled {
            return None;
        }
        let same = |known: &&mut Kind| {
            known.kind == why.kind && known.message == why.message && known.endpoint == outcome.endpoint
        };
        if let Some(known) = self.kinds.iter_mut().find(same) {
            known.times += 1;
            return None;
        }
        if self.kinds.len() == KINDS {
            self.others += 1;
            return (self.others == 1).then(|| "requests fail in other ways, too: see the records".into());
        }
        let (endpoint, kind, message) = (outcome.endpoint.clone(), why.kind, why.message.clone());
        self.kinds.push(Kind { endpoint, kind, message, times: 1 });
        let said = outcome.errors.generation.as_deref().unwrap_or(&why.message);
        Some(format!("{}: request {}: {}: {said}", outcome.model, outcome.id, why.kind))
    }

    /// How often those came that came more than once, a line for each.
    pub fn again(&self) -> impl Iterator<Item = String> {
        let line = |kind: &Kind| {
            let place = kind.endpoint.as_ref().filter(|place| !kind.message.contains(place.as_str()));
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            format!("{} requests failed so: {place}{}: {}", kind.times, kind.kind, kind.message)
        };
        let others =
            (self.others > 0).then(|| format!("{} requests failed in other ways: see the records", self.others));
        self.kinds.iter().filter(|kind| kind.times > 1).map(line).chain(others)
    }
}
