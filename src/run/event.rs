//! What a run reports while it goes on, and the way to its sink.

use super::progress::RequestProgress;
use crate::locks::locked;
use crate::record::{Load, LoadLevel, Outcome, Prompt, Search, Start};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use tokio::sync::{Semaphore, mpsc};

/// How many results may wait for the sink.
const MAX_WAITING_RESULTS: usize = 64;

/// An event of a run.
#[derive(Debug)]
pub enum Event {
    /// A model was loaded, or failed to be.
    Load(Box<Load>),
    /// A synthetic text was made, and is sent next.
    Prompt(Arc<Prompt>),
    /// A request was sent.
    Start(Start),
    /// A model is being loaded.
    Loading(String),
    /// A request was sent for the first time; its progress can be read until it is done.
    Running(Arc<RequestProgress>),
    /// A request ended, and its result waits for OpenRouter's record of its cost.
    VerifyingCost(u64),
    /// A request ended.
    Done {
        /// The result.
        outcome: Box<Outcome>,
        /// The answer.
        text: String,
    },
    /// A load level has ended.
    Level(Box<LoadLevel>),
    /// A search has ended.
    Search(Box<Search>),
    /// A notice for people.
    Notice(String),
}

/// The sending side. Clones share one queue.
#[derive(Debug, Clone)]
pub struct EventSender {
    sender: mpsc::UnboundedSender<Event>,
    /// A slow sink slows the run down instead of filling memory.
    room: Arc<Semaphore>,
    /// The ids of the prompts that were sent.
    introduced: Arc<Mutex<HashSet<String>>>,
}

/// The receiving side.
#[derive(Debug)]
pub struct EventReceiver {
    receiver: mpsc::UnboundedReceiver<Event>,
    room: Arc<Semaphore>,
}

/// Makes a queue of events.
pub fn event_queue() -> (EventSender, EventReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(MAX_WAITING_RESULTS));
    (EventSender { sender, room: Arc::clone(&room), introduced: Arc::default() }, EventReceiver { receiver, room })
}

impl EventSender {
    /// Sends an event.
    pub fn send(&self, event: Event) {
        // The receiver is gone only when the run is being left.
        let _ = self.sender.send(event);
    }

    /// Sends a notice for people.
    pub fn notice(&self, text: impl Into<String>) {
        self.send(Event::Notice(text.into()));
    }

    /// Sends the synthetic texts among these, each once and before its first use.
    pub fn introduce(&self, prompts: [Option<&Arc<Prompt>>; 2]) {
        for prompt in prompts.into_iter().flatten().filter(|prompt| prompt.synthetic.is_some()) {
            let new = locked(&self.introduced).insert(prompt.id.clone());
            if new {
                self.send(Event::Prompt(Arc::clone(prompt)));
            }
        }
    }

    /// Sends a result when there is room.
    pub async fn result(&self, outcome: Box<Outcome>, text: String) {
        // The receiver gives the permit back.
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
        }
        self.send(Event::Done { outcome, text });
    }
}

impl EventReceiver {
    /// Waits for the next event; `None` when every sender is gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The next event, if there is one now.
    pub fn try_next(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }

    /// Makes room for another result, when the sink has taken one.
    pub fn make_room(&self) {
        self.room.add_permits(1);
    }
}
