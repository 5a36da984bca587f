//! The README is true: its commands run, its files exist, its table names the programs there are.

use crate::common::golden::golden;
use crate::common::sim::Sim;
use crate::common::{PROGRAMS, bash, bin_dir, root, run_with};
use crate::flows::desk;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The fenced `sh` blocks, in order.
fn blocks(text: &str) -> Vec<String> {
    let (mut blocks, mut inside) = (Vec::new(), false);
    for event in Parser::new_ext(text, Options::empty()) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) if &*info == "sh" => {
                inside = true;
                blocks.push(String::new());
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => blocks.last_mut().unwrap().push_str(&text),
            _ => {}
        }
    }
    blocks
}

#[test]
fn the_commands_of_the_readme_run_as_they_stand_there() {
    let blocks = blocks(&readme());
    assert_eq!(
        blocks[0].lines().map(|line| line.split('#').next().unwrap().trim()).collect::<Vec<_>>(),
        ["make demo", "make test"]
    );
    let desk = desk();
    let quick = ["--tokens", "20"];
    let (lmstudio, ollama) = (Sim::start("lmstudio", &quick), Sim::start("ollama", &quick));
    let catalogue = ["--models", "aviary/finch-4b,aviary/heron-12b,openrouter/auto"];
    let openrouter = Sim::start("openrouter", &[&quick[..], &catalogue].concat());
    // `make demo` has a test of its own, and `make test` is what runs this.
    for block in &blocks[1..] {
        // How long a load lasts that means something is not what is tested.
        let block = block
            .replace("--duration 30s --ramp 5s", "--duration 2s --ramp 1s")
            .replace("--duration 30s", "--duration 3s");
        let mut script = bash(&format!("set -m\n{block}"));
        script.current_dir(desk.path()).env("BIN", bin_dir());
        // The servers stand where the environment says; how long a machine settles is not the README's subject.
        script.env("LMSTUDIO_API_BASE", &lmstudio.url).env("OLLAMA_HOST", &ollama.url).env("SETTLE", "50ms");
        script.env("OPENROUTER_API_BASE", &openrouter.url).env("OPENROUTER_API_KEY", "sk-or-v1-x");
        let ran = run_with(script, "").exits(0);
        assert!(!ran.stderr.contains("panicked"), "{block}\n{}", ran.stderr);
    }
    let page = std::fs::read_to_string(desk.path().join("index.html")).unwrap();
    assert!(page.contains("aviary/finch-4b"));
    let mixed = std::fs::read_to_string(desk.path().join("mixed.ndjson")).unwrap();
    assert_eq!(mixed.lines().filter(|line| line.starts_with(r#"{"type":"result""#)).count(), 6);
}

#[test]
fn every_file_that_a_document_links_to_exists() {
    let mut documents = vec![root().join("README.md")];
    documents.extend(std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for document in documents.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = std::fs::read_to_string(document).unwrap();
        for event in Parser::new_ext(&text, Options::all()) {
            let (Event::Start(Tag::Link { dest_url, .. }) | Event::Start(Tag::Image { dest_url, .. })) = event else {
                continue;
            };
            if dest_url.contains("://") || dest_url.starts_with('#') {
                continue;
            }
            let target = document.parent().unwrap().join(dest_url.split('#').next().unwrap());
            assert!(target.exists(), "{}: {dest_url}", document.display());
        }
    }
}

#[test]
fn the_readme_names_every_program_and_no_other() {
    let text = readme();
    let named: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut programs: Vec<&str> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    programs.sort_unstable();
    let mut sorted = named.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, programs);
}

#[test]
fn every_benchmark_of_programs_has_its_place_in_the_page_on_performance() {
    let page = std::fs::read_to_string(root().join("docs/performance.md")).unwrap();
    let mut lines = page.lines();
    for name in ["start", "load", "report", "join", "samplers"] {
        assert!(lines.any(|line| line == format!("<!-- bench:{name} -->")), "{name}");
        assert!(lines.any(|line| line == format!("<!-- /bench:{name} -->")), "{name}");
    }
    // A stand-in for a benchmark is put where its table was, and nothing else is touched.
    let dir = tempfile::tempdir().unwrap();
    let benches = dir.path().join("benches");
    std::fs::create_dir_all(dir.path().join("docs")).unwrap();
    std::fs::create_dir(&benches).unwrap();
    for name in ["all.sh", "common.sh"] {
        std::fs::copy(root().join("benches").join(name), benches.join(name)).unwrap();
    }
    std::fs::write(dir.path().join("docs/performance.md"), &page).unwrap();
    let script = "cd \"$0\" && printf '#!/bin/sh\\necho \"## New | 7\"\\n' > benches/join.sh && printf '#!/bin/sh\\necho lost; exit 1\\n' \
        > benches/report.sh && chmod +x benches/*.sh && benches/all.sh join report load";
    let mut command = bash(script);
    command.arg(dir.path());
    let ran = run_with(command, "").exits(1);
    golden!("benchmarks-that-could-not", ran.lines_with("benches/"));
    let written = std::fs::read_to_string(dir.path().join("docs/performance.md")).unwrap();
    let (before, rest) = page.split_once("<!-- bench:join -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /bench:join -->").unwrap();
    assert!(
        written.starts_with(&format!("{before}<!-- bench:join -->\n## New | 7\n\nMeasured at commit ")),
        "{written}"
    );
    assert!(written.ends_with(&format!("<!-- /bench:join -->{after}")), "{written}");
}
