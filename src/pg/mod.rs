//! The fence: everything that must trust the server's C code is in this folder, and what leaves it is safe.
//!
//! The workspace denies `unsafe`; each file here opts out for itself and says at each block which precondition
//! holds and who keeps it. Two ways to call the server are in use:
//!
//! * pgrx's bindings turn a server error into a Rust panic and the panic back into an error at the edge, so
//!   destructors run. They cost 9 ns a call, and are used everywhere but on the hot path.
//! * `raw` declares a few functions without that. An error in one jumps over Rust frames, which is sound only
//!   while no value with a destructor is alive in any frame of the call.

pub mod arena;
pub mod array;
pub mod call;
pub mod children;
pub mod compat;
mod computed;
pub mod databases;
pub mod demand;
pub mod event_table;
pub mod failpoint;
pub mod guard;
pub mod guc;
pub mod lock;
pub mod memory;
pub mod newcomer;
pub mod notify;
pub mod output;
pub mod privilege;
pub mod process;
pub mod query;
pub mod queue_row;
mod raw;
pub mod relation;
pub mod room;
pub mod routine;
pub mod row;
pub mod scan;
pub mod search;
pub mod seat;
pub mod sequence;
pub mod session;
pub mod settings;
pub mod shared;
mod signal;
pub mod snapshot;
pub mod spi;
pub mod sql_insert;
pub mod stats;
pub mod table;
pub mod text;
pub mod trigger;
pub mod tuplestore;
pub mod utility;
pub mod vacuum;
pub mod value;
pub mod watch;
pub mod xact;
