//! What the template shows, as texts: it decides nothing and computes nothing.

use super::badges::{Badge, badges};
use super::gallery::{Gallery, gallery};
use super::head::{self, Stream};
use super::intervals::Intervals;
use super::packed::Embedded;
use super::parts::{
    AccuracyText, ChangeText, Failure, PromptText, RunText, calibrated, change, failures, joined, load, meter, prompt,
    run,
};
use super::standouts::{Standout, standouts};
use super::table::{self, Head, Line, NotMeasured, SetSwitch};
use crate::record::Prompt;
use crate::report::{Options, changes, text};
use crate::summary::{Summary, Verdict};
use askama::Template;

/// How many meters, loads and runs are told.
const HEADS: usize = 200;
/// How many characters of prompts are printed: a dozen sheets of paper.
const PAPER: usize = 50_000;

/// How long all prompts are together, in characters.
fn paper(summary: &Summary) -> usize {
    let texts = |prompt: &Prompt| {
        let all = prompt.system.iter().chain(std::iter::once(&prompt.text)).chain(&prompt.turns);
        all.map(|text| text.chars().count()).sum::<usize>()
    };
    summary.prompts.iter().map(texts).sum()
}

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
pub struct Page {
    pub policy: String,
    pub style: &'static str,
    pub script: &'static str,
    pub data: Embedded,
    pub version: &'static str,
    title: String,
    facts: Vec<String>,
    settings: Vec<String>,
    command: String,
    streams: Vec<Stream>,
    badges: Vec<Badge>,
    standouts: Vec<Standout>,
    sets: Vec<SetSwitch>,
    columns: Vec<Head>,
    rows: Vec<Line>,
    rows_left: usize,
    not_measured: Vec<NotMeasured>,
    marked: bool,
    refresh: u64,
    unreadable: u64,
    nothing: String,
    compared: Vec<ChangeText>,
    compared_untold: Vec<ChangeText>,
    compared_tally: String,
    compared_missing: Vec<String>,
    failures: Vec<Failure>,
    accuracy: Option<AccuracyText>,
    gallery: Gallery,
    prompts: Vec<PromptText>,
    prompts_asked: usize,
    prompts_print: bool,
    runs: Vec<RunText>,
    meters: Vec<String>,
    loads: Vec<String>,
    joined: Vec<String>,
}

impl Page {
    /// The texts of a page, all but its frame: policy, style, script and data.
    pub fn of(summary: &Summary, options: &Options, names: &[String], intervals: &[Intervals]) -> Self {
        let shown = table::shown(summary);
        let mut marked = false;
        let (compared_untold, compared): (Vec<_>, Vec<_>) = summary
            .comparison
            .iter()
            .flat_map(|comparison| changes::said(summary, comparison))
            .partition(|said| said.change.verdict == Verdict::NotEnoughData);
        Self {
            policy: String::new(),
            style: "",
            script: "",
            data: Embedded::default(),
            version: env!("CARGO_PKG_VERSION"),
            title: head::title(summary),
            facts: head::facts(summary),
            settings: head::settings(summary),
            command: head::command(summary),
            streams: head::streams(summary, options),
            badges: badges(summary),
            standouts: standouts(summary, names, intervals),
            sets: table::sets(&shown),
            columns: shown.iter().map(|column| table::head(column, table::loaded(summary))).collect(),
            rows: table::lines(summary, options, &shown, &mut marked),
            rows_left: summary.groups.len().saturating_sub(table::ROWS),
            not_measured: table::not_measured(summary, &shown),
            marked,
            refresh: options.refresh.unwrap_or(0),
            unreadable: summary.unreadable,
            nothing: text::nothing(summary),
            compared: compared.into_iter().map(change).collect(),
            compared_untold: compared_untold.into_iter().map(change).collect(),
            compared_tally: summary.comparison.as_ref().map(changes::tally).unwrap_or_default(),
            compared_missing: summary.comparison.as_ref().map(changes::missing).unwrap_or_default(),
            failures: failures(summary, names),
            accuracy: calibrated(summary),
            gallery: gallery(summary, options, names),
            prompts: summary.prompts.iter().map(prompt).collect(),
            prompts_asked: summary.prompts.iter().filter(|prompt| !prompt.shared_prefix).count(),
            prompts_print: paper(summary) <= PAPER,
            runs: summary.runs.iter().take(HEADS).map(run).collect(),
            meters: summary.samplers.iter().take(HEADS).map(meter).collect(),
            joined: summary.joined.iter().take(HEADS).flat_map(joined).collect(),
            loads: summary.loads.iter().take(HEADS).map(load).collect(),
        }
    }
}
