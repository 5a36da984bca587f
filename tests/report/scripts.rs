//! The scripts of the page share one scope: what one of them declares, no other may declare again.

use super::page;
use std::collections::BTreeMap;

/// What a script declares in its outermost scope, where its lines are not indented: name and line, in order. A script that has a
/// scope of its own, whose lines are not indented either, declares there, and its names begin with a `~`.
fn declared(script: &str) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    let mut own = false;
    for (at, line) in script.lines().enumerate() {
        if line == "})();" {
            own = false;
        }
        let opens = line.ends_with("= (() => {");
        let line = line.strip_prefix("async ").unwrap_or(line);
        let Some((kind, rest)) = line.split_once(' ') else { continue };
        let name = |text: &str| -> String {
            let text = text.trim().trim_start_matches(['*', '.']).trim_start();
            text.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).collect()
        };
        let mut names: Vec<String> = match kind {
            "function" | "function*" | "class" => vec![name(rest)],
            // Of a pattern the names that it binds: after a colon, or as they stand.
            "const" | "let" | "var" if rest.starts_with(['{', '[']) => {
                let pattern = rest[1..].split(['}', ']']).next().unwrap();
                pattern.split(',').map(|part| name(part.rsplit(':').next().unwrap())).collect()
            }
            "const" | "let" | "var" => vec![name(rest)],
            _ => continue,
        };
        names.retain(|name| !name.is_empty());
        assert!(!names.is_empty(), "line {} declares nothing that this test can read: {line}", at + 1);
        all.extend(names.into_iter().map(|name| (if own { format!("~{name}") } else { name }, at + 1)));
        own |= opens;
    }
    all
}

/// Names that are declared more than once, with their lines.
fn twice(script: &str) -> BTreeMap<String, Vec<usize>> {
    let mut lines: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    declared(script).into_iter().for_each(|(name, line)| lines.entry(name).or_default().push(line));
    lines.retain(|_, lines| lines.len() > 1);
    lines
}

#[test]
fn no_name_is_declared_twice_in_the_scripts_of_the_page() {
    let page = page("one.ndjson");
    let script = page.rsplit("<script>").next().unwrap().split("</script>").next().unwrap();
    assert_eq!(twice(script), BTreeMap::new(), "the later one silently takes the place of the earlier");
    let names: Vec<String> = declared(script).into_iter().map(|(name, _)| name).collect();
    assert!(names.len() > 100, "{names:?}");
    // One of each kind and of the last script: the scan reads all of it.
    for name in ["data", "groups", "$", "embedded", "tip", "parseFilter", "health", "initGallery", "initFollow"] {
        assert!(names.iter().any(|one| one == name), "{name}");
    }
}

#[test]
fn a_collision_of_any_kind_is_seen() {
    for (script, name) in [
        ("function a() {}\nfunction a() {}", "a"),
        ("function a() {}\nasync function a() {}", "a"),
        ("const { a, b } = x;\nfunction b() {}", "b"),
        ("const { a: c } = x;\nlet c;", "c"),
        ("const [a, b] = x;\nclass b {}", "b"),
        ("let $;\nconst $ = 1;", "$"),
        ("const { a } = (() => {\nlet b;\nlet b;\nfunction a() {}\n})();", "~b"),
        ("const { a } = (() => {\nfunction a() {}\n})();\nfunction a() {}", "a"),
    ] {
        assert_eq!(twice(script).into_keys().collect::<Vec<_>>(), [name], "{script}");
    }
    assert_eq!(twice("function a() {\n  const b = 1;\n}\nconst b = 2;"), BTreeMap::new(), "inner scopes are their own");
}
