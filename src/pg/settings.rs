//! Settings of the session that are others for a piece of work.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use std::ffi::CStr;

/// Under which what others wrote, or we without full names, means what it says.
pub const FIXED_SEARCH_PATH: (&CStr, &CStr) = (c"search_path", c"pg_catalog, pg_temp");

/// Under which names are in quotes only where they need them.
pub const PLAIN_QUOTING: (&CStr, &CStr) = (c"quote_all_identifiers", c"off");

/// Under which a backslash in a plain string constant is one.
pub const PLAIN_STRINGS: (&CStr, &CStr) = (c"standard_conforming_strings", c"on");

/// Settings that hold until this is dropped; after an error the server itself puts the former ones back.
pub struct Overrides(std::ffi::c_int);

impl Overrides {
    /// Sets them. 0.2 us each, and as much for the frame.
    pub fn begin(settings: &[(&CStr, &CStr)]) -> Overrides {
        // SAFETY: names and values are NUL-terminated and copied; the level ends in `drop`, or with the transaction.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            for (name, value) in settings {
                pg_sys::set_config_option(
                    name.as_ptr(),
                    value.as_ptr(),
                    pg_sys::GucContext::PGC_USERSET,
                    pg_sys::GucSource::PGC_S_SESSION,
                    pg_sys::GucAction::GUC_ACTION_SAVE,
                    true,
                    0,
                    false,
                );
            }
            Overrides(level)
        }
    }
}

impl Drop for Overrides {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the level is the one that `begin` has opened, or the server would have ended it.
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) };
        }
    }
}
