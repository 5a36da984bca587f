//! What goes wrong, and for which requests: every quirk of a real server that a client must survive, as a switch.
//!
//! Whether a request has a fault follows from the seed and the number of the request, so that a test can be repeated.

use super::timing;
use crate::text::nearest_first;
use clap::ValueEnum;
use rand::Rng;
use std::fmt;

/// One kind of misbehaviour. The names are those of `--fault`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Status 500 with the server's error.
    #[value(name = "http-500")]
    Http500,
    /// Status 429 with `Retry-After: 1`.
    RateLimit,
    /// Status 200, then the server's error in the middle of the stream.
    ErrorInStream,
    /// The stream ends in the middle, with neither a finish nor an end mark.
    Truncate,
    /// The connection dies in the middle of the answer.
    Abort,
    /// The connection is closed before the first byte of the answer.
    Close,
    /// The answer stops in the middle and the connection stays open.
    Stall,
    /// The first token comes ten times as late: a server that compiles or loads with its first requests (vLLM).
    Cold,
    /// Status 200 and an empty body.
    #[value(name = "empty-200")]
    Empty200,
    /// Status 200 and one line of English in the stream.
    #[value(name = "plain-200")]
    Plain200,
    /// A proxy's error page: status 502, HTML.
    HtmlError,
    /// Status 200 and a JSON error instead of an answer.
    #[value(name = "json-error-200")]
    JsonError200,
    /// A chunk in the middle that is broken JSON.
    Malformed,
    /// No headers before the first token.
    SlowHeaders,
    /// Headers at once, before the queue and before the model is loaded.
    EarlyHeaders,
    /// No end mark (`[DONE]`, `chat.end`, `done`).
    NoDone,
    /// No finish reason.
    NoFinish,
    /// No usage, not even when asked for.
    NoUsage,
    /// The usage says that there were no output tokens.
    ZeroUsage,
    /// Cumulative usage on every chunk, asked for or not (vLLM's `--enable-force-include-usage`).
    CumulativeUsage,
    /// The usage comes on a chunk that has a choice, with a second finish reason.
    UsageWithChoice,
    /// Lines end in CR LF.
    Crlf,
    /// Writes are cut inside lines and inside UTF-8 sequences.
    SplitUtf8,
    /// Comments in the stream, before the first token and between tokens.
    Comments,
    /// The stream begins with a byte order mark.
    Bom,
    /// Eight chunks come in one write, as from a buffering proxy.
    ManyPerChunk,
    /// The whole stream comes at its end, in one write, as from a proxy that collects it.
    Buffered,
    /// A stream is sent as `application/json`, a plain answer as `text/event-stream`.
    WrongType,
    /// A request gets the answer in one piece though it asked for a stream.
    NotStreamed,
    /// The chunk of the last token carries the finish reason.
    FinishWithToken,
    /// A plain answer is preceded by blanks and newlines while it is made.
    WhitespacePadding,
    /// The connection is closed after a streamed answer that promised to keep it (llama.cpp).
    CloseAfterStream,
    /// A connection that carried a request before is closed when the next one comes on it: what a client sees that is a
    /// little slower than the server's closing (LM Studio, Node, llama.cpp).
    CloseReused,
    /// Loading a model fails.
    LoadFails,
    /// Another model answers than was asked.
    WrongModel,
    /// `max_tokens` is refused: `max_completion_tokens` is wanted (OpenAI's reasoning models).
    RejectMaxTokens,
    /// OpenRouter: one provider fails unseen, and the answer begins a time to first token later.
    ProviderFailover,
    /// OpenRouter: another provider answers than the one that was asked for.
    IgnorePin,
    /// OpenRouter: status 429 of its own: `X-RateLimit-Reset` in milliseconds, no `Retry-After`.
    OwnRateLimit,
    /// OpenRouter: three quarters of the prompt come from a cache.
    CachedPrompt,
    /// OpenRouter: `/generation` tells twice the cost and one token more.
    GenerationDiffers,
    /// OpenRouter: `/generation` never knows the request.
    GenerationMissing,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => Ok(()),
        }
    }
}

/// For which requests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// For this share of them.
    Share(f64),
    /// For the first ones.
    First(u64),
}

/// A fault, as `--fault KIND[:RATE]` gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    kind: Kind,
    when: When,
}

impl std::str::FromStr for Fault {
    type Err = String;

    /// Reads `truncate`, `truncate:0.1` (a share of the requests) or `http-500:2x` (the first two requests).
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rate) = text.split_once(':').map_or((text, None), |(kind, rate)| (kind, Some(rate)));
        let kind = Kind::from_str(kind, false).map_err(|_| {
            let names = Kind::value_variants().iter().map(Kind::to_string).collect();
            format!("no such fault; there are {}", nearest_first(kind, names).join(", "))
        })?;
        let when = match rate {
            None => When::Share(1.0),
            Some(rate) => match rate.strip_suffix('x') {
                Some(count) => When::First(count.parse().map_err(|_| "not a count such as 2x".to_owned())?),
                None => match rate.parse::<f64>() {
                    Ok(share) if (0.0..=1.0).contains(&share) => When::Share(share),
                    _ => return Err("a rate is between 0 and 1, or a count such as 2x".into()),
                },
            },
        };
        Ok(Self { kind, when })
    }
}

/// The faults of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Kind>);

impl Faults {
    /// Those of `all` that befall the request `number` (from 1).
    pub fn of(all: &[Fault], seed: u64, number: u64) -> Self {
        let befalls = |fault: &&Fault| match fault.when {
            When::First(count) => number <= count,
            When::Share(share) => timing::rng(seed, &fault.kind.to_string(), number).random::<f64>() < share,
        };
        Self(all.iter().filter(befalls).map(|fault| fault.kind).collect())
    }

    /// Whether `kind` is among them.
    pub fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(Kind::to_string).collect()
    }
}

/// Where bytes are cut so that a reader who decodes reads one by one breaks: inside the first character of several
/// bytes, or else in the middle. `None` for what cannot be cut.
pub fn awkward_cut(bytes: &[u8]) -> Option<usize> {
    let inside = bytes.iter().position(|byte| *byte >= 0xc0).map(|at| at + 1);
    inside.or(Some(bytes.len() / 2)).filter(|at| (1..bytes.len()).contains(at))
}

/// The same lines, each ended by CR LF. (JSON holds no raw newline, so every one of them ends a line.)
pub fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 4);
    for byte in bytes {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_or_refused_with_the_choices() {
        for (text, good) in [
            ("truncate", true),
            ("http-500:0.25", true),
            ("http-500:2x", true),
            ("json-error-200", true),
            ("stall:0", true),
            ("stall:1.5", false),
            ("stall:-1", false),
            ("stall:x", false),
            ("stall:", false),
            ("explode", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Fault>().is_ok(), good, "{text}");
        }
        assert!("explode".parse::<Fault>().unwrap_err().contains("split-utf8"));
    }

    #[test]
    fn a_share_befalls_about_that_many_and_always_the_same() {
        let faults = ["truncate:0.25".parse().unwrap()];
        let hit =
            |seed| -> Vec<u64> { (1..=2000).filter(|n| Faults::of(&faults, seed, *n).has(Kind::Truncate)).collect() };
        assert!((400..600).contains(&hit(1).len()), "{}", hit(1).len());
        assert_eq!(hit(1), hit(1));
        assert_ne!(hit(1), hit(2));
    }

    #[test]
    fn a_count_befalls_the_first() {
        let faults = ["http-500:2x".parse().unwrap()];
        let hit: Vec<bool> = (1..=4).map(|n| Faults::of(&faults, 1, n).has(Kind::Http500)).collect();
        assert_eq!(hit, [true, true, false, false]);
    }

    #[test]
    fn a_cut_lies_inside_a_character_where_there_is_one() {
        for (text, cut) in [("aé", Some(2)), ("abcd", Some(2)), ("a", None), ("", None), ("é", Some(1))] {
            assert_eq!(awkward_cut(text.as_bytes()), cut, "{text}");
        }
        assert_eq!(with_crlf(b"data: x\n\n"), b"data: x\r\n\r\n");
    }
}
