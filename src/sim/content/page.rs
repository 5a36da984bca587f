//! The page that a simulated model makes when it is asked for a website: a Kanban board that works, alone in its file.

/// A sentence and the page in a fenced block. `hue` decides its colour.
pub fn answer(model: &str, hue: u64) -> String {
    let name: String = model
        .chars()
        .filter(|c| !c.is_control())
        .take(80)
        .map(|c| match c {
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '&' => "&amp;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' | '`' => "&#39;".to_owned(),
            // Within the script's strings, too, a name stays a name.
            '\\' => "&#92;".to_owned(),
            c => c.to_string(),
        })
        .collect();
    let page = PAGE.replace("HUE", &(hue % 360).to_string()).replace("NAME", &name);
    format!("Here is a small Kanban board that keeps its cards in your browser.\n\n```html\n{}\n```\n", page.trim_end())
}

const PAGE: &str = include_str!("board.html");
