//! Fallback between the protocols of a server, best first.

use super::config::Target;
use crate::protocol::Protocol;
use std::sync::atomic::Ordering;

/// The protocols that a request may use, and the one in use.
#[derive(Debug)]
pub struct Fallback<'a> {
    target: &'a Target,
    protocols: &'static [&'static Protocol],
    index: usize,
}

impl<'a> Fallback<'a> {
    /// Begins with the protocol that the target answered to, or the first after it that `fits`.
    pub fn new(target: &'a Target, protocols: &'static [&'static Protocol], fits: impl Fn(&Protocol) -> bool) -> Self {
        let mut index = target.dialect.load(Ordering::Relaxed);
        while index + 1 < protocols.len() && !fits(protocols[index]) {
            index += 1;
        }
        Self { target, protocols, index }
    }

    /// The protocol in use.
    pub fn protocol(&self) -> &'static Protocol {
        self.protocols[self.index]
    }

    /// Whether another one is left.
    pub fn has_next(&self) -> bool {
        self.index + 1 < self.protocols.len()
    }

    /// Falls back to the next one, for the requests that follow too.
    pub fn advance(&mut self) {
        self.index += 1;
        self.target.dialect.fetch_max(self.index, Ordering::Relaxed);
    }
}
