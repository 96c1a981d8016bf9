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
mod event;
mod handler;
mod keys;
mod moves;
mod position;
mod round;
mod statement_runner;
mod subscription;

pub use batch::{Batch, BatchInfo, Finished};
pub use event::Event;
pub use handler::{Handler, Verdict};
pub use keys::CONSUMER_KEYS;
pub use position::{
    ByBatch, ByTick, InFile, InQueue, LOCAL_KEYS, LocalConsumer, Look, Position, RemoteConsumer,
    SerialConsumer, TARGET_KEYS, TickPosition,
};
pub use round::Consumer;
pub use statement_runner::{STATEMENT_KEYS, StatementRunner};
pub use subscription::{Selection, Subscription};
