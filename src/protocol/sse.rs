//! Bytes to events: the event-stream format of the HTML standard, however the bytes are cut.
//!
//! Pure, and deliberately forgiving where servers are known to differ: a byte-order mark, LF, CR or CRLF in any mixture,
//! `data:` with or without a space, several `data:` lines in one event, comments, and a last event that the end of the
//! stream cut off before its blank line (the standard drops it; here the end of an answer would be lost).
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>.

use std::borrow::Cow;

/// An event: what its `event:` field named and what its `data:` lines held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's name; empty when it has none.
    pub name: &'a str,
    /// The data, lines joined by newlines. Bytes that are not UTF-8 are replaced.
    pub data: &'a str,
}

/// A parser that is fed bytes as they arrive.
#[derive(Debug, Default)]
pub struct Parser {
    /// Nothing between events, as most reads end.
    held: Option<Box<Held>>,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
}

/// The part of an event that has come.
#[derive(Debug, Default)]
struct Held {
    /// The line that is not finished yet.
    line: Vec<u8>,
    name: String,
    data: Vec<u8>,
    has_data: bool,
}

impl Parser {
    /// Takes the next bytes and hands out every event that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Event<'_>)) {
        if self.after_cr && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        self.after_cr = self.after_cr && bytes.is_empty();
        loop {
            // Most common: a one-line event within this read, which is not copied.
            while let Some((data, rest)) = whole_event(bytes).filter(|_| self.is_between()) {
                self.begun = true;
                each(Event { name: "", data: &lossy(data) });
                bytes = rest;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else { break };
            let line = self.held.as_mut().map(|held| std::mem::take(&mut held.line)).unwrap_or_default();
            if line.is_empty() {
                // The whole line is within this read, and is not copied.
                self.end_of_line(&bytes[..end], &mut each);
            } else {
                self.end_of_line(&[&line, &bytes[..end]].concat(), &mut each);
            }
            let cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if cr {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    None => self.after_cr = true,
                    Some(_) => {}
                }
            }
        }
        if !bytes.is_empty() {
            self.held.get_or_insert_default().line.extend_from_slice(bytes);
        }
    }

    /// Whether nothing is held.
    fn is_between(&self) -> bool {
        self.held.is_none() && !self.after_cr
    }

    /// The stream ended: hands out the event that was cut off, if there is one.
    pub fn finish(&mut self, mut each: impl FnMut(Event<'_>)) {
        let line = self.held.as_mut().map(|held| std::mem::take(&mut held.line)).unwrap_or_default();
        if !line.is_empty() {
            self.end_of_line(&line, &mut each);
        }
        self.dispatch(&mut each);
    }

    /// How many bytes are held of an event that is not complete.
    pub fn pending(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.line.len() + held.data.len())
    }

    fn end_of_line(&mut self, mut line: &[u8], each: &mut impl FnMut(Event<'_>)) {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(each);
        }
        let (field, value) = match line.iter().position(|&b| b == b':') {
            Some(0) => return,
            Some(colon) => (&line[..colon], line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..])),
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                let held = self.held.get_or_insert_default();
                if std::mem::replace(&mut held.has_data, true) {
                    held.data.push(b'\n');
                }
                held.data.extend_from_slice(value);
            }
            b"event" => self.held.get_or_insert_default().name = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if let Some(held) = self.held.take().filter(|held| held.has_data) {
            each(Event { name: &held.name, data: &lossy(&held.data) });
        }
    }
}

/// The bytes as text, with invalid UTF-8 replaced; valid text is not copied.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The data of an event that is one line and a blank one, whole and at the beginning of `bytes`, and what follows it.
fn whole_event(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = bytes.strip_prefix(b"data:")?;
    let line = line.strip_prefix(b" ").unwrap_or(line);
    let (data, rest) = line.split_at(memchr::memchr2(b'\n', b'\r', line)?);
    let rest = rest.strip_prefix(b"\n\n").or_else(|| rest.strip_prefix(b"\r\n\r\n"))?;
    Some((data, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        let mut keep = |event: Event| events.push((event.name.to_owned(), event.data.to_owned()));
        for piece in pieces {
            parser.push(piece, &mut keep);
        }
        parser.finish(&mut keep);
        events
    }

    #[test]
    fn reads_streams_as_servers_send_them() {
        for (stream, expect) in [
            ("", vec![]),
            ("data: a\n\n", vec![("", "a")]),
            ("data:a\n\ndata:  b\n\n", vec![("", "a"), ("", " b")]),
            ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", vec![("", "a"), ("", "b"), ("", "c")]),
            (": OPENROUTER PROCESSING\n\ndata: a\n\n:\n\n", vec![("", "a")]),
            ("event: message.delta\ndata: {}\n\ndata: x\n\n", vec![("message.delta", "{}"), ("", "x")]),
            ("data: {\ndata: }\n\n", vec![("", "{\n}")]),
            ("data:\ndata: {}\n\n", vec![("", "\n{}")]),
            ("data\n\n", vec![("", "")]),
            ("id: 1\nretry: 5\nevent: x\n\n", vec![]),
            ("\u{feff}data: a\n\n", vec![("", "a")]),
            ("data: cut off", vec![("", "cut off")]),
            ("data: a\n\n\n\ndata: [DONE]\n\n", vec![("", "a"), ("", "[DONE]")]),
            ("This model is busy.\n\n", vec![]),
        ] {
            let expect: Vec<_> = expect.into_iter().map(|(n, d)| (n.to_owned(), d.to_owned())).collect();
            assert_eq!(parse(&[stream.as_bytes()]), expect, "{stream:?}");
        }
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_read_boundaries(
            stream in "(data: ?[a-zäö€😀{}:]{0,6}(\n|\r\n|\r)|: c\n|event: e(\r\n|\n)|\n|\r\n|\r){0,12}",
            cuts in proptest::collection::vec(0usize..200, 0..12),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[bytes]));
        }
    }
}
