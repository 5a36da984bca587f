//! Answers as HTML: Markdown in, a small safe part of HTML out.

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

/// An answer as safe HTML. Raw HTML is shown as text; images become their descriptions, because a picture is a request to
/// a stranger; links lead only to the web or to mail, and tell nobody where they came from.
pub fn safe(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut refused = Vec::new();
    let events = Parser::new_ext(markdown, options).filter_map(move |event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Image { .. }) => Some(Event::Start(Tag::Emphasis)),
        Event::End(TagEnd::Image) => Some(Event::End(TagEnd::Emphasis)),
        Event::Start(Tag::Link { link_type, dest_url, id, .. }) => {
            let open = opens(&dest_url, link_type);
            refused.push(!open);
            open.then_some(Event::Start(Tag::Link { link_type, dest_url, title: CowStr::Borrowed(""), id }))
        }
        Event::End(TagEnd::Link) => (!refused.pop().unwrap_or(true)).then_some(Event::End(TagEnd::Link)),
        // A language's name becomes a class: only names that are one.
        Event::Start(Tag::CodeBlock(_)) => Some(Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented))),
        // Headings of an answer stand below those of the page.
        Event::Start(Tag::Heading { .. }) => Some(Event::Start(Tag::Heading {
            level: pulldown_cmark::HeadingLevel::H4,
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        })),
        Event::End(TagEnd::Heading(_)) => Some(Event::End(TagEnd::Heading(pulldown_cmark::HeadingLevel::H4))),
        other => Some(other),
    });
    let mut text = String::new();
    html::push_html(&mut text, events);
    // Every `<a` is of the writer above: text has none that is not escaped.
    text.replace("<a href=", "<a rel=\"noopener noreferrer nofollow\" target=\"_blank\" href=")
}

fn opens(url: &str, kind: LinkType) -> bool {
    let url = url.trim_start().to_ascii_lowercase();
    kind == LinkType::Email || ["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_can_neither_run_nor_load_anything() {
        for (markdown, expect) in [
            ("**b** `c`", "<p><strong>b</strong> <code>c</code></p>\n"),
            ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>\n"),
            ("a <img src=x onerror=y>", "<p>a &lt;img src=x onerror=y&gt;</p>\n"),
            ("![see](http://e.example/i.png)", "<p><em>see</em></p>\n"),
            ("[x](javascript:alert(1))", "<p>x</p>\n"),
            ("[x](data:text/html,y)", "<p>x</p>\n"),
            ("[x](/etc/passwd)", "<p>x</p>\n"),
            ("[a [b](file:///x)](vbscript:y)", "<p>[a b](vbscript:y)</p>\n"),
            ("[x](https://e.example/\" onclick=\"y)", "<p>[x](https://e.example/\" onclick=\"y)</p>\n"),
            (
                "[x](https://e.example/ \"t\")",
                "<p><a rel=\"noopener noreferrer nofollow\" target=\"_blank\" href=\"https://e.example/\">x</a></p>\n",
            ),
            ("```\"><script>\nx < y\n```", "<pre><code>x &lt; y\n</code></pre>\n"),
            ("# h", "<h4>h</h4>\n"),
        ] {
            assert_eq!(safe(markdown), expect, "{markdown}");
        }
    }
}
