//! What a user sees: the binaries, the pipes, the documents. One test binary; each module is a subject.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

mod common;
mod contract;
mod filters;
mod flows;
mod layering;
mod power;
mod report;
mod sim;
