//! Inline reasoning: text between `<think>` and `</think>` is not the answer, wherever the chunks are cut.
//!
//! Some models write their reasoning into the content (DeepSeek, Qwen and MiniMax by default). A tag counts only at the very
//! start of the content, as every such model writes it: an answer that *talks about* `<think>` stays an answer. Where the
//! prompt's template opened the reasoning already, only its end comes: on a line of its own, and never opened.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// What a piece of content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Reasoning.
    Reasoning,
    /// The answer.
    Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Inside,
    Outside,
}

/// Separates inline reasoning from the answer, as content arrives.
#[derive(Debug)]
pub struct ReasoningTagParser {
    state: State,
    /// Text that may be the beginning of a tag.
    held: String,
}

impl Default for ReasoningTagParser {
    fn default() -> Self {
        Self { state: State::Start, held: String::new() }
    }
}

impl ReasoningTagParser {
    /// Whether it is still open which of the two the content so far is.
    pub fn undecided(&self) -> bool {
        self.state == State::Start
    }

    /// Parses the next content and passes on what is certain. White space around the tags belongs to neither side.
    pub fn push(&mut self, text: &str, mut each: impl FnMut(Segment, &str)) {
        if self.state == State::Outside && self.held.is_empty() {
            return each(Segment::Answer, text);
        }
        self.held.push_str(text);
        loop {
            match self.state {
                State::Start => {
                    let trimmed = self.held.trim_start();
                    if let Some(rest) = trimmed.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.state = State::Inside;
                    } else if OPEN.starts_with(trimmed) {
                        return;
                    } else {
                        self.state = State::Outside;
                    }
                }
                State::Inside => {
                    if let Some(at) = self.held.find(CLOSE) {
                        if at > 0 {
                            each(Segment::Reasoning, &self.held[..at]);
                        }
                        self.held = self.held[at + CLOSE.len()..].trim_start().to_owned();
                        self.state = State::Outside;
                    } else {
                        let keep = tail_that_may_open(&self.held, CLOSE);
                        let certain = self.held.len() - keep;
                        if certain > 0 {
                            each(Segment::Reasoning, &self.held[..certain]);
                            self.held.drain(..certain);
                        }
                        return;
                    }
                }
                State::Outside => {
                    if !self.held.is_empty() {
                        each(Segment::Answer, &std::mem::take(&mut self.held));
                    }
                    return;
                }
            }
        }
    }

    /// The content ended: hands out what was held back.
    pub fn finish(&mut self, mut each: impl FnMut(Segment, &str)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            each(if self.state == State::Inside { Segment::Reasoning } else { Segment::Answer }, &held);
        }
    }
}

/// The reasoning and the answer of a content that closes, at a line's start, a reasoning that it never opened; `None` for any
/// other. Only the end that lies beyond `seen` is looked for.
pub fn unopened(text: &str, seen: usize) -> Option<(&str, &str)> {
    // The tag may have begun before.
    let mut from = seen.saturating_sub(CLOSE.len());
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let at = from + text[from..].find(CLOSE)?;
    let (thought, rest) = (&text[..at], &text[at + CLOSE.len()..]);
    let own_line = thought.ends_with('\n') && (rest.is_empty() || rest.starts_with(['\n', '\r']));
    (own_line && !thought.contains(OPEN)).then(|| (thought, rest.trim_start()))
}

/// Whether a piece may end a reasoning: what the content was before is not looked at, as its memory is cold by now.
pub fn may_close(piece: &str) -> bool {
    memchr::memchr(b'>', piece.as_bytes()).is_some()
}

/// How many bytes at the end of `text` are the beginning of `tag`.
fn tail_that_may_open(text: &str, tag: &str) -> usize {
    (1..tag.len().min(text.len() + 1)).rev().find(|&n| text.ends_with(&tag[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let (mut reasoning, mut answer) = (String::new(), String::new());
        let mut tag_parser = ReasoningTagParser::default();
        let mut keep = |part, text: &str| match part {
            Segment::Reasoning => reasoning.push_str(text),
            Segment::Answer => answer.push_str(text),
        };
        for piece in pieces {
            tag_parser.push(piece, &mut keep);
        }
        tag_parser.finish(&mut keep);
        (reasoning, answer)
    }

    #[test]
    fn reasoning_is_the_text_in_tags_at_the_start() {
        for (text, reasoning, answer) in [
            ("", "", ""),
            ("Hello", "", "Hello"),
            ("<think>hm</think>Hello", "hm", "Hello"),
            ("\n<think>\nhm\n</think>\n\nHello", "\nhm\n", "Hello"),
            ("<think></think>Hello", "", "Hello"),
            ("<think>never closed", "never closed", ""),
            ("Use <think> tags </think>", "", "Use <think> tags </think>"),
            ("<thinking>", "", "<thinking>"),
            ("<thi", "", "<thi"),
            ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
            ("<think>a < b </thin > c</think>d", "a < b </thin > c", "d"),
        ] {
            assert_eq!(split(&[text]), (reasoning.into(), answer.into()), "{text:?}");
        }
    }

    #[test]
    fn reasoning_without_opening_tag_ends_at_a_closing_line() {
        for (text, seen, expect) in [
            ("hm\n</think>\n\nHi", 0, Some(("hm\n", "Hi"))),
            ("hm\n</think>", 5, Some(("hm\n", ""))),
            ("hm\n</think>\nHi", 14, None),
            ("an ä\n</think>\n", 4, Some(("an ä\n", ""))),
            ("Write </think> to end it", 0, None),
            ("Write\n</think> to end it", 0, None),
            ("First <think>, then\n</think>\n", 0, None),
            ("ää", 3, None),
            ("", 0, None),
        ] {
            assert_eq!(unopened(text, seen), expect, "{text:?} {seen}");
        }
    }

    proptest! {
        #[test]
        fn reasoning_does_not_depend_on_chunk_boundaries(
            text in "(<think>)?[a-c<>/thinkä]{0,20}(</think>)?[a-c<>ü ]{0,10}",
            cuts in proptest::collection::vec(0usize..60, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| text.is_char_boundary(cut)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let trimmed = |(r, a): (String, String)| (r, a.trim_start().to_owned());
            prop_assert_eq!(trimmed(split(&pieces)), trimmed(split(&[&text])));
        }
    }
}
