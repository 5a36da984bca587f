//! Servers with an OpenAI-compatible API.

pub mod count;
pub mod list;
pub mod quantization;
