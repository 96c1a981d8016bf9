//! What the tests of programs are made of.

mod cutter;
mod job;
mod workplace;

pub use cutter::{Cut, Cutter};
pub use job::{Worker, config};
pub use workplace::{Running, Workplace, conninfo, servers};
