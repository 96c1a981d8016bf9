//! What the tests of programs are made of.

mod workplace;

pub use workplace::{Running, Workplace, conninfo};
