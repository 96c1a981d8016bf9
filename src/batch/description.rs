//! What is to be known of a batch to find its events.

use crate::error::{Error, Result, or_null};
use crate::pg::spi::{Row, Statement};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use pgq_core::batch::{previous_table, tables_of_batch};
use pgq_core::{BatchBounds, Snapshot, Txid};
use pgrx::PgSqlErrorCode;

/// An open batch.
pub struct Batch {
    /// The queue's id.
    pub queue_id: i32,
    /// The subscription whose events come back only to it.
    pub owner: i32,
    /// The snapshot of the tick before: what is visible in it is not in the batch.
    pub start: Snapshot,
    /// The snapshot of the tick at its end: what is visible in it is.
    pub end: Snapshot,
    /// The event tables that can hold events of the batch, `schema.name` unquoted, the older one first.
    pub tables: Vec<Vec<u8>>,
}

static DESCRIBE: Statement = Statement::reading(
    "SELECT s.sub_queue, s.sub_id, t1.tick_snapshot::pg_catalog.text, t2.tick_snapshot::pg_catalog.text,
            q.queue_data_pfx, q.queue_cur_table, q.queue_ntables, q.queue_switch_step1, q.queue_switch_step2
       FROM pgq.subscription s
       JOIN pgq.queue q ON q.queue_id OPERATOR(pg_catalog.=) s.sub_queue
       JOIN pgq.tick t1 ON t1.tick_queue OPERATOR(pg_catalog.=) s.sub_queue
                       AND t1.tick_id OPERATOR(pg_catalog.=) s.sub_last_tick
       JOIN pgq.tick t2 ON t2.tick_queue OPERATOR(pg_catalog.=) s.sub_queue
                       AND t2.tick_id OPERATOR(pg_catalog.=) s.sub_next_tick
      WHERE s.sub_batch OPERATOR(pg_catalog.=) $1",
    &[Type::Big],
);

static IS_OPEN: Statement = Statement::reading(
    "SELECT FROM pgq.subscription s WHERE s.sub_batch OPERATOR(pg_catalog.=) $1",
    &[Type::Big],
);

impl Batch {
    /// The open batch of this id.
    pub fn find(id: Option<i64>) -> Result<Batch> {
        let row = id.and_then(|id| DESCRIBE.rows(&[id.into()]).first());
        row.map_or_else(|| Err(not_found(id)), |row| Batch::from_row(&row))
    }

    fn from_row(row: &Row) -> Result<Batch> {
        let start = snapshot(row.text(2))?;
        let end = snapshot(row.text(3))?;
        let tables = tables_between(row, 4, &start, &end)?;
        Ok(Batch { queue_id: required(row.int(0))?, owner: required(row.int(1))?, start, end, tables })
    }

    /// Where its events are to be searched.
    pub fn bounds(&self) -> BatchBounds {
        BatchBounds::new(&self.start, &self.end)
    }
}

/// The event tables that can hold what became visible between two snapshots, given the columns `queue_data_pfx`,
/// `queue_cur_table`, `queue_ntables`, `queue_switch_step1` and `queue_switch_step2` of a queue from `column` on.
pub fn tables_between(row: &Row, column: usize, start: &Snapshot, end: &Snapshot) -> Result<Vec<Vec<u8>>> {
    let prefix = required(row.text(column))?;
    let (current, ntables) = (required(row.int(column + 1))?, required(row.int(column + 2))?);
    let step1 = txid(row.big(column + 3))?;
    let step2 = row.big(column + 4).map(|step2| txid(Some(step2))).transpose()?;
    let choice = tables_of_batch(start, end, step1, step2);
    let previous = choice.previous.then(|| previous_table(current, ntables));
    // A queue with a single table, were it ever made by hand, is read once.
    let previous = previous.filter(|previous| *previous != current || !choice.current);
    let numbers = previous.into_iter().chain(choice.current.then_some(current));
    Ok(numbers.map(|number| [prefix.0, format!("_{number}").as_bytes()].concat()).collect())
}

fn not_found(id: Option<i64>) -> Error {
    let error = Error::raised(format!("batch not found: {}", or_null(id)));
    match IS_OPEN.rows(&[id.into()]).count() {
        0 => error.detail("No consumer has an open batch of this id; it was finished, or never handed out."),
        _ => {
            error.detail("It is open, but the ticks that it lies between were removed from pgq.tick by hand.")
        }
    }
}

fn required<T>(column: Option<T>) -> Result<T> {
    column.ok_or_else(|| corrupt("a column that is never NULL is NULL".to_owned()))
}

/// Reads a transaction id.
pub fn txid(column: Option<i64>) -> Result<Txid> {
    Txid::from_i64(required(column)?).map_err(|error| corrupt(error.to_string()))
}

/// Reads a snapshot as the server writes it.
pub fn snapshot(text: Option<Text>) -> Result<Snapshot> {
    required(text)?.to_string().parse().map_err(|error| corrupt(format!("{error}")))
}

fn corrupt(what: String) -> Error {
    Error::new(PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, "the queue's data is corrupt").detail(what)
}

impl From<&Snapshot> for Value {
    fn from(snapshot: &Snapshot) -> Value {
        Value::from(snapshot.to_string())
    }
}
