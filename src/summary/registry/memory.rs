//! Memory: what the model took, by the figure that says best what it takes on this machine.

use super::cells::{memory, words};
use super::{Better, Columns, Figure, MetricDef, RequestFigure, Set, Show, Statistic, WORDS, each};
use crate::record::{JoinedMemory, MemoryFigures, ResultFields};
use crate::units::Unit;

const MEMORY: MetricDef = MetricDef { set: Set::Memory, unit: Some(Unit::Bytes), better: Better::Lower, ..WORDS };

/// The figure of the kind that the join calls primary.
fn primary(o: &ResultFields, of: fn(&JoinedMemory) -> Option<&MemoryFigures>) -> Option<f64> {
    let memory = o.memory.as_ref()?.as_deref()?;
    let figures = of(memory)?;
    let bytes = match memory.primary.as_deref()?.trim_end_matches("_bytes") {
        "footprint" => figures.footprint_bytes,
        "pss" => figures.pss_bytes,
        "rss" => figures.rss_bytes,
        "gpu" | "gpu_process" => figures.gpu_process_bytes.or(figures.gpu_used_bytes),
        "gpu_used" => figures.gpu_used_bytes,
        "system_used" => figures.system_used_bytes,
        _ => None,
    };
    bytes.map(|bytes| bytes as f64)
}

pub(super) const ROWS: &[MetricDef] = &[
    MetricDef {
        key: "mem_load",
        name: "memory_delta_load_bytes",
        label: "memory: model load",
        help: "Memory after the model load less before it.",
        formula: "memory after the load − memory before it",
        figure: Figure::Request(RequestFigure {
            once_per_run: true,
            signed: true,
            columns: Columns::One(Statistic::MEDIAN, Show::PAGE),
            note: memory,
            ..each(|o| primary(o, |m| m.delta_load.as_ref()))
        }),
        ..MEMORY
    },
    MetricDef {
        key: "mem_gen",
        name: "memory_delta_generation_bytes",
        label: "memory: generation",
        help: "Memory after the answer less after the model load.",
        formula: "memory after the answer − memory after the load",
        figure: Figure::Request(RequestFigure {
            signed: true,
            note: memory,
            ..each(|o| primary(o, |m| m.delta_generation.as_ref()))
        }),
        ..MEMORY
    },
    MetricDef {
        key: "mem_peak",
        name: "memory_high_water_bytes",
        label: "peak memory",
        help: "The most memory held from the start of the model load to the end of the answer.",
        formula: "highest reading",
        aliases: &["high_water"],
        figure: Figure::Request(RequestFigure {
            compared: true,
            columns: Columns::One(Statistic::Max, Show::SHOWN),
            note: memory,
            ..each(|o| primary(o, |m| m.high_water.as_ref()))
        }),
        headline: "least memory",
        ..MEMORY
    },
    MetricDef {
        key: "mem_figure",
        label: "memory figure",
        unit: None,
        better: Better::Neither,
        help: "Which figure of memory the others are of.",
        figure: Figure::Words(|g| words(&g.memory_primary)),
        ..MEMORY
    },
];
