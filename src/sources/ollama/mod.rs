//! Ollama: its native API.

pub mod address;
pub mod chat;
pub mod list;
pub mod load;
pub mod usage;
