//! The rules of PgQ as plain values: no database, no I/O, no unsafe.
//!
//! An event goes this way:
//!
//! ```text
//!  capture ────────► queue ─────────► tick ──────────► batch ────────────► consume
//!  a row in a        event tables,    a snapshot is    the events between  the position
//!  transaction       written in turn  stored           two snapshots       moves to the end tick
//!  [codec]           [rotation]       [tick]           [batch] [snapshot]  [window]
//!  [trigger_arguments]                                                     [change]
//! ```
//!
//! Everything that can be decided without asking a server is decided here: [`tick`] says whether a tick is
//! due, [`backlog`] how to make up for ticks that were not taken, [`window`] up to which tick a consumer's next batch
//! goes, [`batch`] which transactions are in it and which tables hold them, and [`rotation`] when the next table may be
//! emptied. Below them are [`txid`] and [`snapshot`]. Who calls has fetched what the rule asks for, and stores what it
//! answers.
//!
//! A trigger makes events of changed rows: [`trigger_arguments`] reads what it was told, with [`column_letters`] in the
//! dialect of PgQ 2.1, [`expression`] what it has to compute, and [`codec`] writes rows as text and reads them again.
//! A [`change`] is what a consumer gets to see of it.

pub mod backlog;
pub mod batch;
pub mod change;
pub mod codec;
pub mod column_letters;
pub mod expression;
pub mod ids;
pub mod micros;
pub mod operation;
mod quoted;
pub mod rotation;
pub mod snapshot;
pub mod thinning;
pub mod tick;
pub mod trigger_arguments;
pub mod txid;
pub mod window;

pub use batch::BatchBounds;
pub use change::Change;
pub use ids::{BatchId, QueueId, SubscriptionId, TickId};
pub use micros::Micros;
pub use operation::Operation;
pub use snapshot::Snapshot;
pub use txid::Txid;
