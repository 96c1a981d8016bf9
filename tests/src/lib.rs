//! The kit: what the client suite, the demo, the soak and the benches are made of.
//!
//! | module | one idea |
//! |---|---|
//! | [`server`] | where the programs of a PostgreSQL with our extension are |
//! | [`guard`] | a folder and a postmaster that go away with us, however we end |
//! | [`cluster`] | a throwaway cluster |
//! | [`shared`] | one cluster for many tests, a fresh database for each |
//! | [`client`] | sessions, two-session tests, waiting for a condition |
//! | [`queue`] | the queue as a program uses it: insert, tick, consume |
//! | [`checker`] | the promises, as a judge that has seen both ends |
//! | [`latency`] | percentiles |
//! | [`maintenance`] | the daemon's work, done by a thread |
//! | [`soak`] | a campaign of producers, consumers and crashes under the checker's eye |
//!
//! The kit panics where a test should fail, and returns a `Result` where a program must go on (a server that
//! was killed on purpose is not a failure of the soak).

// A kit for tests: an `expect` that fails is the test failing, with its reason.
#![allow(clippy::unwrap_used)]

pub mod checker;
pub mod client;
pub mod cluster;
pub mod guard;
pub mod latency;
pub mod maintenance;
pub mod pgqd;
pub mod queue;
pub mod server;
pub mod shared;
pub mod soak;
