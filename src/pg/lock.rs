//! Locks on what is not a row: queues as a whole, tables, sequences.
#![allow(unsafe_code)]

use super::relation;
use super::text::Text;
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

/// Tells our lock from the ones that the server may take on the same object.
const TICK: u16 = 1;
const MODE: pg_sys::LOCKMODE = pg_sys::ExclusiveLock as pg_sys::LOCKMODE;

impl TickLock {
    /// Waits until no other ticker is at work on this queue.
    pub fn take(queue_id: i32) -> TickLock {
        let class = relation::find(Text(b"pgq.queue")).expect("pgq.queue has just been read");
        let queue = pg_sys::Oid::from(queue_id as u32);
        // SAFETY: any pair of ids may be locked; released in `drop`, or by the server when the transaction ends.
        unsafe { pg_sys::LockDatabaseObject(class, queue, TICK, MODE) };
        TickLock { class, queue }
    }
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

/// Whether no other session has written to the table in a transaction that is still open. What those that have ended
/// did is visible to the next look.
pub fn is_unwritten(table: pg_sys::Oid) -> bool {
    const MODE: pg_sys::LOCKMODE = pg_sys::ShareLock as pg_sys::LOCKMODE;
    // SAFETY: plain lock calls by OID.
    unsafe {
        let is_free = pg_sys::ConditionalLockRelationOid(table, MODE);
        if is_free {
            pg_sys::UnlockRelationOid(table, MODE);
        }
        is_free
    }
}

/// Locks all these tables for removal or none of them, so that who waits for one does not keep others out.
/// Tries again until it succeeds; a `lock_timeout` of the session ends the attempts with the server's own error.
pub fn lock_tables_exclusively(tables: &[pg_sys::Oid]) -> crate::error::Result<()> {
    const PAUSE_US: i64 = 10_000;
    const FULL: pg_sys::LOCKMODE = pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE;
    let mut waited_us = 0;
    loop {
        // SAFETY: plain lock calls by OID; locks that are kept belong to the transaction.
        unsafe {
            let taken =
                tables.iter().take_while(|table| pg_sys::ConditionalLockRelationOid(**table, FULL)).count();
            if taken == tables.len() {
                return Ok(());
            }
            tables[..taken].iter().for_each(|table| pg_sys::UnlockRelationOid(*table, FULL));
            let limit_us = i64::from(pg_sys::LockTimeout) * 1000;
            if limit_us > 0 && waited_us >= limit_us {
                return Err(crate::error::Error::new(
                    pgrx::PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
                    "canceling statement due to lock timeout",
                )
                .detail("A table of the queue is in use by another session."));
            }
            pg_sys::pg_usleep(PAUSE_US as _);
            pgrx::check_for_interrupts!();
        }
        waited_us += PAUSE_US;
    }
}
