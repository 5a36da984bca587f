//! Reports: one file per format, each over a finished summary.
