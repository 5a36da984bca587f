//! `--follow`: a report that is written anew as its inputs come, grow, are cut off and replaced.

use super::slower;
use crate::common::golden::{case, golden};
use crate::common::{command, signal, wait_until};
use llm_bench::record::fixture;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// bench-report, following; it is killed with the test.
struct Follower {
    child: Child,
    folder: TempDir,
}

impl Follower {
    /// Follows `results` in a new folder, with more flags; the report is `out`.
    #[track_caller]
    fn start(results: &[&str], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command("bench-report");
        command.args(["--follow", "-i", "100ms", "-o", "out"]).args(flags).args(results).current_dir(folder.path());
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn out(&self) -> String {
        fs::read_to_string(self.path("out")).unwrap_or_default()
    }

    #[track_caller]
    fn shows(&self, what: &str) {
        wait_until(&format!("a report with {what}"), || self.out().contains(what));
    }

    /// Ends it as ^C does; its exit status and what it said.
    fn interrupt(&mut self) -> (Option<i32>, String) {
        signal(&self.child, "INT");
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn result(model: &str) -> String {
    fixture::result(1, model).ttft(0.2).line()
}

fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for_and_read_anew_when_it_is_cut_off_or_replaced() {
    let mut follower = Follower::start(&["results.ndjson"], &[]);
    follower.shows("<meta name=\"refresh-seconds\"");
    let file = follower.path("results.ndjson");
    fs::write(&file, result("model-one") + &result("model-two")).unwrap();
    follower.shows("model-two");
    // Cut off, and begun anew.
    fs::write(&file, result("model-three")).unwrap();
    follower.shows("model-three");
    assert!(!follower.out().contains("model-one"));
    // Another file of the same length.
    replace(&file, &result("model-thrae"));
    follower.shows("model-thrae");
    let (status, said) = follower.interrupt();
    assert_eq!(status, Some(0), "{said}");
    golden!("follow-waits-for-a-file", said);
    assert!(
        !follower.out().contains("<meta name=\"refresh-seconds\""),
        "a page that is done does not read itself again"
    );
}

#[test]
fn what_is_there_is_shown_while_the_rest_is_waited_for_and_stays_when_a_file_is_taken_away() {
    let mut follower = Follower::start(&["here.ndjson", "run-folder"], &["-f", "text"]);
    fs::write(follower.path("here.ndjson"), result("here")).unwrap();
    follower.shows("here");
    // A folder that holds nothing yet is as good as none.
    fs::create_dir(follower.path("run-folder")).unwrap();
    fs::write(follower.path("run-folder/results.ndjson"), result("there")).unwrap();
    follower.shows("there");
    fs::remove_file(follower.path("here.ndjson")).unwrap();
    let (status, said) = follower.interrupt();
    assert_eq!(status, Some(0), "{said}");
    assert!(follower.out().contains("here") && follower.out().contains("there"), "{}", follower.out());
}

#[test]
fn gates_are_judged_when_following_ends() {
    for (gate, expect) in [("ttft_p50 > 10s", 0), ("ttft_p50 > 1ms", 3)] {
        let mut follower = Follower::start(&["results.ndjson"], &["-f", "text", "--fail-if", gate]);
        fs::write(follower.path("results.ndjson"), slower()).unwrap();
        follower.shows("MiniMax");
        let (status, said) = follower.interrupt();
        assert_eq!(status, Some(expect), "{said}");
        assert_eq!(said.contains("MiniMax-M3"), expect == 3, "{said}");
    }
}

#[test]
fn lines_that_cannot_be_read_are_told_once_however_often_the_report_is_written() {
    let mut follower = Follower::start(&["results.ndjson"], &["-f", "text"]);
    let file = follower.path("results.ndjson");
    for n in 1..=3 {
        let results: String = (1..=n).map(|n| fixture::result(n, format!("m{n}")).line()).collect();
        fs::write(&file, format!("{results}no json\n")).unwrap();
        follower.shows(&format!("m{n}"));
    }
    let (status, said) = follower.interrupt();
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(said.matches("results.ndjson:4: ").count(), 1, "{said}");
    assert!(said.lines().count() <= 3, "{said}");
}

#[test]
fn what_cannot_be_read_twice_is_not_followed() {
    let mut told = String::new();
    for file in ["-", "/dev/null"] {
        let mut command = command("bench-report");
        command.args(["--follow", "-o", "/tmp/never-written.html", file]);
        let ran = crate::common::run_with(command, "").exits(2);
        told += &case(file, &ran.stderr);
    }
    golden!("follow-refused", told);
}

#[test]
fn a_last_line_that_is_still_being_written_is_not_one_that_cannot_be_read() {
    let mut follower = Follower::start(&["results.ndjson"], &[]);
    let file = follower.path("results.ndjson");
    let (whole, next) = (result("model-one"), result("model-two"));
    fs::write(&file, format!("{whole}{}", &next[..20])).unwrap();
    follower.shows("model-one");
    assert!(!follower.out().contains("could not be read"));
    fs::write(&file, format!("{whole}{next}")).unwrap();
    follower.shows("model-two");
    let (status, said) = follower.interrupt();
    assert_eq!(status, Some(0));
    assert!(!said.contains("results.ndjson:2:"), "{said}");
    // One that was never finished is told in the end.
    let mut follower = Follower::start(&["results.ndjson"], &[]);
    fs::write(follower.path("results.ndjson"), format!("{whole}{}", &next[..20])).unwrap();
    follower.shows("model-one");
    let (status, said) = follower.interrupt();
    assert_eq!(status, Some(1));
    assert!(said.contains("results.ndjson:2:") && !said.contains("so far"), "{said}");
}
