//! Handing out the next batch.

use super::window::{Wishes, tick_at};
use crate::error::{Error, Result, or_null};
use crate::pg::call::Call;
use crate::pg::spi::{Row, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Timestamp, Type, Value};
use crate::pg::{demand, failpoint, xact};
use pgq_core::window::{TickPoint, lags_enough};
use pgq_core::{BatchId, Micros};
use pgrx::PgSqlErrorCode;

/// `next_batch_custom(i_queue_name, i_consumer_name, i_min_lag, i_min_count, i_min_interval)`: the open batch, or a
/// new one that is as big as wished; NULLs if there is none yet.
///
/// Finding nothing writes nothing. Looks with the transaction's own eyes, so that a client in REPEATABLE READ can
/// read the batch's events itself.
pub fn next_batch_custom(call: &Call) -> Result<Value> {
    let (queue, consumer) = (call.text(0), call.text(1));
    let min_lag = call.interval(2).map(Micros::from);
    let wishes = Wishes { min_count: call.int(3).map(i64::from), min_interval: call.interval(4) };
    loop {
        let position = Position::find(queue, consumer)?;
        if let Some((batch, end)) = position.open_batch {
            return Ok(batch_record(batch, &position.tick, &end));
        }
        let end = wishes.end_tick(position.queue_id, &position.tick);
        let Some(end) = end.filter(|end| lags_enough(end, Timestamp::now().into(), min_lag)) else {
            // Who wishes for big or old batches is in no hurry: a tick a commit would not make one sooner.
            if wishes.are_none() && min_lag.is_none() {
                demand::wait_for(position.queue_id);
            }
            return Ok(Value::Record(vec![Value::Null; 7]));
        };
        if let Some(batch) = position.open(&end) {
            let end = position.settle(end)?;
            return Ok(batch_record(batch, &position.tick, &end));
        }
        // Another session of this consumer was quicker: its batch is ours too.
    }
}

fn batch_record(batch: BatchId, start: &TickPoint, end: &TickPoint) -> Value {
    Value::Record(vec![
        batch.get().into(),
        end.id.get().into(),
        start.id.get().into(),
        Timestamp::from(end.time).into(),
        Timestamp::from(start.time).into(),
        end.event_seq.into(),
        start.event_seq.into(),
    ])
}

/// Where a consumer stands.
struct Position {
    queue_id: i32,
    consumer_id: i32,
    /// The last tick it has finished.
    tick: TickPoint,
    /// The batch it has not finished, and where that ends.
    open_batch: Option<(BatchId, TickPoint)>,
}

static FIND: Statement = Statement::reading(
    "SELECT s.sub_queue, s.sub_consumer, s.sub_batch,
            last.tick_id, last.tick_time, last.tick_event_seq,
            next.tick_id, next.tick_time, next.tick_event_seq, s.sub_last_tick
       FROM pgq.queue q
       JOIN pgq.consumer c ON c.co_name = $2
       JOIN pgq.subscription s ON s.sub_queue = q.queue_id AND s.sub_consumer = c.co_id
       LEFT JOIN pgq.tick last ON last.tick_queue = s.sub_queue AND last.tick_id = s.sub_last_tick
       LEFT JOIN pgq.tick next ON next.tick_queue = s.sub_queue AND next.tick_id = s.sub_next_tick
      WHERE q.queue_name = $1",
    &[Type::Text, Type::Text],
);

/// The condition makes sure that the batch begins where we looked, and that nobody else opens one.
static OPEN: Statement = Statement::changing(
    "UPDATE pgq.subscription
        SET sub_batch = pg_catalog.nextval('pgq.batch_id_seq'), sub_next_tick = $4, sub_active = pg_catalog.now()
      WHERE sub_queue = $1 AND sub_consumer = $2 AND sub_last_tick = $3 AND sub_batch IS NULL
  RETURNING sub_batch",
    &[Type::Int, Type::Int, Type::Big, Type::Big],
);

/// The tick itself, if it is still there, else the next one after it.
static STILL_THERE: Statement = Statement::reading(
    "SELECT t.tick_id, t.tick_time, t.tick_event_seq FROM pgq.tick t
      WHERE t.tick_queue = $1 AND t.tick_id >= $2
      ORDER BY t.tick_queue, t.tick_id LIMIT 1",
    &[Type::Int, Type::Big],
);
static SETTLE: Statement = Statement::changing(
    "UPDATE pgq.subscription SET sub_next_tick = $3 WHERE sub_queue = $1 AND sub_consumer = $2",
    &[Type::Int, Type::Int, Type::Big],
);

impl Position {
    fn find(queue: Option<Text>, consumer: Option<Text>) -> Result<Position> {
        let look = |view: View| FIND.rows_in(view, &[queue.into(), consumer.into()]).first();
        let row = look(View::Transaction).ok_or_else(|| not_subscribed(queue, consumer))?;
        if row.big(9).is_none() {
            return Err(is_idle(queue, consumer));
        }
        Position::from_row(&row).ok_or_else(|| {
            match look(View::Latest).and_then(|row| Position::from_row(&row)) {
                // Registered in this transaction, at a tick that is younger than what it sees.
                Some(_) => {
                    not_serializable("update", "The tick of the consumer's position is not visible yet.")
                }
                None => tick_is_gone(queue, consumer),
            }
        })
    }

    /// `None` if a tick that the subscription names is not there.
    fn from_row(row: &Row) -> Option<Position> {
        let open_batch = match row.big(2) {
            Some(batch) => Some((batch.into(), tick_at(row, 6)?)),
            None => None,
        };
        Some(Position { queue_id: row.int(0)?, consumer_id: row.int(1)?, tick: tick_at(row, 3)?, open_batch })
    }

    /// Opens the batch up to this tick; `None` if the position is not (or no longer) what we saw.
    ///
    /// The commit waits for the disk: who stores the batch's id with its results, to apply each batch once, must
    /// never meet that id again with other contents.
    fn open(&self, end: &TickPoint) -> Option<BatchId> {
        let (start, end) = (self.tick.id.get(), end.id.get());
        let opened =
            OPEN.rows(&[self.queue_id.into(), self.consumer_id.into(), start.into(), end.into()]).first();
        let batch = opened.and_then(|row| row.big(0))?;
        xact::force_sync_commit();
        failpoint::hit(failpoint::BATCH_OPENED);
        Some(batch.into())
    }

    /// The end of the batch just opened. A consumer that is behind may have waited for the ticker, which was forgetting
    /// ticks ahead of it, and the chosen one with them: then the batch goes on to the next one. Not where the rest of the
    /// transaction might not see that one.
    fn settle(&self, chosen: TickPoint) -> Result<TickPoint> {
        let row = STILL_THERE.rows_in(View::Latest, &[self.queue_id.into(), chosen.id.get().into()]).first();
        let end = row.and_then(|row| tick_at(&row, 0)).ok_or_else(|| {
            Error::raised("queue data is corrupt: the tick at the end of the new batch is not there")
                .detail("Its row in pgq.tick was removed by hand, and all behind it.")
        })?;
        if end.id != chosen.id {
            if xact::keeps_its_snapshot() {
                return Err(not_serializable(
                    "delete",
                    "The tick at the end of the new batch was superfluous and is forgotten.",
                ));
            }
            SETTLE
                .rows_in(View::Latest, &[self.queue_id.into(), self.consumer_id.into(), end.id.get().into()]);
        }
        Ok(end)
    }
}

fn not_serializable(what: &str, detail: &str) -> Error {
    Error::new(
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        format!("could not serialize access due to concurrent {what}"),
    )
    .detail(detail)
    .hint("The transaction might succeed if retried.")
}

fn not_subscribed(queue: Option<Text>, consumer: Option<Text>) -> Error {
    let (queue, consumer) = (or_null(queue), or_null(consumer));
    Error::raised(format!("consumer \"{consumer}\" is not subscribed to queue \"{queue}\""))
        .hint("pgq.register_consumer(queue, consumer) subscribes it, if there is such a queue.")
}

/// PgQ 3.5 calls this corruption too.
fn is_idle(queue: Option<Text>, consumer: Option<Text>) -> Error {
    let (queue, consumer) = (or_null(queue), or_null(consumer));
    Error::raised(format!(
        "queue data is corrupt: consumer \"{consumer}\" on queue \"{queue}\" has no position"
    ))
    .detail("It is an idle sub-consumer of pgq_coop, whose position is that of its main consumer.")
    .hint("pgq_coop.next_batch() opens batches of sub-consumers.")
}

fn tick_is_gone(queue: Option<Text>, consumer: Option<Text>) -> Error {
    let (queue, consumer) = (or_null(queue), or_null(consumer));
    Error::raised(format!(
        "queue data is corrupt: the tick of consumer \"{consumer}\" on queue \"{queue}\" is not there"
    ))
    .detail("Its row in pgq.tick was removed by hand.")
    .hint("pgq.register_consumer_at() puts a consumer at another tick.")
}
