//! What settings need beyond pgrx's registry.
#![allow(unsafe_code)]

use pgrx::pg_sys;

/// From now on a setting `pgq.something` that nobody has defined is an error. Called after the last definition.
pub fn reserve_prefix() {
    // SAFETY: the name is NUL-terminated and copied.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"pgq".as_ptr()) };
}

/// Whether the server is starting, and lets libraries add processes, memory and hooks.
pub fn is_preloading() -> bool {
    // SAFETY: reads variables of this process.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsBinaryUpgrade }
}
