//! What a user sees: the binaries, the pipes, the documents. One test binary; each module is a subject.

mod common;
mod join;
