//! What makes a remembered fact stale: the end of a transaction, a rollback to a savepoint, a change of a table.
//!
//! The callbacks run inside almost any server call and at commit, where an error would take the whole cluster
//! down: they only count, in atomics. Who remembers something compares the counts at its next use.
#![allow(unsafe_code)]

use super::demand;
use pgrx::pg_sys;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

static TRANSACTION: AtomicU64 = AtomicU64::new(1);
static CHANGE: AtomicU64 = AtomicU64::new(1);

/// The relations whose changes count. More than fit here: every change of any relation counts.
static WATCHED: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];
static OVERFLOWN: AtomicBool = AtomicBool::new(false);

/// A number that is another in each transaction of this backend.
#[inline]
pub fn transaction() -> u64 {
    TRANSACTION.load(Relaxed)
}

/// A number that grows when a watched relation changed, or a savepoint was rolled back.
#[inline]
pub fn change() -> u64 {
    CHANGE.load(Relaxed)
}

/// From now on changes of this relation (its columns, indexes, triggers, storage, existence) count.
pub fn watch(relation: pg_sys::Oid) {
    let oid = relation.to_u32();
    if WATCHED.iter().any(|place| place.load(Relaxed) == oid) {
        return;
    }
    match WATCHED.iter().find(|place| place.load(Relaxed) == 0) {
        Some(place) => place.store(oid, Relaxed),
        None => OVERFLOWN.store(true, Relaxed),
    }
}

/// Tells the server whom to call. Once per backend: there is room for ten such callbacks among all extensions.
pub fn register() {
    // SAFETY: the functions have the declared types, live as long as the process, and cannot raise an error.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_transaction_end), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(on_savepoint_end), std::ptr::null_mut());
        pg_sys::CacheRegisterRelcacheCallback(Some(on_relation_change), pg_sys::Datum::null());
    }
}

unsafe extern "C-unwind" fn on_transaction_end(event: pg_sys::XactEvent::Type, _: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    match event {
        XACT_EVENT_COMMIT => demand::committed(),
        XACT_EVENT_ABORT | XACT_EVENT_PREPARE => demand::not_committed(),
        _ => return,
    }
    TRANSACTION.fetch_add(1, Relaxed);
}

unsafe extern "C-unwind" fn on_savepoint_end(
    event: pg_sys::SubXactEvent::Type,
    _: pg_sys::SubTransactionId,
    _: pg_sys::SubTransactionId,
    _: *mut std::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        CHANGE.fetch_add(1, Relaxed);
    }
}

unsafe extern "C-unwind" fn on_relation_change(_: pg_sys::Datum, relation: pg_sys::Oid) {
    let oid = relation.to_u32();
    let counts =
        oid == 0 || OVERFLOWN.load(Relaxed) || WATCHED.iter().any(|place| place.load(Relaxed) == oid);
    if counts {
        CHANGE.fetch_add(1, Relaxed);
    }
}
