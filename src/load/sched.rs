//! How the thread of an event loop shares its processor with whoever else runs on the machine.
//!
//! A thread that is woken takes the processor from whoever runs there, as a rule. Where streams are few that is as it should be: a
//! stamp is to be taken when the bytes have come. Where they are many, and the server is on the same machine, it takes the turn of a
//! server that is in the middle of writing to its streams: it finds one chunk where it would have found ten a moment later, and who
//! measures holds up who is measured. So the thread of a loop with a crowd of streams runs as `SCHED_BATCH` (sched(7)), which never takes
//! another's turn. Where a processor is free, that changes nothing. Linux only; elsewhere threads stay as they are.

use std::sync::atomic::{AtomicBool, Ordering};

/// From so many streams on, an event loop gives way.
pub const BATCH_STREAMS: u64 = 128;

/// Whether a thread gives way because it was told to here; who started the program as batch wants it so throughout.
#[derive(Debug, Default)]
pub struct SchedPolicy(AtomicBool);

impl SchedPolicy {
    /// Gives way from now on, or no longer; for the thread that calls it. Where the system does not let it, nothing is lost.
    #[cfg(target_os = "linux")]
    pub fn give_way(&self, gives: bool) {
        use uapi::c::{SCHED_BATCH, SCHED_OTHER, sched_param};
        let (from, to) = if gives { (SCHED_OTHER, SCHED_BATCH) } else { (SCHED_BATCH, SCHED_OTHER) };
        let ours = gives || self.0.load(Ordering::Relaxed);
        if ours
            && uapi::sched_getscheduler(0) == Ok(from)
            && uapi::sched_setscheduler(0, to, &sched_param { sched_priority: 0 }).is_ok()
        {
            self.0.store(gives, Ordering::Relaxed);
        }
    }

    /// There is no such policy here.
    #[cfg(not(target_os = "linux"))]
    pub fn give_way(&self, gives: bool) {
        self.0.store(gives, Ordering::Relaxed);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use uapi::c::{SCHED_BATCH, SCHED_OTHER, sched_param};

    #[test]
    fn a_thread_gives_way_while_it_is_told_to_and_one_that_always_does_is_left_alone() {
        let policy = || uapi::sched_getscheduler(0).unwrap();
        // A thread of its own: another test may follow in this one.
        std::thread::spawn(move || {
            let courtesy = SchedPolicy::default();
            for (gives, expect) in
                [(false, SCHED_OTHER), (true, SCHED_BATCH), (true, SCHED_BATCH), (false, SCHED_OTHER)]
            {
                courtesy.give_way(gives);
                assert_eq!(policy(), expect);
            }
            uapi::sched_setscheduler(0, SCHED_BATCH, &sched_param { sched_priority: 0 }).unwrap();
            for gives in [true, false] {
                courtesy.give_way(gives);
                assert_eq!(policy(), SCHED_BATCH, "who started it as batch wants it so");
            }
        })
        .join()
        .unwrap();
    }
}
