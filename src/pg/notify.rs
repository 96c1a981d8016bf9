//! NOTIFY.
#![allow(unsafe_code)]

use super::raw;
use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use std::ffi::CString;

/// The longest name of a channel, in bytes.
pub const LONGEST_CHANNEL: usize = pg_sys::NAMEDATALEN as usize - 1;

/// A listener that stays idle in a transaction lets the server's queue of notifications run full, and then the
/// *commit* of whoever notifies fails. From this share on we keep quiet.
const FULL: f64 = 0.9;

/// Tells listeners when the transaction is committed; nobody, if there is hardly any room for it.
pub fn notify_if_possible(channel: &[u8], payload: &str) {
    if usage() < FULL {
        notify(channel, payload);
    }
}

/// How full the server's queue of notifications is, from 0 to 1.
fn usage() -> f64 {
    // SAFETY: the function takes no arguments.
    unsafe { pgrx::direct_function_call(pg_sys::pg_notification_queue_usage, &[]) }.unwrap_or(0.0)
}

fn notify(channel: &[u8], payload: &str) {
    let channel = CString::new(channel).expect("a text has no zero byte");
    let payload = CString::new(payload).expect("a number has no zero byte");
    // SAFETY: both are NUL-terminated and copied; an error runs destructors.
    unsafe { pg_guard_ffi_boundary(|| raw::Async_Notify(channel.as_ptr(), payload.as_ptr())) };
}
