//! Putting a consumer at a tick of a queue.

use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::spi::{Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use pgrx::PgSqlErrorCode;

// A row that nobody has locked, changed or begun to remove. Looked at without a lock, so that asking writes nothing.
static IS_SUBSCRIBED: Statement = Statement::reading(
    "SELECT true
       FROM pgq.queue q
       JOIN pgq.consumer c ON c.co_name = $2
       JOIN pgq.subscription s ON s.sub_queue = q.queue_id AND s.sub_consumer = c.co_id
      WHERE q.queue_name = $1 AND s.xmax = 0",
    &[Type::Text, Type::Text],
);

/// Rotation locks the row for itself before it looks which ticks and tables are still needed.
static LOCK_QUEUE: Statement = Statement::changing(
    "SELECT q.queue_id FROM pgq.queue q WHERE q.queue_name = $1 FOR SHARE",
    &[Type::Text],
);

static TICK: Statement = Statement::reading(
    "SELECT t.tick_id FROM pgq.tick t WHERE t.tick_queue = $1 AND t.tick_id = $2",
    &[Type::Int, Type::Big],
);

static NEWEST_TICK: Statement = Statement::reading(
    "SELECT t.tick_id FROM pgq.tick t WHERE t.tick_queue = $1
      ORDER BY t.tick_queue DESC, t.tick_id DESC LIMIT 1",
    &[Type::Int],
);

/// The lock keeps `unregister_consumer` from removing the row before ours refers to it.
static LOCK_CONSUMER: Statement = Statement::changing(
    "SELECT c.co_id FROM pgq.consumer c WHERE c.co_name = $1 FOR KEY SHARE",
    &[Type::Text],
);

static ADD_CONSUMER: Statement = Statement::changing(
    "INSERT INTO pgq.consumer (co_name) VALUES ($1) ON CONFLICT DO NOTHING RETURNING co_id",
    &[Type::Text],
);

/// Waits for who is removing the row just now.
static LOCK_SUBSCRIPTION: Statement = Statement::changing(
    "SELECT FROM pgq.subscription s WHERE s.sub_queue = $1 AND s.sub_consumer = $2 FOR KEY SHARE",
    &[Type::Int, Type::Int],
);

static SUBSCRIBE: Statement = Statement::changing(
    "INSERT INTO pgq.subscription (sub_queue, sub_consumer, sub_last_tick) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
    &[Type::Int, Type::Int, Type::Big],
);

static MOVE: Statement = Statement::changing(
    "UPDATE pgq.subscription
        SET sub_last_tick = $3, sub_batch = NULL, sub_next_tick = NULL, sub_active = pg_catalog.now()
      WHERE sub_queue = $1 AND sub_consumer = $2",
    &[Type::Int, Type::Int, Type::Big],
);

/// `register_consumer_at(x_queue_name, x_consumer_name, x_tick_pos)`: 1 for a new subscription, 0 for one that was
/// there.
///
/// A new one begins at the given tick, else at the newest. One that was there is moved if a tick is given (a batch
/// it has open is dropped), and left alone otherwise. Who loses a race for the same subscription finds it there.
pub fn register_consumer_at(call: &Call) -> Result<Value> {
    let queue = call.text(0).ok_or_else(|| Error::no_such_queue(None::<Text>))?;
    let consumer = call
        .text(1)
        .ok_or_else(|| Error::new(PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED, "consumer name is NULL"))?;
    let wanted = call.big(2);
    if wanted.is_none() && is_subscribed(queue, consumer) {
        return Ok(0.into());
    }
    let queue_id = lock_queue(queue)?;
    let tick = starting_tick(queue, queue_id, wanted)?;
    let consumer_id = consumer_id(consumer);
    let place = [queue_id.into(), consumer_id.into(), tick.into()];
    let is_there = LOCK_SUBSCRIPTION.rows_in(View::Latest, &place[..2]).count() > 0;
    let is_new = !is_there && SUBSCRIBE.rows_in(View::Latest, &place).count() > 0;
    if !is_new && wanted.is_some() {
        MOVE.rows_in(View::Latest, &place);
    }
    Ok(i32::from(is_new).into())
}

fn is_subscribed(queue: Text, consumer: Text) -> bool {
    IS_SUBSCRIBED.rows_in(View::Latest, &[queue.into(), consumer.into()]).count() > 0
}

fn lock_queue(name: Text) -> Result<i32> {
    let row = LOCK_QUEUE.rows_in(View::Latest, &[name.into()]).first();
    row.and_then(|row| row.int(0)).ok_or_else(|| Error::no_such_queue(Some(name)))
}

/// Looked up under the queue's lock: rotation can no longer remove the tick.
fn starting_tick(queue: Text, queue_id: i32, wanted: Option<i64>) -> Result<i64> {
    let rows = match wanted {
        Some(tick) => TICK.rows_in(View::Latest, &[queue_id.into(), tick.into()]),
        None => NEWEST_TICK.rows_in(View::Latest, &[queue_id.into()]),
    };
    rows.first().and_then(|row| row.big(0)).ok_or_else(|| match wanted {
        Some(tick) => Error::raised(format!("cannot reposition, tick not found: {tick}"))
            .detail(format!("Queue \"{queue}\" has no such tick, or rotation has removed it."))
            .hint("The table pgq.tick lists the ticks that are there."),
        None => Error::raised(format!("queue \"{queue}\" has no ticks, the ticker must run first"))
            .hint("pgq.ticker() takes a first tick."),
    })
}

/// The consumer's row, made if it is not there.
fn consumer_id(name: Text) -> i32 {
    loop {
        let found = LOCK_CONSUMER.rows_in(View::Latest, &[name.into()]).first();
        let row = found.or_else(|| ADD_CONSUMER.rows_in(View::Latest, &[name.into()]).first());
        if let Some(id) = row.and_then(|row| row.int(0)) {
            return id;
        }
        // Another session has just made it: it is there at the next look.
    }
}
