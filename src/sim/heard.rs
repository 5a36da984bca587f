//! What was really asked: the body of each request, as it came, one `request` line each. See `docs/sim.md`.

use crate::locks::locked;
use crate::record;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

/// The file of bodies.
#[derive(Debug)]
pub struct Heard(Mutex<File>);

impl Heard {
    /// Makes the file, empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path).map(|file| Self(Mutex::new(file)))
    }

    /// Writes a body: as JSON where it is, as text where it is not.
    pub fn write(&self, path: &str, request: Option<&str>, body: &[u8]) {
        let body = serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body)));
        let mut line =
            json!({"type": "request", "v": record::V, "path": path, "request": request, "body": body}).to_string();
        line.push('\n');
        // A disk that is full does not stop the server.
        let _ = locked(&self.0).write_all(line.as_bytes());
    }
}
