//! What makes a remembered fact stale: the end of a transaction, a rollback to a savepoint, a change of a table or of
//! another object.
//!
//! The callbacks run inside almost any server call and at commit, where an error would take the whole cluster
//! down: they only count, in atomics. Who remembers something compares the counts at its next use.
#![allow(unsafe_code)]

use super::demand;
use pgrx::pg_sys;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static TRANSACTION: AtomicU64 = AtomicU64::new(1);
static CHANGE: AtomicU64 = AtomicU64::new(1);
static ROUTINES: AtomicU64 = AtomicU64::new(1);
static SCHEMAS: AtomicU64 = AtomicU64::new(1);

/// What is known of the relations whose OIDs fall into a place: two that share one cost a look too many.
struct Place {
    changes: AtomicU64,
    is_watched: AtomicBool,
}

static PLACES: [Place; 1024] =
    [const { Place { changes: AtomicU64::new(0), is_watched: AtomicBool::new(false) } }; 1024];
/// Changes that may have been of any relation.
static OF_ALL: AtomicU64 = AtomicU64::new(1);

fn place(relation: pg_sys::Oid) -> &'static Place {
    &PLACES[relation.to_u32() as usize % PLACES.len()]
}

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

/// From now on changes of this relation (its columns, indexes, triggers, storage, existence) count in [`change`].
pub fn watch(relation: pg_sys::Oid) {
    place(relation).is_watched.store(true, Relaxed);
}

/// A number that grows when this relation changed.
#[inline]
pub fn changes_of(relation: pg_sys::Oid) -> u64 {
    OF_ALL.load(Relaxed) + place(relation).changes.load(Relaxed)
}

/// A number that grows when a function, or what somebody may do with one, changed: also roles and schemas count.
#[inline]
pub fn routines() -> u64 {
    ROUTINES.load(Relaxed)
}

/// A number that grows when a schema changed.
#[inline]
pub fn schemas() -> u64 {
    SCHEMAS.load(Relaxed)
}

/// Tells the server whom to call. Once per backend: there is room for ten such callbacks among all extensions.
pub fn register() {
    // SAFETY: the functions have the declared types, live as long as the process, and cannot raise an error.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_transaction_end), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(on_savepoint_end), std::ptr::null_mut());
        pg_sys::CacheRegisterRelcacheCallback(Some(on_relation_change), pg_sys::Datum::null());
        use pg_sys::SysCacheIdentifier::{AUTHMEMROLEMEM, AUTHOID, NAMESPACEOID, PROCOID};
        for cache in [PROCOID, NAMESPACEOID, AUTHOID, AUTHMEMROLEMEM] {
            pg_sys::CacheRegisterSyscacheCallback(
                cache as i32,
                Some(on_catalog_change),
                pg_sys::Datum::null(),
            );
        }
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
    let is_any = relation == pg_sys::InvalidOid;
    if is_any {
        OF_ALL.fetch_add(1, Relaxed);
    } else {
        place(relation).changes.fetch_add(1, Relaxed);
    }
    if is_any || place(relation).is_watched.load(Relaxed) {
        CHANGE.fetch_add(1, Relaxed);
    }
}

unsafe extern "C-unwind" fn on_catalog_change(_: pg_sys::Datum, cache: i32, _hash: u32) {
    ROUTINES.fetch_add(1, Relaxed);
    if cache == pg_sys::SysCacheIdentifier::NAMESPACEOID as i32 {
        SCHEMAS.fetch_add(1, Relaxed);
    }
}
