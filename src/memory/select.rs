//! Which processes are meant: pure over the list of all.
//!
//! The executable's path or name is matched, never the whole command line, in which anything may stand: this program's
//! own arguments, for one. This program, its parents, and whatever hangs on those only, are never meant.

use super::preset::Preset;
use super::table::Process;
use regex::Regex;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// What was asked for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// These processes.
    Pids(Vec<u32>),
    /// Whoever listens on this TCP port.
    Port(u16),
    /// Those whose executable's name matches.
    Name(Regex),
    /// Those whose executable's path contains this.
    Exe(String),
    /// Those of a known server.
    Preset(Preset),
}

impl Wanted {
    /// What was asked for, as the flags said it.
    pub fn describe(&self) -> String {
        match self {
            Wanted::Pids(pids) => {
                format!("pid {}", pids.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
            }
            Wanted::Port(port) => format!("port {port}"),
            Wanted::Name(name) => format!("name {name}"),
            Wanted::Exe(part) => format!("exe {part}"),
            Wanted::Preset(preset) => format!("preset {preset}"),
        }
    }

    /// The port whose listeners `select` must be told; `None` when it needs none.
    pub fn port(&self) -> Option<u16> {
        match self {
            Wanted::Port(port) => Some(*port),
            Wanted::Preset(preset) => preset.port(),
            _ => None,
        }
    }

    fn means(&self, process: &Process, listeners: &[u32]) -> bool {
        match self {
            Wanted::Pids(pids) => pids.contains(&process.pid),
            Wanted::Port(_) => listeners.contains(&process.pid),
            Wanted::Name(name) => {
                name.is_match(process.name())
                    || process.args.first().is_some_and(|first| name.is_match(super::table::base(first)))
            }
            Wanted::Exe(part) => process
                .exe
                .as_deref()
                .or(process.args.first().map(String::as_str))
                .is_some_and(|exe| exe.contains(part.as_str())),
            Wanted::Preset(preset) => preset.means(process) || listeners.contains(&process.pid),
        }
    }
}

/// Those of `all` that are meant, with all their descendants, in order of their numbers. `own` is this program.
pub fn select<'a>(all: &'a [Rc<Process>], wanted: &Wanted, listeners: &[u32], own: u32) -> Vec<&'a Rc<Process>> {
    let by_pid: HashMap<u32, &Rc<Process>> = all.iter().map(|process| (process.pid, process)).collect();
    let ours = ancestors(&by_pid, own);
    let mut roots: Vec<u32> = all.iter().filter(|p| wanted.means(p, listeners)).map(|p| p.pid).collect();
    match wanted {
        // Named in person: what hangs on it is meant even where it is a parent of ours, such as the shell.
        Wanted::Pids(_) => {}
        // Whoever listens may be the sibling of whoever holds the weights: up to the topmost of the same program.
        Wanted::Port(_) | Wanted::Preset(_) => {
            roots.retain(|pid| !ours.contains(pid));
            let listens = |pid: &u32| listeners.contains(pid);
            roots = roots.into_iter().map(|pid| if listens(&pid) { top(&by_pid, pid, &ours) } else { pid }).collect();
        }
        Wanted::Name(_) | Wanted::Exe(_) => roots.retain(|pid| !ours.contains(pid)),
    }
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut tree = BTreeSet::new();
    while let Some(pid) = roots.pop() {
        if tree.insert(pid) {
            roots.extend(children.get(&pid).into_iter().flatten());
        }
    }
    tree.iter().filter(|pid| !ours.contains(pid)).filter_map(|pid| by_pid.get(pid).copied()).collect()
}

/// This program and all above it.
fn ancestors(by_pid: &HashMap<u32, &Rc<Process>>, own: u32) -> HashSet<u32> {
    let mut ours = HashSet::new();
    let mut next = Some(own);
    while let Some(pid) = next {
        if !ours.insert(pid) {
            break;
        }
        next = by_pid.get(&pid).map(|process| process.parent);
    }
    ours
}

/// The topmost ancestor that still is the same program.
fn top(by_pid: &HashMap<u32, &Rc<Process>>, pid: u32, ours: &HashSet<u32>) -> u32 {
    let mut top = pid;
    // As many steps as there are processes at most: a table read while it changes may hold a loop.
    for _ in 0..by_pid.len() {
        let above = by_pid.get(&top).and_then(|process| by_pid.get(&process.parent));
        match above {
            Some(above) if !ours.contains(&above.pid) && above.exe.is_some() && above.exe == by_pid[&top].exe => {
                top = above.pid;
            }
            _ => break,
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn process(pid: u32, parent: u32, exe: &str) -> Rc<Process> {
        Rc::new(Process {
            pid,
            parent,
            start: u64::from(pid),
            exe: Some(exe.into()),
            args: vec![exe.into()],
            comm: String::new(),
        })
    }

    /// init ─ shell ─ mem-sample, shell ─ server ─ node ─ node, init ─ python ─ python (listens) + python
    fn table() -> Vec<Rc<Process>> {
        vec![
            process(1, 0, "/sbin/init"),
            process(10, 1, "/bin/bash"),
            process(11, 10, "/bin/mem-sample"),
            process(20, 10, "/opt/llama-server"),
            process(21, 20, "/usr/bin/node"),
            process(22, 21, "/usr/bin/node"),
            process(30, 1, "/usr/bin/python3"),
            process(31, 30, "/usr/bin/python3"),
            process(32, 30, "/usr/bin/python3"),
            process(40, 1, "/opt/films server"),
        ]
    }

    fn pids(wanted: Wanted, listeners: &[u32]) -> Vec<u32> {
        select(&table(), &wanted, listeners, 11).iter().map(|process| process.pid).collect()
    }

    #[test]
    fn what_was_asked_for_comes_with_its_descendants_and_without_us() {
        let name = |text| Wanted::Name(Regex::new(text).unwrap());
        for (wanted, listeners, expect) in [
            (name("^llama-server$"), &[][..], vec![20, 21, 22]),
            (name("node"), &[], vec![21, 22]),
            (name("opt"), &[], vec![]),
            (name("mem-sample|bash|init"), &[], vec![]),
            (name("server"), &[], vec![20, 21, 22, 40]),
            (Wanted::Exe("/opt/".into()), &[], vec![20, 21, 22, 40]),
            (Wanted::Exe("mem-sample".into()), &[], vec![]),
            (Wanted::Pids(vec![21]), &[], vec![21, 22]),
            (Wanted::Pids(vec![999]), &[], vec![]),
            (Wanted::Pids(vec![10]), &[], vec![20, 21, 22]),
            (Wanted::Pids(vec![11]), &[], vec![]),
            (Wanted::Port(8000), &[31], vec![30, 31, 32]),
            (Wanted::Port(8000), &[20, 31], vec![20, 21, 22, 30, 31, 32]),
            (Wanted::Port(8000), &[], vec![]),
            (Wanted::Port(8000), &[11], vec![]),
        ] {
            let shown = wanted.describe();
            assert_eq!(pids(wanted, listeners), expect, "{shown} {listeners:?}");
        }
    }

    proptest! {
        #[test]
        fn any_table_even_one_with_loops_gives_an_answer_without_us(
            parents in proptest::collection::vec(0..12u32, 1..12), own in 0..12u32,
        ) {
            let all: Vec<Rc<Process>> = parents.iter().zip(0..).map(|(&parent, pid)| process(pid, parent, "/x")).collect();
            for wanted in [Wanted::Exe("x".into()), Wanted::Port(1), Wanted::Pids(vec![0, 3])] {
                let chosen = select(&all, &wanted, &[0, 1], own);
                prop_assert!(chosen.iter().all(|process| process.pid != own));
            }
        }
    }
}
