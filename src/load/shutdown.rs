//! How far a run was asked to stop.

/// How far a run was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    Go,
    /// Send no more; let running requests finish.
    Drain,
    /// Leave at once.
    Leave,
}
