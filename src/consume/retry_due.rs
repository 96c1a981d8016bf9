//! Moving events whose time has come from the retry queue back into their queues.

use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::failpoint;
use crate::pg::session;
use crate::pg::spi::{Row, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use crate::pg::xact;

/// How many events one call moves: one transaction, so that it stays short.
const AT_MOST: usize = 10;

static LOCK: Statement =
    Statement::changing("LOCK TABLE pgq.retry_queue IN SHARE UPDATE EXCLUSIVE MODE", &[]);

/// A copied queue takes what comes back to one of its own consumers, though it is closed to everything new.
/// `$1` whether disabled queues take events from us, `$2` the queues to leave alone, `$3` how many events.
static DUE: Statement = Statement::reading(
    "SELECT r.ev_queue, r.ev_owner, r.ev_id, q.queue_name
       FROM pgq.retry_queue r
       JOIN pgq.queue q ON q.queue_id = r.ev_queue
      WHERE r.ev_retry_after <= pg_catalog.now()
        AND ($1 OR NOT q.queue_disable_insert OR q.queue_external_ticker)
        AND r.ev_queue <> ALL ($2::pg_catalog.int4[])
      ORDER BY r.ev_retry_after
      LIMIT $3",
    &[Type::Bool, Type::Text, Type::Big],
);

/// By the SQL function: it checks the caller's rights, and an administrator's replacement of it is respected.
static INSERT: Statement = Statement::changing(
    "SELECT pgq.insert_event_raw(q.queue_name, r.ev_id, r.ev_time, r.ev_owner, r.ev_retry, r.ev_type, r.ev_data,
                                 r.ev_extra1, r.ev_extra2, r.ev_extra3, r.ev_extra4)
       FROM pgq.retry_queue r
       JOIN pgq.queue q ON q.queue_id = r.ev_queue
      WHERE r.ev_owner = $1 AND r.ev_id = $2",
    &[Type::Int, Type::Big],
);

static DELETE: Statement = Statement::changing(
    "DELETE FROM pgq.retry_queue WHERE ev_owner = $1 AND ev_id = $2",
    &[Type::Int, Type::Big],
);

static POSTPONE: Statement = Statement::changing(
    "UPDATE pgq.retry_queue SET ev_retry_after = pg_catalog.now() + '1 minute'::pg_catalog.interval
      WHERE ev_owner = $1 AND ev_id = $2",
    &[Type::Int, Type::Big],
);

/// `maint_retry_events()`: moves up to ten events, the oldest first; how many. Callers repeat until it is 0.
///
/// Events of disabled queues wait. An event that cannot be inserted does not stop those of other queues: it is
/// reported and put off by a minute, and its queue is left alone for the rest of the call. If the queue took other
/// events in this call (its limit per transaction is reached, say) the event is simply tried first by the next one.
pub fn maint_retry_events(_: &Call) -> Result<Value> {
    let mut mover = Mover { moved: Vec::new(), refusing: Vec::new() };
    if !mover.due().is_empty() {
        // One mover at a time; who puts events off is not in its way.
        LOCK.rows_in(View::Latest, &[]);
        while mover.moved.len() < AT_MOST && mover.move_some() {}
    }
    Ok((mover.moved.len() as i32).into())
}

struct Mover {
    /// The queue of each event moved.
    moved: Vec<i32>,
    /// The queues that took no more.
    refusing: Vec<i32>,
}

/// An event in the retry queue.
struct Waiting {
    queue_id: i32,
    queue_name: Vec<u8>,
    key: [Value; 2],
}

impl From<Row> for Waiting {
    fn from(row: Row) -> Waiting {
        Waiting {
            queue_id: row.int(0).expect("ev_queue is NOT NULL"),
            key: [row.int(1).into(), row.big(2).into()],
            queue_name: row.text(3).expect("queue_name is NOT NULL").0.to_vec(),
        }
    }
}

impl Mover {
    fn due(&self) -> Vec<Waiting> {
        let refusing: Vec<String> = self.refusing.iter().map(ToString::to_string).collect();
        let refusing = format!("{{{}}}", refusing.join(","));
        let missing = (AT_MOST - self.moved.len()) as i64;
        let arguments = [session::is_replica().into(), refusing.into(), missing.into()];
        DUE.rows_in(View::Latest, &arguments).into_iter().map(Waiting::from).collect()
    }

    /// Moves what is due; whether another look may find more, because some queues refused theirs.
    fn move_some(&mut self) -> bool {
        let refusing_before = self.refusing.len();
        for event in self.due() {
            if self.refusing.contains(&event.queue_id) {
                continue;
            }
            match xact::isolated(|| event.insert()) {
                Ok(()) => self.moved.push(event.queue_id),
                Err(error) => self.refused(&event, error),
            }
        }
        self.refusing.len() > refusing_before
    }

    fn refused(&mut self, event: &Waiting, error: Error) {
        if !self.moved.contains(&event.queue_id) {
            let ([_, id], queue) = (&event.key, Text(&event.queue_name));
            let message =
                format!("event {id} could not be put back into queue \"{queue}\": {}", error.message);
            Error { message, ..error }.hint("It will be tried again in a minute.").warn();
            POSTPONE.rows_in(View::Latest, &event.key);
        }
        self.refusing.push(event.queue_id);
    }
}

impl Waiting {
    fn insert(&self) -> Result<()> {
        INSERT.rows_in(View::Latest, &self.key);
        failpoint::hit(failpoint::RETRY_INSERTED);
        DELETE.rows_in(View::Latest, &self.key);
        Ok(())
    }
}
