//! Locks on what is not a row: queues as a whole, tables, sequences.
#![allow(unsafe_code)]

use super::text::Text;
use super::{raw, relation};
use pgrx::pg_sys;

/// The right to tick a queue, held by at most one transaction.
///
/// It is a lock on the object (`pgq.queue`, queue id): no SQL user can take it by hand, as an advisory lock could
/// be. It is given back before the transaction ends, so a forgotten open transaction that ticked does not stop
/// the ticker; the order that matters (a higher tick id never has an older snapshot) is settled under the lock.
pub struct TickLock {
    class: pg_sys::Oid,
    queue: pg_sys::Oid,
}

/// Tell our locks from each other, and from those that the server may take on the same object.
const TICK: u16 = 1;
const OPEN_TICK: u16 = 2;
const NAME: u16 = 3;
const MODE: pg_sys::LOCKMODE = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;

impl TickLock {
    /// Waits until no other ticker is at work on this queue.
    pub fn take(queue_id: i32) -> TickLock {
        let class = queues();
        let queue = pg_sys::Oid::from(queue_id as u32);
        // SAFETY: any pair of ids may be locked; released in `drop`, or by the server when the transaction ends.
        unsafe { pg_sys::LockDatabaseObject(class, queue, TICK, MODE) };
        TickLock { class, queue }
    }

    /// Lets others know, until the transaction ends, that it has taken a tick which they do not see yet.
    pub fn announce(&self) {
        const SHARED: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
        // SAFETY: any pair of ids may be locked; the mode keeps nobody out who announces too.
        unsafe { pg_sys::LockDatabaseObject(self.class, self.queue, OPEN_TICK, SHARED) };
    }
}

/// Locks a name to the end of the transaction: those who lock the same one wait for each other, and so does, once in four
/// billion, who locks another one.
pub fn lock_name(name: Text) {
    // SAFETY: the bytes are as many as told.
    let hash = unsafe { raw::hash_bytes_extended(name.0.as_ptr(), name.0.len() as i32, 0) };
    // SAFETY: any pair of ids may be locked.
    unsafe { pg_sys::LockDatabaseObject(queues(), pg_sys::Oid::from(hash as u32), NAME, MODE) };
}

/// Locks a table to the end of the transaction.
pub fn lock_table(table: pg_sys::Oid, mode: u32) {
    // SAFETY: any OID may be locked.
    unsafe { pg_sys::LockRelationOid(table, mode as pg_sys::LOCKMODE) };
}

/// Whether another transaction that is still open has taken a tick of the queue. What those that have ended took is
/// visible to the next look.
pub fn has_open_tick(queue_id: i32) -> bool {
    const AGAINST: pg_sys::LOCKMODE = pg_sys::ShareLock as pg_sys::LOCKMODE;
    let (class, queue) = (queues(), pg_sys::Oid::from(queue_id as u32));
    // SAFETY: any pair of ids may be locked, and what was got is given back.
    unsafe {
        let has_none = pg_sys::ConditionalLockDatabaseObject(class, queue, OPEN_TICK, AGAINST);
        if has_none {
            pg_sys::UnlockDatabaseObject(class, queue, OPEN_TICK, AGAINST);
        }
        !has_none
    }
}

fn queues() -> pg_sys::Oid {
    relation::find(Text(b"pgq.queue")).expect("pgq.queue has just been read")
}

impl Drop for TickLock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: `take` has locked exactly this. While unwinding the abort releases it.
            unsafe { pg_sys::UnlockDatabaseObject(self.class, self.queue, TICK, MODE) };
        }
    }
}

/// The right to raise a sequence by `setval`, held by one session at a time.
///
/// It keeps two who raise at once from lowering each other's value. It does not wait for those who merely use the
/// sequence, because they keep their lock to the end of their transaction: an idle one would stop a replica's ticks.
/// It is given back at once, as what a sequence says is not a matter of transactions.
pub struct RaiseLock(pg_sys::Oid);

const RAISE: pg_sys::LOCKMODE = pg_sys::ShareUpdateExclusiveLock as pg_sys::LOCKMODE;

impl RaiseLock {
    /// Waits until nobody else raises the sequence.
    pub fn take(sequence: pg_sys::Oid) -> RaiseLock {
        // SAFETY: a plain lock call by OID; released in `drop`, or by the server when the transaction ends.
        unsafe { pg_sys::LockRelationOid(sequence, RAISE) };
        RaiseLock(sequence)
    }
}

impl Drop for RaiseLock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: `take` has locked exactly this. While unwinding the abort releases it.
            unsafe { pg_sys::UnlockRelationOid(self.0, RAISE) };
        }
    }
}

/// Locks a table against everybody if nobody uses it now.
pub fn lock_exclusively_if_free(table: pg_sys::Oid) -> bool {
    // SAFETY: a plain lock call by OID; a lock that is got belongs to the transaction.
    unsafe { pg_sys::ConditionalLockRelationOid(table, pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE) }
}

/// Locks all these tables for removal or none of them, so that who waits for one does not keep others out.
///
/// It waits for the transactions that use a table, not in the queue for the table, behind which new writers would
/// queue up. The server finds deadlocks and obeys `lock_timeout` in that as in any wait. Under a load that never
/// leaves a table alone it queues up after all.
pub fn lock_tables_exclusively(tables: &[pg_sys::Oid]) {
    const FULL: pg_sys::LOCKMODE = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
    const PATIENCE: u32 = 20;
    for attempt in 0.. {
        // SAFETY: plain lock calls by OID; locks that are kept belong to the transaction.
        unsafe {
            let taken =
                tables.iter().take_while(|table| pg_sys::ConditionalLockRelationOid(**table, FULL)).count();
            let Some(busy) = tables.get(taken) else { return };
            tables[..taken].iter().for_each(|table| pg_sys::UnlockRelationOid(*table, FULL));
            if attempt < PATIENCE {
                pg_sys::WaitForLockers(tag_of(*busy), FULL, false);
            } else {
                pg_sys::LockRelationOid(*busy, FULL);
            }
        }
        pgrx::check_for_interrupts!();
    }
}

/// A table of this database, as the lock manager names it.
fn tag_of(table: pg_sys::Oid) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        // SAFETY: set before a session's first statement.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: table.to_u32(),
        locktag_field3: 0,
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_RELATION as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    }
}
