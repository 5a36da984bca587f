//! MiniMax: api.minimax.io, or a local server.

pub mod chat;
