//! No file imports, directly or through others, a file that imports it. `mod x;` and re-exports (`pub use`) are no imports: a name
//! that a module re-exports belongs to the file that it comes from.

use super::sources;
use crate::common::root;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// The circles that are left, one per line: each is to be opened, and its line removed.
const LEFT: &str = "
memory/portable memory/procfs memory/table
power/asitop power/battery power/child power/dating power/feed power/macmon power/plist power/polled power/powermetrics power/printed power/repeated power/root power/run power/smi power/text
prompts/fitting prompts/mod prompts/synthetic
prompts/input_format prompts/input_format/jsonl prompts/input_format/sharegpt prompts/input_format/text_lines
record/docs record/docs/presence
report/choose report/csv report/html/data report/html/gallery report/html/head report/html/links report/html/mod report/html/parts report/html/table report/html/view report/json report/markdown report/mod report/text
sim/admit sim/chat sim/plain sim/profile/completions sim/profile/lmstudio sim/profile/lmstudio_chat sim/profile/lmstudio_lms sim/profile/minimax sim/profile/mod sim/profile/ollama sim/profile/openai sim/profile/openrouter sim/profile/openrouter_faults sim/profile/recorded sim/serve sim/steady sim/tell
sim/content/mod sim/content/prose
summary/describe summary/figures summary/goodput summary/group summary/key summary/mod summary/registry summary/registry/answer summary/registry/cells summary/registry/column summary/registry/cost summary/registry/energy summary/registry/memory summary/registry/metric summary/registry/model summary/registry/speed summary/sample summary/screen summary/shape
";

type Path = Vec<String>;

/// A source file: its code without comments and tests, and the names that it re-exports, with the module that each comes from.
struct File {
    name: String,
    code: String,
    children: BTreeSet<String>,
    exports: BTreeMap<String, Path>,
}

/// The files by the path of their module: `src/a/mod.rs` and `src/a.rs` are `a`.
fn files() -> BTreeMap<Path, File> {
    let comment = Regex::new(r"//.*").unwrap();
    let (child, export) =
        (Regex::new(r"\bmod (\w+);").unwrap(), Regex::new(r"pub(?:\([a-z ]+\))? use (?:self::)?").unwrap());
    let mut files = BTreeMap::new();
    for path in sources(&root().join("src")) {
        let name = path.strip_prefix(root().join("src")).unwrap().with_extension("").display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = comment.replace_all(text.split("#[cfg(test)]").next().unwrap(), "").into_owned();
        let mut module: Path = name.split('/').map(str::to_owned).collect();
        match module.last().unwrap().as_str() {
            "tests" => continue,
            "lib" | "mod" | "main" => drop(module.pop()),
            _ => {}
        }
        let children: BTreeSet<String> = child.captures_iter(&code).map(|found| found[1].to_owned()).collect();
        let mut exports = BTreeMap::new();
        for export in export.find_iter(&code) {
            for mut names in expand(&mut &code[export.end()..], &[]) {
                let name = names.pop().unwrap_or_default();
                if names.first().is_some_and(|first| children.contains(first)) {
                    exports.insert(name, [module.clone(), names].concat());
                }
            }
        }
        files.insert(module, File { name, code, children, exports });
    }
    files
}

/// The paths that stand at the beginning of `code`: one, or all of a list in braces.
fn expand(code: &mut &str, before: &[String]) -> Vec<Path> {
    let mut path = before.to_vec();
    loop {
        *code = code.trim_start();
        if let Some(mut list) = code.strip_prefix('{') {
            let mut paths = Vec::new();
            while !list.trim_start().starts_with(['}', ';']) && !list.is_empty() {
                paths.extend(expand(&mut list, &path));
                // Past `as other,`; a list that was not understood ends here.
                let end = list.find([',', '}', ';']).unwrap_or(list.len());
                list = list[end..].strip_prefix(',').unwrap_or(&list[end..]);
            }
            *code = list.trim_start().strip_prefix('}').unwrap_or(list);
            return paths;
        }
        let end = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
        if end > 0 {
            path.push(code[..end].to_owned());
        }
        match code[end..].strip_prefix("::") {
            Some(rest) if end > 0 => *code = rest,
            _ => {
                *code = &code[end..];
                return vec![path];
            }
        }
    }
}

/// The file that has what `names` mean from a module on.
fn file_of<'a>(files: &'a BTreeMap<Path, File>, module: &[String], names: &[String]) -> Option<&'a str> {
    let mut at = module.to_vec();
    for name in names {
        let below = [at.clone(), vec![name.clone()]].concat();
        if files.contains_key(&below) {
            at = below;
        } else {
            at = files.get(&at).and_then(|file| file.exports.get(name)).unwrap_or(&at).clone();
            break;
        }
    }
    files.get(&at).map(|file| file.name.as_str())
}

/// The names of the files that each file imports.
fn imports(files: &BTreeMap<Path, File>) -> BTreeMap<&str, BTreeSet<&str>> {
    let export = Regex::new(r"pub(\([a-z ]+\))? use $").unwrap();
    let word = Regex::new(r"\w+::").unwrap();
    let mut all = BTreeMap::new();
    for (module, file) in files {
        let mut imported = BTreeSet::new();
        for found in word.find_iter(&file.code) {
            let before = &file.code[..found.start()];
            let first = found.as_str().trim_end_matches("::");
            let child = file.children.contains(first) && !export.is_match(before);
            if before.ends_with(':') || !(child || matches!(first, "crate" | "self" | "super")) {
                continue;
            }
            for names in expand(&mut &file.code[found.start()..], &[]) {
                let up = names.iter().take_while(|name| *name == "super").count();
                let (base, skip) = match first {
                    "crate" if module.first().is_some_and(|first| first == "bin") => {
                        (&module[..2.min(module.len())], 1)
                    }
                    "crate" => (&module[..0], 1),
                    "self" => (&module[..], 1),
                    _ => (&module[..module.len().saturating_sub(up)], up),
                };
                imported.extend(file_of(files, base, &names[skip..]).filter(|name| *name != file.name));
            }
        }
        all.insert(file.name.as_str(), imported);
    }
    all
}

/// What is reached from a file.
fn reached<'a>(imports: &BTreeMap<&str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        open.extend(imports.get(file).into_iter().flatten().filter(|next| reached.insert(**next)));
    }
    reached
}

#[test]
fn no_file_is_in_a_circle() {
    let files = files();
    let imports = imports(&files);
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports.keys().map(|file| (*file, reached(&imports, file))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in reached.iter().filter(|(file, others)| others.contains(*file)) {
        let circle: Vec<&str> = others.iter().copied().filter(|other| reached[other].contains(file)).collect();
        circles.insert(circle.join(" "));
    }
    let left: BTreeSet<String> = LEFT.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let (new, gone): (Vec<_>, Vec<_>) = (circles.difference(&left).collect(), left.difference(&circles).collect());
    assert!(new.is_empty(), "circles: open them, or, if an old one changed, correct its line in LEFT: {new:#?}");
    assert!(gone.is_empty(), "no circles any more: remove their lines from LEFT: {gone:#?}");
}

#[test]
fn a_circle_is_found_through_super_and_re_exports() {
    let mut rest = "super::{a::{B, C as D}, e}; rest";
    let paths: Vec<String> = expand(&mut rest, &[]).iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["super::a::B", "super::a::C", "super::e"]);
    assert_eq!(rest, "; rest");
}
