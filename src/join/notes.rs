//! Warnings, as sentences for standard error and for the summary.

/// The most notes that are kept.
const MOST: usize = 100;

/// Notes, each once.
#[derive(Debug, Default)]
pub struct Notes {
    all: Vec<String>,
    /// How many were handed out.
    handed_out: usize,
}

impl Notes {
    /// Adds a note, unless it is there already.
    pub fn add(&mut self, text: String) {
        if self.all.len() < MOST && !self.all.contains(&text) {
            self.all.push(text);
        }
    }

    /// The notes that are new since the last call.
    pub fn take_new(&mut self) -> Vec<String> {
        let new = self.all[self.handed_out..].to_vec();
        self.handed_out = self.all.len();
        new
    }

    /// All notes.
    pub fn all(&self) -> Vec<String> {
        self.all.clone()
    }
}
