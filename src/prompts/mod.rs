//! Prompts: the built-in suites, input files, synthetic texts; and the text before a prompt that defeats prompt caches, or
//! measures them on purpose.
//!
//! A source of prompts and a format of input files are one file each. Nothing here opens a file or knows a server.

mod draw;
mod fitting;
mod input_format;
mod lengths;
mod suites;
pub mod synthetic;

pub use draw::Sample;
pub use fitting::{Fit, Fitting};
pub use input_format::{Entry, Format, InputFormat, array, is_array};
pub use lengths::Lengths;
pub use suites::{Suite, suite};

use crate::record::{Counted, Prompt};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::Arc;
use synthetic::Recipe;

/// Something to ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A text, or the user's part of a conversation.
    Text(Arc<Prompt>),
    /// A text that is made to its length when it is asked.
    Synthetic(Recipe),
}

impl Item {
    /// The prompt; a synthetic one by its fit, or by words.
    pub fn prompt(&self, fit: Option<(Fit, Counted)>) -> Arc<Prompt> {
        match self {
            Item::Text(prompt) => Arc::clone(prompt),
            Item::Synthetic(recipe) => Arc::new(recipe.prompt(fit)),
        }
    }

    /// The prompt that is there already; `None` for one that is made when it is asked.
    pub fn held(&self) -> Option<&Prompt> {
        match self {
            Item::Text(prompt) => Some(prompt),
            Item::Synthetic(_) => None,
        }
    }

    /// How many requests it takes: the turns of a conversation.
    pub fn turns(&self) -> u64 {
        match self {
            Item::Text(prompt) => prompt.turns.len() as u64 + 1,
            Item::Synthetic(_) => 1,
        }
    }

    /// The limit of the answer that it brings along, in tokens.
    pub fn max_tokens(&self) -> Option<u64> {
        match self {
            Item::Text(prompt) => prompt.max_tokens,
            Item::Synthetic(recipe) => recipe.output,
        }
    }

    /// What tells it from any other, in this run and in another.
    pub fn identity(&self) -> Cow<'_, str> {
        match self {
            Item::Text(prompt) => Cow::Borrowed(&prompt.sha256),
            Item::Synthetic(recipe) => Cow::Owned(recipe.identity()),
        }
    }
}

/// A prompt with its hash.
pub fn prompt(id: &str, category: Option<&str>, system: Option<&str>, text: &str) -> Prompt {
    Prompt {
        id: id.to_owned(),
        category: category.map(str::to_owned),
        system: system.map(str::to_owned),
        text: text.to_owned(),
        sha256: hash(system, [text]),
        ..Prompt::default()
    }
}

/// A conversation with its hash: the user's messages, of which there is at least one. `None` without any.
pub fn conversation(id: &str, system: Option<&str>, turns: Vec<String>) -> Option<Prompt> {
    let sha256 = hash(system, turns.iter().map(String::as_str));
    let mut turns = turns.into_iter();
    Some(Prompt {
        id: id.to_owned(),
        system: system.map(str::to_owned),
        text: turns.next()?,
        sha256,
        turns: turns.collect(),
        ..Prompt::default()
    })
}

/// SHA-256 of the system message and each user message, a NUL byte before each, in hex.
fn hash<'a>(system: Option<&str>, texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    digest.update(system.unwrap_or_default());
    for text in texts {
        digest.update([0]);
        digest.update(text);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Words that no cache can have seen: different for any other run, salt or request.
pub fn nonce(run: &str, salt: u64, id: u64) -> String {
    let digest = Sha256::digest(format!("{run}\0{salt}\0{id}"));
    // Nothing before the digits: what all nonces shared would be a prefix that a cache knows.
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The user message: what is shared first, then the nonce, then the text. A cache matches from the start, so that a nonce keeps
/// it from everything that follows, and only from that. A synthetic text has a length to keep, and meaning it has none: there
/// the order of the words follows from the nonce instead.
pub fn opening(prefix: Option<&str>, nonce: Option<&str>, prompt: &Prompt) -> String {
    let made = prompt.synthetic.is_some();
    let text = match nonce {
        Some(nonce) if made => Cow::Owned(synthetic::shuffled(&prompt.text, nonce)),
        _ => Cow::Borrowed(prompt.text.as_str()),
    };
    let mut message = String::with_capacity(prefix.map_or(0, str::len) + text.len() + 64);
    for part in [prefix, nonce.filter(|_| !made)].into_iter().flatten() {
        message.push_str(part);
        message.push('\n');
    }
    message.push_str(&text);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_prompts_apart_and_system_from_user() {
        let a = prompt("a", None, Some("x"), "y").sha256;
        assert_eq!(a.len(), 64);
        assert_ne!(a, prompt("a", None, None, "xy").sha256);
        assert_eq!(a, prompt("other id", None, Some("x"), "y").sha256);
        let talk = |turns: &[&str]| conversation("c", Some("x"), turns.iter().map(ToString::to_string).collect());
        assert_eq!(talk(&["y"]).unwrap().sha256, a, "one turn is a prompt");
        assert_ne!(talk(&["y", "z"]).unwrap().sha256, a);
        assert_ne!(talk(&["y", "z"]).unwrap().sha256, talk(&["yz"]).unwrap().sha256);
        assert_eq!(talk(&[]), None);
    }

    #[test]
    fn nonces_differ_by_run_by_salt_and_by_request() {
        assert_eq!(nonce("r", 0, 1), nonce("r", 0, 1));
        assert_ne!(nonce("r", 0, 1), nonce("r", 0, 2));
        assert_ne!(nonce("r", 0, 1), nonce("s", 0, 1));
        assert_ne!(nonce("r", 0, 1), nonce("r", 1, 1));
    }

    #[test]
    fn what_is_shared_stands_before_the_nonce_and_the_nonce_before_the_text() {
        let hello = prompt("p", None, None, "Hello");
        assert_eq!(opening(None, None, &hello), "Hello");
        assert_eq!(opening(None, Some("0a1b"), &hello), "0a1b\nHello");
        assert_eq!(opening(Some("shared"), Some("0a1b"), &hello), "shared\n0a1b\nHello");
        assert_eq!(opening(Some("shared"), None, &hello), "shared\nHello");
        let recipe = Recipe { seed: 1, number: 1, input: 30, output: None, system: None };
        let made = recipe.prompt(None);
        assert_eq!(opening(Some("shared"), None, &made), format!("shared\n{}", made.text));
        let with_nonce = opening(Some("shared"), Some("0a1b"), &made);
        assert_eq!((with_nonce.len(), with_nonce.lines().count()), (made.text.len() + 7, 2), "no longer than without");
        assert!(!with_nonce.contains(&made.text));
    }
}
