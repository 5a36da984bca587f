//! What a browser saw of the pages that models produced.

use super::Summary;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a browser saw of one produced page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Screen {
    /// Whether anything was to be seen; `None` where the browser could not tell.
    pub rendered: Option<bool>,
    /// How many errors its scripts made or wrote to the console; `None` where the browser could not tell.
    pub console_errors: Option<u64>,
    /// The hosts it asked for, with ports where it named them; none of them was reached.
    pub hosts: BTreeSet<String>,
    /// The picture: a path relative to the folder that the page's path is relative to.
    pub picture: Option<String>,
    /// Why there is no picture.
    pub error: Option<String>,
}

/// What a browser saw of the pages of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Screens {
    /// Pages that the browser was shown.
    pub pages: u64,
    /// Pages on which something was to be seen.
    pub rendered: u64,
    /// Pages of which the browser could not tell.
    pub unknown: u64,
    /// Errors of all pages.
    pub console_errors: u64,
    /// The hosts that pages asked for.
    pub hosts: BTreeSet<String>,
}

impl Summary {
    /// Adds what a browser saw: by the folder of the run and the path of the page in it.
    pub fn add_screens(&mut self, seen: &BTreeMap<(usize, String), Screen>) {
        let mut told = BTreeSet::new();
        for row in &mut self.rows {
            let Some(key) = row.folder.zip(row.html.clone()) else { continue };
            row.screen = seen.get(&key).cloned();
            let Some(screen) = &row.screen else { continue };
            // Two requests that wrote the same file made one page; warm-up is no answer.
            if row.warmup || !told.insert((row.group, key)) {
                continue;
            }
            let screens = self.groups[row.group].screens.get_or_insert_default();
            screens.pages += 1;
            screens.rendered += u64::from(screen.rendered == Some(true));
            screens.unknown += u64::from(screen.rendered.is_none());
            screens.console_errors += screen.console_errors.unwrap_or(0);
            screens.hosts.extend(screen.hosts.iter().cloned());
        }
    }
}
