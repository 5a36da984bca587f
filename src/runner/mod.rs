//! llm-run: pace × models × prompts → records.
//!
//! Models that live on this machine are measured one after another, each loaded, asked and unloaded; remote ones are asked
//! in one pool across models. Workers ask; one sink writes: [`run`] hands it every event in the order in which it
//! happened. Nothing here knows standard output or the command line.

mod asking;
mod fit;
mod flight;
mod job;
mod lag;
mod ledger;
mod level;
mod plan;
mod request;

pub use asking::Asking;
pub use fit::Fitted;
pub use flight::{Doing, Flight};
pub use job::left;
pub use plan::{ApiChoice, Nonce, Settings, Target};

use crate::clock::Stamp;
use crate::http::wire::Connections;
use crate::loader;
use crate::record::{Failure, FailureKind, Load, Outcome, Phase, Prompt, Start};
use futures_util::future::join_all;
use job::{Batch, Job, Part};
use lag::Lag;
use std::collections::HashSet;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// How long a model stays loaded after its last answer, at most: `--settle` shortens it.
const LINGER: Duration = Duration::from_secs(1);

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
    /// Something doubtful, for people.
    Notice(String),
}

/// How far a run was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    Go,
    /// Send no more; let running requests finish.
    Drain,
    /// Leave at once.
    Leave,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that ended well.
    pub ok: u64,
    /// Requests that failed, and models that did not load.
    pub failed: u64,
    /// Requests that were planned and never sent.
    pub unsent: u64,
    /// Whether a level that was to last for a time was stopped before it.
    pub cut: bool,
}

/// What the workers share.
struct Shared {
    settings: Settings,
    targets: Vec<Arc<Target>>,
    connections: Connections,
    lag: Arc<Lag>,
    next_id: AtomicU64,
    in_flight: AtomicU64,
    stop: watch::Receiver<Stop>,
    /// Says that enough has failed.
    enough: watch::Sender<Stop>,
    events: mpsc::UnboundedSender<Event>,
    /// Room for results that the sink has not taken yet: whoever reads slowly slows the run down, and does not fill memory.
    room: Semaphore,
    /// What waits to be verified.
    ledger: ledger::Ledger,
    tally: Mutex<Tally>,
    /// The ids of the texts that were made and told.
    told: Mutex<HashSet<String>>,
    /// Whether it was said that a conversation ended early.
    broken: AtomicBool,
}

/// Runs everything; hands every event to `sink`.
///
/// # Errors
/// When the sink fails, at once: running requests are dropped, and what was loaded is unloaded. When the system's
/// certificates cannot be read.
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
    let shared = Arc::new(Shared {
        next_id: AtomicU64::new(settings.first_id),
        settings,
        targets: targets.into_iter().map(Arc::new).collect(),
        connections: Connections::new()?,
        lag: Lag::start(),
        in_flight: AtomicU64::new(0),
        stop: said,
        enough,
        events,
        room: Semaphore::new(ROOM),
        ledger: ledger::Ledger::new(),
        tally: Mutex::default(),
        told: Mutex::default(),
        broken: AtomicBool::new(false),
    });
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
    shared.lag.stop();
    if let Err(why) = outcome {
        abort.abort();
        shared.unload_quietly().await;
        return Err(why);
    }
    while let Ok(event) = happened.try_recv() {
        sink(event)?;
    }
    Ok(*shared.tally.lock().unwrap_or_else(PoisonError::into_inner))
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

impl Shared {
    async fn drive(self: Arc<Self>) {
        self.stages().await;
        self.ledger.empty().await;
    }

    async fn stages(self: &Arc<Self>) {
        for stage in plan::stages(&self.targets) {
            let first = &self.targets[stage[0]];
            let cycle = self.settings.load.as_ref().filter(|_| loader::has_life_cycle(first.source, &first.model));
            let Some(wanted) = cycle else {
                self.levels(&stage, None, None).await;
                continue;
            };
            let batches: Vec<Batch> = self.batches(&stage, None, None).collect();
            if batches.is_empty() {
                continue;
            }
            if self.stopped() {
                batches.iter().for_each(|batch| self.unsent(batch, 0));
                continue;
            }
            self.tell(Event::Loading(first.model.id.clone()));
            let mut notice = |text: String| self.tell(Event::Notice(text));
            let run = &self.settings.run;
            // Nothing will be asked of a model whose load is still running when the run is to stop.
            let stop = pin!(self.stop_at(Stop::Drain));
            let loading = loader::load(&first.api, first.source, &first.model, wanted, run, stop, &mut notice);
            let load = tokio::select! {
                load = loading => load,
                () = self.stop_at(Stop::Leave) => None,
            };
            let Some(load) = load else {
                batches.iter().for_each(|batch| self.unsent(batch, 0));
                self.unload_quietly().await;
                continue;
            };
            let (seconds, gpu, error) = (load.load_time_seconds, load.gpu_setting.clone(), load.error.clone());
            if let Some(instance) = &load.instance {
                // Each target is loaded once.
                let _ = first.instance.set(instance.clone());
            }
            self.tell(Event::Load(Box::new(load)));
            match error {
                Some(_) if self.stopped() => batches.iter().for_each(|batch| self.unsent(batch, 0)),
                Some(why) => self.failed_load(first, why),
                None => {
                    self.levels(&stage, Some(seconds), gpu).await;
                    // A sampler that reads once a second must find the model still loaded after its last answer.
                    let linger = wanted.settle.min(LINGER);
                    tokio::select! {
                        () = tokio::time::sleep(linger) => {}
                        () = self.stop_at(Stop::Drain) => {}
                    }
                }
            }
            tokio::select! {
                unloaded = loader::unload_all(&first.api, first.source, wanted.limit) => {
                    if let Err(why) = unloaded {
                        self.tell(Event::Notice(format!("{}: could not be unloaded: {why}", first.model.id)));
                    }
                }
                () = self.stop_at(Stop::Leave) => self.unload_quietly().await,
            }
        }
    }

    /// What a stage has to do: levels one after another, each warmed up first; nothing for a level that is done already.
    fn batches<'a>(
        &'a self,
        stage: &'a [usize],
        load_seconds: Option<Option<f64>>,
        gpu_setting: Option<String>,
    ) -> impl Iterator<Item = Batch> + 'a {
        let targets: Vec<_> = stage.iter().map(|&n| Arc::clone(&self.targets[n])).collect();
        self.settings.levels.iter().flat_map(move |&level| {
            let measure = Batch {
                targets: targets.clone(),
                level,
                part: Part::Measure,
                load_seconds,
                gpu_setting: gpu_setting.clone(),
            };
            let done = measure.left(&self.settings, 0) == Some(0);
            let warmup = Batch { part: Part::Warmup, ..measure.clone() };
            [warmup, measure].into_iter().filter(move |_| !done)
        })
    }

    async fn levels(self: &Arc<Self>, stage: &[usize], load_seconds: Option<Option<f64>>, gpu: Option<String>) {
        let batches: Vec<Batch> = self.batches(stage, load_seconds, gpu).collect();
        if let Some(batch) = batches.first() {
            self.fit(&batch.targets).await;
        }
        for batch in batches {
            self.batch(batch).await;
        }
    }

    /// Asks what a job asks, turn by turn. A turn that failed ends its conversation: there is nothing to carry on.
    async fn work(self: &Arc<Self>, mut job: Job) {
        let mut id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut asking = Asking::new(&self.settings, &job.target, job.prompt, job.nonce, id);
        self.introduce([asking.prefix.as_ref(), Some(&asking.prompt)]);
        let mut left = asking.turns() as u64;
        loop {
            let (outcome, text) = request::perform(self, &job, id, &asking).await;
            if outcome.start_ts.is_none()
                && outcome.error.as_ref().is_some_and(|error| error.kind == FailureKind::Cancelled)
            {
                break;
            }
            left -= 1;
            let failed = outcome.error.is_some();
            if left > 0 && !failed {
                asking.answered(&text);
            }
            self.done(outcome, text, &job.target).await;
            if left == 0 {
                return;
            }
            if failed || self.stopped() {
                break;
            }
            // Only the first turn has its time; the others follow when they can.
            job.due_ns = None;
            id = self.next_id.fetch_add(1, Ordering::Relaxed);
        }
        self.count(|tally| tally.unsent += left);
        if !self.stopped() && !self.broken.swap(true, Ordering::Relaxed) {
            self.tell(Event::Notice("a turn failed: the turns after it in its conversation are not sent".into()));
        }
    }

    async fn done(self: &Arc<Self>, outcome: Outcome, text: String, target: &Target) {
        let failed = outcome.error.is_some();
        self.count(|tally| if failed { tally.failed += 1 } else { tally.ok += 1 });
        if failed {
            self.perhaps_enough();
        }
        self.deliver(outcome, text, target).await;
    }

    async fn hand_on(&self, outcome: Outcome, text: String) {
        // A permit that is forgotten is the sink's to give back.
        if let Ok(room) = self.room.acquire().await {
            room.forget();
        }
        self.tell(Event::Done { outcome: Box::new(outcome), text });
    }

    fn failed_load(&self, target: &Target, why: String) {
        let failure = Failure { kind: FailureKind::Load, status: None, message: why.clone(), retryable: true };
        let mut outcome = Outcome {
            run: self.settings.run.clone(),
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            source: Some(target.source),
            model: target.model.id.clone(),
            timestamp: crate::clock::rfc3339(Stamp::now().ts),
            load_time_seconds: Some(None),
            phase: Some(Phase::Measure),
            error: Some(failure),
            ..Outcome::default()
        };
        outcome.errors.load = Some(why);
        self.count(|tally| tally.failed += 1);
        self.tell(Event::Done { outcome: Box::new(outcome), text: String::new() });
    }

    /// Sends no more when as much has failed as may.
    fn perhaps_enough(&self) {
        let failed = self.tally.lock().unwrap_or_else(PoisonError::into_inner).failed;
        if self.settings.max_errors.is_none_or(|most| failed < most) {
            return;
        }
        let first = self.enough.send_if_modified(|stop| {
            let going = *stop == Stop::Go;
            *stop = (*stop).max(Stop::Drain);
            going
        });
        if first {
            self.tell(Event::Notice(format!("{failed} requests failed: no more are sent (--max-errors)")));
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
        count(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Unloads what may be loaded, in two seconds at most: the run is being left.
    async fn unload_quietly(&self) {
        if self.settings.load.is_none() {
            return;
        }
        let mut servers: Vec<&Target> = Vec::new();
        for target in &self.targets {
            let known =
                servers.iter().any(|known| (known.source, &known.base_url) == (target.source, &target.base_url));
            if loader::has_life_cycle(target.source, &target.model) && !known {
                servers.push(target);
            }
        }
        let mut unloads = Vec::new();
        for target in servers {
            unloads.push(loader::unload_all(&target.api, target.source, Duration::from_secs(2)));
        }
        // Nobody is left to be told of a failure.
        join_all(unloads).await;
    }
}
