//! Synthetic texts fitted to a server's own count, before the first of them is sent. Held are their shapes, not the texts.

use super::config::{Settings, Target};
use super::{Event, Shared, Stop};
use crate::chat::Counter;
use crate::locks::locked;
use crate::prompts::synthetic::{self, Recipe};
use crate::prompts::{self, Fit, Fitting, Item, opening};
use crate::record::{Counted, Prompt, Synthetic};
use futures_util::future::join_all;
use std::sync::Arc;

/// How many texts are counted at once.
const AT_ONCE: usize = 4;

/// What was fitted to one server and model.
#[derive(Debug)]
pub struct Fitted {
    /// The text that all prompts share.
    pub prefix: Option<Arc<Prompt>>,
    counted: Counted,
    fits: Vec<Option<Fit>>,
}

impl Fitted {
    /// What there is without a count: the shared text, by words.
    fn by_words(settings: &Settings) -> Self {
        let prefix = settings.shared_prefix.map(|tokens| Arc::new(prefix(settings.load_seed, tokens, None)));
        Self { prefix, counted: Counted::Words, fits: Vec::new() }
    }

    /// The fit of the `item`th prompt, and who counted; `None` where nobody did.
    pub fn of(&self, item: usize) -> Option<(Fit, Counted)> {
        self.fits.get(item).copied().flatten().map(|fit| (fit, self.counted))
    }
}

/// The shared text: fitted, or so many words.
pub fn prefix(seed: u64, tokens: u64, fit: Option<Fit>) -> Prompt {
    let (words, variant) = fit.map_or((tokens, 0), |fit| (fit.words, fit.variant));
    let mut prompt = prompts::prompt("shared-prefix", None, None, &synthetic::prefix(seed, words, variant));
    if fit.is_some() {
        prompt.id = format!("shared-prefix-{}", &prompt.sha256[..8]);
    }
    let counted = if fit.is_some() { Counted::ServerText } else { Counted::Words };
    let counted_tokens = fit.map(|fit| fit.tokens);
    prompt.synthetic = Some(Synthetic { input_tokens: tokens, output_tokens: None, counted, counted_tokens });
    prompt.shared_prefix = true;
    prompt
}

impl Shared {
    /// Fits the synthetic texts of the targets to their servers' counts. A server that cannot count, or stops counting, leaves
    /// them as they are: by words.
    pub(super) async fn fit(&self, targets: &[Arc<Target>]) {
        let settings = &self.settings;
        let made = settings.prompts.iter().any(|item| matches!(item, Item::Synthetic(_)));
        if !made && settings.shared_prefix.is_none() {
            return;
        }
        for target in targets {
            let fitted = tokio::select! {
                fitted = fitted(settings, target) => fitted,
                () = self.stop_at(Stop::Drain) => return,
            };
            let fitted = fitted.unwrap_or_else(|why| {
                self.tell(Event::Notice(format!("{}: {why}", target.model.id)));
                None
            });
            // A target is fitted once; a second stage finds it done.
            let _ = target.fitted.set(fitted.unwrap_or_else(|| Fitted::by_words(settings)));
        }
    }

    /// Tells the texts that were made, each once and before its first use.
    pub(super) fn introduce(&self, prompts: [Option<&Arc<Prompt>>; 2]) {
        for prompt in prompts.into_iter().flatten().filter(|prompt| prompt.synthetic.is_some()) {
            let new = locked(&self.told).insert(prompt.id.clone());
            if new {
                self.tell(Event::Prompt(Arc::clone(prompt)));
            }
        }
    }
}

/// Fits everything to one target; `None` where its server does not count.
async fn fitted(settings: &Settings, target: &Target) -> Result<Option<Fitted>, String> {
    let Some(counter) = Counter::find(&target.api, target.source, &target.model.id).await else { return Ok(None) };
    let stopped = || "the server stopped counting tokens: the length of synthetic prompts is by words".to_owned();
    let prefix = match settings.shared_prefix {
        Some(tokens) => Some(fitted_prefix(counter, settings.load_seed, tokens).await.ok_or_else(stopped)?),
        None => None,
    };
    let fitter = Fitter {
        counter,
        prefix: prefix.as_ref().map(|prefix| prefix.text.as_str()),
        prefix_tokens: settings.shared_prefix.unwrap_or(0),
    };
    let mut fits: Vec<Option<Fit>> = Vec::with_capacity(settings.prompts.len());
    // The first text shows by how much the server counts more than words; the others begin with that.
    let mut overhead = None;
    for items in settings.prompts.chunks(AT_ONCE) {
        if overhead.is_none()
            && let Some(recipe) = items.iter().find_map(recipe)
        {
            let fit = fitter.fit(recipe, 0).await.ok_or_else(stopped)?;
            overhead = Some(recipe.input.saturating_sub(fit.words));
        }
        let begun = items.iter().map(|item| fitter.item(item, overhead.unwrap_or(0)));
        for fit in join_all(begun).await {
            fits.push(fit.ok_or_else(stopped)?);
        }
    }
    let counted = if counter.counts_chats() { Counted::ServerChat } else { Counted::ServerText };
    Ok(Some(Fitted { prefix: prefix.map(Arc::new), counted, fits }))
}

async fn fitted_prefix(counter: Counter<'_>, seed: u64, tokens: u64) -> Option<Prompt> {
    let mut fitting = Fitting::new(tokens, tokens);
    loop {
        let (words, variant) = fitting.next();
        if fitting.counted(counter.text(&synthetic::prefix(seed, words, variant)).await?) {
            return fitting.best().map(|fit| prefix(seed, tokens, Some(fit)));
        }
    }
}

fn recipe(item: &Item) -> Option<&Recipe> {
    match item {
        Item::Synthetic(recipe) => Some(recipe),
        Item::Text(_) => None,
    }
}

/// Fits text after text to one server.
struct Fitter<'a> {
    counter: Counter<'a>,
    prefix: Option<&'a str>,
    prefix_tokens: u64,
}

impl Fitter<'_> {
    /// `None` when the server stopped counting; `Some(None)` for what has its length already.
    async fn item(&self, item: &Item, overhead: u64) -> Option<Option<Fit>> {
        match recipe(item) {
            Some(recipe) => self.fit(recipe, overhead).await.map(Some),
            None => Some(None),
        }
    }

    async fn fit(&self, recipe: &Recipe, overhead: u64) -> Option<Fit> {
        let wanted = recipe.input + self.prefix_tokens;
        let mut fitting = Fitting::new(wanted, recipe.input.saturating_sub(overhead));
        loop {
            let (words, variant) = fitting.next();
            let prompt = prompts::prompt("", None, None, &recipe.text(words, variant));
            let text = opening(self.prefix, None, &prompt);
            if fitting.counted(self.counter.request(recipe.system.as_deref(), &text).await?) {
                return fitting.best();
            }
        }
    }
}
