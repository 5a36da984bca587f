//! What the parts of a run share: the plan, which never changes, and one owner for each thing that does.

use super::config::{RunConfig, Target};
use super::cost_check::CostVerifier;
use super::counts::RunCounter;
use super::event::EventSender;
use crate::load::event_loop::EventLoops;
use crate::load::level_stats::LevelStats;
use crate::load::shutdown::{Shutdown, ShutdownSignal};
use crate::record::Outcome;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the parts of a run share.
pub struct RunContext {
    pub config: RunConfig,
    pub targets: Vec<Arc<Target>>,
    pub event_loops: EventLoops,
    pub shutdown: ShutdownSignal,
    pub events: EventSender,
    pub counts: RunCounter,
    pub level: LevelStats,
    pub cost: CostVerifier,
    next_id: AtomicU64,
    in_flight: AtomicU64,
    /// Whether the notice about conversations that ended early was sent.
    conversation_ended: AtomicBool,
}

impl RunContext {
    /// # Errors
    /// When the system has no thread for an event loop.
    pub fn new(
        config: RunConfig,
        targets: Vec<Target>,
        shutdown: ShutdownSignal,
        events: EventSender,
    ) -> io::Result<Self> {
        Ok(Self {
            next_id: AtomicU64::new(config.first_id),
            event_loops: EventLoops::start(config.threads, &shutdown)?,
            targets: targets.into_iter().map(Arc::new).collect(),
            cost: CostVerifier::new(config.verify_cost, events.clone(), shutdown.clone()),
            config,
            shutdown,
            events,
            counts: RunCounter::default(),
            level: LevelStats::default(),
            in_flight: AtomicU64::new(0),
            conversation_ended: AtomicBool::new(false),
        })
    }

    /// The number of the next request.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a request in flight; how many there are now.
    pub fn begin_request(&self) -> u64 {
        self.in_flight.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts a request out.
    pub fn end_request(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts the result of a request that was sent, and stops the run after too many failures.
    pub fn add_result(&self, result: &Outcome) {
        self.level.add(result);
        self.counts.add(result);
        if result.error.is_some() {
            self.check_max_errors();
        }
    }

    fn check_max_errors(&self) {
        let failed = self.counts.finish().failed;
        let Some(most) = self.config.max_errors.filter(|most| failed >= *most) else { return };
        if self.shutdown.request(Shutdown::Graceful) {
            self.events.notice(format!("{most} requests failed: no more are sent (--max-errors)"));
        }
    }

    /// Counts planned requests that are not sent and have no result: in the run, and where they are
    /// `measured`, in their level.
    pub fn add_not_sent(&self, requests: u64, measured: bool) {
        self.counts.add_not_sent(requests);
        if measured {
            self.level.add_not_sent(requests);
        }
    }

    /// Reports, once, that turns after a failed one are not sent.
    pub fn report_ended_conversation(&self) {
        if !self.shutdown.is_requested() && !self.conversation_ended.swap(true, Ordering::Relaxed) {
            self.events.notice("a turn failed: the turns after it in its conversation are not sent");
        }
    }
}
