//! The search for the highest load that passes its SLOs: bisection, the verdict on a point, and whether the queue grows.

pub mod bisect;
pub mod point;
pub mod queue;
pub mod samples;

pub use bisect::{Bracket, Next, Search};
pub use point::{MAX_ROUNDS, PointVerdict};
pub use samples::SloSamples;
