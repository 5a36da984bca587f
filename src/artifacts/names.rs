//! File names for model ids, whatever the id is.

use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The longest stem, in bytes: with a number and an extension it stays under the 255 of every file system.
const LONGEST: usize = 150;

/// Names that the flows give to files of their own.
const OURS: [&str; 7] = ["index", "summary", "results", "models", "power", "memory", "run"];

/// Names that Windows keeps for devices.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// File stems of one run folder: one per model id, never two the same, not even where case does not count.
///
/// The first id to ask gets the plain stem (`openai/gpt-oss-20b` → `openai_gpt-oss-20b`); an id that cannot be written
/// plainly, or comes to a stem that is taken, gets eight hex digits of its SHA-256 behind a `~`.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashMap<String, String>,
}

impl Names {
    /// The stem for a model.
    pub fn stem(&mut self, id: &str) -> String {
        let (mut stem, faithful) = plain(id);
        let owner = self.taken.entry(stem.to_lowercase()).or_insert_with(|| id.to_owned());
        if owner != id || !faithful {
            let digest = Sha256::digest(id.as_bytes());
            stem = format!("{stem}~{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
        }
        stem
    }
}

/// The id with what a file name may not hold replaced, and whether anything but `/` was.
fn plain(id: &str) -> (String, bool) {
    let mut stem = String::with_capacity(id.len());
    let mut faithful = true;
    for c in id.chars() {
        match c {
            '/' => stem.push('_'),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '+' | '@' => stem.push(c),
            // `llama3:8b` is Ollama's everyday form, and a colon is no file name on Windows and in Finder.
            ':' => stem.push('-'),
            _ => {
                faithful = false;
                stem.push('_');
            }
        }
    }
    if stem.len() > LONGEST {
        stem.truncate(LONGEST);
        faithful = false;
    }
    // Hidden files, `..`, and the trailing dot that Windows drops.
    if stem.is_empty() || stem.starts_with(['.', '-']) || stem.ends_with('.') {
        faithful = false;
        stem = format!("_{}", stem.trim_matches(['.', '-']));
    }
    if OURS.contains(&stem.to_lowercase().as_str()) {
        faithful = false;
    }
    let device = stem.split('.').next().unwrap_or_default().to_lowercase();
    if RESERVED.contains(&device.trim_end_matches(|c: char| c.is_ascii_digit())) {
        stem.insert(0, '_');
        faithful = false;
    }
    (stem, faithful)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_become_the_names_people_know_and_traps_become_harmless() {
        let long = "x".repeat(300);
        for (id, expect) in [
            ("openai/gpt-oss-20b", "openai_gpt-oss-20b"),
            ("MiniMax-M3", "MiniMax-M3"),
            ("llama3:8b", "llama3-8b"),
            ("google/gemma-4@q4_k_m", "google_gemma-4@q4_k_m"),
            ("../../etc/passwd", "_.._etc_passwd~"),
            ("..", "_~"),
            ("", "_~"),
            (".hidden", "_hidden~"),
            ("-rf", "_rf~"),
            ("con", "_con~"),
            ("com1.gguf", "_com1.gguf~"),
            ("index", "index~"),
            ("mödel", "m_del~"),
            ("a\0b\nc", "a_b_c~"),
            (&long, &format!("{}~", "x".repeat(LONGEST))),
        ] {
            let stem = Names::default().stem(id);
            match expect.strip_suffix('~') {
                None => assert_eq!(stem, expect),
                Some(start) => {
                    let (plain, hash) = stem.rsplit_once('~').unwrap_or_else(|| panic!("{id:?} gave {stem}"));
                    assert!(plain.ends_with(start.trim_start_matches('_')), "{id:?} gave {stem}");
                    assert_eq!(hash.len(), 8);
                }
            }
        }
    }

    #[test]
    fn ids_that_come_to_the_same_name_are_told_apart_even_by_case() {
        let mut names = Names::default();
        assert_eq!(names.stem("a/b"), "a_b");
        assert!(names.stem("a_b").starts_with("a_b~"));
        assert!(names.stem("A/B").starts_with("A_B~"));
        assert_eq!(names.stem("a/b"), "a_b");
    }

    proptest! {
        #[test]
        fn any_ids_get_names_that_are_safe_and_different(ids in proptest::collection::hash_set(".{0,40}", 1..30)) {
            let mut names = Names::default();
            let stems: Vec<String> = ids.iter().map(|id| names.stem(id).to_lowercase()).collect();
            for stem in &stems {
                prop_assert!(!stem.is_empty() && stem.len() < 200 && !stem.starts_with('.') && !stem.contains(['/', '\\', '\0']));
            }
            let different: std::collections::HashSet<_> = stems.iter().collect();
            prop_assert_eq!(different.len(), ids.len());
        }
    }
}
