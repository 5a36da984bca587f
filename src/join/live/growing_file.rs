//! A file that may still grow, read like a pipe: at its end it waits instead of ending.

use crate::locks::locked;
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The reading end of a file that may grow.
pub struct GrowingFile {
    file: File,
    end: EndSignal,
    at_end: Box<dyn FnMut(Duration) + Send>,
    caught_up: bool,
}

/// Decides when a file that is read to its end is at its end.
#[derive(Clone, Default)]
pub struct EndSignal {
    finished: Arc<AtomicBool>,
    stops: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl EndSignal {
    /// Says whether the file is finished, so that its present end is its end.
    pub fn finish(&self, finished: bool) {
        self.finished.store(finished, Ordering::Relaxed);
    }

    /// Ends the file also when `stop` is set.
    pub fn also(&self, stop: Arc<AtomicBool>) {
        locked(&self.stops).push(stop);
    }

    fn is_set(&self) -> bool {
        let stops = locked(&self.stops);
        self.finished.load(Ordering::Relaxed) || stops.iter().any(|stop| stop.load(Ordering::Relaxed))
    }
}

impl GrowingFile {
    /// Reads `file`; at its present end, once, `at_end` gets the time since it was last written to.
    pub fn new(file: File, end: EndSignal, at_end: impl FnMut(Duration) + Send + 'static) -> Self {
        Self { file, end, at_end: Box::new(at_end), caught_up: false }
    }
}

impl Read for GrowingFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Looked at before the read, so that what was written before the end was declared is still read.
            let ended = self.end.is_set();
            let read = self.file.read(buffer)?;
            if read > 0 || ended || buffer.is_empty() {
                return Ok(read);
            }
            if !std::mem::replace(&mut self.caught_up, true) {
                let written = self.file.metadata()?.modified().ok();
                let quiet = written.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
                (self.at_end)(quiet);
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_growing_file_ends_only_when_it_is_declared() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"one").unwrap();
        let ends = EndSignal::default();
        let (to, caught_up) = std::sync::mpsc::channel();
        let mut tail =
            GrowingFile::new(File::open(file.path()).unwrap(), ends.clone(), move |quiet| to.send(quiet).unwrap());
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            tail.read_to_string(&mut text).unwrap();
            text
        });
        caught_up.recv().unwrap();
        file.write_all(b" two").unwrap();
        ends.finish(true);
        assert_eq!(reader.join().unwrap(), "one two");
    }
}
