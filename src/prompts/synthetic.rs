//! Texts that are made to a length: from common words of our own, so that nobody's text is sent anywhere.
//!
//! Each of the words is one token of the four vocabularies GPT-2, r50k, cl100k and o200k, with a blank before it and without, so
//! that a word is a good guess of a token everywhere. Where a server counts, a [`Fitting`] lengthens and shortens the text until
//! it counts what was wanted. A text is held as its [`Recipe`], some bytes, and made when it is sent.

use super::draw::Draws;
use super::hash;
use super::lengths::{LONGEST, Lengths};
use crate::record::{Counted, Prompt, Synthetic};
use std::fmt;
use std::sync::{Arc, LazyLock};

static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("words.txt").split_whitespace().collect());

/// How many other last words are tried where none of a text's own fits.
const LAST_WORDS: u64 = 24;

/// What is tried at a text's end after that: letters and signs that hardly any tokenizer joins.
const TAILS: [&str; 12] = ["z", "zq", "zqx", "zqxj", "zqxjv", "zqxjvk", "!", "!?", "!?;", "!?;:", "!?;:,", "!?;:,."];

/// How many prompts there are when nobody says.
const USUAL_NUMBER: u64 = 100;

/// The most prompts.
const MOST: u64 = 10_000_000;

/// What texts are wanted: `in=512,out=128,n=100`.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// How long the prompts are.
    pub input: Lengths,
    /// How long the answers may be; the server's affair when it is not said.
    pub output: Option<Lengths>,
    /// How many prompts.
    pub number: u64,
}

impl Wanted {
    /// Reads `in=LENGTH[,out=LENGTH][,n=NUMBER]`.
    ///
    /// # Errors
    /// When a part is unknown, wrong, said twice, or `in` is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut input, mut output, mut number) = (None, None, None);
        for part in text.split(',') {
            let twice = || format!("`{part}`: said twice");
            let Some((name, value)) = part.split_once('=') else {
                return Err(format!("`{part}`: not in=LENGTH, out=LENGTH or n=NUMBER"));
            };
            match name.trim() {
                "in" if input.is_none() => input = Some(Lengths::parse(value)?),
                "out" if output.is_none() => output = Some(Lengths::parse(value)?),
                "n" if number.is_none() => {
                    let parsed = value.trim().parse::<u64>().ok().filter(|n| (1..=MOST).contains(n));
                    number = Some(parsed.ok_or_else(|| format!("n={value}: not between 1 and {MOST}"))?);
                }
                "in" | "out" | "n" => return Err(twice()),
                other => return Err(format!("`{other}`: not in=LENGTH, out=LENGTH or n=NUMBER")),
            }
        }
        let input = input.ok_or("in=LENGTH is missing: how long are the prompts to be, in tokens?")?;
        Ok(Self { input, output, number: number.unwrap_or(USUAL_NUMBER) })
    }

    /// The recipes of the texts, numbered from `first`.
    pub fn recipes(&self, seed: u64, first: u64, system: Option<&str>) -> impl Iterator<Item = Recipe> {
        let (wanted, system) = (self.clone(), system.map(Arc::from));
        (0..self.number).map(move |n| {
            let number = first + n;
            let mut draws = Draws::new(seed, number.wrapping_mul(2));
            let input = wanted.input.draw(&mut draws);
            let output = wanted.output.map(|lengths| lengths.draw(&mut draws));
            Recipe { seed, number, input, output, system: system.clone() }
        })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "in={}", self.input)?;
        if let Some(output) = self.output {
            write!(f, ",out={output}")?;
        }
        write!(f, ",n={}", self.number)
    }
}

/// From what a text is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The seed of all texts.
    pub seed: u64,
    /// Which of them it is, from 1.
    pub number: u64,
    /// How long it is to be, in tokens.
    pub input: u64,
    /// How long its answer is to be, in tokens.
    pub output: Option<u64>,
    /// The system message.
    pub system: Option<Arc<str>>,
}

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

impl Recipe {
    /// The text: so many words, with one of several ends.
    pub fn text(&self, words: u64, variant: u64) -> String {
        text(self.seed, self.number, words, variant)
    }

    /// The prompt; fitted to a server's count, or by words.
    pub fn prompt(&self, fit: Option<(Fit, Counted)>) -> Prompt {
        let (words, variant) = fit.map_or((self.input, 0), |(fit, _)| (fit.words, fit.variant));
        let text = self.text(words, variant);
        let sha256 = hash(self.system.as_deref(), [text.as_str()]);
        let id = match fit {
            // Another server may count otherwise, and then its text is another one.
            Some(_) => format!("synthetic-{:04}-{}", self.number, &sha256[..8]),
            None => format!("synthetic-{:04}", self.number),
        };
        Prompt {
            id,
            system: self.system.as_deref().map(str::to_owned),
            text,
            sha256,
            max_tokens: self.output,
            synthetic: Some(Synthetic {
                input_tokens: self.input,
                output_tokens: self.output,
                counted: fit.map_or(Counted::Words, |(_, counted)| counted),
                counted_tokens: fit.map(|(fit, _)| fit.tokens),
            }),
            ..Prompt::default()
        }
    }

    /// What tells the text from any other, whoever counts: the same before and after it was fitted.
    pub fn identity(&self) -> String {
        let Self { seed, number, input, output, system } = self;
        format!("synthetic {seed} {number} {input} {output:?} {}", hash(system.as_deref(), [""]))
    }
}

/// The text that stands before every prompt: so many words.
pub fn prefix(seed: u64, words: u64, variant: u64) -> String {
    text(seed, u64::MAX / 2, words, variant)
}

fn text(seed: u64, number: u64, words: u64, variant: u64) -> String {
    // Even purposes are the lengths', odd ones the words'.
    let mut draws = Draws::new(seed, number.wrapping_mul(2).wrapping_add(1));
    let mut text = String::with_capacity(usize::try_from(words.min(LONGEST) * 6).unwrap_or_default());
    let tail = variant.checked_sub(LAST_WORDS + 1).and_then(|n| TAILS.get(usize::try_from(n).ok()?));
    let other = if tail.is_none() { variant * 7 } else { 0 };
    let mut word = |last: bool| {
        let place = draws.below(WORDS.len() as u64) + if last { other } else { 0 };
        WORDS[(place % WORDS.len() as u64) as usize]
    };
    for n in 1..=words {
        if n > 1 {
            text.push(' ');
        }
        text.push_str(word(n == words));
    }
    text + tail.copied().unwrap_or_default()
}

/// The text with its words after the first in an order that follows from the nonce: nothing that a cache knows, and, where a
/// tokenizer cuts between words, as long as it was. (The first word stands because it alone has no blank before it.)
pub fn shuffled(text: &str, nonce: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let bits = nonce.bytes().fold(0u64, |bits, byte| bits.rotate_left(8) ^ u64::from(byte));
    let mut draws = Draws::new(bits, u64::from_le_bytes(*b"shuffle\0"));
    for n in (2..words.len()).rev() {
        words.swap(n, 1 + draws.below(n as u64) as usize);
    }
    words.join(" ")
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
            (Some((short, fewer)), None) => self.words = short + (self.wanted - fewer).max(1),
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
    use proptest::prelude::*;

    #[test]
    fn what_is_wanted_is_read_or_refused_with_what_is_missing() {
        for (text, expect) in [
            ("in=512,out=128,n=100", Ok("in=512,out=128,n=100")),
            ("n=5,in=10..20", Ok("in=10..20,n=5")),
            ("in=512±64,out=128+-16", Ok("in=512±64,out=128±16,n=100")),
            ("out=128", Err("in=LENGTH is missing")),
            ("in=512,n=0", Err("between 1 and")),
            ("in=1,in=2", Err("twice")),
            ("input=1", Err("not in=LENGTH")),
            ("512", Err("not in=LENGTH")),
            ("", Err("not in=LENGTH")),
        ] {
            match (Wanted::parse(text), expect) {
                (Ok(wanted), Ok(shown)) => assert_eq!(wanted.to_string(), shown),
                (Err(why), Err(word)) => assert!(why.contains(word), "{text}: {why}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_text_follows_from_its_seed_and_number_and_has_so_many_words() {
        let wanted = Wanted::parse("in=50..60,out=9,n=3").unwrap();
        let recipes: Vec<_> = wanted.recipes(4, 1, Some("Be brief.")).collect();
        assert_eq!(recipes, wanted.recipes(4, 1, Some("Be brief.")).collect::<Vec<_>>());
        for recipe in &recipes {
            let prompt = recipe.prompt(None);
            assert_eq!(prompt.text.split(' ').count() as u64, recipe.input);
            assert_eq!((prompt.max_tokens, prompt.system.as_deref()), (Some(9), Some("Be brief.")));
        }
        assert_ne!(recipes[0].text(50, 0), recipes[1].text(50, 0));
        assert!(recipes[0].text(51, 0).starts_with(&recipes[0].text(50, 0)), "longer is a continuation");
        assert_ne!(recipes[0].text(50, 0), recipes[0].text(50, 1));
        assert_ne!(prefix(4, 50, 0), recipes[0].text(50, 0));
    }

    #[test]
    fn a_nonce_changes_the_order_of_the_words_and_nothing_else() {
        let text = prefix(1, 40, 0);
        let (one, other) = (shuffled(&text, "7a8282022c1a"), shuffled(&text, "7a8282022c1b"));
        assert_eq!(one, shuffled(&text, "7a8282022c1a"));
        assert!(one != text && one != other);
        let sorted = |text: &str| {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            words.sort();
            words
        };
        assert_eq!(sorted(&one), sorted(&text));
        assert_eq!(one.split(' ').next(), text.split(' ').next());
        assert_ne!(one.split(' ').nth(1), other.split(' ').nth(1), "no more than the first word is common");
        assert_eq!(
            (shuffled("", "x"), shuffled("a", "x"), shuffled("a b", "x")),
            ("".into(), "a".into(), "a b".into())
        );
        let firsts: std::collections::BTreeSet<_> =
            (0..300).map(|n| shuffled("a b c d", &n.to_string())[2..3].to_owned()).collect();
        assert_eq!(firsts.len(), 3, "every word can be the next");
    }

    #[test]
    fn words_are_many_short_and_different() {
        let mut words = WORDS.clone();
        words.dedup();
        assert_eq!(words.len(), WORDS.len());
        assert!(words.len() > 800 && words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase())));
    }

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
