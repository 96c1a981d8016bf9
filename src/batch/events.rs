//! The events of a batch as rows.

use super::description::{Batch, snapshot};
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::relation;
use crate::pg::scan::{ReadableTable, read_batch};
use crate::pg::search::find_event;
use crate::pg::spi::{self, Row};
use crate::pg::text::Text;
use crate::pg::tuplestore::RowSink;
use crate::pg::value::{Type, Value};
use pgrx::PgSqlErrorCode;

/// `get_batch_events(x_batch_id)`: the events, by id. Runs with the caller's rights on the event tables.
pub fn get_batch_events(call: &Call) -> Result<Value> {
    let batch = Batch::find(call.big(0))?;
    batch.read_into(&mut call.rows()?)?;
    Ok(Value::Null)
}

/// `_batch_events(i_tables, i_start, i_end, i_owner)`: the same for a batch given by its description, which a
/// cursor carries so that it stays readable after the batch was finished.
pub fn batch_events(call: &Call) -> Result<Value> {
    let tables = call.texts(0).iter().map(|table| table.0.to_vec()).collect();
    let (start, end) = (snapshot(call.text(1))?, snapshot(call.text(2))?);
    let batch = Batch { queue_id: 0, owner: call.int(3).unwrap_or(0), start, end, tables };
    batch.read_into(&mut call.rows()?)?;
    Ok(Value::Null)
}

impl Batch {
    /// One event, as the batch shows it.
    pub fn event(&self, id: i64) -> Result<Option<Row>> {
        Ok(match self.open_tables()? {
            Some(tables) => find_event(&tables, &self.bounds(), self.owner, id),
            None => find_in_sql(self, id),
        })
    }

    /// `None`: some are not as we made them.
    fn open_tables(&self) -> Result<Option<Vec<ReadableTable>>> {
        self.tables.iter().map(|name| open(Text(name))).collect()
    }

    fn read_into(&self, rows: &mut RowSink) -> Result<()> {
        match self.open_tables()? {
            Some(tables) => read_batch(rows, &tables, &self.bounds(), self.owner),
            None => read_in_sql(self, rows),
        }
        Ok(())
    }
}

/// `None`: the table is not as we made it.
pub fn open(name: Text) -> Result<Option<ReadableTable>> {
    let oid = relation::find(name).ok_or_else(|| {
        Error::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, format!("event table {name} does not exist"))
            .detail("The queue was dropped, or its tables were.")
    })?;
    Ok(ReadableTable::open(oid))
}

/// The way round altered tables: through the planner, with whatever hangs on them.
fn read_in_sql(batch: &Batch, rows: &mut RowSink) {
    let cursor = spi::open_cursor(None, &batch.sql());
    spi::fetch(Text(&cursor), u64::MAX, rows);
    spi::close_cursor(Text(&cursor));
}

fn find_in_sql(batch: &Batch, id: i64) -> Option<Row> {
    let events = batch.unordered_sql();
    let sql = [b"SELECT * FROM (", events.as_slice(), b") AS event WHERE ev_id = $1 LIMIT 1"].concat();
    spi::run(&sql, &[(Type::Big, id.into())]).first()
}
