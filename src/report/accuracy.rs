//! How right this machine measures: the record of an accuracy curve, and what it says of a later run.
//!
//! Nothing is corrected by it. It says whether a run was within what the machine was seen to measure right.

use super::number;
use crate::record::{self, Accuracy, AccuracyLevel, Host, Quantiles};
use crate::summary::{Group, Summary, Unit};
use std::io::{self, BufRead, Write};

/// Writes the accuracy of a run that has its truth beside it, as one record.
///
/// # Errors
/// When there is none to be made, or the output is closed or full.
pub fn write(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    let Some(accuracy) = &summary.calibrated else {
        return Err(io::Error::other(
            "no result has llm-sim's truth beside it: join them first, with bench-join --ground-truth (pipelines/accuracy.sh does)",
        ));
    };
    writeln!(to, "{}", record::line(accuracy)?)
}

/// The last accuracy in lines of records; `None` where there is none.
///
/// # Errors
/// When the input cannot be read.
pub fn read(input: impl BufRead) -> io::Result<Option<Accuracy>> {
    let mut found = None;
    for line in input.lines() {
        if let Ok(record::Record::Accuracy(accuracy)) = record::read(&line?) {
            found = Some(*accuracy);
        }
    }
    Ok(found)
}

/// What an accuracy curve says of one load of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// Whether it was measured right, as far as the accuracy can tell.
    pub right: bool,
    /// The sentence.
    pub text: String,
}

/// What an accuracy curve says of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Whether the run was within what was seen to be measured right, on the machine that it was seen on.
    pub right: bool,
    /// In a few words.
    pub short: String,
    /// The whole of it.
    pub sentence: String,
    /// Each load of the run.
    pub loads: Vec<Said>,
}

/// Up to which load the machine measures right, in a sentence.
pub fn verdict(accuracy: &Accuracy) -> String {
    let limit = seconds(accuracy.limit_seconds);
    let machine = machine(&accuracy.host);
    let tried = accuracy.levels.last().map_or(0, |level| level.concurrency);
    let highest = highest_right(accuracy);
    let doubt = doubt(highest);
    let over = highest.map_or_else(String::new, |level| match (level.requests, level.is_uncertain()) {
        (n, false) => format!(" over {n} requests"),
        (n, true) => format!(
            " over {n} {}, and fewer than {} cannot tell it",
            if n == 1 { "request" } else { "requests" },
            AccuracyLevel::FEWEST
        ),
    });
    match accuracy.accurate_up_to {
        Some(n) if n == tried => format!(
            "{machine} measures right up to {}{doubt} at once, the most that was tried: the 99th percentile of the error \
             is under {limit}{over}.",
            count_of_streams(n)
        ),
        Some(n) => {
            let next = accuracy.levels.iter().find(|level| level.concurrency > n);
            let beyond = next.map_or_else(String::new, |level| format!("; {}", wrong(level)));
            format!(
                "{machine} measures right up to {}{doubt} at once: the 99th percentile of the error is under \
                 {limit}{over}{beyond}.",
                count_of_streams(n)
            )
        }
        None => {
            let first = accuracy.levels.first().map_or_else(String::new, |level| format!(": {}", wrong(level)));
            format!("{machine} was not seen to measure right at any load{first}.")
        }
    }
}

/// The highest load that was measured right.
fn highest_right(accuracy: &Accuracy) -> Option<&AccuracyLevel> {
    accuracy.levels.iter().find(|level| Some(level.concurrency) == accuracy.accurate_up_to)
}

/// The mark of a load behind which too few requests stand.
fn doubt(level: Option<&AccuracyLevel>) -> &'static str {
    if level.is_some_and(AccuracyLevel::is_uncertain) { "?" } else { "" }
}

/// What is wrong with a load that is not measured right.
fn wrong(level: &AccuracyLevel) -> String {
    let failed = if level.failed > 0 {
        format!(", and {} request{} failed", level.failed, if level.failed == 1 { "" } else { "s" })
    } else {
        String::new()
    };
    let worst =
        error_p99(level).map_or_else(|| "it is not known".to_owned(), |error| format!("it is {}", seconds(error)));
    format!("at {} {worst}{failed}", level.concurrency)
}

/// The larger of both 99th percentiles.
fn error_p99(level: &AccuracyLevel) -> Option<f64> {
    [&level.ttft_error_seconds, &level.gap_p99_error_seconds]
        .into_iter()
        .filter_map(|error| error.as_ref()?.p99)
        .reduce(f64::max)
}

/// What it says of the run of this summary; `None` where there is no accuracy, or no run to speak of.
fn judge(summary: &Summary) -> Option<Judged> {
    let accuracy = summary.accuracy.as_ref()?;
    if summary.groups.is_empty() {
        return None;
    }
    let loads: Vec<Said> = distinct(summary).into_iter().map(|load| load.said(accuracy)).collect();
    let other = summary.runs.iter().find_map(|run| differs(&run.host, &accuracy.host));
    let unknown = summary.runs.is_empty().then(|| "which machine this run was on is not known".to_owned());
    let elsewhere = other.or(unknown);
    let right = elsewhere.is_none() && loads.iter().all(|load| load.right);
    let most = distinct(summary).iter().filter_map(|load| load.streams).max();
    let used =
        most.map_or_else(|| "how many streams this run used is not known".to_owned(), |n| format!("this run used {n}"));
    let (up_to, doubt) = (accuracy.accurate_up_to, doubt(highest_right(accuracy)));
    let short = match (&elsewhere, right, up_to) {
        (Some(_), ..) => "calibrated on another machine".to_owned(),
        (None, true, Some(n)) => format!("measures right up to {}{doubt}", count_of_streams(n)),
        (None, _, Some(n)) => format!("beyond the {} measured right", count_of_streams(n)),
        (None, _, None) => "does not measure right".to_owned(),
    };
    let near = most.and_then(|most| accuracy.levels.iter().find(|level| level.concurrency >= most));
    let at = near.and_then(|level| {
        error_p99(level).map(|error| format!("p99 error {} at {}; ", seconds(error), level.concurrency))
    });
    let host = elsewhere.map_or_else(String::new, |why| format!(" But {why}: that says nothing of this run."));
    let sentence = format!("{} ({}{used}).{host}", verdict(accuracy).trim_end_matches('.'), at.unwrap_or_default());
    Some(Judged { right, short, sentence, loads })
}

/// What is to be said below the table: of a later run what the accuracy says of it, of the accuracy itself up to
/// where it is right.
pub fn sentences(summary: &Summary) -> Vec<String> {
    match (judged(summary), &summary.accuracy) {
        (Some(judged), _) => {
            std::iter::once(judged.sentence).chain(judged.loads.into_iter().map(|load| load.text)).collect()
        }
        (None, Some(accuracy)) => vec![verdict(accuracy)],
        (None, None) => Vec::new(),
    }
}

/// What an accuracy curve says, but of a later run only: the folder of an accuracy curve says up to where it is right, and that is all.
pub fn judged(summary: &Summary) -> Option<Judged> {
    judge(summary).filter(|_| summary.calibrated.is_none())
}

/// A load of the run, and how many streams it came to.
struct Used {
    name: String,
    streams: Option<u64>,
}

impl Used {
    fn said(&self, accuracy: &Accuracy) -> Said {
        let Some(streams) = self.streams else {
            return Said { right: false, text: format!("{}: how many streams ran at once is not known", self.name) };
        };
        let near = accuracy.levels.iter().find(|level| level.concurrency >= streams);
        let right = accuracy.accurate_up_to.is_some_and(|up_to| streams <= up_to);
        let text = match near {
            None => {
                let most = accuracy.levels.last().map_or(0, |level| level.concurrency);
                format!("{}: beyond what was calibrated, which ends at {most}", self.name)
            }
            Some(level) => {
                let word = if right { "measured right" } else { "not measured right" };
                let error = error_p99(level).map_or_else(|| "unknown".to_owned(), seconds);
                let doubt = doubt(Some(level));
                format!("{}: {word}{doubt}: p99 error {error} at {}", self.name, count_of_streams(level.concurrency))
            }
        };
        Said { right, text }
    }
}

/// The loads of a run, each once.
fn distinct(summary: &Summary) -> Vec<Used> {
    let mut loads: Vec<Used> = Vec::new();
    for (at, group) in summary.groups.iter().enumerate() {
        let used = used(summary, at, group);
        match loads.iter_mut().find(|known| known.name == used.name) {
            Some(known) => known.streams = known.streams.max(used.streams),
            None => loads.push(used),
        }
    }
    loads
}

/// How many streams a group came to at its most.
fn used(summary: &Summary, at: usize, group: &Group) -> Used {
    match (group.rate, group.concurrency) {
        (None, Some(n)) => Used { name: format!("{n} at once"), streams: Some(n) },
        (rate, _) => {
            let level =
                summary.levels.iter().filter(|level| level.rate == rate).filter_map(|level| level.in_flight_max);
            let rows = summary.rows.iter().filter(|row| row.group == at).filter_map(|row| row.in_flight);
            let streams = level.chain(rows).max();
            let came_to = streams.map_or_else(String::new, |n| format!(", at most {n} at once"));
            let name = rate.map_or_else(|| "a load of no name".to_owned(), |rate| format!("{rate}/s"));
            Used { name: format!("{name}{came_to}"), streams }
        }
    }
}

/// In what two machines differ; `None` where they may be the same.
fn differs(run: &Host, calibrated: &Host) -> Option<String> {
    let cores = run.cores.zip(calibrated.cores).is_some_and(|(a, b)| a != b);
    let cpu = run.cpu.as_ref().zip(calibrated.cpu.as_ref()).is_some_and(|(a, b)| a != b);
    let ram = run.ram_bytes.zip(calibrated.ram_bytes).is_some_and(|(a, b)| a.abs_diff(b) > a.max(b) / 10);
    (cores || cpu || ram).then(|| format!("this run was on another machine ({})", machine(run)))
}

/// A machine in a few words.
pub fn machine(host: &Host) -> String {
    let cores = host.cores.map(|n| format!("{n} {}", if n == 1 { "processor" } else { "processors" }));
    let ram = host.ram_bytes.map(number::gib);
    let parts: Vec<String> = [cores, host.cpu.clone(), ram, host.os.clone()].into_iter().flatten().collect();
    let known = if parts.is_empty() { "of unknown make".to_owned() } else { parts.join(", ") };
    number::shortened(&format!("This machine ({known})"), 240)
}

fn count_of_streams(n: u64) -> String {
    if n == 1 { "1 stream".to_owned() } else { format!("{n} streams") }
}

fn seconds(value: f64) -> String {
    number::alone(value, Unit::Seconds)
}

/// The columns of the table, with what they mean.
pub const HEADS: [(&str, &str); 11] = [
    ("streams", "requests at once"),
    ("n", "requests whose truth is known"),
    ("ttft error mean", "measured less true time to first token"),
    ("ttft error p50", "median size of it"),
    ("ttft error p99", "99th percentile of its size"),
    ("gap error p99", "99th percentile, over requests, of the size of the error of a request's 99th percentile gap"),
    ("accurate", "both below the limit, and nothing failed"),
    ("CPU per chunk", "processor time of the whole client, user and system"),
    ("memory", "the most that the client held"),
    ("running", "requests at once on average"),
    ("simulator late", "how late the simulator wrote, mean and worst: no part of the errors"),
];

/// The rows of the table, from the lowest load.
pub fn rows(accuracy: &Accuracy) -> Vec<[String; 11]> {
    let or_not = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let row = |level: &AccuracyLevel| {
        let ttft = level.ttft_error_seconds.as_ref();
        // So few requests do not know their tail.
        let mark = |error: &Quantiles| if error.supports("p99") { "" } else { "?" };
        let p99 = |error: Option<&Quantiles>| error.and_then(|e| Some(format!("{}{}", seconds(e.p99?), mark(e))));
        let late = level.simulator_late_mean_seconds.zip(level.simulator_late_max_seconds);
        [
            level.concurrency.to_string(),
            level.requests.to_string(),
            or_not(ttft.and_then(|error| error.mean).map(seconds)),
            or_not(ttft.and_then(|error| error.p50).map(seconds)),
            or_not(p99(ttft)),
            or_not(p99(level.gap_p99_error_seconds.as_ref())),
            or_not(level.accurate.map(|right| format!("{}{}", if right { "yes" } else { "no" }, doubt(Some(level))))),
            or_not(level.cpu_seconds_per_chunk.map(|cpu| format!("{:.1} µs", cpu * 1e6))),
            or_not(level.peak_bytes.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6))),
            or_not(level.in_flight_mean.map(|mean| format!("{mean:.1}"))),
            or_not(late.map(|(mean, max)| format!("{}, {}", seconds(mean), seconds(max)))),
        ]
    };
    accuracy.levels.iter().map(row).collect()
}

/// Loads that were left out, and what a mark in the table means.
pub fn notes(accuracy: &Accuracy) -> Vec<String> {
    let few = accuracy.levels.iter().any(|level| !record::supports(level.requests, 0.99));
    let few = few.then(|| "? fewer than 500 requests: their 99th percentile is about their worst".to_owned());
    let left = accuracy
        .not_measured
        .iter()
        .map(|left| format!("{} was left out: {}", left.concurrency, number::shortened(&left.reason, 300)));
    let doubtful = accuracy.levels.iter().any(|level| level.accurate.is_some() && level.is_uncertain());
    let doubtful = doubtful.then(|| {
        format!("yes? and no? fewer than {} requests: too few to say whether it is right", AccuracyLevel::FEWEST)
    });
    few.into_iter().chain(doubtful).chain(left).collect()
}
