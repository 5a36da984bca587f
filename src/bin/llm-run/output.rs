//! From events to lines, files and progress.

use crate::failures::Failures;
use llm_bench::artifacts::Folder;
use llm_bench::cli::{Progress, Talk, fitted};
use llm_bench::ndjson::Out;
use llm_bench::record::{self, RunEnd};
use llm_bench::run::{Event, PlannedRequest, RequestProgress, RequestState, RunConfig, RunCounts, Target};
use llm_bench::{clock, memory};
use serde_json::json;
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Takes what happens: writes the records, keeps the answers, draws the progress.
pub struct Sink {
    out: Out,
    folder: Option<Folder>,
    progress: Progress,
    talk: Talk,
    tokens: u64,
    usd: Option<f64>,
    failures: u64,
    told: Failures,
    unwritten: u64,
    verifying: HashSet<u64>,
    begun: u64,
    broken: bool,
}

/// How it is said that nobody reads any more.
pub const READER_LEFT: &str = "the reader of the records has left";

/// What is waited for beside requests: a load, OpenRouter's ledger.
const LOADING: &str = "loading";
const LEDGER: &str = "waiting for the ledger";

/// How wide a model's name may be in its line.
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
            failures: 0,
            told: Failures::default(),
            unwritten: 0,
            verifying: HashSet::new(),
            begun: 0,
            broken: false,
        })
    }

    /// Takes what happened. After a record could not be written, it only counts.
    pub fn take(&mut self, event: Event) -> io::Result<()> {
        self.begun += u64::from(matches!(event, Event::Running(_)));
        if self.broken {
            return Ok(());
        }
        let taken = self.keep(event);
        self.broken = taken.is_err();
        taken
    }

    /// The last word when the reader of the records has left: what is not sent of what was planned; `None` where only time ends it.
    pub fn reader_left(&self, planned: Option<u64>) {
        self.progress.finish();
        self.talk.warn(match planned {
            Some(planned) => {
                let left = planned.saturating_sub(self.begun);
                format!("{READER_LEFT}: {left} of {planned} planned requests are not sent")
            }
            None => format!("{READER_LEFT}: no more requests are sent after {}", self.begun),
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
                self.tell_ledger();
                Ok(())
            }
            Event::Start(start) => self.out.line(&record::line(&start)?),
            Event::Prompt(prompt) => self.out.line(&record::line(prompt.as_ref())?),
            Event::Load(load) => {
                self.progress.aside_ends(LOADING);
                match (&load.error, load.load_time_seconds) {
                    (Some(why), _) => self.progress.warn(format!("{}: not loaded: {why}", load.model)),
                    (None, Some(seconds)) if self.talk.verbose() => {
                        self.progress.warn(format!("{}: loaded in {seconds:.2} s", load.model));
                    }
                    _ => {}
                }
                self.out.line(&record::line(load.as_ref())?)
            }
            Event::Level(mut level) => {
                level.peak_bytes = memory::peak();
                self.out.line(&record::line(level.as_ref())?)
            }
            Event::Search(search) => self.out.line(&record::line(search.as_ref())?),
            Event::Notice(text) => {
                self.progress.warn(text);
                Ok(())
            }
            Event::Done { mut outcome, text } => {
                self.progress.end(outcome.id);
                if self.verifying.remove(&outcome.id) {
                    self.tell_ledger();
                }
                if let Some(folder) = &mut self.folder {
                    // An answer was made, and paid; a disk that is full takes its file, not its result.
                    match folder.keep(&outcome, &text) {
                        Ok(files) => outcome.files = files,
                        Err(why) => {
                            self.unwritten += 1;
                            outcome.warnings.push("file_not_written".into());
                            self.progress.error(format!("{why}: the answer of request {} is not kept", outcome.id));
                        }
                    }
                }
                if let Some(why) = self.told.take(&outcome) {
                    self.progress.warn(why);
                }
                self.failures += u64::from(outcome.error.is_some());
                let output = outcome.tokens.as_ref().and_then(|tokens| tokens.output);
                self.tokens = self.tokens.saturating_add(output.unwrap_or(0));
                if let Some(cost) = &outcome.cost {
                    *self.usd.get_or_insert(0.0) += cost.usd;
                }
                self.progress.done(|| self.so_far());
                self.out.line(&record::line(outcome.as_ref())?)
            }
        }
    }

    fn tell_ledger(&self) {
        match self.verifying.len() {
            0 => self.progress.aside_ends(LEDGER),
            n => self.progress.aside(LEDGER, move || format!("{n} results wait for OpenRouter's ledger")),
        }
    }

    /// What stands beside the total.
    fn so_far(&self) -> String {
        let mut text = format!("{} tokens", self.tokens);
        if let Some(usd) = self.usd {
            text += &format!(", ${usd:.6}");
        }
        if self.failures > 0 {
            text += &format!(", {} failed", self.failures);
        }
        text
    }

    /// The last word, to people and to programs; how many answers could not be kept.
    pub fn finish(mut self, run: String, counts: RunCounts, started_ts: f64) -> io::Result<u64> {
        self.progress.finish();
        self.told.again().for_each(|line| self.talk.warn(line));
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

/// A model's name, harmless and as wide as the others.
fn name(model: &str) -> String {
    let shown = fitted(model, NAME_COLUMNS);
    format!("{shown:NAME_COLUMNS$}")
}

/// How a request is doing. Pieces are not tokens, so what they come to is only about right until the server has counted.
fn line(progress: &RequestProgress) -> String {
    let model = name(&progress.model);
    let again = match progress.attempts() {
        0 | 1 => String::new(),
        n => format!("  (try {n})"),
    };
    match progress.state() {
        RequestState::WaitingToRetry => format!("{model}  waiting to try again{again}"),
        RequestState::Prompt(seconds) => format!("{model}  prompt     {seconds:.1} s{again}"),
        RequestState::Answering { reasoning, chunks, rate } => {
            let phase = if reasoning { "thinking " } else { "answering" };
            let rate = rate.map_or_else(String::new, |rate| format!("  ~{rate:.1} tok/s"));
            format!("{model}  {phase}  ~{chunks} tokens{rate}{again}")
        }
    }
}

/// The requests that would be sent, one per line, without keys. Nobody is asked, so that synthetic texts are by words.
pub fn dry_run(config: &RunConfig, targets: &[Target], out: &mut Out) -> anyhow::Result<()> {
    let mut id = config.first_id;
    for target in targets {
        for n in 0..config.prompts.len() {
            let request = PlannedRequest::new(config, target, n, config.uses_nonces(), id);
            let dialects = config.api.dialects(target.source);
            let dialect = dialects.iter().find(|&&dialect| request.fits(dialect)).unwrap_or(&dialects[0]);
            let text = request.text();
            let mut line = json!({
                "type": "request", "v": record::V, "url": dialect.url(target.source, &target.base_url),
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
