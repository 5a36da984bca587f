//! Decodes the bytes of a body into the events of a protocol: an event stream, lines of JSON, or one body.

use super::answer::{Arrival, StreamedAnswer};
use super::interface::Protocol;
use super::sse;
use serde::de::IgnoredAny;

/// How the body of a response is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// An event stream.
    Events,
    /// A JSON object per line.
    Lines,
    /// One body.
    Whole,
    /// Not known yet.
    Unknown,
}

impl Framing {
    /// By the first bytes that are no white space: servers and gateways send streams as `application/json`, and bodies as
    /// `text/event-stream`. `None` while there are none.
    fn sniff(bytes: &[u8], protocol: &'static Protocol) -> Option<Self> {
        let bytes = bytes.trim_ascii_start();
        let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes).trim_ascii_start();
        if BOM.starts_with(bytes) {
            return None;
        }
        Some(match bytes[0] {
            b'{' | b'[' if protocol.json_lines => Framing::Lines,
            b'{' | b'[' | b'<' => Framing::Whole,
            _ => Framing::Events,
        })
    }
}

/// The byte order mark, in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Of a longer event, the bytes that are not text count as text, because an answer may keep all of them.
const LONG_EVENT: usize = 16 << 10;

/// Decodes the bytes of a body into events of the protocol.
pub struct BodyDecoder {
    /// The framing, as far as it is known.
    pub framing: Framing,
    protocol: &'static Protocol,
    events: sse::Parser,
    line: Vec<u8>,
    /// A whole body; of a stream, its beginning until the first event.
    pub raw: Vec<u8>,
}

impl BodyDecoder {
    /// A decoder of a body with this framing.
    pub fn new(framing: Framing, protocol: &'static Protocol) -> Self {
        Self { framing, protocol, events: sse::Parser::default(), line: Vec::new(), raw: Vec::new() }
    }

    /// Decodes bytes; returns whether they were part of a whole body. Comments and white space are not.
    pub fn take(&mut self, answer: &mut StreamedAnswer, at: Arrival, bytes: &[u8]) -> bool {
        let mut bytes = bytes;
        let held;
        if self.framing == Framing::Unknown {
            // Blanks before the first byte are looked at once, however many there are.
            self.raw.extend_from_slice(if self.raw.is_empty() || self.raw == BOM {
                bytes.trim_ascii_start()
            } else {
                bytes
            });
            let Some(framing) = Framing::sniff(&self.raw, self.protocol) else { return false };
            self.framing = framing;
            if framing == Framing::Whole {
                return true;
            }
            held = self.raw.clone();
            bytes = &held;
            self.raw.truncate(4096);
        } else if self.framing == Framing::Whole {
            self.raw.extend_from_slice(bytes);
            return !bytes.trim_ascii().is_empty();
        } else if answer.first_event.is_none() && self.raw.len() < 4096 {
            self.raw.extend_from_slice(&bytes[..bytes.len().min(4096)]);
        }
        match self.framing {
            Framing::Events => self.events.push(bytes, |event| read_event(self.protocol, answer, at, event)),
            Framing::Lines => {
                let mut rest = bytes;
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    let mut line = std::mem::take(&mut self.line);
                    let data = if line.is_empty() {
                        sse::lossy(&rest[..end])
                    } else {
                        line.extend_from_slice(&rest[..end]);
                        sse::lossy(&line)
                    };
                    read_event(self.protocol, answer, at, sse::Event { name: "", data: &data });
                    rest = &rest[end + 1..];
                }
                self.line.extend_from_slice(rest);
            }
            Framing::Whole | Framing::Unknown => {}
        }
        false
    }

    /// The body ended.
    pub fn finish(&mut self, answer: &mut StreamedAnswer, at: Arrival) {
        match self.framing {
            Framing::Events => self.events.finish(|event| read_event(self.protocol, answer, at, event)),
            Framing::Lines if !self.line.is_empty() => {
                let line = std::mem::take(&mut self.line);
                read_event(self.protocol, answer, at, sse::Event { name: "", data: &String::from_utf8_lossy(&line) });
            }
            Framing::Whole => {
                let body = String::from_utf8_lossy(&self.raw);
                let body = body.trim_start().trim_start_matches('\u{feff}').trim_start();
                if body.starts_with('{') {
                    (self.protocol.whole)(answer, at, body);
                }
            }
            Framing::Lines | Framing::Unknown => {}
        }
    }

    /// Whether the last bytes, which could not be parsed, are incomplete: an event without an end, or an unfinished body.
    pub fn is_cut(&self) -> bool {
        match self.framing {
            Framing::Events | Framing::Lines => true,
            Framing::Whole => serde_json::from_slice::<IgnoredAny>(&self.raw).is_err_and(|why| why.is_eof()),
            Framing::Unknown => false,
        }
    }

    /// Bytes that are held and not decoded.
    pub fn held_bytes(&self) -> usize {
        self.raw.len() + self.line.len() + self.events.pending()
    }
}

fn read_event(protocol: &'static Protocol, answer: &mut StreamedAnswer, at: Arrival, event: sse::Event<'_>) {
    // Events after the end are ignored, whatever the read boundaries.
    if answer.ended {
        return;
    }
    let text = (event.data.len() > LONG_EVENT).then(|| answer.bytes());
    (protocol.event)(answer, at, event);
    if let Some(text) = text {
        answer.add_other_bytes(event.data.len().saturating_sub(answer.bytes() - text));
    }
}
