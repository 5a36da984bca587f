//! The certificates that a program trusts: the flags that llm-models and llm-run share.

use crate::http::trust;
use clap::Args;
use std::path::PathBuf;

/// The flags about TLS.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Trust the certificates in FILE (PEM): of authorities, or a server's own; SSL_CERT_FILE replaces the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub cacert: Vec<PathBuf>,
    /// Trust every certificate; the run is marked
    #[arg(long, global = true)]
    pub insecure: bool,
}

impl TlsArgs {
    /// Sets what this process trusts.
    ///
    /// # Errors
    /// When a file cannot be read or holds no certificate.
    pub fn apply(&self) -> anyhow::Result<()> {
        trust(&self.cacert, self.insecure).map_err(|error| anyhow::anyhow!("--cacert {error}"))
    }
}
