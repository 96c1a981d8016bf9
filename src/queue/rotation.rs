//! Switching to the next event table, in two transactions. The rules, and why, are in `pgq_core::rotation`.
//!
//! All looks are at what is committed by now, in any isolation level: an old view would empty a table that somebody
//! needs. The queue's row stays locked from the tests to the commit, and who puts a consumer at a tick takes a lock
//! on it that conflicts. Rotation itself waits for nobody, lest a session that registers a consumer and then sleeps
//! stop the maintenance of all queues: what is locked is left to the next attempt. Ticks go on meanwhile; all that
//! they lock is the row's key.

use super::objects::{numbered, quoted};
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::spi::{self, Row, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Timestamp, Type, Value};
use crate::pg::{lock, relation, snapshot, xact};
use pgq_core::{Micros, Txid, rotation};
use pgrx::PgSqlErrorCode;

/// `maint_rotate_tables_step1(i_queue_name)`: switches the queue to its next table, if that is due and nobody needs
/// what the table before the current one holds. Always 0, as in PgQ 3.5; the next maintenance tries again.
pub fn maint_rotate_tables_step1(call: &Call) -> Result<Value> {
    if let Some(name) = call.text(0)
        && Switch::look(&LOOK, name).is_some_and(|switch| switch.is_due())
        && let Some(switch) = Switch::look(&LOCK, name).filter(Switch::is_due)
    {
        switch.to_next_table()?;
    }
    Ok(Value::Int(0))
}

/// `maint_rotate_tables_step2()`: completes the switches that other transactions made. Always 0.
pub fn maint_rotate_tables_step2(_: &Call) -> Result<Value> {
    if HALF_DONE.rows_in(View::Latest, &[]).count() == 0 {
        return Ok(Value::Int(0));
    }
    let half_done = LOCK_HALF_DONE.rows_in(View::Latest, &[]);
    // The ids are asked for after the look that showed the switches: whoever gets an id from now on sees them too.
    let own = xact::assign_txid();
    let step2 = rotation::step2_value(own, xact::next_txid());
    for row in half_done {
        if row.big(1).is_some_and(|step1| rotation::may_complete(txid(step1), own)) {
            COMPLETE.rows_in(View::Latest, &[row.int(0).into(), step2.to_i64().into()]);
        }
    }
    Ok(Value::Int(0))
}

/// What a rotation that is due would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// Nothing: all tables are empty.
    Pointless,
    /// Nothing: the newest tick is older than the last one, though a tick taken now would be young enough. A queue at
    /// rest has no ticks but those that are taken for this.
    NeedsTick,
    /// Consumers may still stand in the way.
    Possible,
}

/// What the ticker's process can expect of `maint_rotate_tables_step1` for this queue.
pub fn prospect(name: Text) -> Prospect {
    let Some(switch) = Switch::look(&LOOK, name).filter(Switch::is_due) else { return Prospect::Possible };
    if switch.tables().all(|table| relation::find(Text(&table)).and_then(relation::pages) == Some(0)) {
        Prospect::Pointless
    } else if let Some(step2) = switch.step2
        && switch.newest_tick().is_some_and(|xmin| xmin <= step2)
        && snapshot::latest().xmin() > step2
    {
        Prospect::NeedsTick
    } else {
        Prospect::Possible
    }
}

/// The number of the queue, if this transaction has switched it to its next table.
pub fn switched_here(name: Text) -> Option<i32> {
    let txid = xact::txid_if_assigned()?;
    Switch::look(&LOOK, name).filter(|switch| switch.step1 == txid).map(|switch| switch.queue_id)
}

/// What maintenance has to do about rotation.
pub struct Pending {
    /// The names of the queues whose switch is due, sorted.
    pub due: Vec<Vec<u8>>,
    /// Whether some switch is half done.
    pub is_half_done: bool,
}

impl Pending {
    /// Looks at all queues.
    pub fn look() -> Pending {
        let mut pending = Pending { due: Vec::new(), is_half_done: false };
        for row in ALL.rows_in(View::Latest, &[]) {
            let switch = Switch::from_row(row);
            pending.is_half_done |= switch.step2.is_none();
            if switch.is_due() {
                pending.due.push(switch.queue_name);
            }
        }
        pending
    }
}

/// A queue's row, as far as rotation looks at it.
struct Switch {
    queue_id: i32,
    queue_name: Vec<u8>,
    table_count: i32,
    current_table: i32,
    step1: Txid,
    step2: Option<Txid>,
    time: Timestamp,
    period: Micros,
    parent: Vec<u8>,
}

macro_rules! switches {
    ($rest:literal) => {
        concat!(
            "SELECT queue_id, queue_name, queue_ntables, queue_cur_table, queue_switch_step1, queue_switch_step2,
                    queue_switch_time, queue_rotation_period, queue_data_pfx
               FROM pgq.queue ",
            $rest
        )
    };
}

static ALL: Statement = Statement::reading(switches!("ORDER BY queue_name"), &[]);
static LOOK: Statement = Statement::reading(switches!("WHERE queue_name = $1"), &[Type::Text]);
static LOCK: Statement =
    Statement::changing(switches!("WHERE queue_name = $1 FOR NO KEY UPDATE SKIP LOCKED"), &[Type::Text]);

// Where consumers stand, one of them as an example, and the tick's xmin: NULL if the tick is gone.
static POSITIONS: Statement = Statement::reading(
    "SELECT p.tick_id, p.consumer, txid_snapshot_xmin(t.tick_snapshot)
       FROM (SELECT s.sub_last_tick, min(c.co_name)
               FROM pgq.subscription s
               JOIN pgq.consumer c ON c.co_id = s.sub_consumer
              WHERE s.sub_queue = $1 AND s.sub_last_tick IS NOT NULL
              GROUP BY s.sub_last_tick) AS p (tick_id, consumer)
       LEFT JOIN pgq.tick t ON t.tick_queue = $1 AND t.tick_id = p.tick_id
      ORDER BY p.tick_id",
    &[Type::Int],
);
static NEWEST_TICK: Statement = Statement::reading(
    "SELECT txid_snapshot_xmin(tick_snapshot) FROM pgq.tick WHERE tick_queue = $1 ORDER BY tick_id DESC LIMIT 1",
    &[Type::Int],
);
static SWITCH: Statement = Statement::changing(
    "UPDATE pgq.queue
        SET queue_cur_table = $2, queue_switch_time = now(), queue_switch_step1 = $3, queue_switch_step2 = NULL
      WHERE queue_id = $1",
    &[Type::Int, Type::Int, Type::Big],
);
// `pgq_core::rotation::tick_is_unreachable`, in SQL since there may be many.
static FORGET_UNREACHABLE_TICKS: Statement = Statement::changing(
    "DELETE FROM pgq.tick WHERE tick_queue = $1 AND txid_snapshot_xmin(tick_snapshot) <= $2",
    &[Type::Int, Type::Big],
);

macro_rules! half_done {
    ($($lock:literal)?) => {
        concat!(
            "SELECT queue_id, queue_switch_step1 FROM pgq.queue WHERE queue_switch_step2 IS NULL ORDER BY queue_id",
            $($lock)?
        )
    };
}

static HALF_DONE: Statement = Statement::reading(half_done!(), &[]);
static LOCK_HALF_DONE: Statement = Statement::changing(half_done!(" FOR NO KEY UPDATE SKIP LOCKED"), &[]);
static COMPLETE: Statement = Statement::changing(
    "UPDATE pgq.queue SET queue_switch_step2 = $2 WHERE queue_id = $1",
    &[Type::Int, Type::Big],
);

impl Switch {
    fn look(statement: &Statement, name: Text) -> Option<Switch> {
        statement.rows_in(View::Latest, &[name.into()]).first().map(Switch::from_row)
    }

    fn from_row(row: Row) -> Switch {
        let text = |column| row.text(column).expect("a text column of pgq.queue is not null").0.to_vec();
        let int = |column| row.int(column).expect("an integer column of pgq.queue is not null");
        Switch {
            queue_id: int(0),
            queue_name: text(1),
            table_count: int(2),
            current_table: int(3),
            step1: txid(row.big(4).expect("queue_switch_step1 is not null")),
            step2: row.big(5).map(txid),
            time: row.time(6).expect("queue_switch_time is not null"),
            period: Micros::new(row.interval(7).expect("queue_rotation_period is not null").micros()),
            parent: text(8),
        }
    }

    fn tables(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.table_count).map(|number| numbered(&self.parent, number))
    }

    fn is_due(&self) -> bool {
        let since = Micros::new(Timestamp::now().0).since(Micros::new(self.time.0));
        rotation::is_due(self.step2, since, self.period)
    }

    /// With the row locked and the switch due.
    fn to_next_table(&self) -> Result<()> {
        self.require_sane_counter()?;
        let (Some(step2), Some(next)) =
            (self.step2, rotation::next_table(self.current_table, self.table_count))
        else {
            return Ok(());
        };
        if !rotation::previous_table_is_free(self.positions()?, self.newest_tick(), step2) {
            return Ok(());
        }
        // A tick taken long ago may still be waiting for its commit. It would outlive the ticks that are forgotten
        // here, and a consumer put at it would miss events. After the newest tick was read: a later one is young.
        if lock::has_open_tick(self.queue_id) {
            return Ok(());
        }
        if self.empty_table(next)? {
            let step1 = xact::assign_txid();
            SWITCH.rows_in(View::Latest, &[self.queue_id.into(), next.into(), step1.to_i64().into()]);
            FORGET_UNREACHABLE_TICKS.rows_in(View::Latest, &[self.queue_id.into(), step2.to_i64().into()]);
        }
        Ok(())
    }

    fn require_sane_counter(&self) -> Result<()> {
        let next = xact::next_txid();
        if !rotation::counter_went_back(self.step1, next) {
            return Ok(());
        }
        let queue = Text(&self.queue_name);
        Err(Error::raised(format!(
            "queue \"{queue}\": transaction ids went backwards since the last rotation"
        ))
        .detail(format!("The last rotation was done by transaction {}, the next id is {next}.", self.step1))
        .hint("A queue that was restored into another cluster is repaired by pgq.rebase_queue()."))
    }

    fn positions(&self) -> Result<Vec<Txid>> {
        let position = |row: Row| {
            row.big(2).map(txid).ok_or_else(|| {
                let (queue, tick) = (Text(&self.queue_name), row.big(0).unwrap_or_default());
                let consumer = row.text(1).map(|name| name.to_string()).unwrap_or_default();
                Error::raised(format!(
                    "queue \"{queue}\": tick {tick} does not exist, but consumer \"{consumer}\" stands at it"
                ))
                .detail(format!(
                    "Without it nobody knows which events the consumer still needs (queue id {}).",
                    self.queue_id
                ))
                .hint("Put the consumer at another tick by pgq.register_consumer_at(), or unregister it.")
            })
        };
        POSITIONS.rows_in(View::Latest, &[self.queue_id.into()]).into_iter().map(position).collect()
    }

    fn newest_tick(&self) -> Option<Txid> {
        NEWEST_TICK.rows_in(View::Latest, &[self.queue_id.into()]).first()?.big(0).map(txid)
    }

    /// False when somebody uses the table now (a dump, a reader): nobody waits here, and nobody has to wait for us.
    fn empty_table(&self, number: i32) -> Result<bool> {
        let table = numbered(&self.parent, number);
        let Some(oid) = relation::find(Text(&table)) else {
            let (queue, table) = (Text(&self.queue_name), Text(&table));
            return Err(Error::new(
                PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
                format!("table \"{table}\" of queue \"{queue}\" does not exist"),
            ));
        };
        if !lock::lock_exclusively_if_free(oid) {
            return Ok(false);
        }
        spi::run(&[b"TRUNCATE TABLE ONLY ", quoted(&table).as_slice()].concat(), &[]);
        Ok(true)
    }
}

fn txid(bigint: i64) -> Txid {
    Txid::new(bigint.max(0) as u64)
}
