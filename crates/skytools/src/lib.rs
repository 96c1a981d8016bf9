//! What the programs around PgQ are made with, and what yours can be made with.
//!
//! ```text
//! script      a program is a name, its keys and a step of work: switches, INI file, signals, log, daemon
//! db          connections, and helpers for the SQL that programs write and read
//! consumer    the loop of a consumer: next batch, events, finish; positions kept here or there; producers
//! cascade     consumers that follow a queue from node to node
//! text, file  small things that names, tables and files need
//! ```

pub mod blocking;
pub mod cascade;
pub mod consumer;
pub mod db;
mod error;
pub mod file;
mod producer;
pub mod script;
pub mod testing;
pub mod text;

pub use error::{Error, Result};
pub use producer::{NewEvent, Producer};
