//! Taking a tick.

use super::channel::channel;
use super::queue::Queue;
use crate::error::Result;
use crate::pg::lock::TickLock;
use crate::pg::spi::{Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Timestamp, Type, Value};
use crate::pg::{failpoint, notify, sequence, snapshot, xact};
use pgq_core::Snapshot;

static STORE: Statement = Statement::changing(
    "INSERT INTO pgq.tick (tick_queue, tick_id, tick_time, tick_snapshot, tick_event_seq)
     VALUES ($1, $2, $3, $4::pg_catalog.txid_snapshot, $5)",
    &[Type::Int, Type::Big, Type::Time, Type::Text, Type::Big],
);

/// What was taken of a queue at once: a tick, and before it perhaps some that had been missed.
pub struct Taken {
    /// The queue.
    pub queue_id: i32,
    /// Its name.
    pub queue_name: Vec<u8>,
    /// How many ticks these are.
    pub count: i64,
    /// The id of the last.
    pub id: i64,
    /// The time of the last.
    pub time: Timestamp,
    /// By how much the event sequence has grown with them.
    pub events: i64,
}

/// Stores the snapshot of this moment as a tick of the queue.
///
/// The lock keeps the order: who holds it takes id and snapshot, so a higher id never has an older snapshot, in
/// which case events would be delivered twice. `event_seq` was read before, so it counts no event that the snapshot
/// does not know: those would not make the next tick due.
///
/// The commit waits for the disk: a tick that a consumer has seen must not come back with other contents.
pub fn store(
    lock: &TickLock,
    queue: &Queue,
    id: Option<i64>,
    time: Option<Timestamp>,
    event_seq: Option<i64>,
) {
    // Before the snapshot is taken: rotation looks for the mark, not for the age of what is announced.
    lock.announce();
    let snapshot = snapshot::latest().as_seen_by_others(xact::assign_txid());
    failpoint::hit(failpoint::TICK_BEFORE_INSERT);
    insert(queue, id, time, &snapshot, event_seq);
    failpoint::hit(failpoint::TICK_AFTER_INSERT);
    xact::force_sync_commit();
}

fn insert(
    queue: &Queue,
    id: Option<i64>,
    time: Option<Timestamp>,
    snapshot: &Snapshot,
    event_seq: Option<i64>,
) {
    let row = [queue.id.into(), id.into(), time.into(), Value::from(snapshot.to_string()), event_seq.into()];
    STORE.rows_in(View::Latest, &row);
}

/// Takes the first tick of a queue that this transaction has made.
///
/// No event has been inserted, so the count starts at 0; PgQ 3.5 wrote down 1, and then missed the first event.
pub fn take_first(name: Text) -> Result<()> {
    let queue = Queue::by_name(Some(name)).expect("this transaction has made it");
    let id = sequence::draw(queue.tick_sequence()?);
    store(&TickLock::take(queue.id), &queue, Some(id), Some(Timestamp::now()), Some(0));
    Ok(())
}

impl Queue {
    /// Lets listeners know of a tick, when it is committed.
    pub fn tell(&self, tick: i64) {
        notify::notify_if_possible(&channel(Text(&self.name)), &tick.to_string());
    }

    /// Takes a tick if one is due. Where none is, it only looks.
    pub fn tick_if_due(&self) -> Result<Option<Taken>> {
        let event_seq = self.event_seq()?;
        self.check(event_seq, xact::next_txid())?;
        if !self.is_due(event_seq) {
            return Ok(None);
        }
        self.require_ticked_here()?;
        tick_by_id(self.id, |queue, event_seq| Ok(queue.is_due(event_seq)))
    }

    fn take_tick(self, lock: &TickLock, event_seq: i64) -> Result<Taken> {
        lock.announce();
        let (time, missed) = (Timestamp::now(), self.missed_ticks(event_seq)?);
        let count = 1 + missed.len() as i64;
        for (event_seq, snapshot) in missed {
            let id = sequence::draw(self.tick_sequence()?);
            insert(&self, Some(id), Some(time), &snapshot, Some(event_seq));
        }
        let id = sequence::draw(self.tick_sequence()?);
        store(lock, &self, Some(id), Some(time), Some(event_seq));
        self.tell(id);
        let events = self.growth(event_seq);
        Ok(Taken { queue_id: self.id, queue_name: self.name, count, id, time, events })
    }
}

/// Takes a tick if it is wanted, of a queue that is ticked here. What it looks at is as it is under the lock:
/// another ticker may have been there just before.
pub fn tick_by_id(
    queue_id: i32,
    is_wanted: impl FnOnce(&Queue, i64) -> Result<bool>,
) -> Result<Option<Taken>> {
    xact::require_writable(c"pgq.ticker()");
    let lock = TickLock::take(queue_id);
    let Some(queue) = Queue::by_id(queue_id).filter(|queue| queue.require_ticked_here().is_ok()) else {
        return Ok(None);
    };
    let event_seq = queue.event_seq()?;
    queue.check(event_seq, xact::next_txid())?;
    match is_wanted(&queue, event_seq)? {
        true => queue.take_tick(&lock, event_seq).map(Some),
        false => Ok(None),
    }
}
