//! Places where a test can make the server crash, as it would by itself only once in a long while.
//!
//! With the cargo feature `failpoints`, `SET pgq.failpoint = 'name'` arms a place for a session, and ALTER SYSTEM
//! with a reload for all processes there are, the ticker too. The one that comes there first is killed, and the
//! server restarts as after any crash, after which nobody is armed: processes that start with the setting are not
//! meant, else the server would crash for ever. Without the feature nothing of this exists.
#![cfg_attr(not(feature = "failpoints"), allow(dead_code, reason = "the names serve the setting"))]

use std::ffi::CStr;

/// Before the tick's row is inserted.
pub const TICK_BEFORE_INSERT: &CStr = c"tick_before_insert";
/// After the tick's row was inserted, before the commit.
pub const TICK_AFTER_INSERT: &CStr = c"tick_after_insert";
/// After the commit of a tick that the ticker process has made.
pub const TICK_COMMITTED: &CStr = c"tick_committed";
/// When the ticker process is about to do the second step of a rotation: the first is committed.
pub const ROTATE_BETWEEN_STEPS: &CStr = c"rotate_between_steps";
/// After the first step of a rotation has emptied the next table, before the commit.
pub const ROTATE_AFTER_TRUNCATE: &CStr = c"rotate_after_truncate";
/// After `next_batch` has noted the batch, before the commit.
pub const BATCH_OPENED: &CStr = c"batch_opened";
/// After `finish_batch` has moved the position, before the commit.
pub const BATCH_FINISHED: &CStr = c"batch_finished";
/// After retried events were inserted, before they are taken off the retry queue.
pub const RETRY_INSERTED: &CStr = c"retry_inserted";
/// After an event was inserted, before the commit.
pub const EVENT_INSERTED: &CStr = c"event_inserted";

/// All places: the values of the setting besides `none`.
pub const ALL: [&CStr; 9] = [
    TICK_BEFORE_INSERT,
    TICK_AFTER_INSERT,
    TICK_COMMITTED,
    ROTATE_BETWEEN_STEPS,
    ROTATE_AFTER_TRUNCATE,
    BATCH_OPENED,
    BATCH_FINISHED,
    RETRY_INSERTED,
    EVENT_INSERTED,
];

/// Kills this process if the place is armed.
#[cfg(feature = "failpoints")]
pub fn hit(place: &CStr) {
    armed::crash_at(place);
}

/// Nothing, in a build that people use.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_place: &CStr) {}

#[cfg(feature = "failpoints")]
pub use armed::define;

#[cfg(feature = "failpoints")]
mod armed {
    #![allow(unsafe_code)]

    use super::ALL;
    use crate::pg::signal;
    use pgrx::pg_sys;
    use std::ffi::{CStr, c_int, c_void};
    use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

    /// The setting: 0 is none, n the place ALL[n - 1].
    static PLACE: AtomicI32 = AtomicI32::new(0);

    /// The process in which the setting has changed last. A child of that starts with the setting, but unarmed.
    static ARMED: AtomicI32 = AtomicI32::new(0);

    /// Makes the setting known.
    pub fn define() {
        let entry = |(val, name): (c_int, &'static CStr)| pg_sys::config_enum_entry {
            name: name.as_ptr(),
            val,
            hidden: false,
        };
        let mut values: Vec<_> = (0..).zip([c"none"].into_iter().chain(ALL)).map(entry).collect();
        values.push(pg_sys::config_enum_entry { name: std::ptr::null(), val: 0, hidden: false });
        // SAFETY: variable, names and values live as long as the process; the hook has the declared type and raises
        // no error.
        unsafe {
            pg_sys::DefineCustomEnumVariable(
                c"pgq.failpoint".as_ptr(),
                c"Kills the first process that comes to this place.".as_ptr(),
                c"For tests of what a crash leaves behind; only in builds with the feature failpoints."
                    .as_ptr(),
                PLACE.as_ptr(),
                0,
                values.leak().as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                0,
                None,
                Some(on_assign),
                None,
            );
        }
    }

    unsafe extern "C-unwind" fn on_assign(_value: c_int, _extra: *mut c_void) {
        ARMED.store(signal::this_process(), Relaxed);
    }

    pub fn crash_at(place: &CStr) {
        let set = usize::try_from(PLACE.load(Relaxed)).ok().and_then(|place| ALL.get(place.checked_sub(1)?));
        if set == Some(&place) && ARMED.load(Relaxed) == signal::this_process() {
            signal::crash();
        }
    }
}
