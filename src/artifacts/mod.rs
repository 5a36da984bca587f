//! The run folder: safe names, the page taken from an answer, files that are whole or not there.

mod json;
mod names;
mod write;

pub use json::JsonFiles;
pub use names::Names;
pub use write::write_atomic;
