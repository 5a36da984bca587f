//! From events to lines, files and progress.

use crate::failures::Failures;
use llm_bench::artifacts::Folder;
use llm_bench::cli::{Progress, Talk, fitted};
use llm_bench::ndjson::Out;
use llm_bench::record::{self, Load, Outcome, RunEnd};
use llm_bench::run::{Event, PlannedRequest, RequestProgress, RequestState, RunConfig, RunCounts, Target};
use llm_bench::{clock, memory};
use serde_json::json;
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Writes the records, keeps the answers and draws the progress.
pub struct Sink {
    out: Out,
    folder: Option<Folder>,
    progress: Progress,
    talk: Talk,
    tokens: u64,
    usd: Option<f64>,
    failed: u64,
    failures: Failures,
    unwritten: u64,
    verifying: HashSet<u64>,
    started: u64,
    broken: bool,
}

/// The text for a closed standard output.
pub const READER_LEFT: &str = "the reader of the records has left";

/// The lines beside those of requests.
const LOADING: &str = "loading";
const VERIFYING: &str = "waiting for the ledger";

/// The width of a model's name in its line.
const NAME_COLUMNS: usize = 40;

impl Sink {
    pub fn new(
        out: Out,
        artifacts: Option<&Path>,
        one_per_model: bool,
        progress: Progress,
        talk: Talk,
    ) -> io::Result<Self> {
        let folder = artifacts.map(|path| Folder::open(path, one_per_model)).transpose()?;
        Ok(Self {
            out,
            folder,
            progress,
            talk,
            tokens: 0,
            usd: None,
            failed: 0,
            failures: Failures::default(),
            unwritten: 0,
            verifying: HashSet::new(),
            started: 0,
            broken: false,
        })
    }

    /// Takes an event. After a failed write it only counts.
    pub fn take(&mut self, event: Event) -> io::Result<()> {
        self.started += u64::from(matches!(event, Event::Running(_)));
        if self.broken {
            return Ok(());
        }
        let taken = self.keep(event);
        self.broken = taken.is_err();
        taken
    }

    /// Reports a closed standard output, and the requests not sent; `None` for a duration.
    pub fn reader_left(&self, planned: Option<u64>) {
        self.progress.finish();
        self.talk.warn(match planned {
            Some(planned) => {
                let left = planned.saturating_sub(self.started);
                format!("{READER_LEFT}: {left} of {planned} planned requests are not sent")
            }
            None => format!("{READER_LEFT}: no more requests are sent after {}", self.started),
        });
    }

    fn keep(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Loading(model) => {
                let began_ns = clock::mono_ns();
                self.progress.aside(LOADING, move || {
                    let seconds = clock::between(began_ns, clock::mono_ns());
                    format!("{}  loading    {seconds:.0} s", name(&model))
                });
                Ok(())
            }
            Event::Running(progress) => {
                self.progress.begin(progress.id, move || line(&progress));
                Ok(())
            }
            Event::VerifyingCost(id) => {
                self.progress.end(id);
                self.verifying.insert(id);
                self.show_verifying();
                Ok(())
            }
            Event::Start(start) => self.out.line(&record::line(&start)?),
            Event::Prompt(prompt) => self.out.line(&record::line(prompt.as_ref())?),
            Event::Load(load) => self.keep_load(&load),
            Event::Level(mut level) => {
                level.peak_bytes = memory::peak();
                self.out.line(&record::line(level.as_ref())?)
            }
            Event::Search(search) => self.out.line(&record::line(search.as_ref())?),
            Event::Notice(text) => {
                self.progress.warn(text);
                Ok(())
            }
            Event::Done { outcome, text } => self.keep_result(outcome, &text),
        }
    }

    fn keep_load(&mut self, load: &Load) -> io::Result<()> {
        self.progress.aside_ends(LOADING);
        match (&load.error, load.load_time_seconds) {
            (Some(error), _) => self.progress.warn(format!("{}: not loaded: {error}", load.model)),
            (None, Some(seconds)) if self.talk.verbose() => {
                self.progress.warn(format!("{}: loaded in {seconds:.2} s", load.model));
            }
            _ => {}
        }
        self.out.line(&record::line(load)?)
    }

    fn keep_result(&mut self, mut result: Box<Outcome>, text: &str) -> io::Result<()> {
        self.progress.end(result.id);
        if self.verifying.remove(&result.id) {
            self.show_verifying();
        }
        if let Some(folder) = &mut self.folder {
            // The answer is paid for: a full disk costs its file, not its result.
            match folder.keep(&result, text) {
                Ok(files) => result.files = files,
                Err(error) => {
                    self.unwritten += 1;
                    result.warnings.push("file_not_written".into());
                    self.progress.error(format!("{error}: the answer of request {} is not kept", result.id));
                }
            }
        }
        if let Some(message) = self.failures.add(&result) {
            self.progress.warn(message);
        }
        self.failed += u64::from(result.error.is_some());
        let output = result.tokens.as_ref().and_then(|tokens| tokens.output);
        self.tokens = self.tokens.saturating_add(output.unwrap_or(0));
        if let Some(cost) = &result.cost {
            *self.usd.get_or_insert(0.0) += cost.usd;
        }
        self.progress.done(|| self.totals());
        self.out.line(&record::line(result.as_ref())?)
    }

    fn show_verifying(&self) {
        match self.verifying.len() {
            0 => self.progress.aside_ends(VERIFYING),
            n => self.progress.aside(VERIFYING, move || format!("{n} results wait for OpenRouter's ledger")),
        }
    }

    /// The text beside the number of results.
    fn totals(&self) -> String {
        let mut text = format!("{} tokens", self.tokens);
        if let Some(usd) = self.usd {
            text += &format!(", ${usd:.6}");
        }
        if self.failed > 0 {
            text += &format!(", {} failed", self.failed);
        }
        text
    }

    /// Writes the end of the run. Returns how many answers could not be kept.
    pub fn finish(mut self, run: String, counts: RunCounts, started_ts: f64) -> io::Result<u64> {
        self.progress.finish();
        self.failures.summary().for_each(|line| self.talk.warn(line));
        self.out.line(&record::line(&RunEnd {
            run,
            ended_ts: Some(clock::wall()),
            ok: counts.ok,
            failed: counts.failed,
            not_sent: counts.not_sent,
            interrupted: counts.interrupted,
            cpu_seconds: Some(clock::cpu_seconds()),
            peak_bytes: memory::peak(),
        })?)?;
        let mut line = format!("{} ok, {} failed", counts.ok, counts.failed);
        if counts.not_sent > 0 {
            line += &format!(", {} not sent", counts.not_sent);
        }
        if counts.interrupted {
            line += ", stopped before the time was over";
        }
        line += &format!(", {} output tokens in {:.1} s", self.tokens, clock::wall() - started_ts);
        if let Some(usd) = self.usd {
            line += &format!(", ${usd:.6}");
        }
        self.talk.warn(line);
        Ok(self.unwritten)
    }
}

/// A model's name, escaped and as wide as the others.
fn name(model: &str) -> String {
    let shown = fitted(model, NAME_COLUMNS);
    format!("{shown:NAME_COLUMNS$}")
}

/// The progress of a request. Chunks are not tokens, so the numbers are approximate.
fn line(progress: &RequestProgress) -> String {
    let model = name(&progress.model);
    let attempt = match progress.attempts() {
        0 | 1 => String::new(),
        n => format!("  (try {n})"),
    };
    match progress.state() {
        RequestState::WaitingToRetry => format!("{model}  waiting to try again{attempt}"),
        RequestState::Prompt(seconds) => format!("{model}  prompt     {seconds:.1} s{attempt}"),
        RequestState::Answering { reasoning, chunks, rate } => {
            let phase = if reasoning { "thinking " } else { "answering" };
            let rate = rate.map_or_else(String::new, |rate| format!("  ~{rate:.1} tok/s"));
            format!("{model}  {phase}  ~{chunks} tokens{rate}{attempt}")
        }
    }
}

/// Writes the requests that would be sent, one per line, without keys. No server counts, so synthetic
/// texts are by words.
pub fn dry_run(config: &RunConfig, targets: &[Target], out: &mut Out) -> anyhow::Result<()> {
    let mut id = config.first_id;
    for target in targets {
        for n in 0..config.prompts.len() {
            let request = PlannedRequest::new(config, target, n, config.uses_nonces(), id);
            let dialects = config.api.dialects(target.source);
            let dialect = dialects.iter().find(|&&dialect| request.fits(dialect)).unwrap_or(&dialects[0]);
            let text = request.text();
            let mut line = json!({
                "type": "request", "v": record::V, "url": dialect.url(&target.base_url),
                "key": target.key.is_some(), "prompt": request.prompt.id,
                "body": dialect.body(&request.question(target, &target.addressed(), &text)),
            });
            if request.turns() > 1 {
                let turns = request.turns();
                line["note"] = format!("turn 1 of {turns}; the others carry the model's own answers").into();
            } else if request.prompt.synthetic.is_some() {
                line["note"] =
                    "a word is taken for a token; a server that counts gets a text of the exact length".into();
            }
            id += request.turns() as u64;
            out.line(&line.to_string())?;
        }
    }
    Ok(())
}
