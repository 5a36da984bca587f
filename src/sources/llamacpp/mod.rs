//! llama.cpp's server: OpenAI-compatible, with timings of its own.

pub mod usage;
