//! What is replayed instead of planned answers: the streams of results, or the exchanges of a folder.

use super::exchange::Exchange;
use super::plan::{self, Recorded};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Recorded answers; never empty.
#[derive(Debug, Clone)]
pub enum Replay {
    /// Sizes and times of streams, in turn, in any profile's form.
    Streams(Vec<Recorded>),
    /// Whole answers of other servers.
    Exchanges(Vec<Arc<Exchange>>),
}

impl Replay {
    /// Reads a folder of exchanges (`*.http`, in the order of their names), one of them, or a file of results.
    ///
    /// # Errors
    /// When something cannot be read, or there is nothing to replay.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let named = || path.display().to_string();
        if !path.is_dir() && !is_exchange(path) {
            let text = std::fs::read_to_string(path).with_context(named)?;
            return plan::recorded(&text).map(Self::Streams).map_err(anyhow::Error::msg).with_context(named);
        }
        let files = files(path).with_context(named)?;
        let exchanges = files.iter().map(|file| read(file).map(Arc::new)).collect::<anyhow::Result<Vec<_>>>()?;
        if exchanges.is_empty() {
            anyhow::bail!("{}: no exchange (*.http) in this folder", named());
        }
        Ok(Self::Exchanges(exchanges))
    }
}

/// Reads one exchange.
///
/// # Errors
/// When the file cannot be read, or is none.
pub fn read(file: &Path) -> anyhow::Result<Exchange> {
    let named = || file.display().to_string();
    let bytes = std::fs::read(file).with_context(named)?;
    Exchange::parse(&bytes).map_err(anyhow::Error::msg).with_context(named)
}

fn is_exchange(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "http")
}

/// The files of a folder that are exchanges; a file is alone.
fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| is_exchange(file));
    files.sort();
    Ok(files)
}
