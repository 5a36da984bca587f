//! An answer in one piece.

use super::admit::{Running, admit};
use super::ask::Refusal;
use super::chat::{Leaving, Request};
use super::faults::Kind;
use super::pen::Script;
use super::profile::Dialect;
use super::turn::Turn;
use axum::body::Body;
use std::io;
use std::time::Duration;

/// How often an answer is padded while it is made.
const PADDING_NS: u64 = 100_000_000;
/// How long half an answer is out before the connection dies.
pub const BEFORE_ABORT: Duration = Duration::from_millis(2);
const PADDING: &[u8] = b"\n         ";

/// The body of a plain answer, once it is made; or at once, padded with blanks until it is made.
///
/// # Errors
/// When the request is not admitted, or a fault says that the server failed.
pub async fn body(request: Request, leaving: Leaving) -> Result<Body, Refusal> {
    let dialect = request.dialect;
    let padded = request.faults.has(Kind::WhitespacePadding) || dialect.pads();
    let (turn, mut running) = admit(request, None).await?;
    if padded && !turn.has(Kind::ErrorInStream) {
        return Ok(Body::from_stream(Script::new(move |pen| async move {
            let _leaving = leaving;
            let mut pad_ns = turn.admitted_ns;
            while pad_ns < turn.admitted_ns + turn.plan.last_ns() {
                running.sim.until(pad_ns).await;
                pen.write(PADDING).await;
                pad_ns += PADDING_NS;
            }
            make(&turn, &mut running).await;
            pen.write(text(&turn, dialect)).await;
            end(&turn, &running, dialect).await
        })));
    }
    make(&turn, &mut running).await;
    if turn.has(Kind::ErrorInStream) {
        return Err(Refusal::Internal);
    }
    let text = text(&turn, dialect);
    if !turn.has(Kind::Abort) {
        end(&turn, &running, dialect).await.map_err(|_| Refusal::Internal)?;
        return Ok(text.into());
    }
    Ok(Body::from_stream(Script::new(move |pen| async move {
        pen.write(text).await;
        end(&turn, &running, dialect).await
    })))
}

/// Waits until the last token is there.
async fn make(turn: &Turn, running: &mut Running) {
    let sim = running.sim.clone();
    sim.until(turn.admitted_ns + turn.plan.first_ns).await;
    running.decodes();
    sim.until(turn.admitted_ns + turn.plan.last_ns()).await;
    running.rests();
    if turn.has(Kind::Stall) {
        std::future::pending::<()>().await;
    }
    let sent = turn.all();
    running.link.note(|truth| (truth.output, truth.reasoning) = (sent.output, sent.reasoning));
}

fn text(turn: &Turn, dialect: Dialect) -> Vec<u8> {
    let mut text = dialect.plain(turn).to_string().into_bytes();
    if [Kind::Truncate, Kind::Malformed, Kind::Abort].into_iter().any(|kind| turn.has(kind)) {
        text.truncate(text.len() / 2);
    }
    text
}

async fn end(turn: &Turn, running: &Running, dialect: Dialect) -> io::Result<()> {
    if turn.has(Kind::Abort) {
        // What was handed over leaves before the connection dies.
        tokio::time::sleep(BEFORE_ABORT).await;
        running.link.close("interrupted");
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    dialect.remember(turn, &running.sim);
    running.link.close("done");
    Ok(())
}
