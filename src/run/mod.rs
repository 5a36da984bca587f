//! llm-run: pace × models × prompts → records.
//!
//! Models that live on this machine are measured one after another, each loaded, asked and unloaded; remote ones are asked
//! in one pool across models. Workers ask; one sink writes: [`run`] hands it every event in the order in which it
//! happened. Nothing here knows standard output or the command line.

mod config;
mod cost_check;
mod jobs;
mod level;
mod model_phase;
mod planned_request;
mod progress;
mod prompt_fitting;
mod request;
mod search;
mod worker;

pub use crate::load::shutdown::Stop;
pub use config::{ApiChoice, Nonce, Settings, Target};
pub use jobs::left;
pub use planned_request::Asking;
pub use progress::{Doing, Flight};
pub use prompt_fitting::Fitted;

use crate::load::event_loop::EventLoops;
use crate::load::level_stats::Meter;
use crate::locks::locked;
use crate::record::{self, Load, LoadLevel, Outcome, Prompt, Start};
use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};

/// How many results may wait for the sink.
const ROOM: usize = 64;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A model was loaded, or failed to be.
    Load(Box<Load>),
    /// A text was made, and will be asked.
    Prompt(Arc<Prompt>),
    /// A request was sent.
    Start(Start),
    /// A model is being loaded.
    Loading(String),
    /// A request was sent for the first time; how far it is can be seen in it until it is done.
    Running(Arc<Flight>),
    /// A request ended, and its result waits for OpenRouter's ledger.
    Verifying(u64),
    /// A request ended. The answer's text comes along for whoever keeps it.
    Done {
        /// The result.
        outcome: Box<Outcome>,
        /// The answer.
        text: String,
    },
    /// A load level has ended.
    Level(Box<LoadLevel>),
    /// A search has ended.
    Search(Box<record::Search>),
    /// Something doubtful, or of interest, for people.
    Notice(String),
}

/// What came of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that ended well.
    pub ok: u64,
    /// Requests that failed, and models that did not load.
    pub failed: u64,
    /// How many of these found nobody: no connection to their server could be made.
    pub unreached: u64,
    /// Requests that were planned and never sent.
    pub not_sent: u64,
    /// Whether a level that was to last for a time was stopped before it.
    pub cut: bool,
    /// Of searches: whether each found an answer.
    pub sought: Option<bool>,
}

impl Tally {
    /// Whether there was no server for any request that was made.
    pub fn reached_nobody(&self) -> bool {
        self.failed > 0 && self.ok == 0 && self.failed == self.unreached
    }
}

/// What the workers share.
struct Shared {
    settings: Settings,
    targets: Vec<Arc<Target>>,
    loops: EventLoops,
    /// Where everything runs that is not timed.
    main: Handle,
    next_id: AtomicU64,
    in_flight: AtomicU64,
    meter: Meter,
    stop: watch::Receiver<Stop>,
    /// Says that enough has failed.
    enough: watch::Sender<Stop>,
    events: mpsc::UnboundedSender<Event>,
    /// Room for results that the sink has not taken yet: whoever reads slowly slows the run down, and does not fill memory.
    room: Semaphore,
    /// What waits to be verified.
    ledger: cost_check::Ledger,
    tally: Mutex<Tally>,
    /// The ids of the texts that were made and told.
    told: Mutex<HashSet<String>>,
    /// Whether it was said that a conversation ended early.
    broken: AtomicBool,
}

/// Whether a target is loaded and unloaded by a run, where that is asked for.
pub fn loads(target: &Target) -> bool {
    crate::loader::has_life_cycle(target.source, &target.model)
}

/// Runs everything; hands every event to `sink`. When that has failed, it is told what had happened until then, and is not asked
/// again whether it could take it.
///
/// # Errors
/// When the sink fails, at once: running requests are dropped, and what was loaded is unloaded. When the system has no thread
/// for an event loop.
pub async fn run(
    settings: Settings,
    targets: Vec<Target>,
    stop: watch::Receiver<Stop>,
    mut sink: impl FnMut(Event) -> io::Result<()>,
) -> io::Result<Tally> {
    let (events, mut happened) = mpsc::unbounded_channel();
    // What the caller says, and what the run itself may say too: that enough has failed.
    let (enough, said) = watch::channel(Stop::Go);
    tokio::spawn(pass_on(stop, enough.clone()));
    let loops = EventLoops::start(settings.threads)?;
    let shared = Arc::new(Shared {
        next_id: AtomicU64::new(settings.first_id),
        settings,
        targets: targets.into_iter().map(Arc::new).collect(),
        loops,
        main: Handle::current(),
        in_flight: AtomicU64::new(0),
        meter: Meter::default(),
        stop: said,
        enough,
        events,
        room: Semaphore::new(ROOM),
        ledger: cost_check::Ledger::new(),
        tally: Mutex::default(),
        told: Mutex::default(),
        broken: AtomicBool::new(false),
    });
    tokio::spawn(say_to_loops(Arc::clone(&shared)));
    let driver = tokio::spawn(Arc::clone(&shared).drive());
    let abort = driver.abort_handle();
    // The shared state holds a sender; the stream of events ends when the driver says so.
    let mut driver = std::pin::pin!(driver);
    let outcome = loop {
        tokio::select! {
            biased;
            Some(event) = happened.recv() => {
                let done = matches!(event, Event::Done { .. });
                if let Err(why) = sink(event) {
                    break Err(why);
                }
                if done {
                    shared.room.add_permits(1);
                }
            }
            ended = &mut driver => break ended.map_err(io::Error::other),
        }
    };
    if let Err(why) = outcome {
        abort.abort();
        shared.unload_quietly().await;
        // What had happened by then is told too, to be counted at least.
        while let Ok(event) = happened.try_recv() {
            let _ = sink(event);
        }
        return Err(why);
    }
    while let Ok(event) = happened.try_recv() {
        sink(event)?;
    }
    Ok(*locked(&shared.tally))
}

/// Says on what is heard, as far as it goes further than what was said.
async fn pass_on(mut heard: watch::Receiver<Stop>, say: watch::Sender<Stop>) {
    loop {
        let stop = *heard.borrow_and_update();
        say.send_if_modified(|said| {
            let further = stop > *said;
            *said = (*said).max(stop);
            further
        });
        if heard.changed().await.is_err() {
            return;
        }
    }
}

/// Tells each event loop how far the run is to stop.
async fn say_to_loops(shared: Arc<Shared>) {
    let mut stop = shared.stop.clone();
    loop {
        let said = *stop.borrow_and_update();
        shared.loops.iter().for_each(|one| one.halt.say(said));
        if said == Stop::Leave || stop.changed().await.is_err() {
            return;
        }
    }
}

impl Shared {
    async fn drive(self: Arc<Self>) {
        self.stages().await;
        self.ledger.empty().await;
    }

    /// Sends no more when as much has failed as may.
    fn perhaps_enough(&self) {
        let failed = locked(&self.tally).failed;
        let Some(most) = self.settings.max_errors.filter(|most| failed >= *most) else { return };
        let first = self.enough.send_if_modified(|stop| {
            let going = *stop == Stop::Go;
            *stop = (*stop).max(Stop::Drain);
            going
        });
        if first {
            self.tell(Event::Notice(format!("{most} requests failed: no more are sent (--max-errors)")));
        }
    }

    fn stopped(&self) -> bool {
        *self.stop.borrow() > Stop::Go
    }

    /// Returns when the run was asked to stop that far, or further.
    async fn stop_at(&self, far: Stop) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|stop| *stop >= far).await.is_err() {
            // Whoever could have said so is gone: nobody will.
            std::future::pending::<()>().await;
        }
    }

    fn tell(&self, event: Event) {
        // Nobody listens only when the run is being left.
        let _ = self.events.send(event);
    }

    fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut locked(&self.tally));
    }
}
