//! CREATE EXTENSION, however it comes about (by CASCADE, too): the launcher is told when it is committed.
//!
//! Without this a database that had been looked into before would wait for the next look.
#![allow(unsafe_code)]

use super::seat;
use super::session::Session;
use pgrx::pg_sys;
use pgrx::pg_sys::Oid;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static NEXT: Session<pg_sys::object_access_hook_type> = Session::new(None);

/// Whether this transaction has made an extension, whichever: it happens rarely enough.
static MADE: AtomicBool = AtomicBool::new(false);

/// Puts us among those who hear of new objects. Only while libraries are being preloaded.
pub fn watch() {
    // SAFETY: the hook is chained as the server's documentation asks; the functions have the declared types, and
    // cannot raise an error by themselves.
    unsafe {
        NEXT.with(|next| *next = pg_sys::object_access_hook);
        pg_sys::object_access_hook = Some(on_access);
        pg_sys::RegisterXactCallback(Some(on_transaction_end), std::ptr::null_mut());
    }
}

unsafe extern "C-unwind" fn on_access(
    access: pg_sys::ObjectAccessType::Type,
    class: Oid,
    object: Oid,
    part: c_int,
    argument: *mut c_void,
) {
    if access == pg_sys::ObjectAccessType::OAT_POST_CREATE && class == pg_sys::ExtensionRelationId {
        MADE.store(true, Relaxed);
    }
    if let Some(next) = NEXT.with(|next| *next) {
        // SAFETY: handed on as it came; an error in it jumps over this frame, in which nothing needs a destructor.
        unsafe { next(access, class, object, part, argument) };
    }
}

unsafe extern "C-unwind" fn on_transaction_end(event: pg_sys::XactEvent::Type, _: *mut c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    if !matches!(event, XACT_EVENT_COMMIT | XACT_EVENT_ABORT | XACT_EVENT_PREPARE) {
        return;
    }
    if MADE.swap(false, Relaxed) && event == XACT_EVENT_COMMIT {
        // SAFETY: reads a variable of this process.
        seat::announce(unsafe { pg_sys::MyDatabaseId });
    }
}
