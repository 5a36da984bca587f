//! Following inputs that grow: the report is written anew after every change, and once more when it is over.

use super::input;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Calls `write(there, false)` at first and after every change of an input, until `stop` speaks; then `write(there, true)`
/// once, whose value it returns. `there` are those of the operands that can be read: one that is not there yet is waited
/// for, and `missing` is told of it once. An input that was truncated or replaced is another one, and is read from its
/// beginning. While one that was there is gone, what was written last is kept.
///
/// # Errors
/// When an operand is standard input, or nothing that can be read twice, and whatever `write` fails with, unless an input
/// changed under it: then it is tried again.
pub fn follow<T>(
    operands: &[PathBuf],
    interval: Duration,
    stop: &Receiver<i32>,
    missing: impl Fn(&Path),
    mut write: impl FnMut(&[PathBuf], bool) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (mut seen, mut last) = (None, None);
    let (mut told, mut had): (Vec<PathBuf>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    let gone = |had: &[PathBuf]| had.iter().any(|operand| !input::is_there(operand));
    loop {
        let now = input::states(operands)?;
        let (there, away): (Vec<PathBuf>, Vec<PathBuf>) =
            operands.iter().cloned().partition(|operand| input::is_there(operand));
        away.iter().filter(|operand| !told.contains(operand)).for_each(|operand| missing(operand));
        told = away;
        if !gone(&had) && seen.as_ref() != Some(&now) {
            match write(&there, false) {
                Ok(written) => (seen, last) = (Some(now), Some(written)),
                // It was moved away or cut off while it was read.
                Err(_) if input::states(operands)? != now => {}
                Err(why) => return Err(why),
            }
            had.extend(there.iter().filter(|operand| !had.contains(operand)).cloned().collect::<Vec<_>>());
        }
        if stop.recv_timeout(interval).is_ok() {
            return match last {
                Some(last) if gone(&had) => Ok(last),
                _ => write(&there, true),
            };
        }
    }
}
