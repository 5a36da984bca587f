//! Every system that has no `/proc`: discovery, resident memory and the machine's totals by sysinfo.

use super::macos;
use super::table::{Figures, Process};
use crate::clock::{between, mono_ns};
use crate::record::SystemMemory;
use std::rc::Rc;
use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// sysinfo's view of the machine.
pub struct Portable {
    system: System,
    pages_ns: Option<u64>,
}

/// How often the machine's pages are looked at, at most.
const PAGES_SECONDS: f64 = 0.95;

impl Portable {
    /// The machine's view.
    ///
    /// # Errors
    /// When this system is none that sysinfo reads.
    pub fn open() -> Result<Self, String> {
        System::new().map(|system| Self { system, pages_ns: None }).map_err(|why| format!("no process table: {why}"))
    }

    /// All processes.
    pub fn processes(&mut self) -> Vec<Rc<Process>> {
        let what = ProcessRefreshKind::nothing()
            .without_tasks()
            .with_exe(UpdateKind::OnlyIfNotSet)
            .with_cmd(UpdateKind::OnlyIfNotSet);
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let mut all: Vec<Rc<Process>> = self.system.processes().values().map(|one| Rc::new(describe(one))).collect();
        all.sort_by_key(|process| process.pid);
        all
    }

    /// Who listens on a TCP port, by `lsof`, which macOS has.
    pub fn listeners(&mut self, port: u16) -> Vec<u32> {
        let output = std::process::Command::new("lsof")
            .args(["-nP", "-t", "-sTCP:LISTEN"])
            .arg(format!("-iTCP:{port}"))
            .stdin(std::process::Stdio::null())
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// What a process holds; `None` when it is not there any more.
    pub fn figures(&mut self, pid: u32, start: u64) -> Option<Figures> {
        let what = ProcessRefreshKind::nothing().without_tasks().with_memory();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[Pid::from_u32(pid)]), true, what);
        let process = self.system.process(Pid::from_u32(pid)).filter(|process| process.start_time() == start)?;
        let (footprint, peak) = macos::footprint(pid).unzip();
        Some(Figures { rss: Some(process.memory()), footprint, peak, ..Figures::default() })
    }

    /// The whole machine.
    pub fn system(&mut self) -> Option<SystemMemory> {
        self.system.refresh_memory_specifics(MemoryRefreshKind::everything());
        let (total, available) = (self.system.total_memory(), self.system.available_memory());
        let mut memory = SystemMemory {
            used_bytes: total.saturating_sub(available),
            available_bytes: Some(available),
            total_bytes: Some(total),
            swap_used_bytes: Some(self.system.used_swap()),
            ..SystemMemory::default()
        };
        // A program of its own for each look: not more often than once a second.
        let now = mono_ns();
        if self.pages_ns.is_none_or(|then| between(then, now) > PAGES_SECONDS) {
            self.pages_ns = Some(now);
            macos::add_pages(&mut memory);
        }
        (total > 0).then_some(memory)
    }
}

fn describe(process: &sysinfo::Process) -> Process {
    Process {
        pid: process.pid().as_u32(),
        start: process.start_time(),
        parent: process.parent().map_or(0, Pid::as_u32),
        exe: process.exe().map(|path| path.to_string_lossy().into_owned()),
        args: process.cmd().iter().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        comm: process.name().to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_and_holds_something() {
        let mut table = Portable::open().unwrap();
        let own = std::process::id();
        let all = table.processes();
        let me = all.iter().find(|process| process.pid == own).unwrap();
        assert!(me.exe.is_some());
        assert!(table.figures(own, me.start).unwrap().rss.unwrap() > 1 << 20);
        assert_eq!(table.figures(own, me.start + 1), None);
        let system = table.system().unwrap();
        assert!(system.used_bytes > 0 && Some(system.used_bytes) < system.total_bytes);
    }
}
