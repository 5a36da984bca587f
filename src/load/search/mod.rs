//! The search for the highest load that passes its SLOs: bisection, the verdict on a point, and whether the queue grows.

pub mod bisect;
pub mod queue;
pub mod samples;

pub use bisect::{Bracket, Next, Search};
pub use samples::Samples;
