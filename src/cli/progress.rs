//! Progress for people at a terminal: a line for each thing that runs, and a total below. Elsewhere it draws nothing.
//!
//! Whoever runs something hands over how to describe it; a thread of its own asks a few times a second, so that the work
//! itself never waits for a terminal. What is said meanwhile goes above the lines.

use super::{Talk, plain};
use crate::locks::locked;
use console::Term;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How often the lines are written anew.
const PERIOD: Duration = Duration::from_millis(200);

/// The most lines for things that run.
const MOST_LINES: usize = 20;

/// Says how one thing is doing, in one line.
type Describe = Box<dyn Fn() -> String + Send>;

/// What runs, how much is done, and, on a terminal, the lines that show it. Its copies are the same progress.
#[derive(Clone)]
pub struct Progress {
    talk: Talk,
    state: Arc<State>,
    screen: Option<Arc<Screen>>,
}

#[derive(Default)]
struct State {
    running: Mutex<BTreeMap<u64, Describe>>,
    aside: Mutex<BTreeMap<&'static str, Describe>>,
    planned: Option<u64>,
    done: AtomicU64,
    note: Mutex<String>,
}

struct Screen {
    multi: MultiProgress,
    stop: Arc<AtomicBool>,
    drawer: Mutex<Option<JoinHandle<()>>>,
}

impl Progress {
    /// Of `planned` things, or nobody knows how many; drawn where stderr is a terminal, nobody asked for quiet, and the records
    /// do not go to a terminal too (`alone`), where they would be torn by it.
    pub fn new(talk: Talk, planned: Option<u64>, alone: bool) -> Self {
        let state = Arc::new(State { planned, ..State::default() });
        let screen = (alone && talk.interactive()).then(|| Arc::new(Screen::draw(Arc::clone(&state))));
        Self { talk, state, screen }
    }

    /// Something begins to run.
    pub fn begin(&self, id: u64, describe: impl Fn() -> String + Send + 'static) {
        locked(&self.state.running).insert(id, Box::new(describe));
    }

    /// It runs no more.
    pub fn end(&self, id: u64) {
        locked(&self.state.running).remove(&id);
    }

    /// Something else is going on that people wait for; of the same name there is one.
    pub fn aside(&self, name: &'static str, describe: impl Fn() -> String + Send + 'static) {
        locked(&self.state.aside).insert(name, Box::new(describe));
    }

    /// It is over.
    pub fn aside_ends(&self, name: &'static str) {
        locked(&self.state.aside).remove(name);
    }

    /// How many things run.
    pub fn running(&self) -> usize {
        locked(&self.state.running).len()
    }

    /// One of what was planned is done; `note` stands beside the total from now on.
    pub fn done(&self, note: impl FnOnce() -> String) {
        self.state.done.fetch_add(1, Ordering::Relaxed);
        if self.screen.is_some() {
            *locked(&self.state.note) = note();
        }
    }

    /// Says something doubtful, above the lines.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.above(|| self.talk.warn(&text));
    }

    /// Says what failed, above the lines.
    pub fn error(&self, text: impl AsRef<str>) {
        self.above(|| self.talk.error(&text));
    }

    fn above(&self, say: impl FnOnce()) {
        match &self.screen {
            Some(screen) => screen.multi.suspend(say),
            None => say(),
        }
    }

    /// Takes the lines off the screen.
    pub fn finish(&self) {
        if let Some(screen) = &self.screen {
            screen.clear();
        }
    }
}

impl Screen {
    fn draw(state: Arc<State>) -> Self {
        let multi = MultiProgress::new();
        let total = multi.add(ProgressBar::new(0));
        let template =
            if state.planned.is_some() { "{bar:24} {pos}/{len}  {wide_msg}" } else { "{pos} done  {wide_msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            total.set_style(style);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, drawn) = (Arc::clone(&stop), multi.clone());
        let drawer = std::thread::spawn(move || {
            let (began, mut lines) = (Instant::now(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let (rows, columns) = Term::stderr().size();
                // The total, and the line that the cursor stands in.
                let room = usize::from(rows).saturating_sub(2).clamp(1, MOST_LINES);
                set_lines(&drawn, &total, &mut lines, &state.lines(room, usize::from(columns)));
                let done = state.done.load(Ordering::Relaxed);
                total.set_length(state.planned.unwrap_or(0).max(done));
                total.set_position(done);
                total.set_message(state.total(began.elapsed(), done));
                std::thread::park_timeout(PERIOD);
            }
        });
        Self { multi, stop, drawer: Mutex::new(Some(drawer)) }
    }

    fn clear(&self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(drawer) = locked(&self.drawer).take() {
            drawer.thread().unpark();
            // A drawer that panicked has nothing more to draw.
            let _ = drawer.join();
        }
        // A terminal that is gone is nobody's failure.
        let _ = self.multi.clear();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Shows these lines above the total: no more bars than there are lines.
fn set_lines(multi: &MultiProgress, total: &ProgressBar, bars: &mut Vec<ProgressBar>, lines: &[String]) {
    while bars.len() > lines.len() {
        if let Some(bar) = bars.pop() {
            multi.remove(&bar);
        }
    }
    while bars.len() < lines.len() {
        let bar = multi.insert_before(total, ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        bars.push(bar);
    }
    for (bar, line) in bars.iter().zip(lines) {
        bar.set_message(line.clone());
    }
}

impl State {
    /// What runs, in at most `room` lines of so many columns.
    fn lines(&self, room: usize, columns: usize) -> Vec<String> {
        let (running, aside) = (locked(&self.running), locked(&self.aside));
        let count = running.len() + aside.len();
        let shown = if count > room { room.saturating_sub(1) } else { count };
        let all = aside.values().chain(running.values());
        let mut lines: Vec<String> = all.take(shown).map(|describe| describe()).collect();
        if count > shown {
            lines.push(format!("… and {} more", count - shown));
        }
        // A line that wraps would be two.
        lines.iter().map(|line| fitted(line, columns.saturating_sub(1))).collect()
    }

    fn total(&self, elapsed: Duration, done: u64) -> String {
        let eta = match self.planned.map(|planned| planned.saturating_sub(done)) {
            Some(0) => "at the end".to_owned(),
            Some(left) if done > 0 => format!("eta {}", HumanDuration(elapsed.mul_f64(left as f64 / done as f64))),
            _ => "eta unknown".to_owned(),
        };
        format!("{}, {eta}  {}", HumanDuration(elapsed), plain(&locked(&self.note)))
    }
}

/// Text that nobody can drive the terminal with, cut to so many columns.
pub fn fitted(text: &str, columns: usize) -> String {
    let text = plain(text);
    if text.width() <= columns {
        return text;
    }
    let (mut width, mut kept) = (0, String::new());
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width >= columns {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(count: u64) -> State {
        let state = State::default();
        for id in 0..count {
            locked(&state.running).insert(id, Box::new(move || format!("request {id}")));
        }
        state
    }

    #[test]
    fn there_are_no_more_lines_than_fit() {
        for (count, room, expect) in [
            (0, 5, &[][..]),
            (2, 2, &["request 0", "request 1"]),
            (3, 2, &["request 0", "… and 2 more"]),
            (9, 1, &["… and 9 more"]),
        ] {
            assert_eq!(state(count).lines(room, 80), expect, "{count} in {room}");
        }
    }

    #[test]
    fn what_is_waited_for_beside_stands_first_and_does_not_run() {
        let state = state(2);
        locked(&state.aside).insert("x", Box::new(|| "loading".into()));
        assert_eq!(state.lines(3, 80), ["loading", "request 0", "request 1"]);
        assert_eq!(state.lines(2, 80), ["loading", "… and 2 more"]);
        assert_eq!(locked(&state.running).len(), 2);
    }

    #[test]
    fn a_line_is_harmless_and_never_wider_than_the_terminal() {
        for (text, columns, expect) in [
            ("short", 10, "short"),
            ("0123456789", 10, "0123456789"),
            ("0123456789x", 10, "012345678…"),
            ("a\x1b[2J\nb\u{202e}c", 10, "a[2J bc"),
            ("日本語日本語", 7, "日本語…"),
            ("x", 0, "…"),
        ] {
            let line = fitted(text, columns);
            assert_eq!(line, expect, "{text:?}");
            assert!(line.width() <= columns.max(1));
        }
    }

    #[test]
    fn the_end_is_told_only_where_something_is_done() {
        for (done, planned, said) in [
            (0, Some(10), "eta unknown"),
            (5, Some(20), "eta 3 minutes"),
            (20, Some(20), "at the end"),
            (21, Some(20), "at the end"),
            (5, None, "eta unknown"),
        ] {
            let state = State { planned, ..State::default() };
            let total = state.total(Duration::from_secs(60), done);
            assert!(total.contains(said), "{done} of {planned:?}: {total}");
        }
    }
}
