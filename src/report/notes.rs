//! What a table cannot say: of which part of a load its rates are, what is doubtful, why something is missing. One list of
//! sentences for every format.

use super::number::shortened;
use super::search;
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
    let alone = summary.searches.len() == 1 && summary.groups.iter().all(|g| g.model == summary.groups[0].model);
    let searches = summary.searches.iter().take(MOST);
    notes.splice(0..0, searches.map(|search| shortened(&search::line(search, alone), 400)));
    notes.extend(unread(summary));
    let machines = summary.machines();
    if machines.len() > 1 && summary.groups.iter().all(|group| !group.settings.contains_key("machine")) {
        notes.push(format!(
            "requests of {} machines are put together, as --group-by asks: with machine in it they are told apart",
            machines.len()
        ));
    }
    notes.extend(summary.doubled.iter().take(MOST).map(|doubled| shortened(&doubled.said(), 300)));
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

/// How much of the input could not be read, where some of it could not.
pub fn unread(summary: &Summary) -> Option<String> {
    match summary.unreadable {
        0 => None,
        1 => Some("a line of the input could not be read, and is not counted".into()),
        n => Some(format!("{n} lines of the input could not be read, and are not counted")),
    }
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

/// Whether all requests of a group went to another machine. The address decides, also of a service that is known to be
/// elsewhere: whoever asks it at this machine asks a simulation or a proxy of it. Only where no address is told the kind of
/// server does.
fn is_elsewhere(group: &Group) -> bool {
    match group.endpoints.is_empty() {
        true => group.source.is_some_and(Source::is_hosted),
        false => !group.endpoints.iter().any(|address| is_here(address)),
    }
}

/// Whether the host of an address is this machine.
fn is_here(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let name = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let address: Result<std::net::IpAddr, _> = name.parse();
    // A server that listens on every address is asked at 0.0.0.0 by careless people, and it works.
    address.map_or_else(
        |_| name == "localhost" || name.ends_with(".localhost"),
        |address| address.to_canonical().is_loopback() || address.is_unspecified(),
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;
    use crate::summary::Collector;

    #[test]
    fn a_host_is_here_by_its_address_and_by_nothing_that_looks_like_it() {
        for (address, here) in [
            ("http://127.0.0.1:1234/v1/chat/completions", true),
            ("http://127.8.8.8/v1", true),
            ("http://LOCALHOST:8080/v1", true),
            ("http://lms.localhost/v1", true),
            ("http://[::1]:1234/v1", true),
            ("http://[::ffff:127.0.0.1]:1234/v1", true),
            ("http://0.0.0.0:8000", true),
            ("localhost:1234", true),
            ("https://127.0.0.1.example.com/v1", false),
            ("https://localhost.example.com/v1", false),
            ("https://127.example.com", false),
            ("https://localhost@example.com/v1", false),
            ("http://192.168.1.7:1234/v1", false),
            ("https://api.minimax.io/v1/chat/completions?at=localhost", false),
            ("", false),
        ] {
            assert_eq!(is_here(address), here, "{address}");
        }
    }

    #[test]
    fn where_models_ran_is_told_by_the_address_and_by_the_kind_of_server_where_there_is_none() {
        for (source, endpoint, elsewhere) in [
            (Source::Minimax, Some("http://127.0.0.1:9000/v1/chat/completions"), false),
            (Source::Openrouter, Some("http://[::1]:9000/api/v1/chat/completions"), false),
            (Source::Minimax, Some("https://api.minimax.io/v1/chat/completions"), true),
            (Source::Minimax, None, true),
            (Source::Lmstudio, None, false),
            (Source::Lmstudio, Some("http://studio.lan:1234/api/v1/chat"), true),
        ] {
            let mut collector = Collector::default();
            let endpoint = endpoint.map(str::to_owned);
            let result = fixture::result(1, "m").source(source).set(|o| o.endpoint = endpoint);
            collector.add(result.into(), None);
            let notes = notes(&collector.finish());
            let said = notes.iter().any(|note| note.contains("on other machines"));
            assert_eq!(said, elsewhere, "{source} {notes:?}");
        }
    }
}
