//! The one way to a server: time limits, redaction, and every server's error shape turned into one.
//!
//! There are two clients. Listings, loads and other API calls go through [`Api`] (reqwest). A *timed* request goes through a
//! [`Connection`]: a pooling client hides when a connection is opened, which read brought which bytes, and whether a request was
//! silently sent twice; all three are measurements here. Nothing in this module knows what a model is.

mod api;
mod api_error;
mod connection;
mod connector;
mod failure;
mod pool;
mod proxy;
mod retry_after;
mod secret;
mod socket;
mod tls;
mod transport;
mod transport_error;
mod url;

pub use api::{Api, Reply};
pub use api_error::{ApiError, failure_of};
pub use connection::{Connection, Head};
pub use failure::io_failure;
pub use pool::ConnectionPool;
pub use retry_after::{wait_in_body, wait_in_headers};
pub use secret::{KeyRule, Secret};
pub use socket::ReadStamp;
pub use tls::trust;
pub use transport_error::{interrupted, no_response};
pub use url::{authority, base_url, is_loopback, leads_to, root_of, shown, versioned};
