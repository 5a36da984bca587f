//! When the requests of one run were in flight, as a few numbers.

/// The requests of one run.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The first start.
    pub from: f64,
    /// The last end.
    pub to: f64,
    /// The last start.
    pub last: f64,
    /// How many were sent.
    pub sent: u64,
    /// How long they were in flight, added up.
    pub flight_seconds: f64,
}

impl Default for Span {
    fn default() -> Self {
        let (never, always) = (f64::INFINITY, f64::NEG_INFINITY);
        Self { from: never, to: always, last: always, sent: 0, flight_seconds: 0.0 }
    }
}

impl Span {
    /// Counts one request.
    pub fn add(&mut self, from: f64, to: f64) {
        self.merge(Self { from, to, last: from, sent: 1, flight_seconds: to - from });
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: Self) {
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        self.last = self.last.max(other.last);
        self.sent += other.sent;
        self.flight_seconds += other.flight_seconds;
    }
}
