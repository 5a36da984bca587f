//! The simulated server: LM Studio, OpenRouter, Ollama, MiniMax or a plain OpenAI-compatible one, with known timing and
//! known faults; or any other, whose recorded exchanges it replays. It is what the demo runs against and what the tests take for truth.
//!
//! ```text
//! profile ──ask──▶ chat ──plan──▶ pen ──bytes──▶ link ──▶ socket
//!    ▲               │ faults        deadlines     │ stamps
//!    └── wire form ──┘ shelf, slots, meter         └──▶ truth
//! ```
//!
//! Every token has an absolute deadline, counted from the arrival of its request, so that lateness never adds up; what was
//! really written, and when, is in the truth file. Content, faults and drawn times follow from the seed alone. What it
//! refuses to do: pretend to be a measurement. Its models have names that no publisher uses, its power log says
//! `llm-sim` where a machine's name would stand.

pub mod catalog;
pub mod exchange;
pub mod faults;
pub mod quirks;
pub mod replay;
pub mod timing;

mod admit;
mod ask;
mod chat;
mod content;
mod heard;
mod link;
mod meter;
mod pen;
mod plain;
mod plan;
mod powermetrics;
mod profile;
mod serve;
mod shelf;
mod size;
mod steady;
mod tell;
mod truth;
mod turn;

pub use serve::{Server, listen};
pub use size::size;
pub use truth::Level;

use crate::record::Source;
use clap::ValueEnum;
use std::path::PathBuf;
use std::time::Duration;

/// What a server counts before a request (openai).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Count {
    /// Chats at `/v1/chat/completions/input_tokens`, texts at `/tokenize`: llama.cpp.
    Chat,
    /// Chats and texts at `/tokenize`: vLLM.
    Tokenize,
    /// Texts at `/tokenize`: SGLang.
    Text,
    /// Nothing.
    None,
}

/// All that shapes a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose wire form is spoken.
    pub profile: Source,
    /// What it offers; never empty.
    pub models: Vec<catalog::SimModel>,
    /// Seconds from admission to the first token, before the model's own factor.
    pub ttft: timing::Spread,
    /// Seconds between tokens, before the model's own factor.
    pub itl: timing::Spread,
    /// Tokens of an answer, reasoning included.
    pub tokens: timing::Spread,
    /// Tokens in one chunk; `None` is the profile's own habit.
    pub tokens_per_chunk: Option<u32>,
    /// How much longer gaps become with each other running request: 0.1 is a tenth.
    pub slowdown: f64,
    /// What everything drawn at random is drawn from.
    pub seed: u64,
    /// How many requests run at once; the others wait in order of arrival. `None` is no limit.
    pub slots: Option<usize>,
    /// How long loading a model takes, before its own factor.
    pub load_time: Duration,
    /// Bytes that a loaded model really holds, before its own factor.
    pub load_bytes: u64,
    /// The key that requests must carry.
    pub api_key: Option<String>,
    /// How long after its start the server has no model yet, and says so.
    pub ready_after: Duration,
    /// How long a connection may be idle before it is closed without a word; `None` is for ever.
    pub idle_close: Option<Duration>,
    /// OpenRouter: what the key may spend, over what `/key` says by itself; `None` is a `/key` that fails.
    pub account: Option<serde_json::Map<String, serde_json::Value>>,
    /// OpenRouter: how long after its end a request becomes known to `/generation`.
    pub generation_delay: Duration,
    /// What goes wrong.
    pub faults: Vec<faults::Fault>,
    /// How new an LM Studio it is.
    pub generation: quirks::Generation,
    /// Its habits.
    pub quirks: Vec<quirks::Quirk>,
    /// Where the truth goes, and how much of it.
    pub truth: Option<(PathBuf, Level)>,
    /// Where the body of each request goes.
    pub bodies: Option<PathBuf>,
    /// What the server counts for its clients.
    pub count: Count,
    /// What is replayed instead of planned answers.
    pub replay: Option<replay::Replay>,
    /// Where the simulated power meter writes, and how often.
    pub power_log: Option<(PathBuf, Duration)>,
}
