//! The progress of a request for a display: a few counters, written without locks.

use crate::clock;
use crate::protocol::{ChunkKind, StreamedAnswer};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The progress of a request.
#[derive(Debug)]
pub struct RequestProgress {
    /// Its number.
    pub id: u64,
    /// Its model.
    pub model: String,
    sent_ns: AtomicU64,
    first_ns: AtomicU64,
    chunks: AtomicU64,
    attempts: AtomicU32,
    reasoning: AtomicBool,
}

/// The state of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RequestState {
    /// It failed, and waits to be sent again.
    WaitingToRetry,
    /// Sent, without an answer, for these seconds.
    Prompt(f64),
    /// Text is arriving.
    Answering {
        /// Whether it is reasoning.
        reasoning: bool,
        /// The chunks until now; a chunk may hold several tokens.
        chunks: u64,
        /// Chunks per second since the first; `None` in the first moments.
        rate: Option<f64>,
    },
}

impl RequestProgress {
    pub(super) fn new(id: u64, model: &str) -> Self {
        Self {
            id,
            model: model.to_owned(),
            sent_ns: AtomicU64::new(0),
            first_ns: AtomicU64::new(0),
            chunks: AtomicU64::new(0),
            attempts: AtomicU32::new(0),
            reasoning: AtomicBool::new(false),
        }
    }

    /// It was written to the server, for the first time or again.
    pub(super) fn sent(&self, mono_ns: u64) {
        self.chunks.store(0, Ordering::Relaxed);
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.sent_ns.store(mono_ns, Ordering::Relaxed);
    }

    /// It failed, and waits for its next attempt.
    pub(super) fn waiting(&self) {
        self.sent_ns.store(0, Ordering::Relaxed);
    }

    /// Text arrived. Every token takes this path: no lock, no clock, no message, and no look at the
    /// first chunk, whose memory is cold by now.
    pub(super) fn chunk(&self, answer: &StreamedAnswer) {
        if let Some(last) = answer.chunks.last() {
            if self.chunks.load(Ordering::Relaxed) == 0 {
                self.first_ns.store(answer.chunks[0].at.ns, Ordering::Relaxed);
            }
            self.reasoning.store(last.kind == ChunkKind::Reasoning, Ordering::Relaxed);
            self.chunks.store(answer.chunks.len() as u64, Ordering::Relaxed);
        }
    }

    /// How often it was sent.
    pub fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Its state now.
    pub fn state(&self) -> RequestState {
        let (sent_ns, chunks) = (self.sent_ns.load(Ordering::Relaxed), self.chunks.load(Ordering::Relaxed));
        let now_ns = clock::mono_ns();
        if sent_ns == 0 {
            return RequestState::WaitingToRetry;
        }
        if chunks == 0 {
            return RequestState::Prompt(clock::between(sent_ns, now_ns));
        }
        let seconds = clock::between(self.first_ns.load(Ordering::Relaxed), now_ns);
        RequestState::Answering {
            reasoning: self.reasoning.load(Ordering::Relaxed),
            chunks,
            rate: (chunks > 1 && seconds > 0.2).then(|| (chunks - 1) as f64 / seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Arrival;

    #[test]
    fn progress_follows_a_request_and_its_retry() {
        let progress = RequestProgress::new(1, "m");
        assert_eq!((progress.state(), progress.attempts()), (RequestState::WaitingToRetry, 0));
        let second_ago = clock::mono_ns() - 1_000_000_000;
        progress.sent(second_ago);
        assert!(matches!(progress.state(), RequestState::Prompt(seconds) if (1.0..5.0).contains(&seconds)));
        let mut answer = StreamedAnswer::default();
        for n in 0..11 {
            answer.event(Arrival { ns: second_ago, read: n });
            answer.think(Arrival { ns: second_ago, read: n }, "hm");
            progress.chunk(&answer);
        }
        match progress.state() {
            RequestState::Answering { reasoning: true, chunks: 11, rate: Some(rate) } => {
                assert!((2.0..=10.0).contains(&rate))
            }
            other => panic!("{other:?}"),
        }
        progress.waiting();
        assert_eq!(progress.state(), RequestState::WaitingToRetry);
        progress.sent(clock::mono_ns());
        assert!(matches!(progress.state(), RequestState::Prompt(_)), "its chunks were of the first attempt");
        assert_eq!(progress.attempts(), 2);
    }
}
