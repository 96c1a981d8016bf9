//! What the tests of programs are made of.

mod proxy;
mod workplace;

pub use proxy::{Break, Breaker, Proxy, Side};
pub use workplace::{Running, Workplace, conninfo};

/// Runs what is asynchronous to its end.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> =
        std::sync::LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
    RUNTIME.block_on(work)
}
