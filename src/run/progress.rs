//! How far a request is, for whoever looks on: a few counters that the request writes and nobody waits for.

use crate::chat::{Answer, Kind};
use crate::clock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// A request that runs, as it can be watched from outside.
#[derive(Debug)]
pub struct Flight {
    /// Its number.
    pub id: u64,
    /// The model it asks.
    pub model: String,
    sent_ns: AtomicU64,
    first_ns: AtomicU64,
    pieces: AtomicU64,
    tries: AtomicU32,
    thinking: AtomicBool,
}

/// What a request is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Doing {
    /// It failed, and is to be sent again.
    Waiting,
    /// The server reads the prompt, or something before it, for so many seconds.
    Prompt(f64),
    /// Text comes.
    Answering {
        /// Whether it is reasoning.
        thinking: bool,
        /// How many pieces came. A piece may hold several tokens.
        pieces: u64,
        /// Pieces per second since the first; `None` while that says nothing.
        rate: Option<f64>,
    },
}

impl Flight {
    pub(super) fn new(id: u64, model: &str) -> Self {
        Self {
            id,
            model: model.to_owned(),
            sent_ns: AtomicU64::new(0),
            first_ns: AtomicU64::new(0),
            pieces: AtomicU64::new(0),
            tries: AtomicU32::new(0),
            thinking: AtomicBool::new(false),
        }
    }

    /// It was written to the server, perhaps not for the first time.
    pub(super) fn sent(&self, mono_ns: u64) {
        self.pieces.store(0, Ordering::Relaxed);
        self.tries.fetch_add(1, Ordering::Relaxed);
        self.sent_ns.store(mono_ns, Ordering::Relaxed);
    }

    /// It failed, and waits for its next try.
    pub(super) fn waits(&self) {
        self.sent_ns.store(0, Ordering::Relaxed);
    }

    /// Text came. This is the path of every token: no lock, no clock, no message, and no look back at the first piece, whose memory
    /// is cold by now.
    pub(super) fn piece(&self, answer: &Answer) {
        if let Some(last) = answer.chunks.last() {
            if self.pieces.load(Ordering::Relaxed) == 0 {
                self.first_ns.store(answer.chunks[0].at.ns, Ordering::Relaxed);
            }
            self.thinking.store(last.kind == Kind::Reasoning, Ordering::Relaxed);
            self.pieces.store(answer.chunks.len() as u64, Ordering::Relaxed);
        }
    }

    /// How often it was sent.
    pub fn tries(&self) -> u32 {
        self.tries.load(Ordering::Relaxed)
    }

    /// What it does now.
    pub fn doing(&self) -> Doing {
        let (sent_ns, pieces) = (self.sent_ns.load(Ordering::Relaxed), self.pieces.load(Ordering::Relaxed));
        let now_ns = clock::mono_ns();
        if sent_ns == 0 {
            return Doing::Waiting;
        }
        if pieces == 0 {
            return Doing::Prompt(clock::between(sent_ns, now_ns));
        }
        let seconds = clock::between(self.first_ns.load(Ordering::Relaxed), now_ns);
        Doing::Answering {
            thinking: self.thinking.load(Ordering::Relaxed),
            pieces,
            rate: (pieces > 1 && seconds > 0.2).then(|| (pieces - 1) as f64 / seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Arrival;

    #[test]
    fn a_request_is_seen_to_wait_to_be_read_and_to_be_answered() {
        let flight = Flight::new(1, "m");
        assert_eq!((flight.doing(), flight.tries()), (Doing::Waiting, 0));
        let second_ago = clock::mono_ns() - 1_000_000_000;
        flight.sent(second_ago);
        assert!(matches!(flight.doing(), Doing::Prompt(seconds) if (1.0..5.0).contains(&seconds)));
        let mut answer = Answer::default();
        for n in 0..11 {
            answer.event(Arrival { ns: second_ago, read: n });
            answer.think(Arrival { ns: second_ago, read: n }, "hm");
            flight.piece(&answer);
        }
        match flight.doing() {
            Doing::Answering { thinking: true, pieces: 11, rate: Some(rate) } => assert!((2.0..=10.0).contains(&rate)),
            other => panic!("{other:?}"),
        }
        flight.waits();
        assert_eq!(flight.doing(), Doing::Waiting);
        flight.sent(clock::mono_ns());
        assert!(matches!(flight.doing(), Doing::Prompt(_)), "what came before is of the try before");
        assert_eq!(flight.tries(), 2);
    }
}
