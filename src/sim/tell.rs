//! A streamed answer, written at its deadlines, with the faults that befall it on the way.

use super::admit::Running;
use super::faults::{Kind, awkward_cut, with_crlf};
use super::pen::Pen;
use super::plain::BEFORE_ABORT;
use super::profile::Dialect;
use super::steady::Steady;
use super::turn::Turn;
use std::io;
use std::time::Duration;

/// How many chunks `many-per-chunk` gathers.
const GATHERED: usize = 8;
/// How long a write that was cut in two waits between them, so that they do not arrive as one.
const SPLIT: Duration = Duration::from_millis(2);
/// After how many chunks a comment comes.
const COMMENT_EVERY: usize = 5;
/// The byte order mark, in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Writes the answer of `turn`; an error breaks the connection.
pub async fn tell(turn: &Turn, mut running: Running, dialect: Dialect, pen: &Pen) -> io::Result<()> {
    let (sim, link) = (running.sim.clone(), running.link.clone());
    let out = Out { turn, pen };
    let at = |offset_ns: u64| turn.admitted_ns + offset_ns;
    if turn.has(Kind::Bom) {
        pen.write(BOM).await;
    }
    for (offset_ns, frame) in opening(turn, dialect) {
        sim.until(at(offset_ns)).await;
        out.write(frame, || ()).await;
    }

    let steady = Steady::of(turn, dialect);
    let middle = turn.plan.chunks.len() / 2;
    let (mut gathered, mut dues) = (Vec::new(), Vec::new());
    for (n, chunk) in turn.plan.chunks.iter().enumerate() {
        let due_ns = at(chunk.offset_ns);
        sim.until(due_ns).await;
        if n == 0 {
            running.decodes();
        }
        let rendered = steady.as_ref().and_then(|steady| steady.chunk(turn, n));
        let mut frame = rendered.unwrap_or_else(|| dialect.chunk(turn, n));
        if n == middle {
            if [Kind::ErrorInStream, Kind::Truncate, Kind::Abort].into_iter().any(|kind| turn.has(kind)) {
                // What was cut was made, and is charged.
                dialect.remember(turn, &sim);
            }
            if turn.has(Kind::ErrorInStream) {
                out.write(dialect.failing(turn, n), || ()).await;
                link.close("interrupted");
                return Ok(());
            }
            if turn.has(Kind::Truncate) {
                link.close("interrupted");
                return Ok(());
            }
            if turn.has(Kind::Abort) {
                tokio::time::sleep(BEFORE_ABORT).await;
                link.close("interrupted");
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if turn.has(Kind::Stall) {
                std::future::pending::<()>().await;
            }
            if turn.has(Kind::Malformed) {
                let half = frame.len() / 2;
                frame.truncate(half);
                frame.extend_from_slice(b"\n\n");
            }
        }
        if turn.has(Kind::Comments) && n % COMMENT_EVERY == COMMENT_EVERY - 1 {
            frame.extend_from_slice(dialect.comment());
        }
        dues.push((due_ns, chunk.tokens, chunk.reasoning));
        if gathered.is_empty() {
            gathered = frame;
        } else {
            gathered.extend_from_slice(&frame);
        }
        let full = !turn.has(Kind::ManyPerChunk) || dues.len() == GATHERED || turn.is_last(n);
        if full && !turn.has(Kind::Buffered) {
            let note = || dues.drain(..).for_each(|(due, tokens, reasoning)| link.chunk(due, tokens, reasoning));
            out.write(std::mem::take(&mut gathered), note).await;
        }
    }
    running.rests();
    for frame in dialect.closing(turn) {
        if turn.has(Kind::Buffered) {
            gathered.extend_from_slice(&frame);
        } else {
            out.write(frame, || ()).await;
        }
    }
    if turn.has(Kind::Buffered) {
        let note = || dues.drain(..).for_each(|(due, tokens, reasoning)| link.chunk(due, tokens, reasoning));
        out.write(gathered, note).await;
    }
    dialect.remember(turn, &sim);
    if turn.has(Kind::CloseAfterStream) {
        link.close_after_answer();
    }
    link.close("done");
    Ok(())
}

/// What comes before the first token, with its offsets.
fn opening(turn: &Turn, dialect: Dialect) -> Vec<(u64, Vec<u8>)> {
    if turn.has(Kind::Buffered) {
        return Vec::new();
    }
    let mut frames = dialect.opening(turn);
    if turn.has(Kind::Comments) {
        let quarter = turn.plan.first_ns / 4;
        frames.extend((0..4).map(|n| (n * quarter, dialect.comment().to_vec())));
        frames.sort_by_key(|(offset_ns, _)| *offset_ns);
    }
    frames
}

struct Out<'a> {
    turn: &'a Turn,
    pen: &'a Pen,
}

impl Out<'_> {
    /// Writes a frame; `note` is called before its last byte is handed over.
    async fn write(&self, mut frame: Vec<u8>, note: impl FnOnce()) {
        if self.turn.has(Kind::Crlf) {
            frame = with_crlf(&frame);
        }
        if let Some(at) = awkward_cut(&frame).filter(|_| self.turn.has(Kind::SplitUtf8)) {
            let rest = frame.split_off(at);
            self.pen.write(frame).await;
            tokio::time::sleep(SPLIT).await;
            frame = rest;
        }
        note();
        self.pen.write(frame).await;
    }
}
