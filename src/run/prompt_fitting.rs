//! Fits synthetic texts to a server's own token count, before the first of them is sent.

use super::config::{RunConfig, Target};
use super::context::RunContext;
use super::fitted_prompts::{FittedPrompts, shared_prefix};
use crate::prompts::synthetic::{self, Recipe};
use crate::prompts::{self, Fit, Fitting, Item, opening};
use crate::record::{Counted, Prompt};
use crate::sources::openai::count::TokenCounter;
use futures_util::future::join_all;
use std::sync::Arc;

/// How many texts are counted at once.
const CONCURRENT_COUNTS: usize = 4;

/// Fits the synthetic texts of the targets to their servers' counts. A server that cannot count, or
/// stops counting, leaves them as they are: by words.
pub async fn fit_prompts(run: &RunContext, targets: &[Arc<Target>]) {
    let config = &run.config;
    let synthetic = config.prompts.iter().any(|item| matches!(item, Item::Synthetic(_)));
    if !synthetic && config.shared_prefix.is_none() {
        return;
    }
    for target in targets {
        let fitted = tokio::select! {
            fitted = fit_target(config, target) => fitted,
            () = run.shutdown.requested() => return,
        };
        let fitted = fitted.unwrap_or_else(|reason| {
            run.events.notice(format!("{}: {reason}", target.model.id));
            None
        });
        let by_words = || FittedPrompts::by_words(config.load_seed, config.shared_prefix);
        // A target is fitted once; a second stage finds it done.
        let _ = target.fitted.set(fitted.unwrap_or_else(by_words));
    }
}

/// Fits all texts to one target; `None` where its server does not count.
async fn fit_target(config: &RunConfig, target: &Target) -> Result<Option<FittedPrompts>, String> {
    let Some(counter) = TokenCounter::find(&target.api, target.source, &target.model.id).await else { return Ok(None) };
    let stopped = || "the server stopped counting tokens: the length of synthetic prompts is by words".to_owned();
    let prefix = match config.shared_prefix {
        Some(tokens) => Some(fit_prefix(counter, config.load_seed, tokens).await.ok_or_else(stopped)?),
        None => None,
    };
    let fitter = Fitter {
        counter,
        prefix: prefix.as_ref().map(|prefix| prefix.text.as_str()),
        prefix_tokens: config.shared_prefix.unwrap_or(0),
    };
    let mut fits: Vec<Option<Fit>> = Vec::with_capacity(config.prompts.len());
    // The first text shows by how much the server counts more than words; the others begin with that.
    let mut overhead = None;
    for items in config.prompts.chunks(CONCURRENT_COUNTS) {
        if overhead.is_none()
            && let Some(recipe) = items.iter().find_map(recipe)
        {
            let fit = fitter.fit(recipe, 0).await.ok_or_else(stopped)?;
            overhead = Some(recipe.input.saturating_sub(fit.words));
        }
        let fits_of_items = items.iter().map(|item| fitter.item(item, overhead.unwrap_or(0)));
        for fit in join_all(fits_of_items).await {
            fits.push(fit.ok_or_else(stopped)?);
        }
    }
    let counted = if counter.counts_chats() { Counted::ServerChat } else { Counted::ServerText };
    Ok(Some(FittedPrompts { prefix: prefix.map(Arc::new), counted, fits }))
}

async fn fit_prefix(counter: TokenCounter<'_>, seed: u64, tokens: u64) -> Option<Prompt> {
    let mut fitting = Fitting::new(tokens, tokens);
    loop {
        let (words, variant) = fitting.next();
        if fitting.counted(counter.text(&synthetic::prefix(seed, words, variant)).await?) {
            return fitting.best().map(|fit| shared_prefix(seed, tokens, Some(fit)));
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
    counter: TokenCounter<'a>,
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
        let tokens = recipe.input + self.prefix_tokens;
        let mut fitting = Fitting::new(tokens, recipe.input.saturating_sub(overhead));
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
