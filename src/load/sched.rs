//! The scheduling policy of an event loop's thread.
//!
//! A woken thread preempts whoever runs on its processor. With few streams that is right: a read is
//! stamped when its bytes arrive. With many streams and the server on the same machine it preempts
//! a server that is writing to its streams, finds one chunk instead of ten, and slows the server
//! down. So the thread of a loop with many streams runs as `SCHED_BATCH` (sched(7)), which never
//! preempts. On a free processor that changes nothing. Linux only.

use std::sync::atomic::{AtomicBool, Ordering};

/// From this many streams on, an event loop runs as `SCHED_BATCH`.
pub const BATCH_STREAMS: u64 = 128;

/// Whether a thread is `SCHED_BATCH` by our doing; a program started as batch stays batch.
#[derive(Debug, Default)]
pub struct SchedPolicy(AtomicBool);

impl SchedPolicy {
    /// Sets the policy of the calling thread. A system that refuses loses nothing.
    #[cfg(target_os = "linux")]
    pub fn set_batch(&self, batch: bool) {
        use uapi::c::{SCHED_BATCH, SCHED_OTHER, sched_param};
        let (from, to) = if batch { (SCHED_OTHER, SCHED_BATCH) } else { (SCHED_BATCH, SCHED_OTHER) };
        let ours = batch || self.0.load(Ordering::Relaxed);
        if ours
            && uapi::sched_getscheduler(0) == Ok(from)
            && uapi::sched_setscheduler(0, to, &sched_param { sched_priority: 0 }).is_ok()
        {
            self.0.store(batch, Ordering::Relaxed);
        }
    }

    /// There is no such policy here.
    #[cfg(not(target_os = "linux"))]
    pub fn set_batch(&self, batch: bool) {
        self.0.store(batch, Ordering::Relaxed);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use uapi::c::{SCHED_BATCH, SCHED_OTHER, sched_param};

    #[test]
    fn a_thread_that_was_batch_from_the_start_stays_batch() {
        let policy = || uapi::sched_getscheduler(0).unwrap();
        // In its own thread: another test may run in this one later.
        std::thread::spawn(move || {
            let policy_of_loop = SchedPolicy::default();
            for (batch, expect) in
                [(false, SCHED_OTHER), (true, SCHED_BATCH), (true, SCHED_BATCH), (false, SCHED_OTHER)]
            {
                policy_of_loop.set_batch(batch);
                assert_eq!(policy(), expect);
            }
            uapi::sched_setscheduler(0, SCHED_BATCH, &sched_param { sched_priority: 0 }).unwrap();
            for batch in [true, false] {
                policy_of_loop.set_batch(batch);
                assert_eq!(policy(), SCHED_BATCH, "it was started as batch");
            }
        })
        .join()
        .unwrap();
    }
}
