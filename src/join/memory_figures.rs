//! The figures of a memory reading: what each is of, which is the highest, and which says best what a model takes.

use crate::record::{GpuMemory, Memory, MemoryFigures};

/// Every figure of a reading, in the order in which [`from_record`] takes them.
pub const FIGURES: usize = 9;

/// The figures of a reading, in bytes.
pub type Figures = [Option<i64>; FIGURES];

/// Merges figures, one by one; `both` says what becomes of two that are known.
pub fn merge(to: &mut Figures, from: &Figures, both: impl Fn(i64, i64) -> i64) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = match (*to, *from) {
            (Some(a), Some(b)) => Some(both(a, b)),
            (a, b) => a.or(b),
        };
    }
}

/// The highest of each figure of two.
pub fn higher(a: &MemoryFigures, b: &MemoryFigures) -> MemoryFigures {
    let mut figures = to_figures(a);
    merge(&mut figures, &to_figures(b), i64::max);
    to_record(&figures)
}

/// `a` less `b`, where both are known.
pub fn less(a: &MemoryFigures, b: &MemoryFigures) -> MemoryFigures {
    let (a, b) = (to_figures(a), to_figures(b));
    let mut figures = [None; FIGURES];
    for (to, (a, b)) in figures.iter_mut().zip(a.into_iter().zip(b)) {
        *to = a.zip(b).map(|(a, b)| a - b);
    }
    to_record(&figures)
}

/// Which figure says best what a model takes here.
///
/// A discrete card that holds the processes' memory; else the footprint, as macOS counts it; else the proportional set;
/// else what is resident; else the machine's use.
pub fn primary(figures: &MemoryFigures) -> Option<&'static str> {
    if figures.gpu_process_bytes.is_some_and(|bytes| bytes > 0) {
        return Some("gpu");
    }
    let known = [
        (figures.footprint_bytes, "footprint"),
        (figures.pss_bytes, "pss"),
        (figures.rss_bytes, "rss"),
        (figures.system_used_bytes, "system_used"),
    ];
    known.into_iter().find(|(bytes, _)| bytes.is_some()).map(|(_, name)| name)
}

/// The figure of that name.
pub fn figure(figures: &MemoryFigures, name: &str) -> Option<i64> {
    match name {
        "gpu" => figures.gpu_process_bytes,
        "footprint" => figures.footprint_bytes,
        "pss" => figures.pss_bytes,
        "rss" => figures.rss_bytes,
        _ => figures.system_used_bytes,
    }
}

/// The figures that a record has.
pub fn from_record(memory: &Memory) -> Figures {
    let signed = |bytes: u64| i64::try_from(bytes).ok();
    let tried = |bytes: Option<Option<u64>>| bytes.flatten().and_then(signed);
    let gpu = |of: fn(&GpuMemory) -> Option<u64>| {
        let cards = memory.gpu.iter().flat_map(|cards| cards.values()).filter_map(of).map(signed);
        cards.fold(None, |sum: Option<i64>, bytes| bytes.map(|bytes| sum.unwrap_or(0).saturating_add(bytes)).or(sum))
    };
    [
        memory.system.as_ref().and_then(|system| signed(system.used_bytes)),
        tried(memory.rss_bytes),
        tried(memory.anon_bytes),
        tried(memory.file_bytes),
        tried(memory.pss_bytes),
        tried(memory.footprint_bytes),
        tried(memory.peak_bytes),
        gpu(|card| card.used_bytes),
        gpu(|card| card.process_bytes),
    ]
}

/// The figures of a record of the join.
pub fn to_figures(f: &MemoryFigures) -> Figures {
    [
        f.system_used_bytes,
        f.rss_bytes,
        f.anon_bytes,
        f.file_bytes,
        f.pss_bytes,
        f.footprint_bytes,
        f.peak_bytes,
        f.gpu_used_bytes,
        f.gpu_process_bytes,
    ]
}

/// The figures as records name them.
pub fn to_record(figures: &Figures) -> MemoryFigures {
    let [system, rss, anon, file, pss, footprint, peak, gpu_used, gpu_process] = *figures;
    MemoryFigures {
        system_used_bytes: system,
        rss_bytes: rss,
        anon_bytes: anon,
        file_bytes: file,
        pss_bytes: pss,
        footprint_bytes: footprint,
        peak_bytes: peak,
        gpu_used_bytes: gpu_used,
        gpu_process_bytes: gpu_process,
    }
}
