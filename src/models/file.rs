//! A list of models as people write it: one id per line.

/// The ids of a list: `#` begins a comment, blank lines and white space around ids are nothing, and an id that stands twice
/// counts once.
pub fn ids(text: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        // Only after white space, because an id may hold the sign.
        let line = if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
        let id = line.split("\t#").next().unwrap_or_default().trim();
        if !id.is_empty() && !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_people_write_it() {
        let list = "\u{feff}# the cheap ones\nopenai/gpt-oss-20b   # free\r\n\n  a/b:free\t# x\na/b:free\n#c\nodd#id\n";
        assert_eq!(ids(list), ["openai/gpt-oss-20b", "a/b:free", "odd#id"]);
        assert_eq!(ids(""), Vec::<String>::new());
    }
}
