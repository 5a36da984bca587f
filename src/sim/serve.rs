//! The server: its state, its socket, and what happens to every request before a profile sees it.

use super::Settings;
use super::catalog::SimModel;
use super::faults::Faults;
use super::heard::Heard;
use super::link::{Door, Link, On};
use super::meter::Meter;
use super::profile;
use super::quirks::Quirk;
use super::shelf::Shelf;
use super::truth::{Log, Truth};
use super::{Level, powermetrics};
use crate::clock::{Stamp, mono_ns, wall};
use crate::locks::locked;
use crate::record::Source;
use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::Response;
use serde_json::Value;
use std::collections::VecDeque;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

/// The largest body of a request.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How many finished requests OpenRouter's `/generation` remembers.
const MAX_GENERATIONS: usize = 1000;

/// What all requests share.
pub struct Sim {
    /// What the user set.
    pub settings: Settings,
    /// What is offered.
    pub models: Vec<Arc<SimModel>>,
    /// What is in memory.
    pub shelf: Shelf,
    /// The power that is drawn.
    pub meter: Arc<Meter>,
    /// Who may run.
    pub slots: Option<Arc<Semaphore>>,
    /// How many requests run.
    pub running: AtomicUsize,
    /// When the server started, Unix seconds.
    pub started: f64,
    log: Option<Arc<Log>>,
    heard: Option<Heard>,
    count: AtomicU64,
    generations: Mutex<VecDeque<(String, u64, Value)>>,
    origin: (Instant, u64),
}

impl Sim {
    fn new(settings: Settings) -> anyhow::Result<Self> {
        let log = match &settings.truth {
            Some((path, level)) => {
                let named = || format!("{}: cannot write the truth", path.display());
                Some(Arc::new(Log::create(path, *level).with_context(named)?))
            }
            None => None,
        };
        let heard = settings
            .bodies
            .as_deref()
            .map(|path| Heard::create(path).with_context(|| format!("{}: cannot write the bodies", path.display())));
        let meter = Arc::new(Meter::new(mono_ns()));
        if let Some((path, interval)) = &settings.power_log {
            let named = || format!("{}: cannot write the power log", path.display());
            powermetrics::start(path.clone(), *interval, meter.clone()).with_context(named)?;
        }
        Ok(Self {
            models: settings.models.iter().cloned().map(Arc::new).collect(),
            shelf: Shelf::new(settings.load_time, settings.load_bytes, meter.clone()),
            slots: settings.slots.map(|n| Arc::new(Semaphore::new(n))),
            running: AtomicUsize::new(0),
            started: wall(),
            log,
            heard: heard.transpose()?,
            count: AtomicU64::new(0),
            generations: Mutex::default(),
            origin: (Instant::now(), mono_ns()),
            meter,
            settings,
        })
    }

    /// Whether the server has a habit.
    pub fn is(&self, quirk: Quirk) -> bool {
        self.settings.quirks.contains(&quirk)
    }

    /// The model of this id. LM Studio also knows it by its last part, Ollama without `:latest`.
    pub fn model(&self, id: &str) -> Option<&Arc<SimModel>> {
        let exact = self.models.iter().find(|model| model.id == id);
        exact.or_else(|| match self.settings.profile {
            Source::Openrouter => profile::means(&self.models, id),
            Source::Lmstudio => self.models.iter().find(|model| model.id.rsplit('/').next() == Some(id)),
            Source::Ollama => self.models.iter().find(|model| model.id.strip_suffix(":latest") == Some(id)),
            _ => None,
        })
    }

    /// Whether the server has no model yet.
    pub fn loads(&self) -> bool {
        self.origin.0.elapsed() < self.settings.ready_after
    }

    /// The number of the next request.
    pub fn next_number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The faults of the request `number`.
    pub fn faults(&self, number: u64) -> Faults {
        Faults::of(&self.settings.faults, self.settings.seed, number)
    }

    /// The beginning of the truth about a request.
    pub fn truth(&self, call: &Call, number: u64) -> Truth {
        let level = self.log.as_ref().map_or(Level::Request, |log| log.level);
        let mut truth = Truth::new(call.arrival, number, level);
        truth.request.clone_from(&call.request);
        truth
    }

    /// Waits until a moment of the monotonic clock; a moment that has passed is not waited for.
    pub async fn until(&self, at_ns: u64) {
        if at_ns > mono_ns() {
            tokio::time::sleep_until(self.origin.0 + Duration::from_nanos(at_ns.saturating_sub(self.origin.1))).await;
        }
    }

    /// Remembers a finished request under its id.
    pub fn remember(&self, id: String, generation: Value) {
        let mut generations = locked(&self.generations);
        if generations.len() >= MAX_GENERATIONS {
            generations.pop_front();
        }
        let delay_ns = u64::try_from(self.settings.generation_delay.as_nanos()).unwrap_or(u64::MAX);
        generations.push_back((id, mono_ns().saturating_add(delay_ns), generation));
    }

    /// A finished request, some time after its end.
    pub fn generation(&self, id: &str) -> Option<Value> {
        let generations = locked(&self.generations);
        let found = generations.iter().find(|(other, ready, _)| other == id && *ready <= mono_ns());
        found.map(|(_, _, generation)| generation.clone())
    }
}

/// What is known of a request before its body is read.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it arrived.
    pub arrival: Stamp,
    /// The client's name for it.
    pub request: Option<String>,
    /// Whether it asks for OpenRouter's metadata.
    pub metadata: bool,
    /// The connection it came on.
    pub link: Arc<Link>,
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

async fn receive(
    State(sim): State<Arc<Sim>>,
    ConnectInfo(On(link)): ConnectInfo<On>,
    mut request: Request,
    next: Next,
) -> Response {
    let arrival = Stamp::now();
    let path = request.uri().path();
    if let Some(key) = sim.settings.api_key.as_deref().filter(|_| !profile::is_open(sim.settings.profile, path)) {
        let given = header(&request, AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        if given != Some(key) {
            return profile::refuse_key(sim.settings.profile, path);
        }
    }
    if let Some(response) = profile::absent(&sim, request.method().as_str(), path) {
        return response;
    }
    link.begins();
    let named = header(&request, "x-request-id").map(str::to_owned);
    let metadata = header(&request, "x-openrouter-metadata") == Some("enabled");
    let call = Call { arrival, request: named, metadata, link };
    if let Some(heard) = sim.heard.as_ref().filter(|_| request.method() == Method::POST) {
        let path = path.to_owned();
        let (parts, body) = request.into_parts();
        // What is larger is refused a step later, in the profile's own words.
        let body = to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_default();
        heard.write(&path, call.request.as_deref(), &body);
        request = Request::from_parts(parts, Body::from(body));
    }
    request.extensions_mut().insert(call);
    next.run(request).await
}

/// How many connections may wait to be let in: a load of thousands begins with all of them at once. The system may allow fewer
/// (`net.core.somaxconn`).
const WAITING: u32 = 16_384;

/// How long open streams have, when the server ends, for their truth to be written.
const FAREWELL: Duration = Duration::from_millis(200);

/// A server that listens and does not serve yet.
pub struct Server {
    listener: TcpListener,
    sim: Arc<Sim>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Listens on `address`, and makes the files that the settings name.
///
/// # Errors
/// When the address is taken or none, or a file cannot be made.
pub async fn listen(address: &str, settings: Settings) -> anyhow::Result<Server> {
    let named = || format!("{address}: cannot listen (127.0.0.1:0 takes any free port)");
    let mut refused = None;
    for candidate in lookup_host(address).await.with_context(named)? {
        let socket = if candidate.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.with_context(named)?;
        let listening =
            socket.set_reuseaddr(true).and_then(|()| socket.bind(candidate)).and_then(|()| socket.listen(WAITING));
        match listening {
            Ok(listener) => {
                let address = listener.local_addr().context("cannot tell the bound address")?;
                return Ok(Server { listener, sim: Arc::new(Sim::new(settings)?), address });
            }
            Err(why) => refused = Some(why),
        }
    }
    Err(refused.map_or_else(|| anyhow::anyhow!("no such address"), anyhow::Error::new)).with_context(named)
}

impl Server {
    /// Where clients find it, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until it is dropped, in so many event loops, each a thread with the connections that it was dealt.
    ///
    /// # Errors
    /// When the system has no thread for a loop.
    pub async fn serve(self, threads: usize) -> anyhow::Result<()> {
        let loops = (0..threads.max(1)).map(|_| self.start());
        let loops = loops.collect::<anyhow::Result<Vec<EventLoop>>>()?;
        for n in 0.. {
            let (socket, from) = loop {
                let accepted = self.listener.accept().await;
                match accepted.and_then(|(socket, from)| Ok((socket.into_std()?, from))) {
                    Ok(accepted) => break accepted,
                    // Out of descriptors, or a client that gave up: the next one may do better.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            // A loop that ended has taken its connections with it.
            let _ = loops[n % loops.len()].door.send((socket, from));
        }
        Ok(())
    }

    fn start(&self) -> anyhow::Result<EventLoop> {
        let (door, guests) = unbounded_channel();
        let (until, ended) = oneshot::channel::<()>();
        let (log, idle_close) = (self.sim.log.clone(), self.sim.settings.idle_close);
        let door_inside = Door { guests, address: self.address, log, idle_close };
        let app = profile::router(&self.sim.settings)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .layer(middleware::from_fn_with_state(self.sim.clone(), receive))
            .with_state(self.sim.clone())
            .into_make_service_with_connect_info::<On>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
        let serving = move || {
            runtime.block_on(async {
                tokio::select! {
                    // It does not end by itself.
                    _ = axum::serve(door_inside, app).into_future() => {}
                    _ = ended => {}
                }
            });
            // Open streams end where they stand; a moment is enough for their truth to be written.
            runtime.shutdown_timeout(FAREWELL);
        };
        let thread = std::thread::Builder::new().spawn(serving).context("a thread for an event loop")?;
        Ok(EventLoop { door, until: Some(until), thread: Some(thread) })
    }
}

/// An event loop that serves until this is dropped.
struct EventLoop {
    door: UnboundedSender<(std::net::TcpStream, SocketAddr)>,
    until: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.until.take();
        // It may have panicked; there is nothing to do about it any more.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
