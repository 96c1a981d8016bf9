//! The ticker inside the server: what its processes decide, and when.
//!
//! One *launcher* for the server finds the databases, one *ticker* for each database that has the extension ticks
//! its queues and does their maintenance. Both are loops of small steps written against a trait, [`Cluster`] and
//! [`Database`]; the root crate implements these over PostgreSQL (`src/worker.rs`), the tests here with a fake
//! server and a clock that runs when it is told to. `README.md` shows the states and who causes each change.

mod chore;
mod counts;
mod launcher;
mod pace;
mod process;
mod schedule;
mod stay;
mod ticker;
mod trouble;
mod version;

#[cfg(test)]
mod fake;

pub use chore::{Operation, Verb, Work};
pub use counts::Counts;
pub use launcher::{Candidate, Cluster, Demand, launch};
pub use process::{Failure, Name, Process, Rounds, Settings, Stage};
pub use ticker::{Database, Wanted, serve};
