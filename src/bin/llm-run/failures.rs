//! Counts failures by kind: the first of each kind is shown at once, and at the end their numbers.

use llm_bench::record::{FailureKind, Outcome};

/// The most kinds that are shown; the others are counted, and in the records.
const MAX_GROUPS: usize = 10;

/// The failures of a run.
#[derive(Debug, Default)]
pub struct Failures {
    groups: Vec<FailureGroup>,
    others: u64,
}

/// Failures with one message of one endpoint.
#[derive(Debug)]
struct FailureGroup {
    endpoint: Option<String>,
    kind: FailureKind,
    message: String,
    count: u64,
}

impl Failures {
    /// Adds a result. Returns what is to be shown now.
    pub fn add(&mut self, result: &Outcome) -> Option<String> {
        let error = result.error.as_ref()?;
        // Requests that are not sent get one line together, and a failed load had its own.
        let cancelled = error.kind == FailureKind::Cancelled;
        if error.kind == FailureKind::Load || result.start_ts.is_none() && cancelled {
            return None;
        }
        let same = |group: &&mut FailureGroup| {
            group.kind == error.kind && group.message == error.message && group.endpoint == result.endpoint
        };
        if let Some(group) = self.groups.iter_mut().find(same) {
            group.count += 1;
            return None;
        }
        if self.groups.len() == MAX_GROUPS {
            self.others += 1;
            return (self.others == 1).then(|| "requests fail in other ways, too: see the records".into());
        }
        let (endpoint, kind, message) = (result.endpoint.clone(), error.kind, error.message.clone());
        self.groups.push(FailureGroup { endpoint, kind, message, count: 1 });
        let message = result.errors.generation.as_deref().unwrap_or(&error.message);
        Some(format!("{}: request {}: {}: {message}", result.model, result.id, error.kind))
    }

    /// A line for each kind that came more than once.
    pub fn summary(&self) -> impl Iterator<Item = String> {
        let line = |group: &FailureGroup| {
            let endpoint = group.endpoint.as_ref().filter(|url| !group.message.contains(url.as_str()));
            let endpoint = endpoint.map_or_else(String::new, |endpoint| format!("{endpoint}: "));
            let FailureGroup { kind, message, count, .. } = group;
            format!("{count} requests failed so: {endpoint}{kind}: {message}")
        };
        let others =
            (self.others > 0).then(|| format!("{} requests failed in other ways: see the records", self.others));
        self.groups.iter().filter(|group| group.count > 1).map(line).chain(others)
    }
}
