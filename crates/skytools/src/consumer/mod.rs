//! The loop of a consumer: next batch, events, finish.
//!
//! ```text
//! Subscription ──► Batch ──► Handler ──► Position ──► finish
//! next_batch       events    yours       where the    the queue
//!                  one by    done,       result is:   hands out
//!                  one       retry       once only    the next
//! ```
//!
//! All consumers are one loop. They differ in where the position is kept: see [`Position`].

mod batch;
mod coop;
mod dead_letter;
mod event;
mod handler;
mod keys;
mod moves;
mod parallel;
mod payload;
mod policy;
mod position;
mod reading;
mod registration;
mod round;
mod selection;
mod sieve;
mod statement_runner;
mod subscription;
mod tags;

pub use batch::{Batch, BatchInfo, Finished};
pub use coop::{COOP_KEYS, CoopConsumer};
pub use dead_letter::{DeadLetter, DeadLetters};
pub use event::Event;
pub(crate) use event::TEXT_COLUMNS;
pub use handler::{Cause, Handler, Verdict};
pub use keys::{CONSUMER_KEYS, FAILED_EVENT_KEYS};
pub use parallel::{Lane, Parallel, ParallelHandler};
pub use payload::from_columns;
pub use policy::{FailedEvents, Policy};
pub use position::{
    ByBatch, ByTick, InFile, InQueue, LOCAL_KEYS, LocalConsumer, Look, Position, RemoteConsumer,
    SerialConsumer, TARGET_KEYS,
};
pub use registration::{Errand, Which};
pub use round::Consumer;
pub use selection::Selection;
pub(crate) use sieve::Sieve;
pub use statement_runner::{STATEMENT_KEYS, StatementRunner};
pub use subscription::Subscription;

use coop::Member;
