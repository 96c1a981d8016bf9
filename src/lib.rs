//! PgQ: a snapshot-batched queue inside PostgreSQL.
//!
//! ```text
//!   capture ────► queue ────► tick ────► batch ────► consume
//! ```
//!
//! A module a stage of the event's way; `pg` is the one fence around the server's C code, `entry` lists the
//! symbols that the server looks up. Rules that need no server are in `pgq_core`. `worker` is where the ticker's own
//! processes live (what they decide is in `pgq_bgworker`), `stats` tells what they did, `guc` has the settings.

mod batch;
mod capture;
mod consume;
mod entry;
mod error;
mod guc;
mod pg;
mod queue;
mod stats;
mod tick;
mod txid;
mod worker;

/// What PostgreSQL 18 shows of a loaded module.
const VERSION: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => unreachable!(),
    };

::pgrx::pg_module_magic!(name = c"pgq", version = VERSION);
