//! Events that no tick covers yet.

use super::description::{self, tables_between};
use super::events::open;
use crate::error::Result;
use crate::pg::scan::{self, ReadableTable};
use crate::pg::spi::{Statement, View};
use crate::pg::text::Text;
use crate::pg::value::Type;
use crate::pg::{snapshot, xact};
use pgq_core::backlog::Cutter;
use pgq_core::{BatchBounds, Snapshot, Txid};

static NEWEST_TICK: Statement = Statement::reading(
    "SELECT q.queue_data_pfx, q.queue_cur_table, q.queue_ntables, q.queue_switch_step1, q.queue_switch_step2,
            t.tick_snapshot::pg_catalog.text
       FROM pgq.queue q
       JOIN pgq.tick t ON t.tick_queue = q.queue_id
      WHERE q.queue_id = $1
      ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1",
    &[Type::Int],
);

/// What became visible after the newest tick of a queue.
pub struct News {
    start: Snapshot,
    now: Snapshot,
    /// Who made the newest switch of the event tables.
    switch: Txid,
    /// `None`: a table is not as we made it.
    tables: Option<Vec<ReadableTable>>,
}

impl News {
    /// Up to now, without what this transaction itself has inserted: no tick of its own covers that. `None` if the queue
    /// has no tick.
    pub fn of_queue(queue_id: i32) -> Result<Option<News>> {
        // Before the look at the queue's row: so who is finished had seen no newer table than the row names.
        let mut now = snapshot::latest();
        if let Some(own) = xact::txid_if_assigned() {
            now = now.as_seen_by_others(own);
        }
        let Some(row) = NEWEST_TICK.rows_in(View::Latest, &[queue_id.into()]).first() else {
            return Ok(None);
        };
        let (start, switch) = (description::snapshot(row.text(5))?, description::txid(row.big(3))?);
        let names = tables_between(&row, 0, &start, &now)?;
        let tables = names.iter().map(|name| open(Text(name))).collect::<Result<Option<Vec<_>>>>()?;
        Ok(Some(News { start, now, switch, tables }))
    }

    /// Whether there are events. The sequence of their ids does not tell: a transaction may have drawn its ids before
    /// that tick and been committed after it, and events that were put off come back with the ids they had.
    ///
    /// True also when that cannot be told.
    pub fn has_events(&self) -> bool {
        self.tables.as_ref().is_none_or(|tables| scan::has_events(tables, &self.bounds()))
    }

    /// Snapshots that cut the events behind every `piece` of the ids between `from` and `to`, where that is possible,
    /// each with the id behind which it cuts. See `pgq_core::backlog`.
    pub fn cuts(&self, from: i64, to: i64, piece: i64) -> Vec<(i64, Snapshot)> {
        let Some(tables) = &self.tables else { return Vec::new() };
        let bounds = self.bounds();
        let mut cutter = Cutter::new(&self.start, &self.now, self.switch, from, to, piece);
        scan::visit_transactions(tables, &bounds, |txid, last_id| cutter.see(txid, last_id));
        cutter.turn();
        scan::visit_transactions(tables, &bounds, |txid, last_id| cutter.see_again(txid, last_id));
        cutter.finish()
    }

    fn bounds(&self) -> BatchBounds {
        BatchBounds::new(&self.start, &self.now)
    }
}
