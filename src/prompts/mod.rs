//! What is asked: the built-in suites, prompts of the user's own, and the nonce that keeps caches out.

mod suites;

pub use suites::{Suite, suite};

use crate::record::Prompt;
use sha2::{Digest, Sha256};

/// A prompt with its hash.
pub fn prompt(id: &str, category: Option<&str>, system: Option<&str>, text: &str) -> Prompt {
    Prompt {
        id: id.to_owned(),
        category: category.map(str::to_owned),
        system: system.map(str::to_owned),
        text: text.to_owned(),
        sha256: hash(system, text),
    }
}

/// SHA-256 of the system message, a NUL byte and the user message, in hex.
fn hash(system: Option<&str>, text: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(system.unwrap_or_default());
    digest.update([0]);
    digest.update(text);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Words that no cache can have seen: the same for the same run and request, different for any other.
pub fn nonce(run: &str, id: u64) -> String {
    let digest = Sha256::digest(format!("{run}\0{id}"));
    let number = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("(request {number})")
}

/// The prompt's text behind its nonce. At the very start, because a cache matches from there.
pub fn with_nonce(nonce: Option<&str>, text: &str) -> String {
    match nonce {
        Some(nonce) => format!("{nonce}\n{text}"),
        None => text.to_owned(),
    }
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
    }

    #[test]
    fn nonces_differ_by_run_and_by_request_and_stand_first() {
        assert_eq!(nonce("r", 1), nonce("r", 1));
        assert_ne!(nonce("r", 1), nonce("r", 2));
        assert_ne!(nonce("r", 1), nonce("s", 1));
        assert!(with_nonce(Some(&nonce("r", 1)), "Hello").starts_with("(request "));
        assert_eq!(with_nonce(None, "Hello"), "Hello");
    }
}
