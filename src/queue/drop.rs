//! Removing a queue.

use super::cascade;
use super::objects::{Objects, quoted_list};
use crate::error::{Error, Result, or_null};
use crate::pg::call::Call;
use crate::pg::spi::{self, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use crate::pg::{demand, lock, relation};

/// `drop_queue(x_queue_name, x_force)`: removes a queue with its events; with `x_force` its consumers' registrations too.
pub fn drop_queue(call: &Call) -> Result<Value> {
    let name = call.text(0);
    let is_forced = call.flag(1).unwrap_or(false);
    let objects = Objects::lock(name).ok_or_else(|| Error::no_such_queue(name))?;
    if !is_forced {
        refuse_if_read(&objects, name)?;
    }
    let tables = Tables::lock(&objects);
    // Now against ticks as well: one that came after the ticks are forgotten would hold the row.
    KEEP_TICKS_AWAY.rows_in(View::Latest, &[objects.queue_id.into()]);
    cascade::forget_node(objects.queue_id);
    forget_consumers(&objects);
    tables.drop();
    drop_sequences(&objects);
    for statement in [&FORGET_TICKS, &FORGET_QUEUE] {
        statement.rows_in(View::Latest, &[objects.queue_id.into()]);
    }
    // Its statistics go at the next look.
    demand::touch(objects.queue_id);
    Ok(Value::Int(1))
}

static KEEP_TICKS_AWAY: Statement =
    Statement::changing("SELECT FROM pgq.queue WHERE queue_id = $1 FOR UPDATE", &[Type::Int]);

static CONSUMERS: Statement = Statement::reading(
    "SELECT string_agg(quote_ident(c.co_name), ', ' ORDER BY c.co_name)
       FROM pgq.subscription s
       JOIN pgq.consumer c ON c.co_id = s.sub_consumer
      WHERE s.sub_queue = $1",
    &[Type::Int],
);

fn refuse_if_read(objects: &Objects, name: Option<Text>) -> Result<()> {
    let attached = CONSUMERS.rows_in(View::Latest, &[objects.queue_id.into()]).first();
    match attached.as_ref().and_then(|row| row.text(0)) {
        None => Ok(()),
        Some(consumers) => {
            Err(Error::raised(format!("cannot drop queue \"{}\", consumers still attached", or_null(name)))
                .detail(format!("Attached: {consumers}."))
                .hint("Unregister them, or call pgq.drop_queue(queue, true) to have it done."))
        }
    }
}

/// The queue's tables that are there (a broken queue must be removable too), locked.
///
/// They are locked before the registrations are touched: a consumer at work has a table locked first and its
/// registration last, when it finishes.
struct Tables(Vec<Vec<u8>>);

impl Tables {
    fn lock(objects: &Objects) -> Tables {
        let names = objects.event_tables().chain(std::iter::once(objects.parent.clone()));
        let (names, oids): (Vec<_>, Vec<_>) =
            names.filter_map(|name| relation::find(Text(&name)).map(|oid| (name, oid))).unzip();
        lock::lock_tables_exclusively(&oids);
        Tables(names)
    }

    fn drop(self) {
        if !self.0.is_empty() {
            spi::run(&[b"DROP TABLE ", quoted_list(self.0).as_slice()].concat(), &[]);
        }
    }
}

fn drop_sequences(objects: &Objects) {
    let names = [&objects.event_sequence, &objects.tick_sequence].map(Clone::clone);
    let present: Vec<_> = names.into_iter().filter(|name| relation::find(Text(name)).is_some()).collect();
    if !present.is_empty() {
        spi::run(&[b"DROP SEQUENCE ", quoted_list(present).as_slice()].concat(), &[]);
    }
}

// A consumer that is being registered on another queue holds a key-share lock on its row: waiting for that first
// makes the look for other registrations below see the new one.
static LOCK_CONSUMERS: Statement = Statement::changing(
    "SELECT co_id FROM pgq.consumer
      WHERE co_id IN (SELECT sub_consumer FROM pgq.subscription WHERE sub_queue = $1)
      ORDER BY co_id FOR UPDATE",
    &[Type::Int],
);
static FORGET_RETRIES: Statement =
    Statement::changing("DELETE FROM pgq.retry_queue WHERE ev_queue = $1", &[Type::Int]);
static FORGET_SUBSCRIPTIONS: Statement = Statement::changing(
    "DELETE FROM pgq.subscription WHERE sub_queue = $1 RETURNING sub_consumer",
    &[Type::Int],
);
static FORGET_CONSUMER: Statement = Statement::changing(
    "DELETE FROM pgq.consumer
      WHERE co_id = $1 AND NOT EXISTS (SELECT FROM pgq.subscription WHERE sub_consumer = $1)",
    &[Type::Int],
);
static FORGET_TICKS: Statement =
    Statement::changing("DELETE FROM pgq.tick WHERE tick_queue = $1", &[Type::Int]);
static FORGET_QUEUE: Statement =
    Statement::changing("DELETE FROM pgq.queue WHERE queue_id = $1", &[Type::Int]);

fn forget_consumers(objects: &Objects) {
    let queue = Value::from(objects.queue_id);
    LOCK_CONSUMERS.rows_in(View::Latest, std::slice::from_ref(&queue));
    FORGET_RETRIES.rows_in(View::Latest, std::slice::from_ref(&queue));
    for row in FORGET_SUBSCRIPTIONS.rows_in(View::Latest, &[queue]) {
        FORGET_CONSUMER.rows_in(View::Latest, &[row.int(0).into()]);
    }
}
