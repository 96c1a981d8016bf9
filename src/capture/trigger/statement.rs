//! Triggers for each statement: TRUNCATE, and whole sets of changed rows.
//!
//! With `REFERENCING` the server keeps the rows that a statement changed, and fires once. The events are those that a
//! trigger for each row would write, in the same order, but a thousand at a time are written together.

use super::delivery::{self, Fields};
use super::event;
use super::plan::{Plan, Target};
use crate::capture::bulk;
use crate::error::{Error, Result};
use crate::pg::arena::Arena;
use crate::pg::routine;
use crate::pg::text::Text;
use crate::pg::trigger::{Firing, Timing};
use pgq_core::change::Operation;
use pgrx::PgSqlErrorCode;

/// Events that are written together, and bytes that are held for them.
const CHUNK: usize = 1000;
const CHUNK_BYTES: usize = 4 << 20;

/// Writes the events of a statement.
pub fn capture(plan: &Plan, firing: Firing) -> Result<()> {
    if firing.operation() == Operation::Truncate {
        plan.require_allowed(Operation::Truncate)?;
        return delivery::deliver(plan, event::of_truncate(plan));
    }
    let mut transition = firing.transition().ok_or_else(|| no_rows(plan, firing))?;
    if let Some(family) = firing.family() {
        return Err(incomplete(plan, family));
    }
    let mut chunk = Chunk::new(plan);
    while chunk.next_row(|| transition.next())? {}
    Ok(())
}
