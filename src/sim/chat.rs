//! A chat request from its arrival to its answer: what is refused, and what is answered at once because a fault says so.

use super::admit::admit;
use super::ask::{Ask, Refusal};
use super::catalog::SimModel;
use super::faults::{Faults, Kind};
use super::link::Link;
use super::pen::Script;
use super::plain;
use super::profile::{self, Dialect};
use super::quirks::Quirk;
use super::serve::{Call, Sim};
use super::tell::tell;
use super::truth::wire_id;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// A chat request for a model that exists.
pub struct Request {
    /// The server.
    pub sim: Arc<Sim>,
    /// How it came.
    pub call: Call,
    /// Its number, from 1.
    pub number: u64,
    /// What it asks.
    pub ask: Ask,
    /// What goes wrong.
    pub faults: Faults,
    /// How it is answered.
    pub dialect: Dialect,
    /// The model it names.
    pub model: Arc<SimModel>,
    /// Which of the model's providers answers (OpenRouter).
    pub provider: usize,
}

/// Tells the link that the client left, unless the answer came to an end before.
pub struct Leaving(pub Arc<Link>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.close("left");
    }
}

/// Answers a chat request in `dialect`.
pub async fn answer(sim: Arc<Sim>, call: Call, ask: Result<Ask, Refusal>, dialect: Dialect) -> Response {
    let number = sim.next_number();
    let faults = sim.faults(number);
    let mut truth = sim.truth(&call, number);
    truth.faults = faults.names();
    if let Ok(ask) = &ask {
        (truth.model, truth.stream, truth.input) = (ask.model.clone(), ask.stream, Some(ask.input_tokens()));
    }
    let link = call.link.clone();
    link.open(truth);
    let leaving = Leaving(link.clone());
    let response = match ask.and_then(|ask| Request::new(sim, call, number, ask, faults, dialect)) {
        Ok(request) => request.answer(leaving).await,
        Err(refusal) => Err(refusal),
    };
    response.unwrap_or_else(|refusal| {
        link.close("refused");
        dialect.refuse(&refusal)
    })
}

impl Request {
    fn new(
        sim: Arc<Sim>,
        call: Call,
        number: u64,
        mut ask: Ask,
        faults: Faults,
        dialect: Dialect,
    ) -> Result<Self, Refusal> {
        ask.stream &= !faults.has(Kind::NotStreamed);
        if faults.has(Kind::RateLimit) {
            return Err(Refusal::RateLimit);
        }
        if faults.has(Kind::Http500) {
            return Err(Refusal::Internal);
        }
        if faults.has(Kind::RejectMaxTokens) && ask.limit_by_old_name {
            let why = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                       'max_completion_tokens' instead.";
            return Err(Refusal::Parameter("max_tokens", why.into()));
        }
        // An instance answers under its own name too.
        if sim.loads() {
            return Err(Refusal::Loading);
        }
        let by_instance = || sim.shelf.find(&ask.model).map(|instance| instance.model.clone());
        let model = sim.model(&ask.model).cloned().or_else(by_instance);
        let any = || match sim.shelf.loaded().as_slice() {
            [only] if sim.is(Quirk::AnyName) => Some(only.model.clone()),
            _ => None,
        };
        let model = model.or_else(any);
        let model = model.ok_or_else(|| Refusal::Model(ask.model.clone()))?;
        if model.embedding {
            return Err(Refusal::NotChat(ask.model));
        }
        let mut provider = profile::provider(&ask).ok_or_else(|| Refusal::NoEndpoint(ask.model.clone()))?;
        if faults.has(Kind::IgnorePin) {
            provider = profile::other_provider(provider);
        }
        Ok(Self { sim, call, number, ask, faults, dialect, model, provider })
    }

    async fn answer(self, leaving: Leaving) -> Result<Response, Refusal> {
        if let Some(response) = self.answer_at_once() {
            self.call.link.close("refused");
            return Ok(response);
        }
        let (dialect, arrival_ts) = (self.dialect, self.call.arrival.ts);
        let id = wire_id(self.sim.settings.seed, self.number, 24);
        let closes = self.faults.has(Kind::CloseAfterStream) && self.ask.stream;
        let stream_type = self.ask.stream != self.faults.has(Kind::WrongType);
        let mime = if stream_type { dialect.mime() } else { "application/json" };
        let body = if self.ask.stream { self.stream(leaving).await? } else { plain::body(self, leaving).await? };
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
        dialect.head(&id, arrival_ts as u64, headers);
        if closes {
            headers.insert("keep-alive", HeaderValue::from_static("timeout=5, max=100"));
        }
        Ok(response)
    }

    async fn stream(self, leaving: Leaving) -> Result<Body, Refusal> {
        let dialect = self.dialect;
        if self.faults.has(Kind::EarlyHeaders) || dialect.tells_of_loading() {
            let script = Script::new(move |pen| async move {
                let link = self.call.link.clone();
                let _leaving = leaving;
                match admit(self, Some(&pen)).await {
                    Ok((turn, running)) => tell(&turn, running, dialect, &pen).await,
                    Err(refusal) => {
                        pen.write(dialect.refuse_in_stream(&refusal)).await;
                        link.close("refused");
                        Ok(())
                    }
                }
            });
            return Ok(Body::from_stream(script));
        }
        let (turn, running) = admit(self, None).await?;
        if turn.has(Kind::SlowHeaders) {
            running.sim.until(turn.admitted_ns + turn.plan.first_ns).await;
        }
        Ok(Body::from_stream(Script::new(move |pen| async move {
            let _leaving = leaving;
            tell(&turn, running, dialect, &pen).await
        })))
    }

    /// The answers of faults that need no model.
    fn answer_at_once(&self) -> Option<Response> {
        let has = |kind| self.faults.has(kind);
        let typed = |mime: &'static str, body: Vec<u8>| ([(header::CONTENT_TYPE, mime)], body).into_response();
        let mime = if self.ask.stream { self.dialect.mime() } else { "application/json" };
        if let Some(response) = self.dialect.at_once(self) {
            return Some(response);
        }
        if has(Kind::Close) || (has(Kind::CloseReused) && self.call.link.requests() > 1) {
            self.call.link.sever();
            return Some(StatusCode::OK.into_response());
        }
        if has(Kind::Empty200) {
            return Some(typed(mime, Vec::new()));
        }
        if has(Kind::Plain200) {
            let line = "The prompt is too long for this model.";
            let body = if self.ask.stream { self.dialect.line(line) } else { line.into() };
            return Some(typed(mime, body));
        }
        if has(Kind::HtmlError) {
            let page = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n<body><center><h1>502 Bad \
                        Gateway</h1></center><hr><center>edge</center></body></html>\n";
            return Some((StatusCode::BAD_GATEWAY, typed("text/html; charset=UTF-8", page.into())).into_response());
        }
        if has(Kind::JsonError200) {
            let mut response = self.dialect.refuse(&Refusal::Internal);
            *response.status_mut() = StatusCode::OK;
            return Some(response);
        }
        None
    }
}
