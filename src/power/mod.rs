//! Power meters: one file per meter.
