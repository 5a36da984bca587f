//! ^C, SIGTERM and SIGHUP: first nothing more is sent, then the run is left.

use llm_bench::cli::Progress;
use llm_bench::run::Stop;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The first signal lets running requests finish, for so long; the second, or the end of that time, leaves at once.
pub fn obey(
    say: watch::Sender<Stop>,
    progress: Progress,
    grace: Duration,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        let first = tokio::select! {
            _ = interrupt.recv() => Stop::Drain,
            _ = terminate.recv() => Stop::Drain,
            // The terminal is gone, and with it whoever could say it again.
            _ = hangup.recv() => Stop::Leave,
        };
        if first == Stop::Drain && !grace.is_zero() {
            // Nobody listens any more when the run is over.
            let _ = say.send(Stop::Drain);
            let running = progress.running();
            progress.warn(format!(
                "stopping: no more requests are sent; {running} running may finish within {grace:?} (--grace); once more leaves at once"
            ));
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                () = tokio::time::sleep(grace) => progress.warn(format!("{grace:?} are over")),
            }
        }
        progress.warn("leaving: what has arrived is written");
        let _ = say.send(Stop::Leave);
    })
}
