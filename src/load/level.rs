//! A load level: how many requests at once, or how many per second.

use super::arrivals::Arrival;

/// One load level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// A fixed number of concurrent requests.
    Closed {
        /// Concurrent requests; at least one.
        concurrency: u64,
    },
    /// Requests arrive at a rate.
    Open {
        /// Requests per second; above zero.
        rate: f64,
        /// Their spacing.
        arrival: Arrival,
        /// The most concurrent requests: an arrival beyond it waits, and its waiting is recorded.
        at_most: u64,
    },
}

impl Level {
    /// Concurrent requests of a closed loop.
    pub fn concurrency(self) -> Option<u64> {
        match self {
            Level::Closed { concurrency } => Some(concurrency),
            Level::Open { .. } => None,
        }
    }

    /// Requests per second of an open loop.
    pub fn rate(self) -> Option<f64> {
        match self {
            Level::Closed { .. } => None,
            Level::Open { rate, .. } => Some(rate),
        }
    }

    /// The most concurrent requests when there are `requests` of them; `None` for no end.
    pub fn at_most(self, requests: Option<u64>) -> u64 {
        let (Level::Closed { concurrency: most } | Level::Open { at_most: most, .. }) = self;
        most.max(1).min(requests.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrency_is_at_most_the_requests() {
        let closed = |concurrency| Level::Closed { concurrency };
        assert_eq!(closed(8).at_most(Some(3)), 3);
        assert_eq!(closed(8).at_most(Some(0)), 0);
        assert_eq!(closed(0).at_most(Some(3)), 1);
        assert_eq!(closed(8).at_most(None), 8);
        assert_eq!(Level::Open { rate: 9.0, arrival: Arrival::Poisson, at_most: 2 }.at_most(Some(3)), 2);
    }
}
