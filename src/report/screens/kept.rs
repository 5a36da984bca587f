//! What was seen before: `screenshots/pages.json` beside the pages, so that a page that did not change is not shown again.

use crate::summary::Screen;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folder of pictures, beside the pages.
pub const FOLDER: &str = "screenshots";
/// Raised when a picture would be made in another way.
const HOW: u32 = 1;

/// What is known of the pages of one folder.
pub struct Kept {
    folder: PathBuf,
    pages: BTreeMap<String, Seen>,
    changed: bool,
}

#[skip_serializing_none]
#[derive(Serialize, Deserialize)]
struct Seen {
    sha256: String,
    how: u32,
    rendered: Option<bool>,
    console_errors: Option<u64>,
    hosts: BTreeSet<String>,
    error: Option<String>,
}

impl Kept {
    /// What is known of the pages in `folder`; nothing where nothing is kept, or what is kept cannot be read.
    pub fn open(folder: &Path) -> Self {
        let folder = folder.join(FOLDER);
        let kept = std::fs::read(folder.join("pages.json")).ok();
        let pages = kept.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { folder, pages, changed: false }
    }

    /// The name of a page's picture.
    pub fn picture(page: &str) -> String {
        format!("{}.png", page.strip_suffix(".html").unwrap_or(page))
    }

    /// What was seen of a page, where it is still the same and its picture is still there.
    pub fn seen(&self, page: &str, html: &[u8]) -> Option<Screen> {
        let seen = self.pages.get(page).filter(|seen| seen.how == HOW && seen.sha256 == digest(html))?;
        let whole = seen.error.is_some() || self.folder.join(Self::picture(page)).is_file();
        whole.then(|| Screen {
            rendered: seen.rendered,
            console_errors: seen.console_errors,
            hosts: seen.hosts.clone(),
            error: seen.error.clone(),
            picture: None,
        })
    }

    /// Keeps what was seen, and the picture where there is one: a page that the browser could not finish is not tried again.
    ///
    /// # Errors
    /// When the picture cannot be written.
    pub fn keep(&mut self, page: &str, html: &[u8], screen: &Screen, picture: Option<&[u8]>) -> std::io::Result<()> {
        if let Some(picture) = picture {
            crate::artifacts::write_atomic(&self.folder.join(Self::picture(page)), picture)?;
        }
        let seen = Seen {
            sha256: digest(html),
            how: HOW,
            rendered: screen.rendered,
            console_errors: screen.console_errors,
            hosts: screen.hosts.clone(),
            error: screen.error.clone(),
        };
        self.pages.insert(page.to_owned(), seen);
        self.changed = true;
        Ok(())
    }

    /// Writes down what was seen since it was opened.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn close(self) -> std::io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let mut text = serde_json::to_vec_pretty(&self.pages)?;
        text.push(b'\n');
        crate::artifacts::write_atomic(&self.folder.join("pages.json"), &text)
    }
}

fn digest(html: &[u8]) -> String {
    Sha256::digest(html).iter().map(|byte| format!("{byte:02x}")).collect()
}
