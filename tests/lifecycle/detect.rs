//! `llm-models detect`: whatever runs on this machine, wherever it listens.

use super::{bare, lmstudio};
use crate::common::golden::golden;
use crate::common::run_with;
use crate::common::sim::Sim;
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn a_server_is_recognised_by_what_it_answers_and_silence_is_not_waited_for() {
    // Connected to, and never answered: one that is asked after another would take seconds each.
    let silent: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let silent: Vec<String> = silent.iter().map(|port| format!("http://{}", port.local_addr().unwrap())).collect();
    let sims = [
        ("lmstudio", lmstudio(&[])),
        ("lmstudio", lmstudio(&["--lmstudio-api", "v0"])),
        ("lmstudio", lmstudio(&["--lmstudio-api", "openai"])),
        ("ollama", Sim::start("ollama", &[])),
        ("openai", Sim::start("openai", &[])),
    ];
    let mut detect = bare("llm-models");
    detect.arg("detect");
    for url in silent.iter().chain(sims.iter().map(|(_, sim)| &sim.url)) {
        detect.args(["--at", url]);
    }
    let began = Instant::now();
    let ran = run_with(detect, "").exits(1);
    for url in &silent {
        golden!("detect-nobody-known", ran.lines_with(url));
    }
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    let models = ran.of_type("model");
    for (source, sim) in &sims {
        let mine: Vec<_> = models.iter().filter(|model| model["base_url"] == sim.url.as_str()).collect();
        assert_eq!(mine.len(), 3, "{source}: {}", ran.stderr);
        assert!(mine.iter().all(|model| model["source"] == *source), "{mine:?}");
    }
    assert!(models.iter().all(|model| silent.iter().all(|url| model["base_url"] != url.as_str())));
}

#[test]
fn a_server_that_wants_a_key_is_said_to() {
    let sim = lmstudio(&["--api-key", "sk-lm-y"]);
    let detect = |key: Option<&str>| {
        let mut detect = bare("llm-models");
        detect.args(["detect", "--at", &sim.url]);
        detect.envs(key.map(|key| ("LM_API_TOKEN", key)));
        run_with(detect, "")
    };
    let ran = detect(None);
    assert!(!ran.stdout.contains(&sim.url), "{}", ran.stdout);
    golden!("detect-wants-a-key", ran.lines_with(&sim.url));
    let ran = detect(Some("sk-lm-y")).exits(0);
    assert!(ran.stdout.contains(&sim.url) && !format!("{}{}", ran.stdout, ran.stderr).contains("sk-lm-y"));
}

#[test]
fn a_place_that_is_no_url_is_refused() {
    let mut detect = bare("llm-models");
    detect.args(["detect", "--at", "ftp://x"]);
    golden!("detect-no-url", run_with(detect, "").exits(2).stderr);
}
