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
