//! The frame of a program: a name, its keys, and a step of work.
//!
//! ```text
//! Program ──► switches ──► Config ──► log ──► pid file, daemon ──► Job::startup ──► loop ──► Job::shutdown
//! keys,       --ini, -V    INI file           -d                                    │ reload, work, stats,
//! switches    end here     --set                                                    │ old connections, sleep
//! ```

mod admin;
mod check;
mod common;
mod config;
mod control;
mod daemon;
mod failures;
mod ini;
mod interpolation;
mod job;
mod key;
mod launch;
mod loader;
pub mod log;
mod manual;
mod metrics;
mod pidfile;
mod program;
mod reading;
mod reload;
mod rounds;
mod sample;
mod signals;
mod stats;
mod stop;
mod switches;
mod table;
mod value;

pub use admin::{Arguments, Subcommand};
pub use common::COMMON_KEYS;
pub use config::Config;
pub(crate) use failures::{names, seconds};
pub use ini::Ini;
pub use job::{Job, Next, Script};
pub use key::{Key, KeyGroup, Kind, Presence};
pub use launch::Verbosity;
pub use loader::Loader;
pub use program::Program;
pub(crate) use program::print;
pub use reload::Reload;
pub use stats::Stats;
pub use stop::Stop;
pub use table::Table;
pub use value::expand_home;
