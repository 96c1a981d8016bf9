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
    /// Takes a tick if one is due; its id.
    pub fn tick_if_due(&self) -> Result<Option<i64>> {
        self.tick_if(|queue, event_seq| Ok(queue.is_due(event_seq)))
    }

    /// The same, with an eye on events of which the sequence knows nothing.
    pub fn tick_if_due_or_late(&self) -> Result<Option<i64>> {
        self.tick_if(|queue, event_seq| {
            Ok(queue.is_due(event_seq) || queue.is_due(queue.event_seq_with_news()?))
        })
    }

    /// Takes a tick, however young the newest one is; its id.
    pub fn tick_at_once(&self) -> Result<Option<i64>> {
        self.tick_if(|_, _| Ok(true))
    }

    fn tick_if(&self, is_wanted: impl Fn(&Queue, i64) -> Result<bool>) -> Result<Option<i64>> {
        let event_seq = self.event_seq()?;
        self.check(event_seq, xact::next_txid())?;
        if !is_wanted(self, event_seq)? {
            return Ok(None);
        }
        xact::require_writable(c"pgq.ticker()");
        let lock = TickLock::take(self.id);
        // Another ticker may have been here meanwhile.
        let queue = self.again()?;
        queue.require_ticked_here()?;
        let event_seq = queue.event_seq()?;
        if !is_wanted(&queue, event_seq)? {
            return Ok(None);
        }
        lock.announce();
        for (event_seq, snapshot) in queue.missed_ticks(event_seq)? {
            let id = sequence::draw(queue.tick_sequence()?);
            insert(&queue, Some(id), Some(Timestamp::now()), &snapshot, Some(event_seq));
        }
        let id = sequence::draw(queue.tick_sequence()?);
        store(&lock, &queue, Some(id), Some(Timestamp::now()), Some(event_seq));
        notify::notify(&channel(Text(&queue.name)), &id.to_string());
        Ok(Some(id))
    }
}
