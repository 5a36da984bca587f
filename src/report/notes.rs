//! What a table cannot say: of which part of a load its rates are, what is doubtful, why something is missing. One list of
//! sentences for every format.

use super::number::shortened;
use crate::record::Source;
use crate::summary::{Group, Summary};
use std::collections::BTreeMap;

/// How many groups a sentence names.
const NAMED: usize = 3;

/// How many sentences of a kind there are.
const MOST: usize = 12;

/// The sentences, without a full stop.
pub fn notes(summary: &Summary) -> Vec<String> {
    if summary.totals.requests == 0 {
        return Vec::new();
    }
    let mut notes: Vec<String> = summary.window.iter().map(|said| said.trim_end_matches('.').to_owned()).collect();
    notes.extend(doubts(summary));
    notes.extend(power(summary));
    notes.extend(memory(summary));
    notes.extend(far_out(summary));
    if summary.sampled() {
        notes.push(format!(
            "Of {} results {} are kept one by one, drawn evenly; the table is of all of them, outliers and comparisons are of these",
            summary.results,
            summary.rows.len()
        ));
    }
    notes
}

/// Words with what they were said of: how often, and of which groups.
type Said<'a> = BTreeMap<&'a str, (u64, Vec<&'a Group>)>;

fn said<'a>(groups: &'a [Group], of: impl Fn(&'a Group) -> Vec<(&'a str, u64)>) -> Vec<(&'a str, u64, String)> {
    let mut all = Said::new();
    for group in groups {
        for (word, n) in of(group) {
            let (sum, who) = all.entry(word).or_default();
            *sum += n;
            who.push(group);
        }
    }
    let mut list: Vec<_> = all.into_iter().collect();
    list.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
    list.truncate(MOST);
    list.into_iter().map(|(word, (n, who))| (word, n, names(&who, groups.len()))).collect()
}

/// The names of groups, where there are others that are not meant.
fn names(who: &[&Group], all: usize) -> String {
    if who.len() == all {
        return String::new();
    }
    let named: Vec<String> = who.iter().take(NAMED).map(|group| shortened(&group.name(), 60)).collect();
    let more = who.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(" ({}{more})", named.join(", "))
}

fn counted(map: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    map.iter().map(|(word, n)| (word.as_str(), *n)).collect()
}

fn doubts(summary: &Summary) -> Vec<String> {
    let doubts = said(&summary.groups, |group| counted(&group.warnings));
    doubts.into_iter().map(|(word, n, who)| format!("doubtful: {n} × {}{who}", shortened(word, 80))).collect()
}

/// Why there is no power, or why something of it is missing.
fn power(summary: &Summary) -> Vec<String> {
    let groups = &summary.groups;
    let reasons = said(groups, |group| {
        let missing = group.meter.iter().flat_map(|meter| counted(&meter.reasons));
        counted(&group.no_power).into_iter().chain(missing).collect()
    });
    let mut notes: Vec<String> =
        reasons.into_iter().map(|(why, n, who)| format!("no power, {n} ×: {}{who}", shortened(why, 160))).collect();
    let unmeasured = |group: &&Group| group.meter.is_none() && group.no_power.is_empty();
    if groups.iter().all(|group| unmeasured(&group)) {
        let elsewhere = groups.iter().filter(|group| is_elsewhere(group)).count();
        notes.push(match elsewhere {
            n if n == groups.len() => "no power: the models ran on other machines, which no meter here can see".into(),
            _ => "no power: no request was joined with the readings of a meter (bench-join --power)".to_owned(),
        });
    }
    notes
}

/// Whether all requests of a group went to another machine.
fn is_elsewhere(group: &Group) -> bool {
    let here = |address: &String| {
        let host = address.split("://").nth(1).unwrap_or(address);
        ["localhost", "127.", "[::1]", "0.0.0.0"].iter().any(|loopback| host.starts_with(loopback))
    };
    match group.source {
        Some(Source::Openrouter | Source::Minimax) => true,
        _ => !group.endpoints.is_empty() && !group.endpoints.iter().any(here),
    }
}

fn memory(summary: &Summary) -> Vec<String> {
    let groups = &summary.groups;
    let whole: Vec<&Group> =
        groups.iter().filter(|g| g.memory_primary.iter().any(|figure| figure.starts_with("system_used"))).collect();
    let mut notes = Vec::new();
    if !whole.is_empty() {
        notes.push(format!(
            "memory is of the whole machine, because no process of the server was measured{}",
            names(&whole, groups.len())
        ));
    }
    let reasons = said(groups, |group| counted(&group.no_memory));
    notes.extend(reasons.into_iter().map(|(why, n, who)| format!("no memory, {n} ×: {}{who}", shortened(why, 160))));
    notes
}

fn far_out(summary: &Summary) -> Vec<String> {
    let say = |group: &Group| {
        let of = |(metric, far): (&crate::summary::Metric, &crate::summary::Outlying)| {
            let farthest = far.requests.first().map(|name| shortened(name, 60)).unwrap_or_default();
            format!("{} {} of {}, farthest {farthest}", metric.name().replace('_', " "), far.n, far.of)
        };
        let words: Vec<String> = group.outliers.iter().map(of).collect();
        (!words.is_empty())
            .then(|| format!("far out, and counted ({}): {}", shortened(&group.name(), 60), words.join("; ")))
    };
    summary.groups.iter().filter_map(say).take(MOST).collect()
}
