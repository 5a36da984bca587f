//! A line on its way out.

/// A line that goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// What it is.
    pub kind: Kind,
    /// The line, without its newline.
    pub line: String,
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
