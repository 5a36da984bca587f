//! OpenRouter: its catalogue, its prices and its accounts.

pub mod account;
pub mod list;
pub mod price;
