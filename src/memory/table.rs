//! The process table, whoever reads it.

use super::portable::Portable;
use super::procfs::ProcFs;
use crate::record::SystemMemory;
use std::path::Path;

/// A process, as far as it takes to choose it and to know it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number, which another process may get after its end.
    pub pid: u32,
    /// When it started, in whatever unit the system counts: with the number, its identity.
    pub start: u64,
    /// Its parent's number.
    pub parent: u32,
    /// The path of its executable, where it may be known.
    pub exe: Option<String>,
    /// Its command line, where it may be known.
    pub args: Vec<String>,
    /// The name the kernel has for it, which may be cut.
    pub comm: String,
}

impl Process {
    /// The name of its executable.
    pub fn name(&self) -> &str {
        self.exe.as_deref().or(self.args.first().map(String::as_str)).map_or(self.comm.as_str(), base)
    }
}

/// The last part of a path, in the manner of any system.
pub fn base(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// What a process holds; `None` for what this system does not tell or did not tell this time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Resident.
    pub rss: Option<u64>,
    /// Resident, with no file behind it.
    pub anon: Option<u64>,
    /// Resident, mapped from files.
    pub file: Option<u64>,
    /// Its share of what is resident.
    pub pss: Option<u64>,
    /// What macOS charges it with.
    pub footprint: Option<u64>,
    /// The most that it ever held: resident on Linux, footprint on macOS.
    pub peak: Option<u64>,
}

/// A reader of the process table.
pub enum Table {
    /// Linux's `/proc`, or a copy of one.
    ProcFs(ProcFs),
    /// sysinfo.
    Portable(Box<Portable>),
}

impl Table {
    /// The table of this machine; `/proc` is at `proc`.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn open(proc: &Path) -> Result<Self, String> {
        if proc.join("meminfo").exists() {
            return Ok(Table::ProcFs(ProcFs::new(proc)));
        }
        if cfg!(target_os = "linux") {
            return Err(format!("{}: no process table: mount proc there, or see --proc-root", proc.display()));
        }
        Portable::open().map(|portable| Table::Portable(Box::new(portable)))
    }

    /// All processes.
    pub fn processes(&mut self) -> Vec<Process> {
        match self {
            Table::ProcFs(table) => table.processes(),
            Table::Portable(table) => table.processes(),
        }
    }

    /// Who listens on a TCP port.
    pub fn listeners(&mut self, port: u16) -> Vec<u32> {
        match self {
            Table::ProcFs(table) => table.listeners(port),
            Table::Portable(table) => table.listeners(port),
        }
    }

    /// What a process holds, with its proportional share on request; `None` when it is not there any more.
    pub fn figures(&mut self, pid: u32, start: u64, pss: bool) -> Option<Figures> {
        match self {
            Table::ProcFs(table) => table.figures(pid, start, pss),
            Table::Portable(table) => table.figures(pid, start),
        }
    }

    /// The whole machine.
    pub fn system(&mut self) -> Option<SystemMemory> {
        match self {
            Table::ProcFs(table) => table.system(),
            Table::Portable(table) => table.system(),
        }
    }

    /// Which of the figures this system has at all: the others stay absent.
    pub fn has(&self) -> Has {
        match self {
            Table::ProcFs(_) => Has { split: true, footprint: false, peak: true },
            Table::Portable(_) => {
                Has { split: false, footprint: cfg!(target_os = "macos"), peak: cfg!(target_os = "macos") }
            }
        }
    }
}

/// Which figures a system has.
#[derive(Debug, Clone, Copy)]
pub struct Has {
    /// Anonymous and file apart.
    pub split: bool,
    /// Footprint.
    pub footprint: bool,
    /// Peak.
    pub peak: bool,
}
