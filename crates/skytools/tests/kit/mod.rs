//! What the tests of programs are made of.

mod proxy;
mod workplace;

pub use proxy::{Break, Breaker, Proxy, Side};
pub use workplace::{Running, Workplace, conninfo};
