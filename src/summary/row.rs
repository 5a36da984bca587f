//! One request as a report holds it: the numbers and the few words that a page shows, without the raw bulk.

use super::figures::Figures;
use super::registry::Metric;
use super::screen::Screen;
use crate::record::{Phase, Quality, ResultFields, Source, Text, TokenMethod};

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The index of its group in the summary.
    pub group: usize,
    /// Its numbers, its doubts, and why it failed.
    pub figures: Figures,
    /// The kind of server.
    pub source: Option<Source>,
    /// The model that was asked for.
    pub model: String,
    /// Who served it, behind a router.
    pub provider: Option<String>,
    /// The endpoint that it was pinned to.
    pub pinned_provider: Option<String>,
    /// Requests at once (closed loop).
    pub concurrency: Option<u64>,
    /// The run's id.
    pub run: String,
    /// The request's number in its run.
    pub id: u64,
    /// The id of its prompt.
    pub prompt: Option<String>,
    /// Whether it only warmed the server.
    pub warmup: bool,
    /// When it was sent, for people.
    pub timestamp: Option<String>,
    /// Of a conversation: the number of its first request.
    pub conversation: Option<u64>,
    /// Of a conversation: which turn of it.
    pub turn: Option<u64>,
    /// Why it has no power, or why something of it is missing.
    pub power_reason: Option<String>,
    /// Why it has no memory, or why something of it is missing.
    pub memory_reason: Option<String>,
    /// How far to trust its energy.
    pub quality: Option<Quality>,
    /// How many requests ran when it was sent.
    pub in_flight: Option<u64>,
    /// Which repetition it is.
    pub repetition: Option<u64>,
    /// How many tries there were before.
    pub attempts: usize,
    /// Who counted its tokens.
    pub token_method: Option<TokenMethod>,
    /// Why it ended.
    pub finish_reason: Option<String>,
    /// Its artifacts: relative paths, as the record has them.
    pub html: Option<String>,
    /// The answer as a text file.
    pub text_file: Option<String>,
    /// The joined result.
    pub json: Option<String>,
    /// The power meter's log.
    pub power_log: Option<String>,
    /// The folder that the paths are relative to, as the caller named it; `None` for the place of the report itself.
    pub folder: Option<usize>,
    /// The answer, where the record has it.
    pub text: Option<String>,
    /// What a browser saw of its page, where one was asked.
    pub screen: Option<Screen>,
}

impl Row {
    /// The row of a result. Where its paths are relative to, and whether there is room for its answer, the caller knows.
    pub fn of(o: &ResultFields, figures: Figures, group: usize) -> Self {
        let files = o.files.as_ref();
        let power = o.power.as_ref().and_then(Option::as_ref);
        let memory = o.memory.as_ref().and_then(Option::as_ref);
        Self {
            group,
            figures,
            source: o.source,
            model: o.model.to_string(),
            provider: Text::owned(&o.provider),
            pinned_provider: Text::owned(&o.pinned_provider),
            concurrency: o.concurrency,
            run: o.run.to_string(),
            id: o.id,
            prompt: o.prompt.as_ref().map(|prompt| prompt.id.to_string()),
            warmup: o.phase == Some(Phase::Warmup),
            timestamp: Text::owned(&o.timestamp),
            conversation: o.conversation,
            turn: o.turn,
            power_reason: Text::owned(&o.power_reason).or_else(|| power?.reason.clone()),
            memory_reason: Text::owned(&o.memory_reason).or_else(|| memory?.reason.clone()),
            quality: power.and_then(|p| p.quality),
            in_flight: o.in_flight,
            repetition: o.repetition,
            attempts: o.attempts.len(),
            token_method: o.tokens.as_ref().and_then(|tokens| tokens.method),
            finish_reason: Text::owned(&o.finish_reason),
            html: files.and_then(|f| Text::owned(&f.html)),
            text_file: files.and_then(|f| Text::owned(&f.text)),
            json: files.and_then(|f| Text::owned(&f.json)),
            power_log: files.and_then(|f| Text::owned(&f.power_log)),
            folder: None,
            text: None,
            screen: None,
        }
    }

    /// The files that it left, by their kind.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("html", &self.html), ("text", &self.text_file), ("json", &self.json), ("power_log", &self.power_log)]
            .into_iter()
            .filter_map(|(kind, path)| Some((kind, path.as_deref()?)))
    }

    /// Whether the request did not fail.
    pub fn ok(&self) -> bool {
        self.figures.ok()
    }

    /// One of its numbers.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.figures.value(metric)
    }
}
