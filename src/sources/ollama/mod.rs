//! Ollama: its native API.

pub mod chat;
pub mod list;
pub mod load;
