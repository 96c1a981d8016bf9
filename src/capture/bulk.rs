//! Many events at once.

use super::insert_event::queue_name;
use super::writer::{Kind, Table, with_writer};
use crate::error::{Error, Result};
use crate::pg::array::{BigArray, TextArray};
use crate::pg::call::Call;
use crate::pg::event_table::{EventRow, column};
use crate::pg::text::Text;
use crate::pg::value::{Timestamp, Value};
use crate::pg::{sequence, sql_insert};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Datum;

/// `insert_events(queue_name, ev_type[], ev_data[] [, ev_extra1[], ev_extra2[], ev_extra3[], ev_extra4[]])`:
/// one event for each position of the arrays, which are of one length; an array that is NULL means NULL in each
/// event. Returns the event ids, in that order.
pub fn insert_events(call: &Call) -> Result<Value> {
    let queue = queue_name(call.text(0))?;
    let columns: Vec<Option<TextArray>> = (1..call.count()).map(|number| call.text_array(number)).collect();
    let count = common_length(&columns)?;
    let mut ids = BigArray::with_capacity(count);
    let texts = |position: usize, row: &mut EventRow| {
        for (number, column) in columns.iter().enumerate() {
            row.set(column::TYPE + number, column.as_ref().and_then(|array| array.get(position)));
        }
    };
    write_many(queue, c"pgq.insert_events()", count, texts, |id| ids.push(id))?;
    Ok(ids.into())
}

/// The events of a trigger: the fields of each from ev_type on.
pub(super) fn write_fields(queue: Text, events: &[[Option<Datum>; 6]]) -> Result<()> {
    let texts = |position: usize, row: &mut EventRow| {
        events[position]
            .iter()
            .enumerate()
            .for_each(|(number, field)| row.set(column::TYPE + number, *field));
    };
    write_many(queue, c"pgq.insert_event()", events.len(), texts, |_id| ())
}

/// Writes so many events at once. `set_texts` sets the text columns of the row of the given number, from ev_type on;
/// `note_id` hears of each event's id, in that order. `function` names the caller in messages.
fn write_many(
    queue: Text,
    function: &std::ffi::CStr,
    count: usize,
    set_texts: impl Fn(usize, &mut EventRow),
    mut note_id: impl FnMut(i64),
) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let written = with_writer(queue, function, |writer| {
        writer.admit(count as i64, Kind::ForAll)?;
        let time = Timestamp::now();
        let txid = writer.txid.to_i64();
        let mut fill = |position: usize, row: &mut EventRow| {
            let id = sequence::next(writer.sequence);
            note_id(id);
            row.set(column::ID, Some(Datum::from(id)));
            row.set(column::TIME, Some(Datum::from(time.0)));
            row.set(column::TXID, Some(Datum::from(txid)));
            set_texts(position, row);
        };
        match &writer.table {
            Table::Direct(table) => table.insert_many(count, fill).map(|()| None),
            Table::Altered(_) => {
                let mut rows: Vec<EventRow> = (0..count).map(|_| EventRow::default()).collect();
                rows.iter_mut().enumerate().for_each(|(position, row)| fill(position, row));
                Ok(Some((writer.table_name.clone(), rows)))
            }
        }
    })?;
    if let Some((table, rows)) = written {
        rows.iter().for_each(|row| sql_insert::insert(&table, row, true));
    }
    Ok(())
}

fn common_length(columns: &[Option<TextArray>]) -> Result<usize> {
    const NAMES: [&str; 6] = ["ev_type", "ev_data", "ev_extra1", "ev_extra2", "ev_extra3", "ev_extra4"];
    let mut lengths =
        columns.iter().zip(NAMES).filter_map(|(array, name)| Some((array.as_ref()?.len(), name)));
    let Some((expected, first)) = lengths.next() else {
        return Ok(0);
    };
    match lengths.find(|(length, _)| *length != expected) {
        None => Ok(expected),
        Some((length, name)) => Err(Error::new(
            PgSqlErrorCode::ERRCODE_ARRAY_ELEMENT_ERROR,
            "arrays of events must be of one length",
        )
        .detail(format!("{first} has {expected} elements, {name} has {length}."))
        .hint("Give one element for each event, or NULL for the whole array.")),
    }
}
