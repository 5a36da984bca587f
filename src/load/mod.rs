//! Who sends when: load levels, arrival times, event loops, statistics of a level, SLOs and the search for a load.

pub mod arrivals;
pub mod closed;
pub mod event_loop;
pub mod event_loop_lag;
pub mod level;
pub mod level_stats;
pub mod level_text;
pub mod open;
mod sched;
pub mod search;
pub mod shutdown;
pub mod slo;
pub mod workload;

pub use arrivals::{Arrival, Arrivals, ramped};
pub use level::Level;
