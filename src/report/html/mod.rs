//! The page: one file that needs nothing but itself.
//!
//! The table, the failures, the prompts and the settings are HTML from the template, so that they can be read, printed
//! and searched without a script. The script sorts, filters and draws, from the numbers embedded beside it. The policy
//! of the page allows exactly this style and this script by their hashes, and no request of any kind.

mod answers;
mod badges;
mod data;
mod gallery;
mod head;
mod intervals;
mod links;
mod packed;
mod parts;
mod standouts;
mod table;
mod view;

pub(super) use links::artifact;

use super::{Options, number};
use crate::summary::{Group, Summary};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

const STYLE: &str = concat!(include_str!("style.css"), include_str!("gallery.css"));
const SCRIPT: &str = concat!(
    "\"use strict\";(async () => {\n",
    include_str!("core.js"),
    include_str!("filter.js"),
    include_str!("table.js"),
    include_str!("requests.js"),
    include_str!("draw.js"),
    include_str!("charts.js"),
    include_str!("time.js"),
    include_str!("spread.js"),
    include_str!("scatter.js"),
    include_str!("levels.js"),
    include_str!("tail.js"),
    include_str!("gaps.js"),
    include_str!("energy.js"),
    include_str!("goodput.js"),
    include_str!("health.js"),
    include_str!("accuracy.js"),
    include_str!("run.js"),
    include_str!("gallery.js"),
    include_str!("page.js"),
    "})();\n",
);

/// Writes the page.
///
/// # Errors
/// When the output is closed or full.
pub fn write(summary: &Summary, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    let (names, intervals) = (names(&summary.groups), intervals::intervals(summary));
    let mut page = view::Page::of(summary, options, &names, &intervals);
    page.style = STYLE;
    page.script = SCRIPT;
    page.data = packed::embed(&data::json(summary, options, &names, &intervals))?;
    // Frames show produced pages, which lie beside this one; each is sandboxed by its own attribute. Pictures are in the page itself.
    page.policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; frame-src 'self' file:; base-uri 'none'; \
         form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let text = page.render().map_err(io::Error::other)?;
    to.write_all(visible(&text).as_bytes())
}

/// Characters that hide or reorder what stands around them; a page needs lines and tabs.
fn unseen(c: char) -> bool {
    number::hidden(c) && !matches!(c, '\n' | '\r' | '\t')
}

/// The text with a visible sign in the place of each of them: a model's name cannot turn a sentence around.
fn visible(text: &str) -> String {
    text.chars().map(|c| if unseen(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn hash(text: &str) -> String {
    BASE64.encode(Sha256::digest(text.as_bytes()))
}

/// A name for each group that tells it from the others: its model, and as much of the rest as it takes.
fn names(groups: &[Group]) -> Vec<String> {
    let mut names: Vec<String> = groups.iter().map(|group| group.model.clone()).collect();
    let parts: [fn(&Group) -> Option<String>; 4] =
        [|g| g.source.map(|s| s.to_string()), |g| g.provider.clone(), |g| g.key().load(), |g| g.sub.clone()];
    for part in parts {
        let mut words: HashMap<&str, HashSet<Option<String>>> = HashMap::new();
        for (name, group) in names.iter().zip(groups) {
            words.entry(name).or_default().insert(part(group));
        }
        let told = |(name, group): (&String, &Group)| match part(group) {
            Some(word) if words[name.as_str()].len() > 1 => format!("{name} · {word}"),
            _ => name.clone(),
        };
        names = names.iter().zip(groups).map(told).collect();
    }
    names
}
