//! Texts that are made to a length: from common words of our own, so that nobody's text is sent anywhere.
//!
//! Each of the words is one token of the four vocabularies GPT-2, r50k, cl100k and o200k, with a blank before it and without, so
//! that a word is a good guess of a token everywhere. Where a server counts, a `Fitting` lengthens and shortens the text until
//! it counts what was wanted. A text is held as its [`Recipe`], some bytes, and made when it is sent.

use super::draw::Draws;
use super::fitting::Fit;
use super::hash;
use super::lengths::{LONGEST, Lengths};
use crate::record::{Counted, Prompt, Synthetic};
use std::fmt;
use std::sync::{Arc, LazyLock};

static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("words.txt").split_whitespace().collect());

/// The words from the shortest to the longest.
static BY_LENGTH: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut words = WORDS.clone();
    words.sort_by_key(|word| word.len());
    words
});

/// How many other last words are tried where none of a text's own fits: of every length, because longer ones cost more tokens.
pub(super) const LAST_WORDS: u64 = 24;

/// What is tried at a text's end after that: letters and signs that hardly any tokenizer joins.
pub(super) const TAILS: [&str; 12] =
    ["z", "zq", "zqx", "zqxj", "zqxjv", "zqxjvk", "!", "!?", "!?;", "!?;:", "!?;:,", "!?;:,."];

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
    let other = if tail.is_none() { variant } else { 0 };
    let number = WORDS.len() as u64;
    let mut word = |last: bool| {
        let place = draws.below(number);
        if last && other > 0 {
            BY_LENGTH[((place + other * (number / LAST_WORDS)) % number) as usize]
        } else {
            WORDS[place as usize]
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
