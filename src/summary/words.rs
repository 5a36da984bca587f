//! Words that servers choose, counted and remembered: bounded, whatever they say.

use std::collections::{BTreeMap, BTreeSet};

/// How many different words one count tells apart; what servers say more is counted as `other`.
pub const WORDS: usize = 40;

/// The longest word that is counted as itself, in characters.
pub const LONGEST_WORD: usize = 300;

/// Counts of words that servers choose: bounded, whatever they say.
#[derive(Default)]
pub struct Words(pub BTreeMap<String, u64>);

impl Words {
    /// Counts a word, or `other` where there are too many already.
    pub fn add(&mut self, word: &str, n: u64) {
        // The common case: a short word that is known.
        if word.len() <= LONGEST_WORD
            && let Some(count) = self.0.get_mut(word)
        {
            *count += n;
            return;
        }
        let word: String = word.chars().take(LONGEST_WORD).collect();
        let word = if self.0.len() >= WORDS && !self.0.contains_key(&word) { "other".into() } else { word };
        *self.0.entry(word).or_default() += n;
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: Words) {
        other.0.into_iter().for_each(|(word, n)| self.add(&word, n));
    }
}

/// Remembers a word, while there is room.
pub fn note(set: &mut BTreeSet<String>, word: Option<&str>) {
    if let Some(word) = word
        && set.len() < WORDS
        && !set.contains(word)
    {
        set.insert(word.chars().take(LONGEST_WORD).collect());
    }
}
