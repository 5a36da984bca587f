//! OpenRouter: its catalogue, its prices and its accounts.

pub mod account;
pub mod chat;
pub mod list;
pub mod price;
pub mod usage;
