//! One event at a time: `insert_event`, `insert_event_raw`, `current_event_table`.

use super::writer::{Kind, Table, Writer, insert_disallowed, with_writer};
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::event_table::{EventRow, column};
use crate::pg::privilege::{self, TableRight};
use crate::pg::text::Text;
use crate::pg::value::{Timestamp, Value};
use crate::pg::{failpoint, sequence, sql_insert};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Datum;

/// `insert_event(queue_name, ev_type, ev_data [, ev_extra1, ev_extra2, ev_extra3, ev_extra4])`: a new event.
///
/// EXECUTE is the right to insert; no right on the tables is needed.
pub fn insert_event(call: &Call) -> Result<Value> {
    let mut row = EventRow::default();
    for argument in 1..call.count() {
        row.set(column::TYPE + argument - 1, call.datum(argument));
    }
    insert(queue_name(call.text(0))?, &mut row, NEW_EVENT)
}

/// `insert_event_raw(queue_name, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, ev_extra1..4)`: an event
/// with its administrative columns given; the caller needs INSERT on the event table.
pub fn insert_event_raw(call: &Call) -> Result<Value> {
    let mut row = EventRow::default();
    for argument in 3..call.count() {
        row.set(column::OWNER + argument - 3, call.datum(argument));
    }
    let kind = if call.int(3).is_some() { Kind::ForOneConsumer } else { Kind::ForAll };
    let given = Given { id: call.big(1), time: call.time(2), kind, as_caller: true };
    insert(queue_name(call.text(0))?, &mut row, given)
}

/// The event of a trigger: its fields from ev_type on.
pub(super) fn insert_fields(queue: Text, fields: &[Option<Datum>]) -> Result<()> {
    let mut row = EventRow::default();
    fields.iter().enumerate().for_each(|(number, field)| row.set(column::TYPE + number, *field));
    insert(queue, &mut row, NEW_EVENT).map(|_id| ())
}

/// What the caller of the raw form decides.
struct Given {
    id: Option<i64>,
    time: Option<Timestamp>,
    kind: Kind,
    /// Insert with the caller's rights.
    as_caller: bool,
}

const NEW_EVENT: Given = Given { id: None, time: None, kind: Kind::ForAll, as_caller: false };

pub(super) fn queue_name(name: Option<Text<'_>>) -> Result<Text<'_>> {
    name.ok_or_else(|| Error::new(PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED, "queue name is NULL"))
}

#[inline]
fn insert(queue: Text, row: &mut EventRow, given: Given) -> Result<Value> {
    let inserted = with_writer(queue, c"pgq.insert_event()", |writer| {
        // The sequence moves even when the id is given: it is how the ticker notices that something happened.
        let next = sequence::next(writer.sequence);
        writer.admit(1, given.kind)?;
        let id = given.id.unwrap_or(next);
        let time = given.time.unwrap_or_else(Timestamp::now);
        row.set(column::ID, Some(Datum::from(id)));
        row.set(column::TIME, Some(Datum::from(time.0)));
        row.set(column::TXID, Some(Datum::from(writer.txid.to_i64())));
        if given.as_caller {
            privilege::require(writer.table.oid(), TableRight::Insert);
        }
        write(writer, row).map(|written| (id, written))
    })?;
    let (id, written) = inserted;
    if let Written::InSql(table) = written {
        sql_insert::insert(&table, row, !given.as_caller);
    }
    failpoint::hit(failpoint::EVENT_INSERTED);
    Ok(Value::Big(id))
}

enum Written {
    Done,
    /// To be written in SQL, which may come back here through a trigger; so not under the writer.
    InSql(Vec<u8>),
}

#[inline]
fn write(writer: &mut Writer, row: &mut EventRow) -> Result<Written> {
    match &writer.table {
        Table::Direct(table) => table.insert(row).map(|()| Written::Done),
        Table::Altered(_) => Ok(Written::InSql(writer.table_name.clone())),
    }
}

/// `current_event_table(x_queue_name)`: the table that a bulk writer may COPY into, in this transaction.
///
/// As with `insert_event` the transaction gets its id before the row is read.
pub fn current_event_table(call: &Call) -> Result<Value> {
    let name = call.text(0).ok_or_else(|| Error::no_such_queue(None::<Text>))?;
    with_writer(name, c"pgq.current_event_table()", |writer| {
        if writer.refuses_writes() {
            return Err(insert_disallowed(name, PgSqlErrorCode::ERRCODE_RAISE_EXCEPTION));
        }
        Ok(Value::Text(writer.table_name.clone()))
    })
    .map_err(|error| match error.state {
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT => Error::no_such_queue(Some(name)),
        _ => error,
    })
}
