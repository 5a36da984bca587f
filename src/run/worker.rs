//! What one worker does with a job: asks its turns, counts what came of them, and hands the results on.

use super::jobs::Job;
use super::{Asking, Event, Shared, Target, request};
use crate::clock;
use crate::load::event_loop::EventLoop;
use crate::record::{Failure, FailureKind, Outcome, Phase};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Shared {
    /// Asks what a job asks, turn by turn, in the event loop that this runs in. A turn that failed ends its conversation: there is nothing to carry on.
    pub(super) async fn work(self: &Arc<Self>, on: &EventLoop, mut job: Job) {
        let mut id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut asking = Asking::new(&self.settings, &job.target, job.prompt, job.nonce, id);
        self.introduce([asking.prefix.as_ref(), Some(&asking.prompt)]);
        let mut left = asking.turns() as u64;
        loop {
            let (outcome, text) = request::perform(self, on, &job, id, &asking).await;
            if outcome.start_ts.is_none()
                && outcome.error.as_ref().is_some_and(|error| error.kind == FailureKind::Cancelled)
            {
                match job.due_ns.map(|due| due <= clock::mono_ns()) {
                    // Its time had come, and its connection had not.
                    Some(true) => {
                        left -= 1;
                        self.tell_unsent(outcome).await;
                    }
                    // Made ready ahead of its time, which did not come: nobody is owed what only the time would have brought.
                    Some(false) if !job.is_planned(&self.settings) => return,
                    _ => {}
                }
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
        self.left_unsent(left, job.phase == Phase::Measure);
        if !self.stopped() && !self.broken.swap(true, Ordering::Relaxed) {
            self.tell(Event::Notice("a turn failed: the turns after it in its conversation are not sent".into()));
        }
    }

    async fn done(self: &Arc<Self>, outcome: Box<Outcome>, text: String, target: &Target) {
        let failed = outcome.error.is_some();
        self.meter.done(&outcome);
        let no_connection = |why: &Failure| why.kind == FailureKind::Connect && outcome.start_ts.is_none();
        let unreached = outcome.error.as_ref().is_some_and(no_connection);
        self.count(|tally| {
            if failed {
                tally.failed += 1
            } else {
                tally.ok += 1
            }
            tally.unreached += u64::from(unreached);
        });
        if failed {
            self.perhaps_enough();
        }
        self.deliver(outcome, text, target).await;
    }

    /// A request that was due and is not sent: a result like any other that failed, but without times. One that would not have
    /// counted is only counted.
    pub(super) async fn not_sent(&self, job: Option<Job>, why: impl FnOnce() -> String) {
        let Some(job) = job else { return };
        if job.phase != Phase::Measure {
            return self.left_unsent(job.keys.len() as u64, false);
        }
        let why = why();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let asking = Asking::new(&self.settings, &job.target, job.prompt, job.nonce, id);
        let mut outcome = Box::new(Outcome {
            run: self.settings.run.clone(),
            id,
            key: job.keys.first().cloned().unwrap_or_default(),
            source: Some(job.target.source),
            model: job.target.model.id.clone(),
            provider: job.target.model.provider.clone(),
            pinned_provider: job.target.model.provider.clone(),
            rate: job.level.rate(),
            phase: Some(job.phase),
            repetition: Some(job.repeat),
            prompt: Some(asking.used(job.gpu_setting)),
            error: Some(Failure { kind: FailureKind::Cancelled, status: None, message: why.clone(), retryable: false }),
            ..Outcome::default()
        });
        outcome.errors.generation = Some(why);
        let turns_after = job.keys.len().saturating_sub(1) as u64;
        self.tell_unsent(outcome).await;
        self.left_unsent(turns_after, true);
    }

    /// Counts and tells the result of a request that was not sent.
    async fn tell_unsent(&self, outcome: Box<Outcome>) {
        self.meter.done(&outcome);
        self.count(|tally| tally.not_sent += 1);
        self.hand_on(outcome, String::new()).await;
    }

    /// Counts requests that were planned and have no result, because they are not sent any more: in the run, and, if they count, in
    /// their level.
    pub(super) fn left_unsent(&self, requests: u64, counts: bool) {
        self.count(|tally| tally.not_sent += requests);
        if counts {
            self.meter.unsent(requests);
        }
    }

    /// Hands a result to the sink, when there is room.
    pub(super) async fn hand_on(&self, outcome: Box<Outcome>, text: String) {
        // A permit that is forgotten is the sink's to give back.
        if let Ok(room) = self.room.acquire().await {
            room.forget();
        }
        self.tell(Event::Done { outcome, text });
    }
}
