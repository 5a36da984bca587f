//! One request over a connection, as a sequence of events: every read stamped, the response read to
//! its end or to the failure that ended it.

use super::answer::StreamedAnswer;
use crate::clock::{self, Stamp};
use crate::http::ConnectionPool;
use std::future::poll_fn;
use std::sync::Arc;

mod body;
mod error_body;
mod head;
mod limits;
mod request;
mod response;
mod timer;

pub use limits::{Cancellation, Limits};
pub use request::HttpRequest;
pub use response::Response;

use body::BodyReader;
use head::{HeadEvent, HeadExchange};

/// An event of an exchange.
#[derive(Debug, Clone, Copy)]
pub enum ExchangeEvent {
    /// The request was written; a second time when a kept connection was dead.
    Sent(Stamp),
    /// A read brought the response forward.
    Chunk,
    /// The response has ended, or failed.
    Done,
}

/// One request and its response. With many streams most of the cost of a chunk is cold memory, so
/// what a chunk needs is in `body`, and the rest is boxed.
pub struct TimedExchange {
    body: Option<BodyReader>,
    head: Box<HeadExchange>,
}

impl TimedExchange {
    /// An exchange that has not begun.
    pub fn new(
        connections: Arc<ConnectionPool>,
        call: HttpRequest,
        limits: Limits,
        cancellation: Cancellation,
    ) -> Self {
        let head = Box::new(HeadExchange::new(connections, call, limits, cancellation));
        Self { body: None, head }
    }

    /// Waits for the next event; after `Done` there is none.
    pub async fn next(&mut self) -> ExchangeEvent {
        loop {
            if let Some(body) = &mut self.body {
                let ended = match poll_fn(|cx| body.poll_next(cx)).await {
                    Ok(true) => return ExchangeEvent::Chunk,
                    Ok(false) => Ok(()),
                    Err(failure) => Err(failure),
                };
                if let Some(body) = self.body.take() {
                    Box::pin(self.head.finish_body(body, ended)).await;
                }
                return ExchangeEvent::Done;
            }
            // Its future is large, and not held for as long as the response takes.
            match Box::pin(self.head.next()).await {
                HeadEvent::Sent(start) => return ExchangeEvent::Sent(start),
                HeadEvent::Responding(body) => self.body = Some(*body),
                HeadEvent::Failed => return ExchangeEvent::Done,
            }
        }
    }

    /// The answer until now.
    pub fn answer(&self) -> &StreamedAnswer {
        self.body.as_ref().map_or(self.head.answer(), BodyReader::answer)
    }

    /// The response, as far as it came.
    pub fn finish(self) -> Response {
        let (mut response, call, failure) = self.head.finish();
        if response.end_ns == 0 {
            response.end_ns = clock::mono_ns();
        }
        response.answer.close();
        if let Some(key) = &call.key {
            response.answer.redact(key);
        }
        response.error = failure.or_else(|| response.answer.metadata.error.take());
        if let (Some(error), Some(key)) = (&mut response.error, &call.key) {
            error.message = key.redact_message(&error.message);
        }
        response
    }
}

#[cfg(test)]
mod tests;
