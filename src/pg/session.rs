//! What a backend remembers from one call to the next.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use std::cell::UnsafeCell;

/// A value of this backend. A `RefCell` will not do: a server error may jump over the frame that borrowed it, and
/// it would stay borrowed for the rest of the session.
pub struct Session<T>(UnsafeCell<T>);

// SAFETY: a backend runs SQL in one thread only.
unsafe impl<T> Sync for Session<T> {}

impl<T> Session<T> {
    /// A value that starts as given.
    pub const fn new(value: T) -> Self {
        Session(UnsafeCell::new(value))
    }

    /// Works on the value. The work must not run SQL or anything else that may come back here.
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: one thread, and not entered twice, as the contract above asks.
        work(unsafe { &mut *self.0.get() })
    }
}

/// Whether this session wants no triggers of replication to do anything (`session_replication_role = local`).
pub fn is_local() -> bool {
    // SAFETY: reads the C variable of a setting.
    unsafe { pg_sys::SessionReplicationRole == pg_sys::SESSION_REPLICATION_ROLE_LOCAL as i32 }
}

/// The user whose rights count now.
pub fn user() -> pg_sys::Oid {
    // SAFETY: reads a variable of the session.
    unsafe { pg_sys::GetUserId() }
}

/// Whether this session applies changes that were captured elsewhere (`session_replication_role = replica`).
pub fn is_replica() -> bool {
    // SAFETY: reads the C variable of a setting.
    unsafe { pg_sys::SessionReplicationRole == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as i32 }
}
