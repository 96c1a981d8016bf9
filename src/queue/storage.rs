//! How event tables are stored.

use super::objects::{Objects, numbered, quoted};
use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::relation;
use crate::pg::spi::{self, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::Value;

/// Rows are only ever added, so pages may be filled, and there is nothing for autovacuum to do.
pub const OPTIONS: &str = "fillfactor = 100, autovacuum_enabled = off, toast.autovacuum_enabled = off";

/// A table of this many pages should be known to the planner.
const GROWN: u32 = 1000;

static NEVER_ANALYZED: Statement = Statement::reading(
    "SELECT q.queue_data_pfx, q.queue_cur_table
       FROM pgq.queue q
      WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_statistic s
             WHERE s.starelid = pg_catalog.to_regclass(pg_catalog.format('%s_%s', q.queue_data_pfx, q.queue_cur_table)))
      ORDER BY q.queue_name",
    &[],
);

/// The event tables that have grown and were never analysed, which autovacuum would have seen to. Clients that run the
/// text of `batch_event_sql` need the statistics, though old ones will do: without any the planner expects so many rows
/// in a table of 14 million that it compiles the query, which takes 22 ms instead of 0.5.
pub fn tables_without_statistics() -> Vec<Vec<u8>> {
    let rows = NEVER_ANALYZED.rows_in(View::Latest, &[]).into_iter();
    let tables = rows.filter_map(|row| Some(numbered(row.text(0)?.0, row.int(1)?)));
    let has_grown = |table: &Vec<u8>| relation::find(Text(table)).and_then(relation::pages) > Some(GROWN);
    tables.filter(has_grown).collect()
}

/// `tune_storage(i_queue_name)`: sets the storage options again, with the caller's rights; 0 for an unknown queue.
pub fn tune_storage(call: &Call) -> Result<Value> {
    let Some(objects) = Objects::lock(call.text(0)) else {
        return Ok(Value::Int(0));
    };
    for table in objects.event_tables() {
        let table = quoted(&table);
        spi::run(&[b"ALTER TABLE ", table.as_slice(), b" SET (", OPTIONS.as_bytes(), b")"].concat(), &[]);
    }
    Ok(Value::Int(1))
}
