//! Believable text: sentences, a heading, a list, now and then a character of several bytes. One word is one token.

use super::Pieces;
use rand::Rng;
use rand::seq::IndexedRandom;

const SUBJECTS: &[&str] = &[
    "the tide",
    "a good tool",
    "the old harbour",
    "every measurement",
    "the night train",
    "a careful reader",
    "the garden",
    "this machine",
    "the orchestra",
    "a small team",
    "the river",
    "an honest number",
    "the café",
    "the lighthouse",
    "a quiet morning",
    "the naïve observer",
];
const VERBS: &[&str] = &[
    "follows",
    "carries",
    "remembers",
    "rewards",
    "outlasts",
    "explains",
    "keeps",
    "crosses",
    "answers",
    "shapes",
    "supports",
    "reveals",
];
const OBJECTS: &[&str] = &[
    "a simple plan",
    "the long way home",
    "what nobody asked",
    "its own rhythm",
    "the weather of the week",
    "the people who wait",
    "one clear question",
    "a promise made in spring",
    "the shortest path",
    "more than it shows",
    "small steps",
    "the sound of rain",
];
const ENDINGS: &[&str] = &[
    "without hurry",
    "in the end",
    "day after day",
    "as far as we know",
    "when the light fades",
    "at its own pace",
    "– and that is enough",
    "even in winter",
    "with little effort",
    "before anyone notices",
];
const OPENINGS: &[&str] = &["First,", "Then", "Now", "So", "Still,", "However,", "Besides,", "In short,"];
const THOUGHTS: &[&str] = &[
    "The user wants a direct answer.",
    "Let me think about what matters here.",
    "I should keep it short and concrete.",
    "One more point is worth a check.",
    "The order of the steps seems right.",
    "That would be too long, so I leave it out.",
    "I will begin with the simplest case.",
    "An example may help, but only one.",
];

/// Prose of exactly `tokens` words, with some Markdown.
pub fn pieces(rng: &mut impl Rng, tokens: usize) -> Pieces {
    let mut out = Words::new(tokens);
    let mut paragraph = 0;
    while !out.full() {
        match paragraph % 4 {
            1 => {
                out.say("\n\n##");
                out.phrase(pick(rng, SUBJECTS), " ");
            }
            3 => {
                for item in 1..=3 {
                    out.say(&format!("\n{}{item}.", if item == 1 { "\n" } else { "" }));
                    out.phrase(&format!("**{}**", pick(rng, SUBJECTS)), " ");
                    out.phrase(pick(rng, VERBS), " ");
                    out.phrase(pick(rng, OBJECTS), " ");
                }
            }
            _ => {
                for sentence in 0..3 {
                    let lead = if paragraph > 0 && sentence == 0 { "\n\n" } else { " " };
                    let sentence = [pick(rng, OPENINGS), pick(rng, SUBJECTS), pick(rng, VERBS), pick(rng, OBJECTS)];
                    out.phrase(&format!("{} {}.", sentence.join(" "), pick(rng, ENDINGS)), lead);
                }
            }
        }
        paragraph += 1;
    }
    out.pieces
}

/// Thoughts of exactly `tokens` words.
pub fn thought(rng: &mut impl Rng, tokens: usize) -> Pieces {
    let mut out = Words::new(tokens);
    while !out.full() {
        out.phrase(pick(rng, THOUGHTS), " ");
    }
    out.pieces
}

fn pick<'a>(rng: &mut impl Rng, from: &[&'a str]) -> &'a str {
    from.choose(rng).copied().unwrap_or_default()
}

/// Words up to a number.
struct Words {
    pieces: Pieces,
    tokens: usize,
}

impl Words {
    fn new(tokens: usize) -> Self {
        Self { pieces: Pieces::default(), tokens }
    }

    fn full(&self) -> bool {
        self.pieces.len() >= self.tokens
    }

    fn say(&mut self, token: &str) {
        if !self.full() {
            // A text does not begin with the blank that parts its words.
            let token = if self.pieces.text.is_empty() { token.trim_start() } else { token };
            self.pieces.text.push_str(token);
            self.pieces.ends.push(self.pieces.text.len());
        }
    }

    fn phrase(&mut self, words: &str, lead: &str) {
        for (n, word) in words.split(' ').enumerate() {
            self.say(&format!("{}{word}", if n == 0 { lead } else { " " }));
        }
    }
}
