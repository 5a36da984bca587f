//! Chat protocols, without the quirks of one server: how a request is written, sent and timed, and how its response is read.
//!
//! A server's own protocol implements [`Protocol`] in its folder of `sources`. Nothing here decides when to send, and nothing
//! repeats a request, except when a kept connection turns out to be dead.

mod answer;
pub mod chat_completions;
mod chunk_cache;
mod decoder;
mod fallback;
mod interface;
mod json_fields;
mod reasoning;
mod request;
mod send;
pub mod sse;
pub mod usage;

pub use answer::{Arrival, Chunk, ChunkKind, ServerMetadata, StreamedAnswer};
pub use fallback::{endpoint_missing, limit_refused};
pub use interface::Protocol;
pub use request::{ChatRequest, Parameters, PastTurn};
pub use send::{Cancellation, ExchangeEvent, HttpRequest, Limits, Response, TimedExchange};
