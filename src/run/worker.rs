//! Sends the turns of a job and hands their results on.

use super::context::RunContext;
use super::jobs::Job;
use super::planned_request::PlannedRequest;
use super::request::Sender;
use super::result;
use crate::clock;
use crate::load::event_loop::EventLoop;
use crate::record::{Outcome, Phase};
use std::sync::Arc;

/// Sends what a job holds, turn by turn. A turn that failed ends its conversation: there is no
/// answer to carry on.
pub async fn work(run: &Arc<RunContext>, event_loop: &EventLoop, mut job: Job) {
    let mut id = run.next_id();
    let mut request = PlannedRequest::new(&run.config, &job.target, job.prompt, job.nonce, id);
    run.events.introduce([request.prefix.as_ref(), Some(&request.prompt)]);
    let mut left = request.turns() as u64;
    loop {
        let sender = Sender { run, event_loop, job: &job, request: &request, id };
        let (result, text) = sender.send().await;
        if result::is_not_sent(&result) {
            match job.due_ns.map(|due| due <= clock::mono_ns()) {
                // It was due and had no connection yet.
                Some(true) => {
                    left -= 1;
                    report_not_sent(run, result).await;
                }
                // It was prepared ahead of its time, and nothing but the time would have brought it.
                Some(false) if !job.is_planned(&run.config) => return,
                _ => {}
            }
            break;
        }
        left -= 1;
        let failed = result.error.is_some();
        if left > 0 && !failed {
            request.answered(&text);
        }
        run.add_result(&result);
        run.cost.deliver(result, text, &job.target).await;
        if left == 0 {
            return;
        }
        if failed || run.shutdown.is_requested() {
            break;
        }
        // Only the first turn is due at a time; the others follow when they can.
        job.due_ns = None;
        id = run.next_id();
    }
    run.add_not_sent(left, job.phase == Phase::Measure);
    run.report_ended_conversation();
}

/// Reports a job that was due and is not sent: its first turn as a result, the others as a count.
pub async fn not_sent(run: &RunContext, job: Job, reason: String) {
    let turns = job.keys.len() as u64;
    if job.phase != Phase::Measure {
        return run.add_not_sent(turns, false);
    }
    let result = result::not_sent(&run.config, job, run.next_id(), reason);
    report_not_sent(run, result).await;
    run.add_not_sent(turns.saturating_sub(1), true);
}

async fn report_not_sent(run: &RunContext, result: Box<Outcome>) {
    run.level.add(&result);
    run.counts.add_not_sent(1);
    run.events.result(result, String::new()).await;
}
