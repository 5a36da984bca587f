//! The middle of a stream, rendered once: most servers say the same in every chunk but for the text, and building each anew would
//! cost the server more than writing it.

use super::profile::Dialect;
use super::turn::Turn;
use std::ops::Range;

/// Answers with fewer chunks are rendered chunk by chunk.
const WORTH_IT: usize = 16;

/// A chunk in two parts, with the text between them.
#[derive(Debug)]
pub struct Steady {
    before: Vec<u8>,
    after: Vec<u8>,
    chunks: Range<usize>,
}

impl Steady {
    /// What the chunks of an answer have in common; `None` where they have too little: where counts or times grow with them.
    pub fn of(turn: &Turn, dialect: Dialect) -> Option<Self> {
        let count = turn.plan.chunks.len();
        // The first chunk of an answer and the last are often their own.
        let first = turn.plan.chunks.iter().position(|chunk| !chunk.reasoning)? + 1;
        let chunks = first..count.checked_sub(1)?;
        if chunks.len() < WORTH_IT {
            return None;
        }
        let rendered = dialect.chunk(turn, first);
        let text = encoded(turn.text(first));
        let at = memchr::memmem::find(&rendered, &text)?;
        let (before, after) = (&rendered[..at], &rendered[at + text.len()..]);
        if memchr::memmem::find(after, &text).is_some() {
            return None;
        }
        let steady = Self { before: before.to_vec(), after: after.to_vec(), chunks };
        let same = |n: usize| steady.chunk(turn, n).is_some_and(|chunk| chunk == dialect.chunk(turn, n));
        [first + 1, first + steady.chunks.len() / 2, count - 2].into_iter().all(same).then_some(steady)
    }

    /// Chunk `n`, where it is one of them.
    pub fn chunk(&self, turn: &Turn, n: usize) -> Option<Vec<u8>> {
        if !self.chunks.contains(&n) {
            return None;
        }
        let text = turn.text(n);
        let mut chunk = Vec::with_capacity(self.before.len() + self.after.len() + text.len() + 16);
        chunk.extend_from_slice(&self.before);
        chunk.extend_from_slice(&encoded(text));
        chunk.extend_from_slice(&self.after);
        Some(chunk)
    }
}

/// A text as JSON.
fn encoded(text: &str) -> Vec<u8> {
    // Text is always JSON, and memory always takes it.
    serde_json::to_vec(text).unwrap_or_default()
}
