//! A queue that was restored into another cluster, where transaction ids mean something else.
//!
//! Ticks and events name transactions. In a cluster whose counter is behind those names new events would count as
//! long since seen, the ticker and the rotation refuse to work. So old names are exchanged for ids of this cluster
//! that every future snapshot calls finished: those just below the oldest running transaction.
//!
//! What consumers know must not change: a tick id stands for the same events as before. Only the ticks that matter
//! are kept (where consumers stand, where their open batches end, and the newest), and they divide the events:
//!
//! ```text
//!             tick P1        tick P2        tick Pk          future ticks
//!  ──────────────┼──────────────┼──────────────┼─────────────────────┼───►
//!     base            base+1          base+k          oldest running and later
//! ```
//!
//! An event gets the id right of the last tick in which it was not visible. Tick Pi sees the ids below base+i.

use super::objects::{Objects, quoted};
use crate::error::{Error, Result, or_null};
use crate::pg::call::Call;
use crate::pg::spi::{self, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use crate::pg::{demand, lock, relation, xact};
use pgq_core::{Txid, batch};
use pgrx::PgSqlErrorCode;

/// `rebase_queue(i_queue_name)`: 1 when the queue was re-based, 0 when that was not needed.
pub fn rebase_queue(call: &Call) -> Result<Value> {
    let name = call.text(0);
    let objects = Objects::lock(name).ok_or_else(|| Error::no_such_queue(name))?;
    let tables = readable_tables(&objects)?;
    if !names_unassigned_txids(&objects, &tables) {
        return Ok(Value::Int(0));
    }
    lock::lock_tables_exclusively(&tables.iter().map(|table| table.oid).collect::<Vec<_>>());
    LOCK_SUBSCRIPTIONS.rows_in(View::Latest, &[objects.queue_id.into()]);
    let rebase = Rebase::plan(&objects)?;
    for table in &tables {
        rebase.rewrite_events(&table.name);
    }
    rebase.rewrite_ticks();
    rebase.rewrite_switch();
    demand::touch(objects.queue_id);
    xact::force_sync_commit();
    Ok(Value::Int(1))
}

struct Table {
    name: Vec<u8>,
    oid: pgrx::pg_sys::Oid,
}

/// The tables that batches are read from: the one being written and the one before.
fn readable_tables(objects: &Objects) -> Result<Vec<Table>> {
    let current = objects.current_table;
    let previous = batch::previous_table(current, objects.table_count);
    let mut numbers = vec![current, previous];
    numbers.dedup();
    let find = |number| {
        let name = objects.event_table(number);
        match relation::find(Text(&name)) {
            Some(oid) => Ok(Table { name, oid }),
            None => Err(Error::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
                format!("table \"{}\" does not exist", Text(&name)),
            )
            .hint("Restore it first, or drop the queue.")),
        }
    };
    numbers.into_iter().map(find).collect()
}

static HIGHEST_NAMED: Statement = Statement::reading(
    "SELECT greatest(q.queue_switch_step1, q.queue_switch_step2,
                     (SELECT max(txid_snapshot_xmax(t.tick_snapshot)) - 1 FROM pgq.tick t WHERE t.tick_queue = $1))
       FROM pgq.queue q WHERE q.queue_id = $1",
    &[Type::Int],
);

fn names_unassigned_txids(objects: &Objects, tables: &[Table]) -> bool {
    let in_ticks = HIGHEST_NAMED.rows_in(View::Latest, &[objects.queue_id.into()]);
    let in_events = |table: &Table| {
        let sql = [b"SELECT max(ev_txid) FROM ONLY ", quoted(&table.name).as_slice()].concat();
        spi::run_in(View::Latest, &sql, &[])
    };
    let rows = std::iter::once(in_ticks).chain(tables.iter().map(in_events));
    let highest = rows.filter_map(|rows| rows.first()?.big(0)).max();
    highest.is_some_and(|highest| highest >= xact::next_txid().to_i64())
}

static LOCK_SUBSCRIPTIONS: Statement = Statement::changing(
    "SELECT FROM pgq.subscription WHERE sub_queue = $1 ORDER BY sub_consumer FOR UPDATE",
    &[Type::Int],
);
static FORGET_OTHER_TICKS: Statement = Statement::changing(
    "DELETE FROM pgq.tick t
      WHERE t.tick_queue = $1
        AND t.tick_id <> (SELECT max(n.tick_id) FROM pgq.tick n WHERE n.tick_queue = $1)
        AND NOT EXISTS (SELECT FROM pgq.subscription s
                         WHERE s.sub_queue = $1 AND t.tick_id IN (s.sub_last_tick, s.sub_next_tick))",
    &[Type::Int],
);
static POSITIONS: Statement = Statement::reading(
    "SELECT p.tick_id, t.tick_snapshot::text
       FROM (SELECT sub_last_tick FROM pgq.subscription WHERE sub_queue = $1
              UNION SELECT sub_next_tick FROM pgq.subscription WHERE sub_queue = $1
              UNION SELECT max(tick_id) FROM pgq.tick WHERE tick_queue = $1) AS p (tick_id)
       LEFT JOIN pgq.tick t ON t.tick_queue = $1 AND t.tick_id = p.tick_id
      WHERE p.tick_id IS NOT NULL
      ORDER BY p.tick_id",
    &[Type::Int],
);
static OLDEST_RUNNING: Statement =
    Statement::reading("SELECT txid_snapshot_xmin(txid_current_snapshot())", &[]);
static REWRITE_TICK: Statement = Statement::changing(
    "UPDATE pgq.tick SET tick_snapshot = format('%s:%s:', $3, $3)::txid_snapshot
      WHERE tick_queue = $1 AND tick_id = $2",
    &[Type::Int, Type::Big, Type::Big],
);
static REWRITE_SWITCH: Statement = Statement::changing(
    "UPDATE pgq.queue SET queue_switch_step1 = $2, queue_switch_step2 = $3 WHERE queue_id = $1",
    &[Type::Int, Type::Big, Type::Big],
);

/// Old names and new.
struct Rebase {
    queue_id: i32,
    /// The ticks that are kept, by id, and their snapshots.
    positions: Vec<(i64, Vec<u8>)>,
    /// The new id of what every position has seen.
    base: i64,
}

impl Rebase {
    fn plan(objects: &Objects) -> Result<Rebase> {
        let queue = Value::from(objects.queue_id);
        let positions = POSITIONS
            .rows_in(View::Latest, std::slice::from_ref(&queue))
            .into_iter()
            .map(|row| match (row.big(0), row.text(1)) {
                (Some(tick), Some(snapshot)) => Ok((tick, snapshot.0.to_vec())),
                (tick, _) => Err(Error::raised(format!(
                    "tick {} does not exist, but a consumer stands at it",
                    or_null(tick)
                ))
                .hint("Put the consumer at another tick by pgq.register_consumer_at(), or unregister it.")),
            })
            .collect::<Result<Vec<_>>>()?;
        let oldest_running = OLDEST_RUNNING.rows_in(View::Latest, &[]).first().and_then(|row| row.big(0));
        let base = oldest_running.unwrap_or_default() - 1 - positions.len() as i64;
        if base < Txid::FIRST_NORMAL.to_i64() {
            return Err(Error::raised("this cluster has not had enough transactions for so many positions")
                .detail(format!("The queue's consumers stand at {} different ticks.", positions.len()))
                .hint("Call pg_current_xact_id() in that many transactions, then try again."));
        }
        Ok(Rebase { queue_id: objects.queue_id, positions, base })
    }

    /// The highest id that is given to a restored event: below that of any running transaction.
    fn last(&self) -> i64 {
        self.base + self.positions.len() as i64
    }

    /// Events that were inserted here since the restore have ids of this cluster already, that the old ticks call
    /// finished long ago. They are told by their rows: a restore writes events of many transactions in one, a writer
    /// only its own. In doubt an event counts as new, and comes once more.
    fn rewrite_events(&self, table: &[u8]) {
        let table = quoted(table);
        let sql = [
            b"UPDATE ONLY ".as_slice(),
            &table,
            b" AS e SET ev_txid = $1 + CASE
                WHEN e.ev_txid < $2 AND e.xmin IN (
                    SELECT n.xmin FROM ONLY ",
            &table,
            b" AS n GROUP BY n.xmin HAVING min(n.ev_txid) = max(n.ev_txid))
                THEN $3
                ELSE coalesce((SELECT max(p.number) FROM (",
            &self.numbered_snapshots(),
            b") AS p (number, snapshot)
                                WHERE NOT txid_visible_in_snapshot(e.ev_txid, p.snapshot)), 0)
                END",
        ]
        .concat();
        let next = xact::next_txid().to_i64();
        let newest = self.positions.len() as i64;
        spi::run_in(View::Latest, &sql, &[self.base, next, newest].map(|id| (Type::Big, id.into())));
    }

    /// `VALUES (1, 'first position'), (2, 'second'), ..`
    fn numbered_snapshots(&self) -> Vec<u8> {
        if self.positions.is_empty() {
            return b"SELECT 0, NULL::txid_snapshot".to_vec();
        }
        let row = |(index, (_, snapshot)): (usize, &(i64, Vec<u8>))| {
            format!("({}, '{}'::txid_snapshot)", index + 1, Text(snapshot))
        };
        let rows: Vec<String> = self.positions.iter().enumerate().map(row).collect();
        format!("VALUES {}", rows.join(", ")).into_bytes()
    }

    fn rewrite_ticks(&self) {
        FORGET_OTHER_TICKS.rows_in(View::Latest, &[self.queue_id.into()]);
        for (number, (tick, _)) in (1..).zip(&self.positions) {
            let bound = self.base + number;
            REWRITE_TICK.rows_in(View::Latest, &[self.queue_id.into(), (*tick).into(), bound.into()]);
        }
    }

    /// From each position both tables are read, and none may be emptied before all consumers have moved on.
    fn rewrite_switch(&self) {
        REWRITE_SWITCH.rows_in(View::Latest, &[self.queue_id.into(), self.base.into(), self.last().into()]);
    }
}
