//! A load level: how many requests at once, or how many per second.

use super::arrivals::Arrival;

/// One load level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// So many requests are kept running.
    Closed {
        /// Requests at once; at least one.
        concurrency: u64,
    },
    /// Requests arrive at a rate.
    Open {
        /// Requests per second; above zero.
        rate: f64,
        /// How they are spaced.
        arrival: Arrival,
        /// The most requests at once: an arrival beyond it waits, and its waiting is recorded.
        at_most: u64,
    },
}

impl Level {
    /// Requests at once, where that is what was asked for.
    pub fn concurrency(self) -> Option<u64> {
        match self {
            Level::Closed { concurrency } => Some(concurrency),
            Level::Open { .. } => None,
        }
    }

    /// Requests per second, where that is what was asked for.
    pub fn rate(self) -> Option<f64> {
        match self {
            Level::Closed { .. } => None,
            Level::Open { rate, .. } => Some(rate),
        }
    }

    /// How many requests run at once, at most, when there are `requests` of them (`None`: no end of them). More workers
    /// than requests would only wait.
    pub fn at_most(self, requests: Option<u64>) -> u64 {
        let (Level::Closed { concurrency: most } | Level::Open { at_most: most, .. }) = self;
        most.max(1).min(requests.unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_at_once_than_requests() {
        let closed = |concurrency| Level::Closed { concurrency };
        assert_eq!(closed(8).at_most(Some(3)), 3);
        assert_eq!(closed(8).at_most(Some(0)), 0);
        assert_eq!(closed(0).at_most(Some(3)), 1);
        assert_eq!(closed(8).at_most(None), 8);
        assert_eq!(Level::Open { rate: 9.0, arrival: Arrival::Poisson, at_most: 2 }.at_most(Some(3)), 2);
    }
}
