//! The stream of mem-sample: finds the processes, keeps to them, and writes one record for each reading.
//!
//! The table is looked through only every few seconds, or when a process that was followed is gone: that is what keeps
//! the sampler cheap on a machine with many processes.

use super::gpu::Gpus;
use super::select::{Wanted, select};
use super::table::{Figures, Process, Table};
use crate::clock::{Stamp, between, boot_id, cpu_seconds, mono_ns};
use crate::record::{self, Memory, ProcessMemory, Sampler, SamplerEvent, Tool};
use crate::schedule::Schedule;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the table is looked through: while processes are followed, and while none is found.
const RESCAN_SECONDS: f64 = 2.0;
const SEARCH_SECONDS: f64 = 1.0;
/// How often it is read thoroughly: not only for who came and went, but for what each has become.
const THOROUGH_SECONDS: f64 = 30.0;
/// How often the proportional share is read at most: the kernel walks every page for it.
const PSS_SECONDS: f64 = 10.0;

/// What comes from other threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A signal, or the end of the process that was to be watched.
    Stop,
    /// Nobody reads what is written.
    ReaderLeft,
}

/// What shapes the stream.
pub struct Settings {
    /// The program.
    pub tool: Tool,
    /// The processes; `None` for the machine alone.
    pub wanted: Option<Wanted>,
    /// Time between readings.
    pub interval: Duration,
    /// Stop after so long.
    pub limit: Option<Duration>,
    /// Stop after so many readings.
    pub count: Option<u64>,
    /// Whether to read the proportional share too.
    pub pss: bool,
    /// Whether to list the processes.
    pub per_process: bool,
}

/// How the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As it was asked to, with so many readings in which a process was found.
    Asked(u64),
    /// Because nobody reads.
    ReaderLeft,
}

/// Samples until told to stop or until a limit is reached; `write` takes the lines, `say` what people should know.
///
/// # Errors
/// When a line cannot be written.
pub fn sample(
    table: Table,
    gpus: Option<Gpus>,
    settings: &Settings,
    events: &Receiver<Event>,
    mut write: impl FnMut(&str) -> io::Result<()>,
    mut say: impl FnMut(&str),
) -> anyhow::Result<Ended> {
    let begun = Stamp::now();
    let mut follower = Follower::new(table, gpus, settings);
    let meters = follower.meters();
    let mut opening = sampler(settings, &meters, SamplerEvent::Start, begun);
    opening.interval_seconds = Some(settings.interval.as_secs_f64());
    write(&record::line(&opening)?)?;
    let mut schedule = Schedule::new(begun.mono_ns, settings.interval);
    let deadline = settings.limit.map(|limit| begun.mono_ns.saturating_add(limit.as_nanos() as u64));
    let (mut samples, mut gaps, mut found) = (0, 0, 0);
    while settings.count.is_none_or(|most| samples < most) {
        let now = mono_ns();
        if schedule.is_due(now) {
            gaps += schedule.take(now);
            let mut memory = follower.read(Stamp::now());
            samples += 1;
            memory.seq = samples;
            write(&record::line(&memory)?)?;
            found += u64::from(memory.processes.is_some_and(|n| n > 0));
            if let Some(wanted) = settings.wanted.as_ref().filter(|_| samples == 1 && found == 0) {
                say(&format!("{}: no such process yet: looking on", wanted.describe()));
            }
            continue;
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            break;
        }
        let due = deadline.map_or(schedule.due_ns(), |deadline| deadline.min(schedule.due_ns()));
        match events.recv_timeout(Duration::from_nanos(due.saturating_sub(now))) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(schedule.wait(mono_ns())),
            Ok(Event::Stop) => break,
            Ok(Event::ReaderLeft) => return Ok(Ended::ReaderLeft),
        }
    }
    let closing = Sampler {
        samples: Some(samples),
        gaps: Some(gaps),
        cpu_seconds: Some(cpu_seconds()),
        ..sampler(settings, &meters, SamplerEvent::End, Stamp::now())
    };
    write(&record::line(&closing)?)?;
    Ok(Ended::Asked(found))
}

/// One reading, and nothing around it.
pub fn snapshot(table: Table, gpus: Option<Gpus>, settings: &Settings) -> Memory {
    let mut memory = Follower::new(table, gpus, settings).read(Stamp::now());
    memory.seq = 1;
    memory
}

fn sampler(settings: &Settings, meters: &[String], event: SamplerEvent, at: Stamp) -> Sampler {
    let measures = std::iter::once("system".to_owned()).chain(settings.wanted.as_ref().map(Wanted::describe));
    Sampler {
        event,
        tool: Some(settings.tool.clone()),
        ts: Some(at.ts),
        mono: Some(at.mono()),
        boot: boot_id(),
        meters: meters.to_vec(),
        measures: Some(measures.collect()),
        total_domain: None,
        total_label: None,
        machine: None,
        interval_seconds: None,
        estimated: false,
        simulated: false,
        samples: None,
        gaps: None,
        truncated_samples: None,
        cpu_seconds: None,
        reason: None,
        ..Sampler::default()
    }
}

/// The processes that are followed.
struct Follower<'a> {
    table: Table,
    gpus: Option<Gpus>,
    settings: &'a Settings,
    tracked: Vec<Rc<Process>>,
    scanned_ns: Option<u64>,
    thorough_ns: Option<u64>,
    pss_ns: Option<u64>,
    listeners: Vec<u32>,
}

impl<'a> Follower<'a> {
    fn new(table: Table, gpus: Option<Gpus>, settings: &'a Settings) -> Self {
        Self {
            table,
            gpus,
            settings,
            tracked: Vec::new(),
            scanned_ns: None,
            thorough_ns: None,
            pss_ns: None,
            listeners: Vec::new(),
        }
    }

    fn meters(&self) -> Vec<String> {
        let gpus = self.gpus.as_ref().map(Gpus::meters).unwrap_or_default();
        std::iter::once("process table".to_owned()).chain(gpus).collect()
    }

    fn read(&mut self, at: Stamp) -> Memory {
        let mut memory = Memory { ts: at.ts, mono: Some(at.mono()), ..Memory::default() };
        memory.system = self.table.system();
        let Some(wanted) = &self.settings.wanted else {
            memory.gpu = self.gpus.as_ref().map(|gpus| gpus.read(None));
            return memory;
        };
        let due = if self.tracked.is_empty() { SEARCH_SECONDS } else { RESCAN_SECONDS };
        // A millisecond of grace, so that a rescan falls on the reading it belongs to.
        if self.scanned_ns.is_none_or(|then| between(then, at.mono_ns) > due - 1e-3) {
            self.scan(wanted, at.mono_ns, false);
        }
        let pss = self.settings.pss && self.pss_ns.is_none_or(|then| between(then, at.mono_ns) > PSS_SECONDS - 1e-3);
        let mut held = self.figures(pss);
        if held.len() < self.tracked.len() {
            // Someone is gone: perhaps the server was started again.
            self.scan(wanted, at.mono_ns, true);
            held = self.figures(pss);
        }
        if pss && !held.is_empty() {
            self.pss_ns = Some(at.mono_ns);
        }
        memory.processes = Some(held.len() as u64);
        let has = self.table.has();
        let sum = |part: fn(&Figures) -> Option<u64>| {
            Some(held.iter().map(|(_, figures)| part(figures)).sum::<Option<u64>>().filter(|_| !held.is_empty()))
        };
        memory.rss_bytes = sum(|f| f.rss);
        memory.anon_bytes = sum(|f| f.anon).filter(|_| has.split);
        memory.file_bytes = sum(|f| f.file).filter(|_| has.split);
        memory.pss_bytes = sum(|f| f.pss).filter(|_| pss);
        memory.footprint_bytes = sum(|f| f.footprint).filter(|_| has.footprint);
        memory.peak_bytes = sum(|f| f.peak).filter(|_| has.peak);
        if let Some(gpus) = &self.gpus {
            let pids: Vec<u32> = held.iter().map(|(process, _)| process.pid).collect();
            memory.gpu = Some(gpus.read(Some(&pids).filter(|pids| !pids.is_empty()).map(Vec::as_slice)));
        }
        if self.settings.per_process {
            memory.process_list = Some(held.iter().map(|(process, figures)| entry(process, figures)).collect());
        }
        memory
    }

    fn figures(&mut self, pss: bool) -> Vec<(Rc<Process>, Figures)> {
        let table = &mut self.table;
        let of = |process: &Rc<Process>| Some((Rc::clone(process), table.figures(process.pid, process.start, pss)?));
        self.tracked.iter().filter_map(of).collect()
    }

    fn scan(&mut self, wanted: &Wanted, now_ns: u64, lost: bool) {
        let thorough = lost || self.thorough_ns.is_none_or(|then| between(then, now_ns) > THOROUGH_SECONDS);
        if thorough {
            self.thorough_ns = Some(now_ns);
        }
        let all = self.table.processes(thorough);
        if let Some(port) = wanted.port() {
            // Looked up anew only when nobody who listened is left: it takes a look at every open file.
            self.listeners.retain(|pid| {
                self.tracked.iter().any(|t| t.pid == *pid && all.iter().any(|p| p.pid == t.pid && p.start == t.start))
            });
            // A preset is known by more than its port.
            if self.listeners.is_empty() && (self.tracked.is_empty() || matches!(wanted, Wanted::Port(_))) {
                self.listeners = self.table.listeners(port);
            }
        }
        self.tracked = select(&all, wanted, &self.listeners, std::process::id()).into_iter().cloned().collect();
        self.scanned_ns = Some(now_ns);
    }
}

fn entry(process: &Process, figures: &Figures) -> ProcessMemory {
    ProcessMemory {
        pid: Some(u64::from(process.pid)),
        parent: Some(u64::from(process.parent)),
        name: Some(process.name().to_owned()),
        rss_bytes: figures.rss,
        anon_bytes: figures.anon,
        file_bytes: figures.file,
        pss_bytes: figures.pss,
        footprint_bytes: figures.footprint,
        peak_bytes: figures.peak,
        ..ProcessMemory::default()
    }
}
