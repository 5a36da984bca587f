//! Plain text, one prompt per line.

use super::{Entry, Format};
use crate::prompts::prompt;

/// Plain text, one prompt per line.
pub const FORMAT: Format = Format { read, json: false, turns: 1, sampled: false };

fn read(line: &str, id: &str, system: Option<&str>) -> Result<Entry, String> {
    Ok(Entry::Prompt(Box::new(prompt(id, None, system, line.trim()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_lines_are_prompts_as_they_are() {
        let Ok(Entry::Prompt(found)) = read("  Write \"it\". ", "mine-3", Some("Be brief.")) else { panic!() };
        assert_eq!((found.id.as_str(), found.text.as_str()), ("mine-3", "Write \"it\"."));
        assert_eq!(found.system.as_deref(), Some("Be brief."));
    }
}
