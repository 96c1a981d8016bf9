//! Sequences.
#![allow(unsafe_code)]

use super::raw;
use pgrx::pg_sys;

/// The next value of a sequence, without regard to the sequence's own privileges: who may insert an event has no
/// rights on it.
#[inline]
pub fn next(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: an error jumps to the server's handler; the caller holds nothing that needs a destructor.
    unsafe { raw::nextval_internal(sequence, false) }
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
