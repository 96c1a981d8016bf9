//! What the tests of programs are made of.

mod ini;
mod proxy;
mod workplace;

pub use ini::ini;
pub use proxy::{Break, Breaker, Proxy, Side};
pub use workplace::{Running, Workplace, conninfo};
