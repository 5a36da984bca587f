//! Following inputs that grow: the report is written anew after every change, and once more when it is over.

use super::input;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Calls `write(false)` at first and after every change of the length of an input, until `stop` speaks; then
/// `write(true)` once, whose value it returns.
///
/// # Errors
/// When an operand is standard input, and whatever `write` fails with.
pub fn follow<T>(
    operands: &[PathBuf],
    interval: Duration,
    stop: &Receiver<i32>,
    mut write: impl FnMut(bool) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut seen = None;
    loop {
        let now = input::sizes(operands)?;
        if seen.as_ref() != Some(&now) {
            write(false)?;
            seen = Some(now);
        }
        if stop.recv_timeout(interval).is_ok() {
            return write(true);
        }
    }
}
