//! Memory: which processes are meant, and what they and the machine hold.
//!
//! Selection is pure over a list of processes; the readers of `/proc` stand behind a root that tests replace; everywhere
//! else sysinfo reads the portable part. Nothing here adds up what cannot be added: a sum is null when one of its parts
//! could not be read, and processes that nobody found hold null, not 0.

mod gpu;
mod host;
mod macos;
mod portable;
mod preset;
mod procfs;
mod run;
mod select;
mod table;

pub use gpu::Gpus;
pub use host::{host, peak};
pub use preset::Preset;
pub use run::{Ended, Event, Settings, sample, snapshot};
pub use select::Wanted;
pub use table::Table;

/// What is followed when nothing was asked for: LM Studio, where it runs.
pub fn usual(table: &mut Table) -> Option<Wanted> {
    table
        .processes(true)
        .iter()
        .any(|process| Preset::Lmstudio.means(process))
        .then_some(Wanted::Preset(Preset::Lmstudio))
}
