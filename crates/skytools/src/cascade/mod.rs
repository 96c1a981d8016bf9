//! Consumers that follow a queue from node to node.
//!
//! ```text
//!       the provider                                       this node, `db`
//!  begin                                                   state: paused? whose batches? who keeps the node up?
//!  ──► next_batch ──► [Sieve] ──► your Handler ──────────► results     ┐
//!                        ├─ a branch: every event ───────► its copy    │ one transaction
//!                        ├─ a merge leaf: the data ──────► combined q. │
//!                        └─ pgq.*: locations, watermarks ► pgq_node    │
//!                                                          completed   ┘
//!                                                          a branch: the tick
//!      finish_batch
//! ```
//!
//! Both are the one loop of [consumers](crate::consumer), with a position that is the node's. What you write is a
//! [`Handler`](crate::consumer::Handler), as for any consumer; it finds the node's connection at
//! [`Batch::target`](crate::consumer::Batch::target), in the transaction that also stores the position. A subclass
//! with system events of its own names how their types begin ([`CascadedWorker::system_events`]), and what it does at
//! a root it does in [`Handler::standby`](crate::consumer::Handler::standby).

mod consumer;
mod follower;
mod passage;
mod role;
mod state;
mod system_events;
mod watermarks;
mod worker;

pub use consumer::{ByNode, CascadedConsumer};
pub use worker::{CascadedWorker, Upkeep, WORKER_KEYS};

use crate::db::types::ToSql;
use crate::db::{Connection, Row};
use crate::{Error, Result};

/// Calls a function of `pgq_node`, in the transaction that is open. What it refuses is an error to be tried again: an
/// administrator is about to change it.
async fn ask(connection: &Connection, call: &str, arguments: &[&(dyn ToSql + Sync)]) -> Result<Row> {
    let sql = format!("select * from pgq_node.{call}");
    let rows = connection.command(&sql).quiet().uncommitted().run(arguments).await;
    let rows = rows.map_err(|error| match error {
        Error::Refused(note) => Error::bad(format!("{}: {note}", connection.name())),
        other => other,
    })?;
    rows.into_iter().next().ok_or_else(|| Error::bad(format!("{}: no answer of {sql}", connection.name())))
}
