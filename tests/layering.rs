//! The house: who may import whom, and which outside crate lives where. Read from the sources, so that it cannot be forgotten.

mod circles;

use crate::common::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The module of the house that a file belongs to: the first part of its path under `src`.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// What each module may import, besides itself.
fn allowed(module: &str) -> &'static [&'static str] {
    match module {
        "record" | "clock" | "text" | "units" | "locks" | "process_group" => &[],
        "stats" => &["record"],
        "ndjson" => &["text"],
        "schedule" => &["clock"],
        "cli" => &["ndjson", "record", "http", "sources", "clock", "schedule", "text", "locks"],
        "http" => &["record", "clock", "stats", "locks"],
        "prompts" | "artifacts" | "nvml" => &["record", "clock", "stats"],
        "protocol" => &["record", "clock", "http"],
        "sources" => &["record", "clock", "http", "protocol", "text"],
        "metrics" => &["record", "clock", "stats", "protocol", "sources"],
        "load" => &["record", "clock", "stats", "http", "locks", "summary", "units"],
        "run" => &[
            "record",
            "clock",
            "stats",
            "http",
            "protocol",
            "sources",
            "metrics",
            "load",
            "prompts",
            "artifacts",
            "locks",
        ],
        "power" => &["record", "clock", "stats", "schedule", "text", "nvml", "process_group"],
        "memory" => &["record", "clock", "stats", "schedule", "nvml"],
        "join" => &["record", "clock", "stats", "locks"],
        "summary" => &["record", "clock", "stats", "text", "units"],
        "report" => &["record", "clock", "stats", "summary", "text", "units", "artifacts", "process_group"],
        "sim" => &["record", "clock", "stats", "prompts", "text", "locks"],
        _ => panic!("src/{module} is new: say here what it may import"),
    }
}

/// The names after `crate::` in the code of a file, comments and tests of other modules included.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut found = BTreeSet::new();
    for line in code {
        for (at, _) in line.match_indices("crate::") {
            // `$crate` and `llm_bench::crate` do not exist here; a path begins at a word's edge.
            let rest = &line[at + "crate::".len()..];
            if let Some(list) = rest.strip_prefix('{') {
                let names = list.split(['}', ';']).next().unwrap_or_default().split(',');
                found.extend(names.map(|name| name.trim().split("::").next().unwrap_or_default().to_owned()));
            } else {
                found.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn modules_import_only_what_the_layering_allows() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        if matches!(module.as_str(), "bin" | "lib") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for import in imports(&text) {
            if import != module && !allowed(&module).contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn each_outside_crate_has_one_home() {
    let homes: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("reqwest", &["http"][..]),
        ("hyper_util", &["http"]),
        ("tokio_rustls", &["http"]),
        ("ureq_proto", &["http"]),
        ("axum", &["sim"]),
        ("sysinfo", &["memory"]),
        ("csv", &["report", "power"]),
        ("pulldown_cmark", &["artifacts", "report"]),
        ("indicatif", &["cli"]),
        ("console", &["cli"]),
        ("askama", &["report"]),
        ("prometheus_client", &["report"]),
        ("hdrhistogram", &["stats"]),
        ("jiff", &["clock", "cli", "http", "power", "report", "sim"]),
        ("signal_hook", &["cli", "bin"]),
        ("nvml_wrapper", &["nvml"]),
        ("clap_mangen", &["cli"]),
        ("png", &["report"]),
        ("process_wrap", &["process_group"]),
        ("comfy_table", &["text"]),
        ("alphanumeric_sort", &["summary"]),
    ]);
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let (module, text) = (module_of(&path), std::fs::read_to_string(&path).unwrap());
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for (name, homes) in &homes {
            let used = code.contains(&format!("{name}::")) || code.contains(&format!("use {name};"));
            if used && !homes.contains(&module.as_str()) {
                wrong.push(format!("{} uses {name}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn each_dependency_has_a_row_that_says_why() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut dependencies = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| inside && !line.starts_with('#')) {
            dependencies.insert(name);
        }
    }
    assert!(dependencies.contains("serde") && dependencies.contains("proptest"), "{dependencies:?}");
    let table = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let rows: BTreeSet<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let missing: Vec<_> = dependencies.difference(&rows).collect();
    let gone: Vec<_> = rows.difference(&dependencies).collect();
    assert!(missing.is_empty(), "docs/dependencies.md has no row for {missing:?}");
    assert!(gone.is_empty(), "docs/dependencies.md has a row for {gone:?}, which Cargo.toml has not");
}

#[test]
fn only_programs_and_their_main_know_standard_streams_arguments_and_the_environment() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        // ndjson opens `-`; what a child program inherits is its caller's business.
        if matches!(module.as_str(), "bin" | "cli" | "ndjson") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            if ["io::stdin()", "io::stdout()", "io::stderr()", "env::args", "env::var"]
                .iter()
                .any(|word| line.contains(word))
            {
                if line.contains("env::var_os(\"PATH\")") || line.contains("env::var_os(\"BLESS\")") {
                    continue; // where programs lie is no setting, and BLESS is read by modules of tests
                }
                wrong.push(format!("{}: {}", path.strip_prefix(root()).unwrap().display(), line.trim()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_golden_file_belongs_to_a_test() {
    let tests: String =
        sources(&root().join("tests")).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for entry in std::fs::read_dir(root().join("tests/snapshots")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let name = name.strip_suffix(".snap").unwrap_or_else(|| panic!("{name}: no golden file"));
        assert!(tests.contains(&format!("\"{name}\"")), "{name}: no test compares with it");
    }
}
