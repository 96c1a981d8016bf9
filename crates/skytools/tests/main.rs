//! The programs as people run them, and the library on real servers: one binary, one module a topic.
//!
//! The servers come from the kit of the workspace's client suite: `PGQ_SERVER` names the programs of a PostgreSQL
//! with our extension, `PGQ_PEER` one with the original's.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod blocking;
mod cascade;
mod catalog;
mod connections;
mod consumers;
mod coop;
mod copying;
mod crashes;
mod encryption;
mod first_consumer;
mod heartbeat;
mod kit;
mod life;
mod logs;
mod metrics;
mod move_in;
mod papers;
mod parallel;
mod policies;
mod positions;
mod producing;
mod python;
mod quoting;
mod rights;
mod simple;
mod structure;
mod switches;
