//! What the tests of programs are made of.

mod copier;
mod ini;
mod job;
mod proxy;
mod stage;
mod workplace;

pub use copier::{Copier, Daemon, GATE, OPEN_GATE, PROGRAM, told};
pub use ini::ini;
pub use job::{Worker, config};
pub use proxy::{Break, Breaker, Proxy, Side};
pub use stage::{Consumer, Stage};
pub use workplace::{Running, Workplace, conninfo, servers};

/// Runs what is asynchronous to its end.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> =
        std::sync::LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
    RUNTIME.block_on(work)
}
