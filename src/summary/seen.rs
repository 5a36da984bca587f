//! What each run asked, whom and where, and how its results are numbered: enough to say how it is made again, and whether
//! some of it is there twice.

use super::words::LONGEST_WORD;
use crate::record::{ResultFields, Source};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The most runs that are told apart.
const RUNS: usize = 2000;

/// How many models and endpoints of a run are remembered: one more than a command names one by one.
const MOST: usize = 9;

/// What was seen of a run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The kinds of servers that were asked.
    pub sources: BTreeSet<Source>,
    /// The first models that were asked, in the order of the results.
    pub models: Vec<String>,
    /// The first addresses that requests were sent to.
    pub endpoints: Vec<String>,
    results: u64,
    least: u64,
    most: u64,
}

impl Seen {
    fn add(&mut self, o: &ResultFields) {
        self.least = if self.results == 0 { o.id } else { self.least.min(o.id) };
        self.most = self.most.max(o.id);
        self.results += 1;
        self.sources.extend(o.source);
        note(&mut self.models, Some(&o.model));
        note(&mut self.endpoints, o.endpoint.as_deref());
    }

    /// Whether there are more results than numbers for them. Results that were never numbered all have the number 0.
    fn doubled(&self) -> Option<u64> {
        let numbers = (self.most - self.least).saturating_add(1);
        (self.most > 0 && self.results > numbers).then_some(numbers)
    }
}

fn note(list: &mut Vec<String>, word: Option<&str>) {
    let Some(word) = word.filter(|word| word.len() <= LONGEST_WORD * 4) else { return };
    // Most often it is the last one again.
    if list.last().is_none_or(|last| last != word) && list.len() < MOST && !list.iter().any(|known| known == word) {
        list.push(word.to_owned());
    }
}

/// The runs, by their names.
#[derive(Debug, Clone, Default)]
pub struct Runs(BTreeMap<String, Seen>);

impl Runs {
    /// Notes a result, warm-up or not.
    pub(super) fn add(&mut self, o: &ResultFields) {
        let room = self.0.len() < RUNS;
        match self.0.get_mut(&*o.run) {
            Some(seen) => seen.add(o),
            None if room => self.0.entry(o.run.to_string()).or_default().add(o),
            None => {}
        }
    }

    /// What was seen of a run.
    pub fn of(&self, run: &str) -> Option<&Seen> {
        self.0.get(run)
    }

    /// The runs that have more results than numbers for them.
    pub(super) fn doubled(&self) -> Vec<Doubled> {
        let doubled = |(run, seen): (&String, &Seen)| {
            Some(Doubled { run: run.clone(), results: seen.results, numbers: seen.doubled()? })
        };
        self.0.iter().filter_map(doubled).collect()
    }
}

/// A run some of whose results are there twice: a file was read twice, or two runs have one name. All of them count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubled {
    /// The run.
    pub run: String,
    /// How many results there are.
    pub results: u64,
    /// How many numbers there are from the first to the last that a result of it has.
    pub numbers: u64,
}

impl Doubled {
    /// What there is to say of it, without a full stop.
    pub fn said(&self) -> String {
        let Self { run, results, numbers } = self;
        let s = if *numbers == 1 { "" } else { "s" };
        format!(
            "run {run}: {results} results with {numbers} number{s}: a file was read twice, or two runs have one name; all count"
        )
    }
}
