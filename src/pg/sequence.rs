//! Sequences.
#![allow(unsafe_code)]

use super::text::Text;
use super::{raw, relation};
use crate::error::{Error, Result};
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{PgSqlErrorCode, pg_sys};

/// The next value of a sequence, without regard to the sequence's own privileges: who may insert an event has no
/// rights on it.
#[inline]
pub fn next(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: an error jumps to the server's handler; the caller holds nothing that needs a destructor.
    unsafe { raw::nextval_internal(sequence, false) }
}

/// [`next`] for callers that hold something: an error runs destructors.
pub fn draw(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: the closure has nothing that needs a destructor.
    unsafe { pg_guard_ffi_boundary(|| raw::nextval_internal(sequence, false)) }
}

/// The sequence of this `schema.name`, split at the first dot.
pub fn find(name: Text) -> Result<pg_sys::Oid> {
    // SAFETY: a look-up by OID.
    let is_sequence =
        |oid: &pg_sys::Oid| unsafe { pg_sys::get_rel_relkind(*oid) as u8 } == pg_sys::RELKIND_SEQUENCE;
    relation::find(name).filter(is_sequence).ok_or_else(|| {
        Error::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, format!("sequence {name} does not exist"))
    })
}

/// The value that was handed out last; `None` if there is none yet. The current user needs a right on it.
pub fn last_value(sequence: pg_sys::Oid) -> Option<i64> {
    use pgrx::IntoDatum;
    // SAFETY: a function of the server's that takes an OID and returns a bigint or NULL.
    unsafe { pgrx::direct_function_call(pg_sys::pg_sequence_last_value, &[sequence.into_datum()]) }
}

/// Up to this many values it is cheap to draw them (0.1 us each) one by one, as any other session would.
const STEPS: i64 = 100_000;

/// Moves a sequence at least this far.
///
/// `setval` is not safe beside `nextval`: what others draw between our look and our jump is handed out twice. So a
/// short way is walked. On a long one the others would have to draw more values in those microseconds than we skip.
pub fn skip(sequence: pg_sys::Oid, count: i64) {
    if count <= STEPS {
        walk(sequence, count, i64::MAX);
    } else {
        set(sequence, last_value(sequence).unwrap_or(0).saturating_add(count));
    }
}

/// Makes sure that a sequence stands at `value` or above; it is never lowered.
///
/// A short way is walked, as in [`skip`]. For a long one all who draw are kept out, which waits for the end of the
/// transactions that have drawn from it.
pub fn raise(sequence: pg_sys::Oid, value: i64) {
    const MODE: pg_sys::LOCKMODE = pg_sys::ShareRowExclusiveLock as pg_sys::LOCKMODE;
    let missing = |last: Option<i64>| value.saturating_sub(last.unwrap_or(0));
    let distance = missing(last_value(sequence));
    if distance <= STEPS {
        return walk(sequence, distance, value);
    }
    // SAFETY: plain lock calls by OID; after an error the lock goes with the transaction.
    unsafe { pg_sys::LockRelationOid(sequence, MODE) };
    if missing(last_value(sequence)) > 0 {
        set(sequence, value);
    }
    // SAFETY: locked above.
    unsafe { pg_sys::UnlockRelationOid(sequence, MODE) };
}

fn walk(sequence: pg_sys::Oid, steps: i64, until: i64) {
    for _ in 0..steps {
        if draw(sequence) >= until {
            break;
        }
        pgrx::check_for_interrupts!();
    }
}

fn set(sequence: pg_sys::Oid, value: i64) {
    use pgrx::IntoDatum;
    let arguments = [sequence.into_datum(), value.into_datum()];
    // SAFETY: a function of the server's that takes an OID and a bigint.
    unsafe { pgrx::direct_function_call::<i64>(pg_sys::setval_oid, &arguments) };
}
