//! The connections of an event loop: opened ahead of the request, kept from request to request.

use super::connection::Connection;
use super::connector::Connector;
use crate::clock;
use crate::locks::locked;
use crate::record::{Failure, FailureKind};
use http::Uri;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many connections an event loop opens at once. A server's queue of connections to accept is short, and one that finds it full
/// tries again after a second.
const MAX_OPENING: usize = 64;

/// Opens connections, keeps the idle ones, and remembers the servers that promise to keep a connection and do not. A connection is
/// used in the event loop that opened it.
pub struct ConnectionPool {
    connector: Arc<Connector>,
    idle: Mutex<HashMap<String, Vec<Connection>>>,
    fresh_only: Arc<Mutex<HashSet<String>>>,
    opening: Semaphore,
}

impl ConnectionPool {
    /// An empty pool, with the system's certificates and the proxies of the environment.
    pub fn new() -> Self {
        Self::with(Arc::new(Connector::new()), Arc::default())
    }

    /// A pool for another event loop: its connections are its own, what is known of servers is shared.
    pub fn sibling(&self) -> Self {
        Self::with(Arc::clone(&self.connector), Arc::clone(&self.fresh_only))
    }

    fn with(connector: Arc<Connector>, fresh_only: Arc<Mutex<HashSet<String>>>) -> Self {
        Self { connector, idle: Mutex::default(), fresh_only, opening: Semaphore::new(MAX_OPENING) }
    }

    /// A connection to the server of `uri`: an idle one, or a fresh one.
    ///
    /// # Errors
    /// When none can be opened within `limit`.
    pub async fn acquire(&self, uri: &Uri, limit: Duration) -> Result<Connection, Failure> {
        let server = server_of(uri);
        loop {
            let idle = locked(&self.idle).get_mut(&server).and_then(Vec::pop);
            match idle {
                None => return self.open(uri, limit).await,
                Some(mut connection) => {
                    if connection.is_usable().await {
                        return Ok(connection);
                    }
                    // Of one that was never used, the server promised nothing.
                    if connection.used() {
                        self.mark_no_keepalive(uri);
                    }
                }
            }
        }
    }

    /// Opens a fresh connection to the server of `uri`.
    ///
    /// # Errors
    /// When it cannot be opened within `limit`.
    pub async fn open(&self, uri: &Uri, limit: Duration) -> Result<Connection, Failure> {
        let server = server_of(uri);
        // The semaphore is never closed.
        let _permit = self.opening.acquire().await;
        let began_ns = clock::mono_ns();
        let opened = tokio::time::timeout(limit, self.connector.open(uri, &server)).await;
        let (transport, forward) = opened.unwrap_or_else(|_| {
            Err(Failure {
                kind: FailureKind::Connect,
                message: format!("cannot connect to {server}: no answer within {limit:?}"),
                retryable: true,
                ..Failure::default()
            })
        })?;
        Ok(Connection::new(transport, forward, clock::between(began_ns, clock::mono_ns())))
    }

    /// Opens connections until `count` are idle. A failure is not reported: the request that needs the connection meets it again.
    pub async fn prewarm(&self, url: &str, count: usize, limit: Duration) {
        let Ok(uri) = url.parse::<Uri>() else { return };
        let (uri, server) = (&uri, server_of(&uri));
        let idle = locked(&self.idle).get(&server).map_or(0, Vec::len);
        let Some(missing) = count.checked_sub(idle).filter(|missing| *missing > 0) else { return };
        let keep = |connection| locked(&self.idle).entry(server.clone()).or_default().push(connection);
        // One first: a server that is not there is not asked a thousand times.
        match self.open(uri, limit).await {
            Ok(first) => keep(first),
            Err(_) => return,
        }
        let others = (1..missing).map(|_| async {
            if let Ok(connection) = self.open(uri, limit).await {
                keep(connection);
            }
        });
        futures_util::future::join_all(others).await;
    }

    /// Keeps a connection whose response was read to its end, unless its server is known to close.
    pub async fn release(&self, uri: &Uri, mut connection: Connection) {
        let server = server_of(uri);
        if locked(&self.fresh_only).contains(&server) {
            return;
        }
        if connection.is_usable().await {
            locked(&self.idle).entry(server).or_default().push(connection);
        }
    }

    /// Remembers that this server closes connections that it promised to keep: from now on each request gets a fresh one.
    pub fn mark_no_keepalive(&self, uri: &Uri) {
        let server = server_of(uri);
        locked(&self.idle).remove(&server);
        locked(&self.fresh_only).insert(server);
    }
}

impl Default for ConnectionPool {
    fn default() -> Self {
        Self::new()
    }
}

fn server_of(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", |a| a.as_str()))
}
