//! The client suite: one binary, one module a topic.
//!
//! `PGQ_SERVER` names the bin folder of a PostgreSQL with our extension, `PGQ_PEER` one with the original's; without
//! the latter the comparisons are skipped, saying so.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod backlog;
mod batch;
mod campaign;
mod capture;
mod consume;
mod coop;
mod crowd;
mod demand;
mod docs;
mod ext;
mod family;
mod idle;
mod info;
mod kit;
mod maintenance;
mod members;
mod node;
mod peer_defects;
mod positions;
mod programs;
mod queue;
mod reference;
mod retry;
mod rights;
mod scene;
mod search;
#[allow(dead_code)]
#[path = "../../src/pg/shared.rs"]
mod shared;
mod statistics;
mod surface;
mod survival;
mod thinning;
mod ticker;
mod ticks;
mod triggers;
mod txid;
