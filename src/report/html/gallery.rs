//! The gallery: what models produced, as cards. A page is held in the report itself, packed, so that it can be shown without
//! its file and without a request; a picture of it where a browser made one; the answer's text as safe HTML.

use super::answers;
use super::links::{artifact, href};
use super::parts::{Link, links, sub};
use crate::report::{Options, number};
use crate::summary::{Row, Screen, Summary};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::{Compression, write::GzEncoder};
use std::collections::HashSet;
use std::io::Write as _;

/// How many cards the gallery has, and how many of one row of the table.
const CARDS: usize = 200;
const CARDS_OF_GROUP: usize = 6;
/// The largest page that is held, and all pages together once they are packed, in bytes.
const LARGEST: u64 = 256 << 10;
const PAGES: usize = 2 << 20;
/// All pictures together, in bytes of base64.
const PICTURES: usize = 4 << 20;

/// The gallery.
#[derive(Default)]
pub struct Gallery {
    /// The cards.
    pub cards: Vec<Answer>,
    /// What the cards are of, where they are not all there is.
    pub not_measured: String,
    /// Whether any card has a page.
    pub pages: bool,
}

/// A card.
pub struct Answer {
    pub model: String,
    pub sub: String,
    pub prompt: String,
    /// The link to the page; empty where it has no file, or the report lies where no way leads to it.
    pub html: String,
    /// The page, gzip in base64; empty where it is too large.
    pub packed: String,
    /// Whether there is a page at all.
    pub page: bool,
    /// How large the page is, in words.
    pub size: String,
    /// The picture, as a data address.
    pub picture: String,
    pub facts: Vec<(&'static str, String)>,
    pub markdown: String,
    pub links: Vec<Link>,
}

/// The answers that can be shown.
pub fn gallery(summary: &Summary, options: &Options, names: &[String]) -> Gallery {
    let shows = |row: &&Row| !row.warmup && (row.text.is_some() || page(row, options).is_some());
    let all: Vec<&Row> = summary.rows.iter().filter(shows).collect();
    let mut gallery = Gallery::default();
    let (mut pages_left, mut pictures_left) = (PAGES, PICTURES);
    for row in chosen(&all, summary.groups.len()).into_iter().take(CARDS) {
        let group = &summary.groups[row.group];
        let several = group.requests() > 1;
        let request =
            format!("request {}{}", row.id, row.prompt.as_ref().map(|p| format!(" · {p}")).unwrap_or_default());
        let file = page(row, options);
        let (packed, size) = file.as_deref().map(|file| held(file, &mut pages_left)).unwrap_or_default();
        gallery.pages |= file.is_some();
        gallery.cards.push(Answer {
            model: names[row.group].clone(),
            sub: if several { request } else { sub(group, false) },
            prompt: row.prompt.clone().unwrap_or_default(),
            html: row.html.as_deref().and_then(|file| href(options, row.folder, file)).unwrap_or_default(),
            page: file.is_some(),
            packed,
            size,
            picture: picture(row, options, &mut pictures_left),
            facts: row.screen.as_ref().map(facts).unwrap_or_default(),
            markdown: row.text.as_deref().map(answers::safe).unwrap_or_default(),
            links: links(row, options),
        });
    }
    if gallery.cards.len() < all.len() {
        gallery.not_measured = format!(
            "{} of {} answers: at most {CARDS_OF_GROUP} of a row of the table, of different prompts first, and {CARDS} in all. {}",
            gallery.cards.len(),
            all.len(),
            elsewhere(&all, options)
        );
    }
    gallery
}

/// Where the answers are that have no card: in files that an opened row links to, or in the records alone.
fn elsewhere(all: &[&Row], options: &Options) -> String {
    let filed = all.iter().filter(|row| !links(row, options).is_empty()).count();
    let results = options.files.iter().map(|(_, name)| name.as_str()).find(|name| name.contains("results"));
    let records = match (results, &options.files[..]) {
        (Some(name), _) => name.to_owned(),
        (None, [(_, only)]) => only.clone(),
        _ => "the result records that this page was made from".into(),
    };
    let records = format!("in {}", number::shortened(&records, 80));
    match filed {
        0 => format!("The text of the others is {records}."),
        n if n == all.len() => "The others are in their files; an opened row links to them.".into(),
        n => format!(
            "Of all {}, {n} left files, which an opened row links to; the text of the rest is {records}.",
            all.len()
        ),
    }
}

/// Of each group the first answers, those of prompts that it has not yet shown before the others; in order of the groups.
fn chosen<'a>(all: &[&'a Row], groups: usize) -> Vec<&'a Row> {
    let mut of_group: Vec<(Vec<&Row>, Vec<&Row>)> = vec![Default::default(); groups];
    let (mut asked, mut shown) = (HashSet::new(), HashSet::new());
    for row in all {
        // Two requests that wrote the same file produced one page.
        if row.html.is_some() && !shown.insert((row.group, row.folder, &row.html)) {
            continue;
        }
        let (new, again) = &mut of_group[row.group];
        if asked.insert((row.group, &row.prompt)) { new.push(row) } else { again.push(row) }
    }
    of_group.into_iter().flat_map(|(new, again)| new.into_iter().chain(again).take(CARDS_OF_GROUP)).collect()
}

/// The file of a row's page.
fn page(row: &Row, options: &Options) -> Option<std::path::PathBuf> {
    artifact(options.folders.get(row.folder?)?, row.html.as_deref()?)
}

/// A page packed, while there is room, and its size in words.
fn held(file: &std::path::Path, left: &mut usize) -> (String, String) {
    let Ok(length) = std::fs::metadata(file).map(|meta| meta.len()) else { return Default::default() };
    let size = format!("{} kB", (length / 1000).max(1));
    if length > LARGEST {
        return (String::new(), size);
    }
    let packed = std::fs::read(file).ok().and_then(|bytes| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes).ok()?;
        Some(BASE64.encode(gzip.finish().ok()?))
    });
    let packed = packed.filter(|packed| packed.len() <= *left).unwrap_or_default();
    *left -= packed.len();
    (packed, size)
}

/// The picture of a page as a data address, while there is room.
fn picture(row: &Row, options: &Options, left: &mut usize) -> String {
    let path = row.screen.as_ref().and_then(|screen| screen.picture.as_ref());
    let folder = row.folder.and_then(|at| options.folders.get(at));
    let bytes = path.zip(folder).and_then(|(path, folder)| std::fs::read(folder.join(path)).ok());
    let text = bytes.map(|bytes| BASE64.encode(bytes)).filter(|text| text.len() <= *left).unwrap_or_default();
    *left -= text.len();
    if text.is_empty() { text } else { format!("data:image/png;base64,{text}") }
}

/// What a browser saw, in words: a class and a sentence each.
fn facts(screen: &Screen) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    match screen.rendered {
        Some(true) => facts.push(("", "shows something".into())),
        Some(false) => facts.push(("bad", "shows nothing".into())),
        None => {}
    }
    match screen.console_errors {
        Some(0) => facts.push(("", "no console error".into())),
        Some(1) => facts.push(("bad", "1 console error".into())),
        Some(n) => facts.push(("bad", format!("{n} console errors"))),
        None => {}
    }
    if !screen.hosts.is_empty() {
        facts.push(("warn", format!("asks for {}", screen.hosts.iter().cloned().collect::<Vec<_>>().join(", "))));
    }
    facts.extend(screen.error.as_ref().map(|why| ("bad", format!("no screenshot: {why}"))));
    facts
}
