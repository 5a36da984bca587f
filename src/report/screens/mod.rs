//! Pictures of the pages that models produced, and what a browser says of them: whether anything is to be seen, how many
//! errors their scripts made, which hosts they asked for.
//!
//! It refuses to reach any of these hosts: a page is shown as a stranger would find it on a machine without a network.

mod browser;
mod kept;
mod look;
mod png;

pub use browser::{NAMES, find, is_program, unboxed};

use super::html::artifact;
use crate::summary::{Screen, Summary};
use crate::text;
use browser::Browser;
use kept::Kept;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The largest page that is shown to the browser, in bytes.
const LARGEST: u64 = 8 << 20;

/// Shows every produced page of a summary to the browser, once; pages that did not change since the last time are known.
/// `say` hears of each page that had to be shown. Returns what could not be done, one sentence per page.
pub fn shoot(summary: &mut Summary, folders: &[PathBuf], program: &Path, say: &dyn Fn(&str)) -> Vec<String> {
    let mut pages: BTreeMap<(usize, String, String), BTreeSet<String>> = BTreeMap::new();
    for row in &summary.rows {
        let (Some(at), Some(html)) = (row.folder, &row.html) else { continue };
        let Some(path) = folders.get(at).and_then(|folder| artifact(folder, html)) else { continue };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let before = html.strip_suffix(name).unwrap_or_default();
        pages.entry((at, before.to_owned(), html.clone())).or_default().insert(name.to_owned());
    }
    let (mut seen, mut failed) = (BTreeMap::new(), Vec::new());
    let mut running = None;
    let mut kept: Option<(PathBuf, Kept)> = None;
    for (at, before, html) in pages.into_keys() {
        let place = folders[at].join(&before);
        if kept.as_ref().is_none_or(|(of, _)| *of != place) {
            close(kept.take(), &mut failed);
            kept = Some((place.clone(), Kept::open(&place)));
        }
        let Some((_, kept)) = &mut kept else { continue };
        let name = &html[before.len()..];
        let seen_now = one(&place.join(name), name, kept, &mut running, program, say);
        let mut screen = seen_now.unwrap_or_else(|why| Screen { error: Some(format!("{why:#}")), ..Screen::default() });
        match &screen.error {
            None => screen.picture = Some(format!("{before}{}/{}", kept::FOLDER, Kept::picture(name))),
            Some(why) => failed.push(format!("{html}: no screenshot: {why}")),
        }
        seen.insert((at, html), screen);
    }
    close(kept, &mut failed);
    summary.add_screens(&seen);
    failed
}

fn close(kept: Option<(PathBuf, Kept)>, failed: &mut Vec<String>) {
    if let Some((_, kept)) = kept
        && let Err(why) = kept.close()
    {
        failed.push(format!("screenshots: {why}"));
    }
}

fn one(
    path: &Path,
    name: &str,
    kept: &mut Kept,
    running: &mut Option<Browser>,
    program: &Path,
    say: &dyn Fn(&str),
) -> anyhow::Result<Screen> {
    let length = std::fs::metadata(path)?.len();
    if length > LARGEST {
        anyhow::bail!("{length} bytes are more than a page has: at most {LARGEST} are shown to the browser");
    }
    let html = std::fs::read(path)?;
    if let Some(screen) = kept.seen(name, &html) {
        return Ok(screen);
    }
    say(name);
    let browser = match running {
        Some(browser) => browser,
        None => running.insert(Browser::start(program)?),
    };
    match look::look(browser, &html) {
        Ok((screen, picture)) => {
            kept.keep(name, &html, &screen, Some(&picture))?;
            Ok(screen)
        }
        // What is left of the browser after a page that it could not finish is not used again.
        Err(why) => {
            *running = None;
            let screen = Screen { error: Some(text::cut(&format!("{why:#}"), 300)), ..Screen::default() };
            kept.keep(name, &html, &screen, None)?;
            Ok(screen)
        }
    }
}
