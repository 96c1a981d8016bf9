//! Events that no tick covers yet.

use super::description::{self, tables_between};
use super::events::open;
use crate::error::Result;
use crate::pg::scan::has_events;
use crate::pg::snapshot;
use crate::pg::spi::{Statement, View};
use crate::pg::text::Text;
use crate::pg::value::Type;
use pgq_core::BatchBounds;

static NEWEST_TICK: Statement = Statement::reading(
    "SELECT q.queue_data_pfx, q.queue_cur_table, q.queue_ntables, q.queue_switch_step1, q.queue_switch_step2,
            t.tick_snapshot::pg_catalog.text
       FROM pgq.queue q
       JOIN pgq.tick t ON t.tick_queue = q.queue_id
      WHERE q.queue_id = $1
      ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1",
    &[Type::Int],
);

/// Whether a batch from the newest tick up to now would hold events. The sequence of event ids does not tell: a
/// transaction may have taken its ids before that tick and been committed after it, and events that were put off come
/// back with the ids they had.
///
/// True also when that cannot be told, since there is no tick, or a table was altered.
pub fn has_news(queue_id: i32) -> Result<bool> {
    let Some(row) = NEWEST_TICK.rows_in(View::Latest, &[queue_id.into()]).first() else { return Ok(true) };
    let (start, end) = (description::snapshot(row.text(5))?, snapshot::latest());
    let tables = tables_between(&row, 0, &start, &end)?;
    let tables = tables.iter().map(|name| open(Text(name))).collect::<Result<Option<Vec<_>>>>()?;
    Ok(tables.is_none_or(|tables| has_events(&tables, &BatchBounds::new(&start, &end))))
}
