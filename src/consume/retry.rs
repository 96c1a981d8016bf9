//! Putting events off.

use crate::batch::Batch;
use crate::error::{Error, Result, or_null};
use crate::pg::call::Call;
use crate::pg::sequence;
use crate::pg::spi::{self, Row, Statement};
use crate::pg::text::Text;
use crate::pg::value::{Timestamp, Type, Value};

/// What a batch shows of an event and the retry queue keeps, but for the retry count.
macro_rules! payload {
    () => {
        "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4"
    };
}

/// `$1` when, `$2` queue, `$3` owner; the events are named `event`.
const KEEP_ALL: &str = concat!(
    "INSERT INTO pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry, ",
    payload!(),
    ") SELECT $1, $2, ev_id, ev_time, $3, coalesce(ev_retry, 0) + 1, ",
    payload!(),
    " FROM event ON CONFLICT (ev_owner, ev_id) DO NOTHING RETURNING ev_id"
);

/// One event, given by its values.
macro_rules! keep_one {
    ($retry:literal, $rest:literal) => {
        Statement::changing(
            concat!(
                "INSERT INTO pgq.retry_queue (ev_queue, ev_owner, ev_id, ev_retry_after, ev_time, ev_retry, ",
                payload!(),
                ") VALUES ($1, $2, $3, $4, $5, ",
                $retry,
                ", $7, $8, $9, $10, $11, $12)",
                $rest
            ),
            &[
                Type::Int,
                Type::Int,
                Type::Big,
                Type::Time,
                Type::Time,
                Type::Int,
                Type::Text,
                Type::Text,
                Type::Text,
                Type::Text,
                Type::Text,
                Type::Text,
            ],
        )
    };
}

static KEEP_RAW: Statement = keep_one!("$6", "");
static KEEP_AGAIN: Statement =
    keep_one!("coalesce($6, 0) + 1", " ON CONFLICT (ev_owner, ev_id) DO NOTHING RETURNING ev_id");

/// `event_retry(x_batch_id, x_event_id, x_retry_time | x_retry_seconds)`: 1 when the event will come back, 0 when it
/// is waiting already.
pub fn event_retry_at(call: &Call) -> Result<Value> {
    event_retry(call.big(0), call.big(1), call.time(2))
}

/// The same in seconds from now.
pub fn event_retry_in(call: &Call) -> Result<Value> {
    event_retry(call.big(0), call.big(1), call.int(2).map(seconds_from_now))
}

fn event_retry(batch: Option<i64>, event: Option<i64>, when: Option<Timestamp>) -> Result<Value> {
    let not_found = |error: Error| Error {
        message: format!("event not found: {} in batch {}", or_null(event), or_null(batch)),
        ..error
    };
    let batch = Batch::find(batch).map_err(not_found)?;
    let event = event.map(|id| batch.event(id)).transpose()?.flatten().ok_or_else(|| {
        not_found(Error::raised("")).detail("The batch is open, but the event is not in it.")
    })?;
    // As the batch shows it: id, time, txid, retry, and the payload.
    let [id, time, _, retry, payload @ ..] = event.0.as_slice() else {
        unreachable!("an event has ten columns")
    };
    let fixed =
        [batch.queue_id.into(), batch.owner.into(), id.clone(), when.into(), time.clone(), retry.clone()];
    let kept = KEEP_AGAIN.rows(&[&fixed, payload].concat()).count();
    Ok(i32::from(kept > 0).into())
}

/// `batch_retry(i_batch_id, i_retry_seconds)`: the same for all events of the batch that are not waiting; how many.
pub fn batch_retry(call: &Call) -> Result<Value> {
    let batch = Batch::find(call.big(0))?;
    let sql = [b"WITH event AS (", batch.unordered_sql().as_slice(), b") ", KEEP_ALL.as_bytes()].concat();
    let arguments = [
        (Type::Time, call.int(1).map(seconds_from_now).into()),
        (Type::Int, batch.queue_id.into()),
        (Type::Int, batch.owner.into()),
    ];
    Ok(i32::try_from(spi::run(&sql, &arguments).count()).unwrap_or(i32::MAX).into())
}

fn seconds_from_now(seconds: i32) -> Timestamp {
    Timestamp(Timestamp::now().0.saturating_add(i64::from(seconds) * 1_000_000))
}

static SUBSCRIPTION: Statement = Statement::reading(
    "SELECT s.sub_queue, s.sub_id, q.queue_event_seq
       FROM pgq.queue q
       JOIN pgq.consumer c ON c.co_name = $2
       JOIN pgq.subscription s ON s.sub_queue = q.queue_id AND s.sub_consumer = c.co_id
      WHERE q.queue_name = $1",
    &[Type::Text, Type::Text],
);

/// `event_retry_raw(x_queue, x_consumer, x_retry_after, x_ev_id, x_ev_time, x_ev_retry, x_ev_type, x_ev_data,
/// x_ev_extra1..4)`: puts any event into the retry queue, for this consumer; its id.
pub fn event_retry_raw(call: &Call) -> Result<Value> {
    let (queue, consumer) = (call.text(0), call.text(1));
    let subscription = SUBSCRIPTION.rows(&[queue.into(), consumer.into()]).first();
    let subscription = subscription.ok_or_else(|| {
        let (queue, consumer) = (or_null(queue), or_null(consumer));
        Error::raised(format!("consumer \"{consumer}\" is not registered on queue \"{queue}\""))
            .hint("pgq.register_consumer(queue, consumer) registers it.")
    })?;
    let id = call.big(3).map_or_else(|| new_event_id(&subscription), Ok)?;
    let mut row = vec![
        subscription.int(0).into(),
        subscription.int(1).into(),
        id.into(),
        call.time(2).into(),
        call.time(4).into(),
        call.int(5).into(),
    ];
    row.extend((6..12).map(|argument| Value::from(call.text(argument))));
    KEEP_RAW.rows(&row);
    Ok(id.into())
}

fn new_event_id(subscription: &Row) -> Result<i64> {
    let name = subscription.text(2).unwrap_or(Text(b""));
    sequence::find(name).map(sequence::draw)
}
