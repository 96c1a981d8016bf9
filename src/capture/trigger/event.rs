//! A change of a row as the fields of an event.

use super::data;
use super::definition::{Format, KeyUpdates};
use super::fields::{DATA, EXTRA1, EXTRA2, Event, TYPE};
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::pg::output::exactly;
use crate::pg::room;
use crate::pg::row::{Row, Rows};
use crate::pg::text::Text;
use pgq_core::change::Operation;
use pgrx::PgSqlErrorCode;
use std::borrow::Cow;

/// Gives the events of a change to `emit`: usually one; none if only ignored columns changed or `when` is false; two of
/// an update that moves the row to another key, if that is wanted.
pub fn of_rows<'p>(
    plan: &'p Plan,
    operation: Operation,
    rows: Rows,
    emit: &mut impl FnMut(Event<'p>) -> Result<()>,
) -> Result<()> {
    let mut add = |operation, rows| match event(plan, operation, rows)? {
        Some(event) => emit(event),
        None => Ok(()),
    };
    let Rows { old: Some(old), new: Some(new) } = rows else {
        return add(operation, rows);
    };
    if let Some(column) = changed_key(plan, old, new) {
        match plan.meaning.key_updates {
            KeyUpdates::Refused => return Err(key_update(plan, column)),
            KeyUpdates::Split => {
                add(Operation::Delete, Rows { old: Some(old), new: None })?;
                return add(Operation::Insert, Rows { old: None, new: Some(new) });
            }
            KeyUpdates::Plain => {}
        }
    }
    if changes_only_silent(plan, old, new) { Ok(()) } else { add(operation, rows) }
}

/// The event of a TRUNCATE.
pub fn of_truncate(plan: &Plan) -> Event<'_> {
    let data: &[u8] = if plan.format == Format::Json { b"{}" } else { b"" };
    let mut event = Event::default();
    event[TYPE] = Some(plan.kind(Operation::Truncate).into());
    event[DATA] = Some(data.into());
    event[EXTRA1] = Some(plan.full_name.as_slice().into());
    event
}

fn event<'p>(plan: &'p Plan, operation: Operation, rows: Rows) -> Result<Option<Event<'p>>> {
    let row = rows.new.or(rows.old).expect("a change has a row");
    let mut event = Event::default();
    event[TYPE] = Some(plan.kind(operation).into());
    event[EXTRA1] = Some(plan.full_name.as_slice().into());
    exactly(plan.names_objects, || {
        event[DATA] = Some(data::of_change(plan, operation, rows)?.into());
        if let (true, Some(old), Some(_)) = (plan.meaning.backs_up, rows.old, rows.new) {
            event[EXTRA2] = Some(data::backup(plan, old)?.into());
        }
        for (column, field) in &plan.magic {
            event[*field] = text_of(plan, *column, row)?.map(Cow::Owned);
        }
        Ok(())
    })?;
    Ok(plan.meaning.expressions.apply(&plan.table, row, &mut event)?.then_some(event))
}

fn text_of(plan: &Plan, column: usize, row: Row) -> Result<Option<Vec<u8>>> {
    plan.table.columns[column].text(row).map(|text| room::copied(&text)).transpose()
}

/// A column of the key that is another one after the update, by the type's own idea of equality: the row is then found
/// under another key.
fn changed_key(plan: &Plan, old: Row, new: Row) -> Option<usize> {
    exactly(plan.names_objects, || {
        plan.meaning.key.iter().copied().find(|column| !plan.table.columns[*column].is_equal(old, new))
    })
}

/// Whether something changed, but nothing that is logged.
fn changes_only_silent(plan: &Plan, old: Row, new: Row) -> bool {
    let changes = |column: &usize| !plan.table.columns[*column].is_same(old, new);
    !plan.silent.is_empty()
        && exactly(plan.names_objects, || {
            plan.silent.iter().any(changes) && !plan.logged.iter().any(|logged| changes(&logged.column))
        })
}

fn key_update(plan: &Plan, column: usize) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION,
        format!(
            "UPDATE of key column \"{}\" of table {} cannot be captured",
            Text(&plan.table.columns[column].name),
            Text(&plan.full_name)
        ),
    )
    .hint(
        "Delete the row and insert it under its new key. With the option keyupdate logutriga, jsontriga and sqltriga \
         write it as if you had.",
    )
}
