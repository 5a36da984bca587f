//! One request over a connection: sent once, every read stamped, the response read to its end or to the failure that ended it.

use super::answer::StreamedAnswer;
use crate::clock::{self, Stamp};
use crate::http::ConnectionPool;
use crate::record::Failure;
use std::future::{Future, poll_fn};
use tokio::task::JoinSet;

mod body;
mod error_body;
mod head;
mod limits;
mod request;
mod response;
mod timer;

pub use limits::Limits;
pub use request::HttpRequest;
pub use response::Response;

use body::{BodyReader, BodyResult};
use head::{StartedResponse, begin};
use limits::cancelled as was_cancelled;

/// Sends a request and reads its response. When `cancelled` completes first, what has arrived until then is kept. `on_start` is called
/// for each request that is written, as soon as it is: twice when a kept connection was dead. `on_piece` is called after each piece that
/// brought the answer forward.
pub async fn send(
    connections: &ConnectionPool,
    request: &HttpRequest,
    limits: Limits,
    cancelled: impl Future<Output = ()> + Unpin + Send + 'static,
    mut on_start: impl FnMut(Stamp),
    on_piece: impl FnMut(&StreamedAnswer) + Send + 'static,
) -> Response {
    let mut response = Response::default();
    let mut reported = None;
    let mut report = |start: Stamp| {
        reported = Some(start.mono_ns);
        on_start(start);
    };
    let outcome = exchange(connections, request, limits, &mut response, cancelled, &mut report, on_piece).await;
    if let Some(start) = response.start.filter(|start| reported != Some(start.mono_ns)) {
        // Cancelled between the writing and the report.
        on_start(start);
    }
    if response.end_ns == 0 {
        response.end_ns = clock::mono_ns();
    }
    response.answer.close();
    if let Some(key) = &request.key {
        response.answer.redact(key);
    }
    response.error = outcome.err().or_else(|| response.answer.metadata.error.take());
    if let (Some(error), Some(key)) = (&mut response.error, &request.key) {
        error.message = key.redact_message(&error.message);
    }
    response
}

/// Sends the request and reads the response to its end.
async fn exchange(
    connections: &ConnectionPool,
    request: &HttpRequest,
    limits: Limits,
    response: &mut Response,
    mut cancelled: impl Future<Output = ()> + Unpin + Send + 'static,
    on_start: &mut impl FnMut(Stamp),
    on_piece: impl FnMut(&StreamedAnswer) + Send + 'static,
) -> Result<(), Failure> {
    let uri = request.uri()?;
    // It is large, and not held for as long as the response takes.
    let beginning = Box::pin(begin(connections, request, &uri, limits, response, on_start));
    let StartedResponse { connection, deadline, timer } = tokio::select! {
        biased;
        begun = beginning => begun?,
        () = &mut cancelled => return Err(was_cancelled()),
    };
    let status = response.status.unwrap_or_default();
    let (answer, about) = (std::mem::take(&mut response.answer), (limits, deadline, timer));
    let mut body = BodyReader::new((connection, request.dialect, status), answer, about, on_piece, cancelled);
    let (body, outcome) = apart(async move {
        let outcome = poll_fn(|cx| body.poll_end(cx)).await;
        (body, outcome)
    })
    .await;
    let BodyResult { connection, reusable, answer, reads, end_ns, outcome } = body.finish(outcome).await;
    (response.answer, response.reads, response.end_ns) = (answer, reads, end_ns);
    if reusable {
        connections.release(&uri, connection).await;
    }
    outcome
}

/// Runs a future as a task of its own in the same event loop, until its caller stops waiting. With many streams most of the cost of a
/// piece is cold memory: it wakes a small task, and the memory of the caller is not touched.
async fn apart<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(future);
    match task.join_next().await {
        Some(Ok(output)) => output,
        Some(Err(why)) if why.is_panic() => std::panic::resume_unwind(why.into_panic()),
        // The event loop ends.
        Some(Err(_)) | None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
