//! Triggers for each statement: TRUNCATE, and whole sets of changed rows.
//!
//! With `REFERENCING` the server keeps the rows that a statement changed, and fires once for each operation. The events
//! are those that a trigger for each row would write, but a thousand at a time are written together, and they are
//! ordered by operation: deletions and updates before the insertions that they make room for. That much is lost: a
//! `WITH` whose deletions go on after it has inserted the same keys (`LIMIT` cuts the reading of `RETURNING` short).

use super::definition::Target;
use super::delivery;
use super::event;
use super::fields::{Fields, to_fields};
use super::plan::Plan;
use crate::capture::bulk;
use crate::error::{Error, Result};
use crate::pg::arena::Arena;
use crate::pg::routine;
use crate::pg::text::Text;
use crate::pg::trigger::{Family, Firing};
use pgq_core::change::Operation;
use pgrx::PgSqlErrorCode;

/// Rows whose events are written together, and memory that may be taken for fewer.
const CHUNK_ROWS: usize = 1000;
const CHUNK_BYTES: usize = 4 << 20;

/// Writes the events of a statement.
pub fn capture(plan: &Plan, firing: Firing) -> Result<()> {
    let operation = firing.operation();
    if operation == Operation::Truncate {
        plan.require_allowed(operation)?;
        return delivery::deliver(plan, event::of_truncate(plan));
    }
    let mut transition = firing.transition().ok_or_else(|| no_rows(firing))?;
    let family = firing.family().or(plan.table.is_child.then_some(Family::Child));
    if let Some(family) = family {
        return Err(shared(plan, family));
    }
    let queue = match &plan.meaning.target {
        Target::Queue(queue) if routine::insert_event_is_ours() => Some(Text(queue)),
        _ => None,
    };
    let mut waiting: Vec<Fields> = Vec::new();
    let mut rows_seen = 0;
    let mut arena = Arena::of_call();
    while let Some(rows) = transition.next() {
        plan.require_allowed(operation)?;
        arena.within(|| {
            event::of_rows(plan, operation, rows, &mut |event| {
                if queue.is_none() {
                    return delivery::deliver(plan, event);
                }
                waiting.push(to_fields(&event)?);
                Ok(())
            })
        })?;
        rows_seen += 1;
        if rows_seen % CHUNK_ROWS == 0 || arena.size() > CHUNK_BYTES {
            write(queue, &mut waiting)?;
            arena.reset();
        }
    }
    write(queue, &mut waiting)
}

/// Writes what waits; nothing does if there is no queue.
fn write(queue: Option<Text>, waiting: &mut Vec<Fields>) -> Result<()> {
    if let Some(queue) = queue {
        bulk::write_fields(queue, waiting)?;
        waiting.clear();
    }
    Ok(())
}

fn no_rows(firing: Firing) -> Error {
    let hint = match firing.operation() {
        Operation::Insert => "FOR EACH ROW, or REFERENCING NEW TABLE AS a_name FOR EACH STATEMENT.",
        Operation::Delete => "FOR EACH ROW, or REFERENCING OLD TABLE AS a_name FOR EACH STATEMENT.",
        _ => "FOR EACH ROW, or REFERENCING OLD TABLE AS a_name NEW TABLE AS another FOR EACH STATEMENT.",
    };
    Error::new(
        PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        "a trigger for each statement must have the rows that the statement changed",
    )
    .hint(hint)
}

fn shared(plan: &Plan, family: Family) -> Error {
    let reason = match family {
        Family::Partition => {
            "is a partition: its rows are also changed through its parent, which this trigger does not see"
        }
        Family::Child => {
            "inherits: its rows are also changed through its parent, which this trigger does not see"
        }
        Family::Partitioned => {
            "is partitioned: a trigger for each statement does not know the rows' partitions"
        }
        Family::Parent => {
            "has child tables: a trigger for each statement does not know to which of them a row belongs"
        }
    };
    Error::new(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("table {} cannot be captured by a trigger for each statement", Text(&plan.full_name)),
    )
    .detail(format!("It {reason}."))
    .hint("A trigger FOR EACH ROW does it; pgq.capture() makes the one that fits.")
}
