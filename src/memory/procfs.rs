//! Linux's `/proc`: three small files per process, read by hand because no library reads what matters here (the split of
//! resident memory, its peak, the proportional share), and because a root can be put in `/proc`'s place.
//!
//! Formats: proc(5), <https://docs.kernel.org/filesystems/proc.html>.

use super::table::{Figures, Process};
use crate::record::SystemMemory;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// `/proc`, and what is remembered of processes that were seen before.
#[derive(Debug)]
pub struct ProcFs {
    root: PathBuf,
    known: HashMap<u32, Known>,
}

/// A process that was seen, and how often it was looked at.
#[derive(Debug)]
struct Known {
    process: Rc<Process>,
    looks: u32,
}

/// A process that was looked at so often is what it will be: it has become what it was started for. Only its number can
/// come to mean another, which a thorough reading sees.
const SETTLED: u32 = 3;

impl ProcFs {
    /// The table at `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), known: HashMap::new() }
    }

    /// All processes but the kernel's own and the dead. Unless `thorough`, those that are long known are only looked for,
    /// not looked at.
    pub fn processes(&mut self, thorough: bool) -> Vec<Rc<Process>> {
        let mut found = HashMap::with_capacity(self.known.len());
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let known = self.known.remove(&pid);
            if let Some(settled) = known.as_ref().filter(|known| !thorough && known.looks >= SETTLED) {
                found.insert(pid, Known { process: Rc::clone(&settled.process), looks: settled.looks });
                continue;
            }
            let Some((start, parent, comm)) = self.stat(pid) else { continue };
            // Another executable in the same process has another name, so that what was known still holds when the
            // name does.
            let seen = match known {
                Some(known) if known.process.start == start && known.process.comm == comm => {
                    let same = known.process.parent == parent;
                    let process =
                        if same { known.process } else { Rc::new(Process { parent, ..(*known.process).clone() }) };
                    Known { process, looks: known.looks + 1 }
                }
                _ => {
                    let process = self.describe(Process { pid, start, parent, comm, ..Process::default() });
                    Known { process: Rc::new(process), looks: 1 }
                }
            };
            found.insert(pid, seen);
        }
        self.known = found;
        let named = |process: &Process| process.exe.is_some() || !process.args.is_empty();
        let mut all: Vec<Rc<Process>> =
            self.known.values().filter(|known| named(&known.process)).map(|known| Rc::clone(&known.process)).collect();
        all.sort_by_key(|process| process.pid);
        all
    }

    fn describe(&self, mut process: Process) -> Process {
        let folder = self.root.join(process.pid.to_string());
        process.exe = fs::read_link(folder.join("exe"))
            .ok()
            .map(|path| path.to_string_lossy().trim_end_matches(" (deleted)").to_owned());
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        process.args = line
            .split(|&b| b == 0)
            .filter(|arg| !arg.is_empty())
            .map(|arg| String::from_utf8_lossy(arg).into_owned())
            .collect();
        // A program started through the dynamic loader, as one that brings its own C library is, has the loader's
        // executable; what it loads is what is meant.
        if let Some(program) = loaded(&process) {
            process.exe = Some(program);
        }
        process
    }

    /// Start, parent and name from `stat`. The name may hold anything, brackets and spaces too: the fields begin after
    /// the last bracket.
    fn stat(&self, pid: u32) -> Option<(u64, u32, String)> {
        let text = fs::read(self.root.join(pid.to_string()).join("stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        let (head, fields) = text.rsplit_once(')')?;
        let comm = head.split_once('(')?.1.to_owned();
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Fields 3, 4 and 22 of proc(5).
        if fields.first() == Some(&"Z") {
            return None;
        }
        Some((fields.get(19)?.parse().ok()?, fields.get(1)?.parse().ok()?, comm))
    }

    /// Who listens on a TCP port: the sockets of that port, and the processes that hold them. Those of other users show
    /// only to root.
    pub fn listeners(&mut self, port: u16) -> Vec<u32> {
        let sockets: HashSet<String> = ["net/tcp", "net/tcp6"]
            .iter()
            .filter_map(|name| fs::read_to_string(self.root.join(name)).ok())
            .flat_map(|text| listening(&text, port))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let mut pids = Vec::new();
        if sockets.is_empty() {
            return pids;
        }
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let holds = fs::read_dir(entry.path().join("fd"))
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|fd| fs::read_link(fd.path()).ok())
                .any(|link| link.to_str().is_some_and(|link| sockets.contains(link)));
            if holds {
                pids.push(pid);
            }
        }
        pids.sort_unstable();
        pids
    }

    /// What a process holds; `None` when it is not there any more.
    pub fn figures(&self, pid: u32, start: u64, pss: bool) -> Option<Figures> {
        if self.stat(pid)?.0 != start {
            return None;
        }
        let folder = self.root.join(pid.to_string());
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let field = |name| kilobytes(&status, name);
        // Shared memory has no file behind it: with it, the two parts are the whole.
        let anon = field("RssAnon").map(|anon| anon + field("RssShmem").unwrap_or(0));
        let pss = if pss {
            fs::read_to_string(folder.join("smaps_rollup")).ok().and_then(|text| kilobytes(&text, "Pss"))
        } else {
            None
        };
        Some(Figures { rss: field("VmRSS"), anon, file: field("RssFile"), pss, footprint: None, peak: field("VmHWM") })
    }

    /// The whole machine.
    pub fn system(&self) -> Option<SystemMemory> {
        let text = fs::read_to_string(self.root.join("meminfo")).ok()?;
        let field = |name| kilobytes(&text, name);
        let (total, available) = (field("MemTotal")?, field("MemAvailable")?);
        Some(SystemMemory {
            used_bytes: total.saturating_sub(available),
            available_bytes: Some(available),
            total_bytes: Some(total),
            swap_used_bytes: field("SwapTotal").zip(field("SwapFree")).map(|(total, free)| total.saturating_sub(free)),
            cached_bytes: field("Cached"),
            wired_bytes: None,
            compressed_bytes: None,
            ..SystemMemory::default()
        })
    }
}

/// The program that the dynamic loader runs; `None` when the process is no loader's.
fn loaded(process: &Process) -> Option<String> {
    const WITH_VALUE: [&str; 7] = [
        "--library-path",
        "--argv0",
        "--preload",
        "--audit",
        "--inhibit-rpath",
        "--glibc-hwcaps-prepend",
        "--glibc-hwcaps-mask",
    ];
    let name = process.name();
    if !name.starts_with("ld-linux") && !name.starts_with("ld-musl") && !name.starts_with("ld.so") {
        return None;
    }
    let mut args = process.args.iter().skip(1);
    while let Some(arg) = args.next() {
        if WITH_VALUE.contains(&arg.as_str()) {
            args.next();
        } else if !arg.starts_with('-') {
            return Some(arg.clone());
        }
    }
    None
}

/// `Name:   123 kB` in bytes.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The inodes of the sockets that listen on `port`, in a table such as `/proc/net/tcp`.
fn listening(text: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let ours = u16::from_str_radix(local, 16).ok()? == port && fields.get(3) == Some(&LISTEN);
        ours.then(|| fields.get(9)?.parse().ok()).flatten()
    };
    text.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn process(root: &Path, pid: u32, parent: u32, start: u64, comm: &str, exe: &str) {
        let folder = root.join(pid.to_string());
        fs::create_dir_all(folder.join("fd")).unwrap();
        let rest = "0 ".repeat(17);
        fs::write(folder.join("stat"), format!("{pid} ({comm}) S {parent} {rest}{start} 0 0\n")).unwrap();
        let status = "Name:\tx\nVmHWM:\t    900 kB\nVmRSS:\t    600 kB\nRssAnon:\t     400 kB\nRssFile:\t     150 kB\nRssShmem:\t      50 kB\n";
        fs::write(folder.join("status"), status).unwrap();
        fs::write(folder.join("cmdline"), format!("{exe}\0--port\01\0")).unwrap();
        let _ = fs::remove_file(folder.join("exe"));
        symlink(exe, folder.join("exe")).unwrap();
    }

    #[test]
    fn a_process_is_told_whatever_its_name() {
        let root = tempfile::tempdir().unwrap();
        process(root.path(), 7, 1, 55, "a) S 9 (b", "/opt/x (deleted)");
        fs::create_dir_all(root.path().join("8")).unwrap();
        fs::write(root.path().join("8/stat"), "8 (gone) Z 1 0").unwrap();
        fs::create_dir_all(root.path().join("9")).unwrap();
        fs::write(root.path().join("self"), "").unwrap();
        let all = ProcFs::new(root.path()).processes(false);
        assert_eq!(all.len(), 1, "the dead and the vanished are no processes: {all:?}");
        assert_eq!((all[0].pid, all[0].parent, all[0].start, all[0].name()), (7, 1, 55, "x"));
        assert_eq!(all[0].args, ["/opt/x (deleted)", "--port", "1"]);
    }

    #[test]
    fn what_the_dynamic_loader_runs_is_the_program() {
        for (args, expect) in [
            (
                &["/o/ld-linux-x86-64.so.2", "--library-path", "/o", "--argv0", "x", "/o/llama-server", "-m"][..],
                Some("/o/llama-server"),
            ),
            (&["/lib/ld-musl-x86_64.so.1", "/o/server"], Some("/o/server")),
            (&["/lib/ld-linux-x86-64.so.2", "--version"], None),
            (&["/bin/sh", "/o/server"], None),
        ] {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            assert_eq!(loaded(&Process { args, ..Process::default() }).as_deref(), expect);
        }
    }

    #[test]
    fn another_executable_in_the_same_process_is_seen() {
        let root = tempfile::tempdir().unwrap();
        process(root.path(), 7, 1, 55, "sh", "/bin/sh");
        let mut table = ProcFs::new(root.path());
        assert_eq!(table.processes(false)[0].name(), "sh");
        process(root.path(), 7, 1, 55, "server", "/opt/server");
        assert_eq!(table.processes(false)[0].name(), "server");
    }

    #[test]
    fn a_number_that_came_to_mean_another_is_seen_by_a_thorough_reading() {
        let root = tempfile::tempdir().unwrap();
        process(root.path(), 7, 1, 55, "sh", "/bin/sh");
        let mut table = ProcFs::new(root.path());
        for _ in 0..5 {
            table.processes(false);
        }
        process(root.path(), 7, 1, 99, "server", "/opt/server");
        process(root.path(), 8, 7, 100, "worker", "/opt/worker");
        assert_eq!(table.processes(false).iter().map(|p| p.name()).collect::<Vec<_>>(), ["sh", "worker"]);
        assert_eq!(table.processes(true)[0].name(), "server");
    }

    #[test]
    fn the_parts_of_resident_memory_are_its_whole() {
        let root = tempfile::tempdir().unwrap();
        process(root.path(), 7, 1, 55, "x", "/x");
        let table = ProcFs::new(root.path());
        let figures = table.figures(7, 55, true).unwrap();
        assert_eq!(figures.anon.unwrap() + figures.file.unwrap(), figures.rss.unwrap());
        assert_eq!((figures.rss, figures.peak, figures.pss), (Some(600 << 10), Some(900 << 10), None));
        assert_eq!(table.figures(7, 56, false), None, "another process under the same number");
        assert_eq!(table.figures(8, 55, false), None);
    }

    #[test]
    fn the_machine_is_read_and_what_is_missing_is_none() {
        let root = tempfile::tempdir().unwrap();
        let table = ProcFs::new(root.path());
        assert_eq!(table.system(), None);
        fs::write(
            root.path().join("meminfo"),
            "MemTotal:  1000 kB\nMemAvailable:  300 kB\nCached: 5 kB\nSwapCached: 7 kB\n",
        )
        .unwrap();
        let system = table.system().unwrap();
        assert_eq!((system.used_bytes, system.swap_used_bytes, system.cached_bytes), (700 << 10, None, Some(5 << 10)));
    }

    #[test]
    fn who_listens_is_found_by_the_socket() {
        let root = tempfile::tempdir().unwrap();
        process(root.path(), 7, 1, 55, "x", "/x");
        process(root.path(), 9, 1, 56, "y", "/y");
        symlink("socket:[4242]", root.path().join("9/fd/3")).unwrap();
        symlink("socket:[4243]", root.path().join("7/fd/3")).unwrap();
        fs::create_dir(root.path().join("net")).unwrap();
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let line = |port: &str, state: &str, inode: u32| {
            format!(
                "   0: 0100007F:{port} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 100 0 0 10 0\n"
            )
        };
        // 1234 = 04D2; a connection of the same port is not its listener.
        fs::write(
            root.path().join("net/tcp"),
            format!("{head}{}{}", line("04D2", "0A", 4242), line("04D2", "01", 4243)),
        )
        .unwrap();
        let mut table = ProcFs::new(root.path());
        assert_eq!(table.listeners(1234), [9]);
        assert_eq!(table.listeners(1235), [0; 0]);
    }
}
