//! Places where a test can make the server crash, as it would by itself only once in a long while.
//!
//! With the cargo feature `failpoints`, `SET pgq.failpoint = 'name'` arms a place for a session, and ALTER SYSTEM
//! with a reload for all processes there are, the ticker too. The one that comes there first is killed, and the
//! server restarts as after any crash, after which nobody is armed: processes that start with the setting are not
//! meant, else the server would crash for ever. Without the feature nothing of this exists.
#![cfg_attr(not(feature = "failpoints"), allow(dead_code, reason = "the names serve the setting"))]

/// Before the tick's row is inserted.
pub const TICK_BEFORE_INSERT: &str = "tick_before_insert";
/// After the tick's row was inserted, before the commit.
pub const TICK_AFTER_INSERT: &str = "tick_after_insert";
/// After the commit of a tick that the ticker process has made.
pub const TICK_COMMITTED: &str = "tick_committed";
/// When the ticker process is about to do the second step of a rotation: the first is committed.
pub const ROTATE_BETWEEN_STEPS: &str = "rotate_between_steps";
/// After the first step of a rotation has emptied the next table, before the commit.
pub const ROTATE_AFTER_TRUNCATE: &str = "rotate_after_truncate";
/// After `next_batch` has noted the batch, before the commit.
pub const BATCH_OPENED: &str = "batch_opened";
/// After `finish_batch` has moved the position, before the commit.
pub const BATCH_FINISHED: &str = "batch_finished";
/// After retried events were inserted, before they are taken off the retry queue.
pub const RETRY_INSERTED: &str = "retry_inserted";
/// After an event was inserted, before the commit.
pub const EVENT_INSERTED: &str = "event_inserted";

/// All places.
pub const ALL: &[&str] = &[
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
pub fn hit(place: &str) {
    armed::crash_at(place);
}

/// Nothing, in a build that people use.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_place: &str) {}

#[cfg(feature = "failpoints")]
pub use armed::define;

#[cfg(feature = "failpoints")]
mod armed {
    #![allow(unsafe_code)]

    use super::ALL;
    use crate::pg::signal;
    use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
    use pgrx::pg_sys;
    use std::ffi::{CStr, CString, c_char, c_void};
    use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

    /// The process in which the setting has changed last; in a child of that it is not the child.
    static ARMED: AtomicI32 = AtomicI32::new(0);

    static SETTING: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

    /// Makes the setting known.
    pub fn define() {
        // SAFETY: the hooks have the declared types and raise no error.
        unsafe {
            GucRegistry::define_string_guc_with_hooks(
                c"pgq.failpoint",
                c"Kills the process that comes to the place of this name.",
                c"For tests of what a crash leaves behind; only in builds with the feature failpoints.",
                &SETTING,
                GucContext::Suset,
                GucFlags::default(),
                Some(check),
                Some(assign),
                None,
            );
        }
    }

    /// A misspelled place would make a test of nothing.
    unsafe extern "C-unwind" fn check(
        value: *mut *mut c_char,
        _extra: *mut *mut c_void,
        _source: pg_sys::GucSource::Type,
    ) -> bool {
        // SAFETY: the server passes the address of the new value, which may be null.
        let value = unsafe { (!(*value).is_null()).then(|| CStr::from_ptr(*value).to_bytes()) };
        value.is_none_or(|value| value.is_empty() || ALL.iter().any(|place| place.as_bytes() == value))
    }

    unsafe extern "C-unwind" fn assign(_value: *const c_char, _extra: *mut c_void) {
        ARMED.store(signal::this_process(), Relaxed);
    }

    pub fn crash_at(place: &str) {
        let armed = ARMED.load(Relaxed) == signal::this_process();
        if armed && SETTING.get().is_some_and(|armed| armed.to_bytes() == place.as_bytes()) {
            signal::crash();
        }
    }
}
