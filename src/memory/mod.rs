//! Memory: selection of processes, one file per platform.

mod host;
pub use host::host;
