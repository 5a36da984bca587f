//! A recorded exchange: a request, and the answer of some server to it, as it is on the wire, with its timing. The format is that
//! of the files in `testdata/servers`; the README there describes it.

use crate::record::Source;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The JSON object at the beginning of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// What is special about the exchange, in a sentence.
    pub about: String,
    /// The method and the path of the request; a query counts where there is one.
    pub request: String,
    /// Headers that the request must have, each with the beginning of its value.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What the request's JSON must contain; null is also what is absent.
    #[serde(default)]
    pub body: Map<String, Value>,
    /// The kind of server, for clients that read this answer; the server does not use it. OpenAI-compatible unless stated.
    pub source: Option<Source>,
    /// Fields of the `result` record that llm-run must make of the answer; the server does not use them.
    pub result: Option<Value>,
    /// The first `model` record that llm-models must make of the listing; the server does not use it.
    pub model: Option<Value>,
}

/// A part of an answer that leaves at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Nanoseconds from the arrival of the request.
    pub at_ns: u64,
    /// How many tokens it holds.
    pub tokens: u32,
    /// Whether they are reasoning.
    pub reasoning: bool,
    /// Its bytes, without the framing of HTTP.
    pub bytes: Bytes,
}

/// What happens to the connection after the last part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// It stays open, as far as the headers allow.
    #[default]
    Keep,
    /// It is closed after a complete answer, whatever the headers promised.
    Close,
    /// It breaks before the answer is complete.
    Abort,
}

/// One recorded exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What it answers, and what a client must make of it.
    pub header: Header,
    /// The version of the answer.
    pub version: Version,
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that frame the body.
    pub headers: HeaderMap,
    /// Whether its length is unknown when its headers leave.
    pub streamed: bool,
    /// The head leaves with the first part; never empty.
    pub parts: Vec<Part>,
    /// What follows the last part.
    pub end: End,
}

/// A request, as far as it can be matched.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Its query.
    pub query: Option<&'a str>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body; null where it is no JSON.
    pub body: &'a Value,
}

impl Exchange {
    /// Reads a file.
    ///
    /// # Errors
    /// When it does not begin with a [`Header`], or something else than an answer follows.
    pub fn parse(file: &[u8]) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_slice(file).into_iter::<Header>();
        let header = json.next().ok_or("an empty file")?.map_err(|error| error.to_string())?;
        let wire = &file[json.byte_offset()..];
        let mut lines = wire.split_inclusive(|byte| *byte == b'\n').skip_while(|line| line.trim_ascii().is_empty());
        let mut status_line = lines.next().ok_or("no answer after the JSON object")?;
        let mut last = Part::default();
        if let Some((part, End::Keep)) = mark(status_line)? {
            (last, status_line) = (part, lines.next().unwrap_or_default());
        }
        let (version, status) = status_of(status_line)?;
        let mut headers = headers_of(&mut lines)?;
        let chunked = headers.remove(header::TRANSFER_ENCODING).is_some();
        headers.remove(header::CONTENT_LENGTH);

        let (mut parts, mut bytes, mut end) = (Vec::new(), Vec::new(), End::Keep);
        for line in lines {
            let Some((part, then)) = mark(line)? else {
                bytes.extend_from_slice(line);
                continue;
            };
            if part.at_ns < last.at_ns || end != End::Keep {
                return Err(format!("{}: earlier than the mark before, or after the end", text(line)?.trim()));
            }
            let before = std::mem::replace(&mut last, part);
            parts.push(Part { bytes: std::mem::take(&mut bytes).into(), ..before });
            end = then;
        }
        parts.push(Part { bytes: bytes.into(), ..last });
        let streamed = chunked || version == Version::HTTP_10;
        Ok(Self { header, version, status, headers, streamed, parts, end })
    }

    /// Whether it answers a request.
    fn answers(&self, request: &Received) -> bool {
        let (method, target) = self.header.request.split_once(' ').unwrap_or_default();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let has = |(name, value): (&String, &String)| {
            request
                .headers
                .get(name)
                .and_then(|found| found.to_str().ok())
                .is_some_and(|found| found.starts_with(value))
        };
        method == request.method
            && path == request.path
            && query.is_none_or(|query| request.query == Some(query))
            && self.header.headers.iter().all(has)
            && self.header.body.iter().all(|(name, value)| contains(&request.body[name], value))
    }

    /// How much it demands of a request. Whether it streams counts half: most exchanges say that.
    fn conditions(&self) -> usize {
        let body = self.header.body.iter().map(|(name, value)| if name == "stream" { 1 } else { 2 * leaves(value) });
        body.sum::<usize>() + 2 * self.header.headers.len() + 2 * usize::from(self.header.request.contains('?'))
    }
}

/// The exchange that answers a request: the one that demands most of it; of several such, one after the other, by `turn`.
pub fn choose<'a>(all: &'a [Arc<Exchange>], request: &Received, turn: u64) -> Option<&'a Arc<Exchange>> {
    let mut best: Vec<&Arc<Exchange>> = all.iter().filter(|exchange| exchange.answers(request)).collect();
    let most = best.iter().map(|exchange| exchange.conditions()).max()?;
    best.retain(|exchange| exchange.conditions() == most);
    Some(best[(turn % best.len() as u64) as usize])
}

/// Whether JSON has all that is expected of it.
fn contains(found: &Value, expected: &Value) -> bool {
    match expected {
        Value::Object(fields) => fields.iter().all(|(name, value)| contains(&found[name], value)),
        other => found == other,
    }
}

fn leaves(value: &Value) -> usize {
    value.as_object().map_or(1, |fields| fields.values().map(leaves).sum())
}

fn text(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line).map_err(|_| "the head and the marks are text".to_owned())
}

/// A line that says when the bytes after it leave, and what they hold or what ends there.
fn mark(line: &[u8]) -> Result<Option<(Part, End)>, String> {
    if line.first() != Some(&b'@') || !line.get(1).is_some_and(u8::is_ascii_digit) {
        return Ok(None);
    }
    let line = text(line)?.trim();
    let wrong = || format!("{line}: not `@60ms`, `@60ms 1 token`, `@60ms 2 reasoning`, `@60ms close` or `@60ms abort`");
    let count = |number: &str| number.parse::<u32>().map_err(|_| wrong());
    let (time, what) = line.split_once(' ').unwrap_or((line, ""));
    let milliseconds = time.strip_prefix('@').and_then(|time| time.strip_suffix("ms")).ok_or_else(wrong)?;
    let mut part = Part { at_ns: u64::from(count(milliseconds)?) * 1_000_000, ..Part::default() };
    let end = match what.split_whitespace().collect::<Vec<_>>()[..] {
        [] => End::Keep,
        ["close"] => End::Close,
        ["abort"] => End::Abort,
        [number, kind @ ("token" | "tokens" | "reasoning")] => {
            (part.tokens, part.reasoning) = (count(number)?, kind == "reasoning");
            End::Keep
        }
        _ => return Err(wrong()),
    };
    Ok(Some((part, end)))
}

fn status_of(line: &[u8]) -> Result<(Version, StatusCode), String> {
    let line = text(line)?.trim();
    let wrong = || format!("{line}: not a status line such as `HTTP/1.1 200 OK`");
    let mut words = line.split(' ');
    let version = match words.next() {
        Some("HTTP/1.1") => Version::HTTP_11,
        Some("HTTP/1.0") => Version::HTTP_10,
        _ => return Err(wrong()),
    };
    let status = words.next().and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok());
    Ok((version, status.ok_or_else(wrong)?))
}

/// The headers, up to the empty line.
fn headers_of<'a>(lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let line = text(line)?.trim();
        if line.is_empty() {
            break;
        }
        let pair = line.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        let (name, value) = pair.ok_or_else(|| format!("{line}: not a header"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(header: &str, wire: &str) -> Result<Exchange, String> {
        Exchange::parse(format!("{{\"about\": \"\", {header}}}\n\n{wire}").as_bytes())
    }

    #[test]
    fn exchange_keeps_the_bytes_between_its_marks() {
        let wire = "@5ms\nHTTP/1.1 200 OK\nServer: x\ntransfer-encoding: chunked\n\n: hi\n\n@60ms 2 tokens\ndata: é\r\n\r\n\
                    @70ms 1 reasoning\n@media\n@80ms abort\n";
        let exchange = parse(r#""request": "GET /""#, wire).unwrap();
        let part = |ms: u64, tokens, reasoning, bytes: &'static str| Part {
            at_ns: ms * 1_000_000,
            tokens,
            reasoning,
            bytes: bytes.into(),
        };
        let parts = [
            part(5, 0, false, ": hi\n\n"),
            part(60, 2, false, "data: é\r\n\r\n"),
            part(70, 1, true, "@media\n"),
            part(80, 0, false, ""),
        ];
        assert_eq!(exchange.parts, parts);
        assert_eq!((exchange.end, exchange.streamed, exchange.headers.len()), (End::Abort, true, 1));
        let plain = parse(r#""request": "GET /""#, "HTTP/1.1 404 Not Found\ncontent-length: 99\n\nno").unwrap();
        assert_eq!((plain.streamed, plain.status.as_u16(), &*plain.parts[0].bytes), (false, 404, &b"no"[..]));
        assert!(parse(r#""request": "GET /""#, "HTTP/1.0 200 OK\n\nno").unwrap().streamed);
    }

    #[test]
    fn broken_exchange_is_refused_with_the_reason() {
        for (header, wire, reason) in [
            (r#""request": "GET /", "reslut": {}"#, "HTTP/1.1 200 OK\n\n", "unknown field `reslut`"),
            (r#""request": "GET /""#, "", "no answer"),
            (r#""request": "GET /""#, "HTTP/2 200\n\n", "not a status line"),
            (r#""request": "GET /""#, "HTTP/1.1 200 OK\nserver\n\n", "not a header"),
            (r#""request": "GET /""#, "HTTP/1.1 200 OK\n\n@60\n", "@60: not `@60ms`"),
            (r#""request": "GET /""#, "HTTP/1.1 200 OK\n\n@60ms one token\n", "not `@60ms`"),
            (r#""request": "GET /""#, "HTTP/1.1 200 OK\n\n@60ms\n@50ms\n", "earlier"),
            (r#""request": "GET /""#, "HTTP/1.1 200 OK\n\n@60ms close\n@70ms\n", "after the end"),
        ] {
            let refused = parse(header, wire).unwrap_err();
            assert!(refused.contains(reason), "{wire:?}: {refused}");
        }
    }

    #[test]
    fn request_gets_the_exchange_that_demands_most() {
        let all: Vec<Arc<Exchange>> = [
            r#""request": "POST /chat""#,
            r#""request": "POST /chat", "body": {"model": "m", "options": {"n": 2}}"#,
            r#""request": "POST /chat", "headers": {"content-type": "application/json"}"#,
            r#""request": "POST /chat?v=1""#,
            r#""request": "POST /chat", "body": {"stream": null}, "headers": {"content-type": "text/"}"#,
            r#""request": "POST /chat", "body": {"stream": true}"#,
            r#""request": "POST /chat", "body": {"model": "x"}"#,
        ]
        .iter()
        .map(|header| Arc::new(parse(header, "HTTP/1.1 200 OK\n\n").unwrap()))
        .collect();
        let find = |query: Option<&str>, kind: &str, body: Value, turn: u64| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            let request = Received { method: "POST", path: "/chat", query, headers: &headers, body: &body };
            choose(&all, &request, turn).and_then(|found| all.iter().position(|one| Arc::ptr_eq(one, found)))
        };
        let json = "application/json; charset=utf-8";
        assert_eq!(find(None, "", json!({"model": "y"}), 7), Some(0));
        assert_eq!([0, 1].map(|turn| find(None, "", json!({"model": "x", "stream": true}), turn)), [Some(6), Some(6)]);
        assert_eq!(find(None, json, json!({"model": "m", "options": {"n": 2, "k": 1}}), 0), Some(1));
        assert_eq!(find(None, json, Value::Null, 0), Some(2));
        assert_eq!([0, 1, 2].map(|turn| find(Some("v=1"), json, Value::Null, turn)), [Some(2), Some(3), Some(2)]);
        assert_eq!(find(None, "text/plain", json!({"model": "m"}), 0), Some(4));
        assert_eq!(find(None, "text/plain", json!({"stream": true}), 0), Some(5));
        let headers = HeaderMap::new();
        let other = Received { method: "GET", path: "/chat", query: None, headers: &headers, body: &Value::Null };
        assert!(choose(&all, &other, 0).is_none());
    }
}
