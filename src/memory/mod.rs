//! Memory: selection of processes, one file per platform.
