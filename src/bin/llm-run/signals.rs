//! ^C, SIGTERM and SIGHUP: first no more requests are sent, then the run is left.

use llm_bench::cli::Progress;
use llm_bench::load::shutdown::{Shutdown, ShutdownSignal};
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The first signal lets requests in flight finish within `grace`; the second signal, or the end of
/// that time, leaves at once.
pub fn handle(
    shutdown: ShutdownSignal,
    progress: Progress,
    grace: Duration,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        let first = tokio::select! {
            _ = interrupt.recv() => Shutdown::Graceful,
            _ = terminate.recv() => Shutdown::Graceful,
            // The terminal is gone, and with it a second signal.
            _ = hangup.recv() => Shutdown::Immediate,
        };
        if first == Shutdown::Graceful && !grace.is_zero() {
            shutdown.request(Shutdown::Graceful);
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
        shutdown.request(Shutdown::Immediate);
    })
}
