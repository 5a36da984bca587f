//! Any other server: its answers come from recorded exchanges.

use super::{Sim, answer};
use crate::sim::chat::Leaving;
use crate::sim::exchange::{End, Exchange, Received, choose};
use crate::sim::pen::Script;
use crate::sim::plain::BEFORE_ABORT;
use crate::sim::replay::Replay;
use crate::sim::serve::Call;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::{Extension, Router};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;

pub fn router() -> Router<Arc<Sim>> {
    Router::new().fallback(replay)
}

async fn replay(
    State(sim): State<Arc<Sim>>,
    Extension(call): Extension<Call>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let (mut turn, mut leaving) = (0, None);
    // As everywhere, the ground truth has what was posted.
    if method == Method::POST {
        let number = sim.next_number();
        turn = number - 1;
        let mut truth = sim.truth(&call, number);
        truth.model = body["model"].as_str().unwrap_or_default().to_owned();
        truth.stream = body["stream"] == true;
        call.link.open(truth);
        leaving = Some(Leaving(call.link.clone()));
    }
    let (path, query) = (uri.path(), uri.query());
    let request = Received { method: method.as_str(), path, query, headers: &headers, body: &body };
    let found = match &sim.settings.replay {
        Some(Replay::Exchanges(all)) => choose(all, &request, turn).cloned(),
        _ => None,
    };
    if let Some(exchange) = found {
        return respond(sim, call, exchange, leaving).await;
    }
    if leaving.is_some() {
        call.link.close("refused");
    }
    let message = format!("no recorded exchange answers {method} {uri} with such headers and such a body");
    answer(StatusCode::NOT_FOUND, &json!({"error": {"message": message, "type": "not_recorded", "code": 404}}))
}

/// Writes the recorded answer, each part at its time.
async fn respond(sim: Arc<Sim>, call: Call, exchange: Arc<Exchange>, leaving: Option<Leaving>) -> Response {
    let arrival_ns = call.arrival.mono_ns;
    sim.until(arrival_ns + exchange.parts[0].at_ns).await;
    let mut response = Response::new(Body::empty());
    (*response.version_mut(), *response.status_mut()) = (exchange.version, exchange.status);
    *response.headers_mut() = exchange.headers.clone();
    if !exchange.streamed {
        let length: usize = exchange.parts.iter().map(|part| part.bytes.len()).sum();
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = Body::from_stream(Script::new(move |pen| async move {
        let link = call.link;
        for part in &exchange.parts {
            let due_ns = arrival_ns + part.at_ns;
            sim.until(due_ns).await;
            if part.tokens > 0 && leaving.is_some() {
                link.chunk(due_ns, part.tokens, part.reasoning);
            }
            pen.write(part.bytes.clone()).await;
        }
        match exchange.end {
            End::Keep => {}
            End::Close => link.close_after_answer(),
            End::Abort => tokio::time::sleep(BEFORE_ABORT).await,
        }
        if leaving.is_some() {
            link.close(if exchange.end == End::Abort { "interrupted" } else { "done" });
        }
        if exchange.end == End::Abort { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }));
    response
}
