//! Sequences.
#![allow(unsafe_code)]

use super::lock::RaiseLock;
use super::text::Text;
use super::{raw, relation};
use crate::error::{Error, Result};
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{IntoDatum, PgSqlErrorCode, pg_sys};

/// The next value of a sequence, without regard to the sequence's own privileges: who may insert an event has no
/// rights on it.
#[inline]
pub fn next(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: an error jumps to the server's handler; the caller holds nothing that needs a destructor.
    unsafe { raw::nextval_internal(sequence, false) }
}

/// [`next`] for callers that hold something, and with the rights of the current user: an error runs destructors.
pub fn draw(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: the closure has nothing that needs a destructor.
    unsafe { pg_guard_ffi_boundary(|| raw::nextval_internal(sequence, true)) }
}

/// The sequence of this `schema.name`, split at the first dot; locked as `nextval` does.
pub fn find(name: Text) -> Result<pg_sys::Oid> {
    const MODE: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: a look-up by OID.
    let is_sequence =
        |oid: &pg_sys::Oid| unsafe { pg_sys::get_rel_relkind(*oid) as u8 } == pg_sys::RELKIND_SEQUENCE;
    relation::lock(name, MODE).filter(is_sequence).ok_or_else(|| {
        Error::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, format!("sequence \"{name}\" does not exist"))
    })
}

/// The value that was handed out last; `None` if there is none yet. The current user needs a right on it.
pub fn last_value(sequence: pg_sys::Oid) -> Option<i64> {
    // SAFETY: a function of the server's that takes an OID and returns a bigint or NULL.
    unsafe { pgrx::direct_function_call(pg_sys::pg_sequence_last_value, &[sequence.into_datum()]) }
}

/// Up to this many values it is cheap to draw them (0.1 us each) one by one, as any other session would.
const STEPS: i64 = 100_000;

/// Makes sure that a sequence stands at `value` or above; it is never lowered. The last value then.
///
/// `setval` is not safe beside `nextval`: what others draw between our look and our jump is handed out twice. So a
/// short way is walked. On a long one the others would have to draw more values in those microseconds than we skip.
pub fn raise(sequence: pg_sys::Oid, value: i64) -> i64 {
    move_on(sequence, |_| value)
}

/// Moves a sequence at least this far.
pub fn skip(sequence: pg_sys::Oid, count: i64) {
    move_on(sequence, |last| last.saturating_add(count));
}

fn move_on(sequence: pg_sys::Oid, target: impl Fn(i64) -> i64) -> i64 {
    if let Some(last) = last_value(sequence).filter(|last| *last >= target(*last)) {
        return last;
    }
    let _lock = RaiseLock::take(sequence);
    let last = last_value(sequence).unwrap_or(0);
    let target = target(last);
    walk(sequence, target, target.saturating_sub(last).max(1)).unwrap_or_else(|| set(sequence, target))
}

/// Draws until the value is reached, if that takes few steps.
fn walk(sequence: pg_sys::Oid, target: i64, distance: i64) -> Option<i64> {
    let steps = if distance <= STEPS { distance } else { 0 };
    (0..steps).find_map(|_| {
        pgrx::check_for_interrupts!();
        Some(draw(sequence)).filter(|drawn| *drawn >= target)
    })
}

fn set(sequence: pg_sys::Oid, value: i64) -> i64 {
    let arguments = [sequence.into_datum(), value.into_datum()];
    // SAFETY: a function of the server's that takes an OID and a bigint, which it returns.
    unsafe { pgrx::direct_function_call::<i64>(pg_sys::setval_oid, &arguments) }.unwrap_or(value)
}
