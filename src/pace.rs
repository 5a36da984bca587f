//! When to send: pure, over what was sent and what time it is.
//!
//! Closed loop: so many requests at once, the next when one ends. Here is only the arithmetic; who waits is the runner.

/// One load level: how many requests are kept running at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Requests at once; at least one.
    pub concurrency: u64,
}

impl Closed {
    /// How many workers `requests` need: more than there are requests would only wait.
    pub fn workers(&self, requests: u64) -> u64 {
        self.concurrency.max(1).min(requests)
    }
}

/// How many times each of `prompts` is asked, one after another, when `requests` are wanted: prompts are repeated in
/// turn until there are enough. Yields (index of the prompt, repetition from 1).
pub fn in_turn(prompts: usize, requests: u64) -> impl Iterator<Item = (usize, u64)> {
    let count = prompts.max(1) as u64;
    (0..requests).map(move |n| ((n % count) as usize, n / count + 1)).filter(move |_| prompts > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_workers_than_requests() {
        assert_eq!(Closed { concurrency: 8 }.workers(3), 3);
        assert_eq!(Closed { concurrency: 8 }.workers(0), 0);
        assert_eq!(Closed { concurrency: 0 }.workers(3), 1);
    }

    #[test]
    fn prompts_are_asked_in_turn() {
        assert_eq!(in_turn(2, 5).collect::<Vec<_>>(), [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3)]);
        assert_eq!(in_turn(3, 2).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
        assert_eq!(in_turn(0, 2).count(), 0);
    }
}
