//! Text from elsewhere, made harmless: what a server or a program said may be shown, and may not drive a terminal. And which
//! of several names was meant by one that is none of them.

pub mod encoding;
pub mod table;

/// How many characters must be put in, left out, changed or swapped with their neighbour to make the one text of the other.
pub use strsim::osa_distance as distance;

/// Control characters, and the marks that reorder or hide what stands around them.
pub fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Text without control characters; newlines and tabs become spaces. Terminal sequences lose their escape, and with it their
/// power; marks that would let a name pass for another, because they turn its order around or cannot be seen, are dropped.
pub fn plain(text: &str) -> String {
    let spaced = text.trim_end().chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c });
    spaced.filter(|&c| !hidden(c)).collect()
}

/// The same, of at most so many characters; an ellipsis stands for the rest.
pub fn cut(text: &str, most: usize) -> String {
    let mut cell: String = plain(text);
    if cell.chars().count() > most {
        cell = cell.chars().take(most.saturating_sub(1)).chain(['…']).collect();
    }
    cell
}

/// What a program wrote for a terminal, as lines for a reader: without its sequences (colours, cursor, clearing), with only the
/// last state of a line that was drawn over and over, without empty lines.
pub fn lines(text: &str) -> Vec<String> {
    let mut bare = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // ECMA-48: ESC [ parameters final, or ESC and one character.
            '\u{1b}' => {
                if chars.next_if_eq(&'[').is_some() {
                    while chars.next_if(|c| !('\u{40}'..='\u{7e}').contains(c)).is_some() {}
                }
                chars.next();
            }
            c => bare.push(c),
        }
    }
    let shown = bare.split('\n').map(|line| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default());
    shown.map(|line| plain(line).trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Names in the order of how near they are to what was written: by Levenshtein's distance, those that hold it whole before all
/// others; names as near as each other stay as they stood.
pub fn nearest_first<T: AsRef<str>>(written: &str, mut names: Vec<T>) -> Vec<T> {
    let written: String = written.to_ascii_lowercase().chars().take(100).collect();
    names.sort_by_key(|name| {
        let name = name.as_ref().to_ascii_lowercase();
        (written.is_empty() || !name.contains(&written), distance(&written, &name))
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_drive_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\r\nc\x07\n"), "a[2Jb c");
        assert_eq!(plain("evil\u{202e}txt"), "eviltxt");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
    }

    #[test]
    fn the_name_that_was_meant_stands_first() {
        for (from, to, expect) in
            [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ab", 0), ("abc", "", 3)]
        {
            assert_eq!((distance(from, to), distance(to, from)), (expect, expect), "{from} {to}");
        }
        let names = ["http-500", "rate-limit", "own-rate-limit", "truncate", "stall"];
        for (written, first) in [
            ("http500", "http-500"),
            ("trucnate", "truncate"),
            ("RATE", "rate-limit"),
            ("stal", "stall"),
            ("", "stall"),
        ] {
            assert_eq!(nearest_first(written, names.to_vec())[0], first, "{written}");
        }
        assert_eq!(nearest_first("zzzzz", vec!["aaaaa", "bbbbb"]), ["aaaaa", "bbbbb"]);
    }

    #[test]
    fn what_was_drawn_for_a_terminal_is_read_as_it_ended() {
        for (drawn, read) in [
            (
                "\x1b[?25l⠋ Loading 10%\r\x1b[2K⠙ Loading 90%\r\x1b[2KLoaded in 4.87s.\x1b[0m\n(2 GB)\n",
                "Loaded in 4.87s.|(2 GB)",
            ),
            ("\x1b[31merror\x1b[39m: no\r\n\r\n", "error: no"),
            ("\x1b", ""),
            ("\x1b[", ""),
            ("", ""),
        ] {
            assert_eq!(lines(drawn).join("|"), read, "{drawn:?}");
        }
    }
}
