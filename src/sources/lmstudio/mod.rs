//! LM Studio: its native API, the older one, and the `lms` program.

pub mod chat;
pub mod instances;
pub mod list;
pub mod lms;
pub mod load;
pub mod start;
pub mod usage;
