//! Servers with an OpenAI-compatible API.

pub mod chat;
pub mod count;
pub mod list;
pub mod quantization;
