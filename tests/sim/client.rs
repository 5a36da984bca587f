//! A client that reads what a server writes, byte by byte, with nothing in between.

use crate::common::{command, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running llm-sim; it ends with the test.
pub struct Sim {
    child: Child,
    /// Its base URL.
    pub url: String,
    truth: tempfile::NamedTempFile,
}

impl Sim {
    /// Starts it with flags.
    #[track_caller]
    pub fn start(flags: &[&str]) -> Self {
        Self::spawn(flags, tempfile::NamedTempFile::new().unwrap())
    }

    /// Starts it with flags and a truth file.
    #[track_caller]
    pub fn with_truth(flags: &[&str]) -> Self {
        let truth = tempfile::NamedTempFile::new().unwrap();
        let path = truth.path().to_str().unwrap().to_owned();
        Self::spawn(&[flags, &["--ground-truth", &path]].concat(), truth)
    }

    #[track_caller]
    fn spawn(flags: &[&str], truth: tempfile::NamedTempFile) -> Self {
        let mut child = command("llm-sim").args(flags).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{flags:?}: {url:?}");
        Self { child, url, truth }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal and waits for the end: the exit status, and what it still said.
    pub fn signal(&mut self, name: &str) -> (Option<i32>, String) {
        Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        let status = self.child.wait().unwrap();
        let mut rest = String::new();
        self.child.stdout.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        (status.code(), rest)
    }

    /// The truth about so many requests, when it is there.
    #[track_caller]
    pub fn truth(&self, count: usize) -> Vec<Value> {
        let read = || std::fs::read_to_string(self.truth.path()).unwrap();
        wait_until("the truth", || read().lines().count() >= count);
        read().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Opens a connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends a request, and does not wait for the answer.
    pub fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> TcpStream {
        let mut stream = self.connect();
        write(&mut stream, method, path, headers, body);
        stream
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let headers = [headers, &["connection: close"]].concat();
        Answer::read(&mut self.send(method, path, &headers, body))
    }

    /// Posts JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path, &[], &body.to_string())
    }

    /// Gets a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes one request.
pub fn write(stream: &mut TcpStream, method: &str, path: &str, headers: &[&str], body: &str) {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         {headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
}

/// One message of a user.
pub fn user(prompt: &str) -> Value {
    json!([{"role": "user", "content": prompt}])
}

/// The body of a chat completion.
pub fn chat(model: &str, prompt: &str, stream: bool) -> Value {
    json!({"model": model, "messages": user(prompt), "stream": stream})
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status; 0 when nothing came.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// The sizes of the chunks of the transfer.
    pub writes: Vec<usize>,
    /// Whether the body ended as its framing says.
    pub whole: bool,
}

impl Answer {
    /// Reads one answer.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut answer = Self { status: 0, head: String::new(), body: Vec::new(), writes: Vec::new(), whole: false };
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(n) if n > 2 => answer.head.push_str(&line.to_lowercase()),
                _ => break,
            }
        }
        answer.status = answer.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if let Some(length) = answer.header("content-length").and_then(|n| n.parse().ok()) {
            answer.body = vec![0; length];
            answer.whole = reader.read_exact(&mut answer.body).is_ok();
            return answer;
        }
        let mut line = String::new();
        while answer.head.contains("transfer-encoding: chunked") && reader.read_line(&mut line).is_ok_and(|n| n > 0) {
            let Ok(size) = usize::from_str_radix(line.trim(), 16) else { break };
            let mut chunk = vec![0; size + 2];
            if reader.read_exact(&mut chunk).is_err() {
                break;
            }
            if size == 0 {
                answer.whole = true;
                break;
            }
            answer.writes.push(size);
            answer.body.extend_from_slice(&chunk[..size]);
            line.clear();
        }
        answer
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.split(':').next() == Some(name))?;
        Some(line.split_once(':')?.1.trim())
    }

    /// The body as text.
    #[track_caller]
    pub fn str(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Asserts a whole 200.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!((self.status, self.whole), (200, true), "{}{}", self.head, String::from_utf8_lossy(&self.body));
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.str()))
    }

    /// The JSON of every `data:` line, or of every line where there are none.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let text = self.str().trim_start_matches('\u{feff}');
        let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let lines = if data.is_empty() { text.lines().collect() } else { data };
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The text of a stream of chat completions.
    #[track_caller]
    pub fn text(&self) -> String {
        self.events().iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
    }
}
