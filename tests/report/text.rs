//! The table for a terminal, as it looks there.

use super::{input, report};
use crate::common::on_a_terminal;

#[test]
fn a_table_is_folded_to_the_terminal_it_is_shown_on_and_a_line_per_row_elsewhere() {
    let elsewhere = report(&["--format", "text"], "run-folder").exits(0).stdout;
    let folder = input("run-folder");
    for columns in [60, 100] {
        let run = "bench-report --format text $IN";
        let Some(ran) = on_a_terminal(30, columns, run, &[("IN", folder.as_os_str())]) else { return };
        let shown = ran.exits(0).stdout.replace('\r', "");
        let lines: Vec<&str> = shown.lines().collect();
        let heads = lines.iter().filter(|line| line.starts_with("model ")).count();
        assert!(heads > 1, "{shown}");
        let table = &lines[2..lines.iter().rposition(|line| line.starts_with("model ")).unwrap()];
        assert!(table.iter().all(|line| line.chars().count() <= columns as usize), "{columns}: {shown}");
        // Folded or not, the words are the same ones.
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(words(&shown), words(&elsewhere));
    }
    assert_eq!(elsewhere.lines().filter(|line| line.starts_with("model ")).count(), 1, "{elsewhere}");
}
