//! What the models say: always the same for the same seed, model and prompt, and cut into exactly the asked number of
//! tokens. A page that was asked for is whole whenever no limit cuts it.

mod page;
mod prose;

use super::timing::{mix, rng};

/// A text and its tokens: where each ends, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    /// The whole text.
    pub text: String,
    /// The end of each token.
    pub ends: Vec<usize>,
}

impl Pieces {
    /// How many tokens.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes from token `from` up to, but without, token `to`.
    pub fn span(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        let end = |n: usize| n.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        end(from)..end(to)
    }
}

/// An answer of `tokens` tokens: a web page where the prompt asks for one, prose otherwise.
pub fn answer(seed: u64, model: &str, prompt: &str, tokens: usize) -> Pieces {
    let mut rng = rng(mix(seed, model.as_bytes()), prompt, tokens as u64);
    if wants_page(prompt) {
        let mut text = page::answer(model, mix(0, model.as_bytes()));
        // More tokens than characters: the model goes on talking after its page.
        while text.chars().count() < tokens {
            text.push_str(&prose::pieces(&mut rng, 60).text);
        }
        cut(text, tokens)
    } else {
        prose::pieces(&mut rng, tokens)
    }
}

/// What a reasoning model thinks first.
pub fn reasoning(seed: u64, model: &str, prompt: &str, tokens: usize) -> Pieces {
    prose::thought(&mut rng(mix(seed, model.as_bytes()), prompt, u64::MAX), tokens)
}

/// Any text of exactly `bytes` bytes, for the replay of a recorded stream.
pub fn filler(seed: u64, bytes: usize) -> String {
    let mut rng = rng(seed, "filler", bytes as u64);
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.extend(prose::pieces(&mut rng, 40).text.chars().filter(char::is_ascii));
    }
    text.truncate(bytes);
    text
}

/// Whether a prompt asks for a web page.
pub fn wants_page(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    ["html", "website", "web site", "web page", "webpage", "web app", "webseite"]
        .iter()
        .any(|word| prompt.contains(word))
}

/// Cuts a text into `tokens` pieces of about the same number of characters; none is empty while there are enough.
fn cut(text: String, tokens: usize) -> Pieces {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let chars = starts.len() - 1;
    let ends = (1..=tokens).map(|n| starts[n * chars / tokens]).collect();
    Pieces { text, ends }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_is_asked_for_in_words() {
        for (prompt, page) in [
            ("Build a small Kanban WEBSITE", true),
            ("Write a single-file HTML page", true),
            ("Erstelle eine Webseite", true),
            ("Count to ten", false),
            ("", false),
        ] {
            assert_eq!(wants_page(prompt), page, "{prompt}");
        }
    }

    #[test]
    fn a_page_comes_out_whole_however_many_tokens_it_is_cut_into() {
        for tokens in [1, 7, 120, 20_000] {
            let answer = answer(1, "aviary/finch-4b", "Make a website", tokens);
            assert_eq!(answer.len(), tokens);
            let html = answer.text.split("```html\n").nth(1).unwrap().split("\n```").next().unwrap();
            assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
            assert!(html.contains("<title>aviary/finch-4b"));
            assert!(!html.contains("alert(") && !html.contains("prompt("));
        }
    }

    #[test]
    fn a_models_name_cannot_break_out_of_its_page() {
        let answer = answer(1, "</title><script>x()</script>\"'", "html", 9).text;
        assert!(!answer.contains("<script>x()"));
    }

    #[test]
    fn what_is_said_follows_from_seed_model_and_prompt() {
        let say = |seed, model, prompt| answer(seed, model, prompt, 50).text;
        assert_eq!(say(1, "a", "x"), say(1, "a", "x"));
        assert_ne!(say(1, "a", "x"), say(2, "a", "x"));
        assert_ne!(say(1, "a", "x"), say(1, "b", "x"));
        assert_ne!(say(1, "a", "x"), say(1, "a", "y"));
        assert_eq!(filler(1, 1234).len(), 1234);
    }

    proptest! {
        #[test]
        fn every_token_is_a_piece_of_text_and_they_add_up(seed: u64, tokens in 1..400usize, prompt in "(html|x)") {
            let said = answer(seed, "m", &prompt, tokens);
            prop_assert_eq!(said.len(), tokens);
            let mut all = String::new();
            for n in 0..tokens {
                let piece = &said.text[said.span(n, n + 1)];
                prop_assert!(!piece.is_empty());
                all.push_str(piece);
            }
            prop_assert_eq!(all, said.text);
        }
    }
}
