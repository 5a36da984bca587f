//! The search for the text that a server counts as so many tokens: pure, over what was counted.

use super::lengths::LONGEST;
use super::synthetic::{LAST_WORDS, TAILS};

/// The shape of a text that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// So many words.
    pub words: u64,
    /// Which end: 0 is the text's own.
    pub variant: u64,
    /// What the server counted.
    pub tokens: u64,
}

/// The search for the text that a server counts as so many tokens.
///
/// A longer text has no fewer tokens, so a bracket closes around the wanted count; where one more word is one token too
/// many, other last words are tried, and then other ends.
#[derive(Debug)]
pub struct Fitting {
    wanted: u64,
    words: u64,
    variant: u64,
    tries: u32,
    short: Option<(u64, u64)>,
    long: Option<(u64, u64)>,
    best: Option<Fit>,
}

/// How often a server is asked for one text, at most.
const TRIES: u32 = 100;

impl Fitting {
    /// A search for `wanted` tokens that begins at `words`.
    pub fn new(wanted: u64, words: u64) -> Self {
        let words = words.clamp(1, 2 * LONGEST);
        Self { wanted, words, variant: 0, tries: 0, short: None, long: None, best: None }
    }

    /// The text to count next: how many words, and which end.
    pub fn next(&self) -> (u64, u64) {
        (self.words, self.variant)
    }

    /// The server counted `tokens`. Says whether the search is over.
    pub fn counted(&mut self, tokens: u64) -> bool {
        self.tries += 1;
        let fit = Fit { words: self.words, variant: self.variant, tokens };
        if self.best.is_none_or(|best| self.wanted.abs_diff(tokens) < self.wanted.abs_diff(best.tokens)) {
            self.best = Some(fit);
        }
        if tokens == self.wanted || self.tries >= TRIES {
            return true;
        }
        if self.variant == 0 {
            let found = (self.words, tokens);
            if tokens < self.wanted {
                self.short = Some(self.short.map_or(found, |short| short.max(found)));
            } else {
                self.long = Some(self.long.map_or(found, |long| long.min(found)));
            }
        }
        match (self.short, self.long) {
            (Some((short, _)), Some((long, _))) if long <= short + 1 => {
                self.variant += 1;
                self.words = if self.variant <= LAST_WORDS { long } else { short };
                return self.variant > LAST_WORDS + TAILS.len() as u64;
            }
            (Some((short, fewer)), Some((long, more))) => {
                // On the straight line between the two, and strictly between them.
                let share = (self.wanted - fewer) as f64 / (more - fewer) as f64;
                let step = ((long - short) as f64 * share).round() as u64;
                self.words = short + step.clamp(1, long - short - 1);
            }
            (Some((short, fewer)), None) => {
                self.words = short + (self.wanted - fewer).max(1);
                // No tokenizer joins words: a server that counts so few does not count.
                return self.words > self.wanted.saturating_mul(4) + 16;
            }
            (None, Some((1, _))) => return true, // the template alone is longer
            (None, Some((long, more))) => self.words = long.saturating_sub((more - self.wanted).max(1)).max(1),
            (None, None) => return true,
        }
        false
    }

    /// The text that came nearest; `None` before anything was counted.
    pub fn best(&self) -> Option<Fit> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::synthetic::Recipe;
    use proptest::prelude::*;

    /// A server that takes some words for two or three tokens, and has a chat template.
    fn count(text: &str, dear: u64, template: u64) -> u64 {
        let word = |word: &str| 1 + u64::from(word.len() as u64 > dear) + u64::from(word.len() as u64 > dear + 2);
        template + text.split(' ').map(word).sum::<u64>()
    }

    fn fit(wanted: u64, begin: u64, dear: u64, template: u64) -> (Fit, u32) {
        let recipe = Recipe { seed: 1, number: 1, input: wanted, output: None, system: None };
        let mut fitting = Fitting::new(wanted, begin);
        loop {
            let (words, variant) = fitting.next();
            if fitting.counted(count(&recipe.text(words, variant), dear, template)) {
                return (fitting.best().unwrap(), fitting.tries);
            }
        }
    }

    #[test]
    fn where_no_word_fits_another_end_does() {
        let letters = |text: &str| text.chars().filter(|c| *c != ' ').count() as u64;
        let recipe = Recipe { seed: 1, number: 1, input: 100, output: None, system: None };
        for wanted in 90..120 {
            let mut fitting = Fitting::new(wanted, wanted);
            // Whatever a word's letters cost, two to each of ours at least: only an end can be one token.
            let count = |text: &str| letters(text).max(1);
            loop {
                let (words, variant) = fitting.next();
                if fitting.counted(count(&recipe.text(words, variant))) {
                    break;
                }
            }
            assert_eq!(fitting.best().map(|fit| fit.tokens), Some(wanted));
        }
    }

    #[test]
    fn where_a_word_is_a_token_one_correction_finds_the_length() {
        assert_eq!(fit(512, 512, 99, 0), (Fit { words: 512, variant: 0, tokens: 512 }, 1));
        assert_eq!(fit(512, 512, 99, 11), (Fit { words: 501, variant: 0, tokens: 512 }, 2));
    }

    #[test]
    fn a_server_that_always_says_the_same_ends_the_search() {
        for said in [1, 50, 500] {
            let mut fitting = Fitting::new(100, 100);
            let tries = (1..).find(|_| fitting.counted(said)).unwrap();
            assert!(tries <= TRIES && fitting.next().0 < 1000, "{said}");
            assert_eq!(fitting.best().map(|fit| fit.tokens), Some(said));
        }
    }

    #[test]
    fn a_template_that_is_longer_than_the_prompt_ends_the_search() {
        let (fit, tries) = fit(5, 5, 99, 20);
        assert_eq!((fit.words, fit.tokens), (1, 21));
        assert!(tries < 5);
    }

    proptest! {
        #[test]
        fn a_length_is_found_whatever_a_word_costs(wanted in 40u64..3000, dear in 3u64..10, template in 0u64..30, begin in 1u64..4000) {
            let (fit, tries) = fit(wanted, begin, dear, template);
            prop_assert_eq!(fit.tokens, wanted, "after {} tries", tries);
        }
    }
}
