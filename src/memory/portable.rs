//! Every system that has no `/proc`: discovery, resident memory and the machine's totals by sysinfo.

use super::table::{Figures, Process};
use crate::record::SystemMemory;
use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// sysinfo's view of the machine.
pub struct Portable {
    system: System,
}

impl Portable {
    /// The machine's view.
    ///
    /// # Errors
    /// When this system is none that sysinfo reads.
    pub fn open() -> Result<Self, String> {
        System::new().map(|system| Self { system }).map_err(|why| format!("no process table: {why}"))
    }

    /// All processes.
    pub fn processes(&mut self) -> Vec<Process> {
        let what = ProcessRefreshKind::nothing()
            .without_tasks()
            .with_exe(UpdateKind::OnlyIfNotSet)
            .with_cmd(UpdateKind::OnlyIfNotSet);
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        let mut all: Vec<Process> = self.system.processes().values().map(describe).collect();
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
        Some(Figures { rss: Some(process.memory()), ..Figures::default() })
    }

    /// The whole machine.
    pub fn system(&mut self) -> Option<SystemMemory> {
        self.system.refresh_memory_specifics(MemoryRefreshKind::everything());
        let (total, available) = (self.system.total_memory(), self.system.available_memory());
        (total > 0).then(|| SystemMemory {
            used_bytes: total.saturating_sub(available),
            available_bytes: available,
            total_bytes: total,
            swap_used_bytes: Some(self.system.used_swap()),
            ..SystemMemory::default()
        })
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
        assert!(system.used_bytes > 0 && system.used_bytes < system.total_bytes);
    }
}
