//! What one worker does with a job: asks its turns, counts what came of them, and hands the results on.

use super::job::Job;
use super::loops::EventLoop;
use super::{Asking, Event, Shared, Target, request};
use crate::record::{Failure, FailureKind, Outcome};
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

    async fn done(self: &Arc<Self>, outcome: Box<Outcome>, text: String, target: &Target) {
        let failed = outcome.error.is_some();
        self.meter.done(&outcome);
        self.count(|tally| if failed { tally.failed += 1 } else { tally.ok += 1 });
        if failed {
            self.perhaps_enough();
        }
        self.deliver(outcome, text, target).await;
    }

    /// A request that was due and is not sent: a result like any other that failed, but without times.
    pub(super) async fn not_sent(&self, job: Job, why: String) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let asking = Asking::new(&self.settings, &job.target, job.prompt, job.nonce, id);
        let mut outcome = Box::new(Outcome {
            run: self.settings.run.clone(),
            id,
            key: job.keys.first().cloned().unwrap_or_default(),
            source: Some(job.target.source),
            model: job.target.model.id.clone(),
            provider: job.target.model.provider.clone(),
            rate: job.level.rate(),
            phase: Some(job.phase),
            repeat: Some(job.repeat),
            prompt: Some(asking.used(job.gpu_setting)),
            error: Some(Failure { kind: FailureKind::Cancelled, status: None, message: why.clone(), retryable: false }),
            ..Outcome::default()
        });
        outcome.errors.generation = Some(why);
        self.meter.done(&outcome);
        self.hand_on(outcome, String::new()).await;
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
