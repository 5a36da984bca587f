//! How wide the screen is that standard output goes to.

use console::Term;

/// The columns of the terminal that standard output is; `None` where it goes elsewhere, or does not say.
pub fn screen_width() -> Option<usize> {
    let screen = Term::stdout();
    // A pseudo terminal that nobody gave a size has none.
    screen.is_term().then(|| screen.size_checked()).flatten().map(|(_, columns)| columns.into()).filter(|n| *n > 0)
}
