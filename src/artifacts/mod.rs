//! The run folder: safe names, the page taken from an answer, files that are whole or not there.

mod folder;
mod json;
mod names;
mod page;
mod write;

pub use folder::Folder;
pub use json::JsonFiles;
pub use names::Names;
pub use page::{Found, page};
pub use write::write_atomic;
