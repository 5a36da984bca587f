//! What a run leaves behind for each answer.

use super::{Found, Names, page, write_atomic};
use crate::record::{Files, Outcome};
use std::io;
use std::path::{Path, PathBuf};

/// A run folder that takes answers.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    names: Names,
    one_per_model: bool,
}

impl Folder {
    /// Opens, or makes, the folder. `one_per_model` says that each model has one result, so that its number can be left
    /// out of the names.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path, one_per_model: bool) -> io::Result<Self> {
        std::fs::create_dir_all(path)
            .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", path.display())))?;
        Ok(Self { path: path.to_owned(), names: Names::default(), one_per_model })
    }

    /// Writes the answer as `MODEL.txt`, and its page as `MODEL.html`: always where the model has one result, else only
    /// where the answer holds a page. Returns the names, relative to the folder; `None` when there is no text.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn keep(&mut self, outcome: &Outcome, text: &str) -> io::Result<Option<Files>> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut stem = self.names.stem(&outcome.model);
        if !self.one_per_model {
            stem = format!("{stem}-{:03}", outcome.id);
        }
        let stem = self.free(&stem, outcome);
        let mut files = Files { text: Some(format!("{stem}.txt")), ..Files::default() };
        write_atomic(&self.path.join(format!("{stem}.txt")), text.as_bytes())?;
        let (page, found) = page(text, &outcome.model);
        if self.one_per_model || found != Found::Wrapped {
            write_atomic(&self.path.join(format!("{stem}.html")), page.as_bytes())?;
            files.html = Some(format!("{stem}.html"));
        }
        Ok(Some(files))
    }

    /// A stem that no file has: what another source, or an earlier run, left here is never overwritten.
    fn free(&self, stem: &str, outcome: &Outcome) -> String {
        let is_free =
            |stem: &String| ["txt", "html"].iter().all(|end| !self.path.join(format!("{stem}.{end}")).exists());
        let source = outcome.source.map_or_else(String::new, |source| format!("@{source}"));
        std::iter::once(stem.to_owned())
            .chain((1..).map(|n| if n == 1 { format!("{stem}{source}") } else { format!("{stem}{source}-{n}") }))
            .find(is_free)
            .unwrap_or_else(|| stem.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Source, fixture};

    #[test]
    fn an_answer_becomes_a_text_and_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Folder::open(&folder.path().join("run"), true).unwrap();
        let files = kept.keep(&fixture::result(1, "a/b"), "```html\n<p>x</p>\n```").unwrap().unwrap();
        assert_eq!((files.text.as_deref(), files.html.as_deref()), (Some("a_b.txt"), Some("a_b.html")));
        assert_eq!(std::fs::read_to_string(folder.path().join("run/a_b.html")).unwrap(), "<p>x</p>\n");
        assert_eq!(kept.keep(&fixture::result(2, "a/b"), "").unwrap(), None);
    }

    #[test]
    fn nothing_that_lies_there_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let mut stems = Vec::new();
        for source in [Source::Lmstudio, Source::Openrouter, Source::Openrouter] {
            let mut kept = Folder::open(folder.path(), true).unwrap();
            let outcome = fixture::result(1, "a/b").source(source);
            stems.push(kept.keep(&outcome, "Hello").unwrap().unwrap().text.unwrap());
        }
        assert_eq!(stems, ["a_b.txt", "a_b@openrouter.txt", "a_b@openrouter-2.txt"]);
    }

    #[test]
    fn several_answers_of_a_model_are_told_apart_and_plain_text_gets_no_page() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Folder::open(folder.path(), false).unwrap();
        let files = kept.keep(&fixture::result(12, "m"), "Hello").unwrap().unwrap();
        assert_eq!((files.text.as_deref(), files.html), (Some("m-012.txt"), None));
        let page = kept.keep(&fixture::result(13, "../m"), "<html></html>").unwrap().unwrap();
        assert!(page.html.unwrap().ends_with("-013.html"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
