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

/// Which prompt the `n`th request (from 0) asks when prompts are taken in turn, and for the how-manieth time (from 1).
/// `None` without prompts.
pub fn in_turn(prompts: usize, n: u64) -> Option<(usize, u64)> {
    let count = prompts as u64;
    Some(((n.checked_rem(count)?) as usize, n / count + 1))
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
        let asked: Vec<_> = (0..5).filter_map(|n| in_turn(2, n)).collect();
        assert_eq!(asked, [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3)]);
        assert_eq!(in_turn(3, u64::MAX), Some((0, u64::MAX / 3 + 1)));
        assert_eq!(in_turn(0, 2), None);
    }
}
