//! Ending a subscription.

use super::is_subconsumer;
use crate::error::{Error, Result, or_null};
use crate::pg::call::Call;
use crate::pg::spi::{Row, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use crate::queue::node_served_by;
use pgrx::PgSqlErrorCode;

static IS_SUBSCRIBED: Statement = Statement::reading(
    "SELECT s.sub_consumer
       FROM pgq.queue q
       JOIN pgq.consumer c ON c.co_name = $2
       JOIN pgq.subscription s ON s.sub_queue = q.queue_id AND s.sub_consumer = c.co_id
      WHERE q.queue_name = $1",
    &[Type::Text, Type::Text],
);

/// Registration of the same consumer, on whatever queue, locks the row FOR KEY SHARE first: either it waits for us
/// and makes a new row, or we wait for it and see its subscription.
static LOCK_CONSUMER: Statement =
    Statement::changing("SELECT c.co_id FROM pgq.consumer c WHERE c.co_id = $1 FOR UPDATE", &[Type::Int]);

static FIND: Statement = Statement::reading(
    concat!(
        "SELECT s.sub_queue, s.sub_id, s.sub_consumer, ",
        is_subconsumer!(),
        " FROM pgq.queue q
          JOIN pgq.subscription s ON s.sub_queue = q.queue_id AND s.sub_consumer = $2
         WHERE q.queue_name = $1"
    ),
    &[Type::Text, Type::Int],
);

static END_ONE: Statement = Statement::changing(
    "DELETE FROM pgq.subscription WHERE sub_queue = $1 AND sub_id = $2 AND sub_consumer = $3
  RETURNING sub_consumer",
    &[Type::Int, Type::Int, Type::Int],
);

static END_ALL: Statement = Statement::changing(
    "DELETE FROM pgq.subscription WHERE sub_queue = $1 AND sub_id = $2 RETURNING sub_consumer",
    &[Type::Int, Type::Int],
);

static FORGET_RETRIES: Statement =
    Statement::changing("DELETE FROM pgq.retry_queue WHERE ev_owner = $1", &[Type::Int]);

static REMOVE_CONSUMER: Statement = Statement::changing(
    "DELETE FROM pgq.consumer c
      WHERE c.co_id = $1 AND NOT EXISTS (SELECT FROM pgq.subscription s WHERE s.sub_consumer = c.co_id)",
    &[Type::Int],
);

/// `unregister_consumer(x_queue_name, x_consumer_name)`: the number of subscriptions that ended; 0 if there was none.
///
/// A main consumer takes its sub-consumers and its retry events with it; a sub-consumer goes alone, the others may
/// get the events that wait.
pub fn unregister_consumer(call: &Call) -> Result<Value> {
    let (queue, consumer) = (Value::from(call.text(0)), Value::from(call.text(1)));
    let subscribed = IS_SUBSCRIBED.rows_in(View::Latest, &[queue.clone(), consumer]).first();
    let Some(consumer_id) = subscribed.and_then(|row| row.int(0)) else {
        return Ok(0.into());
    };
    LOCK_CONSUMER.rows_in(View::Latest, &[consumer_id.into()]);
    let Some(found) = FIND.rows_in(View::Latest, &[queue, consumer_id.into()]).first() else {
        return Ok(0.into());
    };
    let node = found.int(0).and_then(|queue_id| node_served_by(queue_id, consumer_id));
    match node {
        Some(node) => Err(serves_node(call, &node)),
        None => Ok(end(&found).into()),
    }
}

/// In PgQ 3.5 the foreign key to the consumer's row refuses it.
fn serves_node(call: &Call, node: &[u8]) -> Error {
    let (queue, consumer, node) = (or_null(call.text(0)), or_null(call.text(1)), Text(node));
    Error::new(
        PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
        format!("consumer \"{consumer}\" of queue \"{queue}\" serves node \"{node}\""),
    )
    .detail("It keeps what that node or others still need.")
    .hint(
        "pgq_node.unregister_subscriber() ends the subscription of a node, pgq_node.drop_node() removes one.",
    )
}

fn end(subscription: &Row) -> i32 {
    let value = |column: usize| Value::from(subscription.int(column));
    let (queue_id, owner, consumer_id) = (value(0), value(1), value(2));
    let is_subconsumer = subscription.flag(3);
    let ended = if is_subconsumer {
        END_ONE.rows_in(View::Latest, &[queue_id, owner, consumer_id])
    } else {
        FORGET_RETRIES.rows_in(View::Latest, std::slice::from_ref(&owner));
        END_ALL.rows_in(View::Latest, &[queue_id, owner])
    };
    let count = ended.count();
    for consumer in ended {
        REMOVE_CONSUMER.rows_in(View::Latest, &[consumer.int(0).into()]);
    }
    i32::try_from(count).unwrap_or(i32::MAX)
}
