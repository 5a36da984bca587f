//! Synthetic texts fitted to a server's token count. Held are their shapes, not the texts.

use crate::prompts::{self, Fit, synthetic};
use crate::record::{Counted, Prompt, Synthetic};
use std::sync::Arc;

/// The synthetic texts as one server counts them.
#[derive(Debug)]
pub struct FittedPrompts {
    /// The text that all prompts share.
    pub prefix: Option<Arc<Prompt>>,
    /// Who counted.
    pub counted: Counted,
    /// The fits of the prompts, in their order.
    pub fits: Vec<Option<Fit>>,
}

impl FittedPrompts {
    /// Without a server's count: the shared text of `tokens` words.
    pub fn by_words(seed: u64, tokens: Option<u64>) -> Self {
        let prefix = tokens.map(|tokens| Arc::new(shared_prefix(seed, tokens, None)));
        Self { prefix, counted: Counted::Words, fits: Vec::new() }
    }

    /// The fit of the `item`th prompt, and who counted; `None` where it was not counted.
    pub fn fit(&self, item: usize) -> Option<(Fit, Counted)> {
        self.fits.get(item).copied().flatten().map(|fit| (fit, self.counted))
    }
}

/// The shared text: fitted, or of this many words.
pub fn shared_prefix(seed: u64, tokens: u64, fit: Option<Fit>) -> Prompt {
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
