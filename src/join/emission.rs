//! A line on its way out, in parts: what was added is not copied into what came.

/// A line that goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// What it is.
    pub kind: Kind,
    /// The line as it came, without its newline.
    pub line: String,
    /// The fields that were added to it, each with its comma: they stand before its last brace.
    pub added: String,
}

impl Emission {
    /// A line as it came.
    pub(super) fn whole(kind: Kind, line: String) -> Self {
        Self { kind, line, added: String::new() }
    }

    /// The line that goes out, in parts.
    pub fn parts(&self) -> [&str; 3] {
        let open = if self.added.is_empty() { None } else { self.line.strip_suffix('}') };
        open.map_or([&self.line, "", ""], |open| [open, &self.added, "}"])
    }
}

/// What goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A result, joined.
    Result,
    /// A prompt, as it came.
    Prompt,
    /// The summary of the join.
    Summary,
    /// Anything else, as it came.
    Other,
}
