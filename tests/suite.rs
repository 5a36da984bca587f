//! What a user sees: the binaries, the pipes, the documents. One test binary; each module is a subject.

// A test that cannot go on says so by panicking, and one that skips says so on stderr.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod accuracy;
mod common;
mod contract;
mod filters;
mod flows;
mod join;
mod layering;
mod lifecycle;
mod mem;
mod meters;
mod migrating;
mod power;
mod readme;
mod report;
mod run;
mod servers;
mod sim;
