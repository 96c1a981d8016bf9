//! PgQ: a snapshot-batched queue inside PostgreSQL.
//!
//! ```text
//!   capture ────► queue ────► tick ────► batch ────► consume
//! ```
//!
//! A module a stage of the event's way; `pg` is the one fence around the server's C code, `entry` lists the
//! symbols that SQL calls. Rules that need no server are in `pgq_core`.

mod batch;
mod capture;
mod entry;
mod error;
mod pg;
mod queue;

::pgrx::pg_module_magic!(name = c"pgq", version = c"4.0.0");
