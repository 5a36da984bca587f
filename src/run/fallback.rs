//! Fallback between the protocols of a server, best first.

use super::config::Target;
use crate::chat::Dialect;
use std::sync::atomic::Ordering;

/// The protocols that a request may use, and the one in use.
#[derive(Debug)]
pub struct Fallback<'a> {
    target: &'a Target,
    dialects: &'static [Dialect],
    index: usize,
}

impl<'a> Fallback<'a> {
    /// Begins with the protocol that the target answered to, or the first after it that `fits`.
    pub fn new(target: &'a Target, dialects: &'static [Dialect], fits: impl Fn(Dialect) -> bool) -> Self {
        let mut index = target.dialect.load(Ordering::Relaxed);
        while index + 1 < dialects.len() && !fits(dialects[index]) {
            index += 1;
        }
        Self { target, dialects, index }
    }

    /// The protocol in use.
    pub fn dialect(&self) -> Dialect {
        self.dialects[self.index]
    }

    /// Whether another one is left.
    pub fn has_next(&self) -> bool {
        self.index + 1 < self.dialects.len()
    }

    /// Falls back to the next one, for the requests that follow too.
    pub fn advance(&mut self) {
        self.index += 1;
        self.target.dialect.fetch_max(self.index, Ordering::Relaxed);
    }
}
