//! The event loops of a run: a thread each, with its own connections, its own clock of lateness, and streams that never leave it.
//!
//! Nothing that happens with each piece of an answer is shared between loops: no queue of tasks, no list of timers, no pool of
//! connections, no lock. Requests are dealt out to the loops in turn when they begin, and stay.

use super::event_loop_lag::EventLoopLag;
use super::sched::{BATCH_STREAMS, SchedPolicy};
use super::shutdown::Stop;
use crate::http::ConnectionPool;
use crate::locks::locked;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// One event loop.
pub struct EventLoop {
    /// Where its tasks are put.
    pub handle: Handle,
    /// Its connections.
    pub connections: ConnectionPool,
    /// How late it is.
    pub lag: EventLoopLag,
    /// Who is to hear that the run ends.
    pub halt: Arc<Halt>,
    courtesy: Arc<SchedPolicy>,
    /// The loop ends when this is dropped.
    _until: oneshot::Sender<()>,
}

/// All of them.
pub struct EventLoops(Vec<Arc<EventLoop>>);

impl EventLoops {
    /// Starts `n` event loops.
    ///
    /// # Errors
    /// When the system has no thread for one.
    pub fn start(n: usize) -> io::Result<Self> {
        let first = ConnectionPool::new();
        let mut others: Vec<ConnectionPool> = (1..n).map(|_| first.sibling()).collect();
        others.push(first);
        let started = others.into_iter().enumerate().map(|(number, connections)| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let (until, ended) = oneshot::channel::<()>();
            std::thread::Builder::new().name(format!("loop-{number}")).spawn(move || {
                // Nothing is ever said: it ends when nobody could say anything any more.
                let _ = runtime.block_on(ended);
            })?;
            let lag = EventLoopLag::of(&handle);
            Ok(Arc::new(EventLoop {
                handle,
                connections,
                lag,
                halt: Arc::default(),
                courtesy: Arc::default(),
                _until: until,
            }))
        });
        let loops: Vec<_> = started.collect::<io::Result<_>>()?;
        EventLoopLag::measure(loops.iter().map(|one| one.lag.clone()).collect());
        Ok(Self(loops))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The loop of the `n`th request or worker.
    pub fn of(&self, n: u64) -> &Arc<EventLoop> {
        &self.0[(n % self.0.len() as u64) as usize]
    }

    /// So many streams at once are to come, all loops together.
    pub fn expect(&self, streams: u64) {
        let crowd = streams / self.0.len() as u64 >= BATCH_STREAMS;
        for one in &self.0 {
            let courtesy = Arc::clone(&one.courtesy);
            one.handle.spawn(async move { courtesy.give_way(crowd) });
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<EventLoop>> {
        self.0.iter()
    }
}

/// How far the run was asked to stop, for those who look with every piece of an answer: a number to compare, and a list of
/// those to be woken that is touched once when a request begins and once when it ends.
#[derive(Debug, Default)]
pub struct Halt {
    level: AtomicU8,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Halt {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        locked(&self.waiting)
    }

    /// Says it to all.
    pub fn say(&self, stop: Stop) {
        self.level.fetch_max(stop as u8, Ordering::AcqRel);
        self.waiting().wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }

    /// Waits until the run was asked to stop as far as `far` says then, or further.
    pub fn at(self: Arc<Self>, far: impl Fn() -> Stop + Unpin) -> impl Future<Output = ()> + Unpin {
        let mut place = Place { halt: self, at: None };
        std::future::poll_fn(move |cx| {
            // First the place, then the look: what is said in between is heard.
            place.keep(cx);
            let said = place.halt.level.load(Ordering::Acquire);
            // As long as nothing was said, nobody is asked.
            if said > Stop::Go as u8 && said >= far() as u8 { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

/// A place in the list of those to be woken.
struct Place {
    halt: Arc<Halt>,
    at: Option<(usize, Waker)>,
}

impl Place {
    fn keep(&mut self, cx: &Context<'_>) {
        match &mut self.at {
            Some((_, waker)) if waker.will_wake(cx.waker()) => {}
            Some((at, waker)) => {
                waker.clone_from(cx.waker());
                self.halt.waiting().wakers[*at] = Some(cx.waker().clone());
            }
            None => {
                let mut waiting = self.halt.waiting();
                let waker = Some(cx.waker().clone());
                let at = match waiting.free.pop() {
                    Some(at) => {
                        waiting.wakers[at] = waker;
                        at
                    }
                    None => {
                        waiting.wakers.push(waker);
                        waiting.wakers.len() - 1
                    }
                };
                self.at = Some((at, cx.waker().clone()));
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((at, _)) = self.at.take() {
            let mut waiting = self.halt.waiting();
            waiting.wakers[at] = None;
            waiting.free.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    #[tokio::test]
    async fn who_waits_hears_what_is_far_enough_for_it_and_leaves_no_trace() {
        let halt = Arc::new(Halt::default());
        let sent = Arc::new(AtomicBool::new(true));
        let waits = |halt: Arc<Halt>, sent: Arc<AtomicBool>| async move {
            halt.at(move || if sent.load(Ordering::Relaxed) { Stop::Leave } else { Stop::Drain }).await;
        };
        let one = tokio::spawn(waits(Arc::clone(&halt), Arc::clone(&sent)));
        tokio::time::sleep(Duration::from_millis(10)).await;
        halt.say(Stop::Drain);
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!one.is_finished(), "what is on its way may finish");
        halt.say(Stop::Leave);
        one.await.unwrap();
        // Who comes later hears it too; what is said is never taken back.
        halt.say(Stop::Go);
        waits(Arc::clone(&halt), sent).await;
        assert!(halt.waiting().wakers.iter().all(Option::is_none));
        assert_eq!(halt.waiting().wakers.len(), 1, "places are used again");
    }

    #[test]
    fn loops_are_dealt_out_in_turn_and_end_with_their_last_owner() {
        let loops = EventLoops::start(3).unwrap();
        assert_eq!(loops.len(), 3);
        let ran = |n| {
            let name = || std::thread::current().name().map(str::to_owned);
            let (say, said) = std::sync::mpsc::channel();
            loops.of(n).handle.spawn(async move { say.send(name()) });
            said.recv_timeout(Duration::from_secs(10)).unwrap().unwrap()
        };
        assert_eq!([0, 1, 2, 3].map(ran), ["loop-0", "loop-1", "loop-2", "loop-0"]);
        assert_eq!(loops.iter().count(), 3);
    }
}
