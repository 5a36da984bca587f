//! From events to lines, files and progress.

use indicatif::{ProgressBar, ProgressStyle};
use llm_bench::artifacts::Folder;
use llm_bench::cli::Talk;
use llm_bench::clock;
use llm_bench::ndjson::Out;
use llm_bench::record;
use llm_bench::runner::{Asking, Event, Settings, Tally, Target};
use serde_json::json;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Takes what happens: writes the records, keeps the answers, draws the progress.
pub struct Sink {
    out: Out,
    folder: Option<Folder>,
    bar: ProgressBar,
    talk: Talk,
    tokens: u64,
    usd: Option<f64>,
    failures_told: u64,
    unwritten: u64,
}

/// How many failures are told one by one; the rest are in the records, and counted in the last line.
const FAILURES_TOLD: u64 = 10;

impl Sink {
    pub fn new(
        out: Out,
        artifacts: Option<&Path>,
        one_per_model: bool,
        planned: Option<u64>,
        talk: Talk,
    ) -> io::Result<Self> {
        let folder = artifacts.map(|path| Folder::open(path, one_per_model)).transpose()?;
        let bar = match planned {
            _ if !talk.interactive() => ProgressBar::hidden(),
            Some(planned) => ProgressBar::new(planned),
            None => ProgressBar::no_length(),
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}  {elapsed} (eta {eta})  {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Ok(Self { out, folder, bar, talk, tokens: 0, usd: None, failures_told: 0, unwritten: 0 })
    }

    pub fn take(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Pieces(pieces) => {
                self.bar.set_message(format!("{pieces} chunks"));
                Ok(())
            }
            Event::Start(start) => self.out.line(&record::line(&start)?),
            Event::Prompt(prompt) => self.out.line(&record::line(prompt.as_ref())?),
            Event::Load(load) => {
                match (&load.error, load.load_time_seconds) {
                    (Some(why), _) => self.say(format!("{}: not loaded: {why}", load.model)),
                    (None, Some(seconds)) if self.talk.verbose() => {
                        self.say(format!("{}: loaded in {seconds:.2} s", load.model));
                    }
                    _ => {}
                }
                self.out.line(&record::line(load.as_ref())?)
            }
            Event::Notice(text) => {
                self.say(text);
                Ok(())
            }
            Event::Done { mut outcome, text } => {
                if let Some(folder) = &mut self.folder {
                    // An answer was made, and paid; a disk that is full takes its file, not its result.
                    match folder.keep(&outcome, &text) {
                        Ok(files) => outcome.files = files,
                        Err(why) => {
                            self.unwritten += 1;
                            outcome.warnings.push("file_not_written".into());
                            let text = format!("{why}: the answer of request {} is not kept", outcome.id);
                            self.bar.suspend(|| self.talk.error(text));
                        }
                    }
                }
                if let Some(why) = outcome.errors.generation.as_ref().filter(|_| outcome.error.is_some()) {
                    self.failures_told += 1;
                    match self.failures_told {
                        0..=FAILURES_TOLD => self.say(format!("{}: request {}: {why}", outcome.model, outcome.id)),
                        n if n == FAILURES_TOLD + 1 => self.say("more requests fail: see the records".into()),
                        _ => {}
                    }
                }
                let output = outcome.tokens.as_ref().and_then(|tokens| tokens.output);
                self.tokens = self.tokens.saturating_add(output.unwrap_or(0));
                if let Some(cost) = &outcome.cost {
                    *self.usd.get_or_insert(0.0) += cost.usd;
                }
                self.bar.inc(1);
                self.out.line(&record::line(outcome.as_ref())?)
            }
        }
    }

    fn say(&self, text: String) {
        self.bar.suspend(|| self.talk.warn(text));
    }

    /// The last word to people; how many answers could not be kept.
    pub fn finish(self, tally: Tally, started_ts: f64) -> u64 {
        self.bar.finish_and_clear();
        let mut line = format!("{} ok, {} failed", tally.ok, tally.failed);
        if tally.unsent > 0 {
            line += &format!(", {} not sent", tally.unsent);
        }
        if tally.cut {
            line += ", stopped before the time was over";
        }
        line += &format!(", {} output tokens in {:.1} s", self.tokens, clock::wall() - started_ts);
        if let Some(usd) = self.usd {
            line += &format!(", ${usd:.6}");
        }
        self.talk.warn(line);
        self.unwritten
    }
}

/// The requests that would be sent, one per line, without keys. Nobody is asked, so that synthetic texts are by words.
pub fn dry_run(settings: &Settings, targets: &[Target], out: &mut Out) -> anyhow::Result<()> {
    let mut id = settings.first_id;
    for target in targets {
        for n in 0..settings.prompts.len() {
            let asking = Asking::new(settings, target, n, settings.nonces(), id);
            let dialects = settings.api.dialects(target.source);
            let dialect = dialects.iter().find(|&&dialect| asking.speaks(dialect)).unwrap_or(&dialects[0]);
            let text = asking.text();
            let mut line = json!({
                "type": "request", "v": record::V, "url": dialect.url(target.source, &target.base_url),
                "key": target.key.is_some(), "prompt": asking.prompt.id,
                "body": dialect.body(&asking.question(target, &target.addressed(), &text)),
            });
            if asking.turns() > 1 {
                let turns = asking.turns();
                line["note"] = format!("turn 1 of {turns}; the others carry the model's own answers").into();
            } else if asking.prompt.synthetic.is_some() {
                line["note"] =
                    "a word is taken for a token; a server that counts gets a text of the exact length".into();
            }
            id += asking.turns() as u64;
            out.line(&line.to_string())?;
        }
    }
    Ok(())
}
