//! The page in an answer: what people mean when a model was asked for a web page and answered in its own way.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Where a page was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// In a fenced block.
    Fenced,
    /// As a document in the plain text.
    Document,
    /// Nowhere: the text was wrapped into a minimal page, escaped.
    Wrapped,
}

/// Takes the page out of an answer. Of several fenced blocks the longest that is HTML counts; a fence that the end of the
/// answer cut off counts too. An answer without any becomes a page that shows its text.
pub fn page(answer: &str, title: &str) -> (String, Found) {
    let answer = without_reasoning(answer);
    if let Some(block) = fenced(&answer) {
        return (block, Found::Fenced);
    }
    if let Some(document) = document(&answer) {
        return (document.to_owned(), Found::Document);
    }
    (wrapped(&answer, title), Found::Wrapped)
}

/// The answer without its `<think>…</think>` blocks; one that is never closed takes the rest with it.
fn without_reasoning(answer: &str) -> String {
    let mut rest = answer;
    let mut kept = String::with_capacity(answer.len());
    while let Some(open) = rest.find("<think>") {
        // A page may talk about the tag; a model that thinks does so before its page.
        if document(&rest[..open]).is_some() || rest[..open].contains("```") {
            break;
        }
        kept.push_str(&rest[..open]);
        rest = match rest[open..].find("</think>") {
            Some(close) => &rest[open + close + "</think>".len()..],
            None => "",
        };
    }
    kept.push_str(rest);
    kept
}

fn fenced(answer: &str) -> Option<String> {
    let mut best: Option<String> = None;
    let mut block: Option<(bool, String)> = None;
    for event in Parser::new_ext(answer, Options::empty()) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let language = info.split([' ', ',', '{']).next().unwrap_or_default().to_ascii_lowercase();
                block = Some((matches!(language.as_str(), "html" | "htm" | "xhtml"), String::new()));
            }
            Event::Text(text) => {
                if let Some((_, content)) = &mut block {
                    content.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some((is_html, content)) = block.take() {
                    let is_html = is_html || starts_a_document(&content);
                    if is_html && !content.trim().is_empty() && best.as_ref().is_none_or(|b| b.len() < content.len()) {
                        best = Some(content);
                    }
                }
            }
            _ => {}
        }
    }
    best
}

fn starts_a_document(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

/// From `<!doctype html>`, or `<html`, to the last `</html>`, or to the end.
fn document(text: &str) -> Option<&str> {
    // ASCII lower case keeps every byte where it is.
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<!doctype html").or_else(|| lower.find("<html"))?;
    let end = lower.rfind("</html>").map_or(text.len(), |at| at + "</html>".len());
    (end > start).then(|| &text[start..end])
}

fn wrapped(text: &str, title: &str) -> String {
    let (title, text) = (escaped(title), escaped(text.trim()));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}pre{{white-space:pre-wrap}}</style>\n\
         <pre>{text}</pre>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    // Writing into a string cannot fail.
    let _ = pulldown_cmark_escape::escape_html(&mut html, text);
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_people_mean() {
        for (answer, expect, found) in [
            ("Here:\n\n```html\n<p>x</p>\n```\nDone.", "<p>x</p>\n", Found::Fenced),
            ("```HTML title=\"a\"\n<p>x</p>\n```", "<p>x</p>\n", Found::Fenced),
            ("~~~html\n<p>x</p>\n~~~", "<p>x</p>\n", Found::Fenced),
            ("```\n<!DOCTYPE html><html></html>\n```", "<!DOCTYPE html><html></html>\n", Found::Fenced),
            (
                "```css\na{}\n```\n```html\n<b>short</b>\n```\n```html\n<html><b>long</b></html>\n```",
                "<html><b>long</b></html>\n",
                Found::Fenced,
            ),
            ("1. Page:\n   ```html\n   <p>x</p>\n   ```", "<p>x</p>\n", Found::Fenced),
            ("```html\n<html><p>cut o", "<html><p>cut o", Found::Fenced),
            ("<think>```html\n<p>no</p>\n```</think>```html\n<p>yes</p>\n```", "<p>yes</p>\n", Found::Fenced),
            (
                "Sure!\n<!DOCTYPE html>\n<html><script>`ü`</script></html> Enjoy.",
                "<!DOCTYPE html>\n<html><script>`ü`</script></html>",
                Found::Document,
            ),
            ("<HTML><p>x</p></HTML>", "<HTML><p>x</p></HTML>", Found::Document),
            ("<html><p>cut", "<html><p>cut", Found::Document),
            (
                "```html\n<p>the &lt;think&gt; and <think> tag</p>\n```",
                "<p>the &lt;think&gt; and <think> tag</p>\n",
                Found::Fenced,
            ),
        ] {
            let (page, how) = page(answer, "m");
            assert_eq!((page.trim_end(), how), (expect.trim_end(), found), "{answer:?}");
        }
    }

    #[test]
    fn an_answer_without_a_page_is_shown_escaped() {
        let (page, found) = page("<script>alert(1)</script> & <b>", "a<b>/m");
        assert_eq!(found, Found::Wrapped);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;"));
        assert!(page.contains("<title>a&lt;b&gt;/m</title>"));
        assert!(!page.contains("<script>"));
        assert!(super::page("<think>only thoughts", "m").0.contains("<pre></pre>"));
        assert!(super::page("```html\n\n```", "m").1 == Found::Wrapped);
    }
}
