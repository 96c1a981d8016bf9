//! The events of a batch through a cursor.

use super::description::Batch;
use super::sql::COLUMNS;
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::spi;
use crate::pg::text::Text;
use crate::pg::value::Value;
use pgrx::PgSqlErrorCode;

/// `get_batch_cursor(i_batch_id, i_cursor_name, i_quick_limit [, i_extra_where])`: declares a cursor over the
/// batch and returns the first rows of it; the caller fetches the rest.
///
/// The condition is SQL of the caller's and runs as part of the caller's cursor: this function has no more rights
/// than who calls it, and the cursor neither.
pub fn get_batch_cursor(call: &Call) -> Result<Value> {
    let mut rows = call.rows()?;
    let (Some(id), Some(name), Some(limit)) = (call.big(0), call.text(1), call.int(2)) else {
        return Ok(Value::Null);
    };
    let condition = if call.count() > 3 { call.text(3) } else { None };
    let batch = Batch::find(Some(id))?;
    let name = cursor_name(name)?;
    let name = Text(&name);
    condition.iter().for_each(|condition| spi::require_expression(*condition));
    spi::open_cursor(Some(name), &cursor_sql(&batch, condition));
    if let Ok(limit @ 1..) = u64::try_from(limit) {
        spi::fetch(name, limit, &mut rows);
    }
    Ok(Value::Null)
}

/// An identifier, as in `DECLARE`: cut to what the server can store, with its notice.
fn cursor_name(name: Text) -> Result<Vec<u8>> {
    if name.0.is_empty() {
        return Err(Error::new(PgSqlErrorCode::ERRCODE_SYNTAX_ERROR, "the cursor's name is empty"));
    }
    Ok(name.truncated_identifier())
}

/// The cursor's query carries the batch's description, not its id, so it stays readable when the batch is finished
/// before the last row was fetched.
///
/// There is no ORDER BY: the rows come in order by themselves, and a sort would keep the first one back until the
/// last is read. So that they stay in order the condition is computed as a column: in a WHERE the planner could
/// turn a subquery of it into a join, which promises no order.
fn cursor_sql(batch: &Batch, condition: Option<Text>) -> Vec<u8> {
    let tables: Vec<Vec<u8>> = batch.tables.iter().map(|table| Text(table).quoted_literal()).collect();
    let events = [
        b"pgq._batch_events(ARRAY[".as_slice(),
        &tables.join(b", ".as_slice()),
        format!("]::pg_catalog.text[], '{}', '{}', {})", batch.start, batch.end, batch.owner).as_bytes(),
    ]
    .concat();
    let columns = COLUMNS.as_bytes();
    match condition {
        None => [b"SELECT ".as_slice(), columns, b" FROM ", &events].concat(),
        Some(condition) => [
            b"SELECT ".as_slice(),
            columns,
            b" FROM (SELECT ",
            columns,
            b", (",
            condition.0,
            b"\n) AS is_wanted FROM ",
            &events,
            b" AS batch OFFSET 0) AS batch WHERE is_wanted",
        ]
        .concat(),
    }
}
