//! The hot path called by who holds something with a destructor.
#![allow(unsafe_code)]

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;

/// Does work that may call the server's functions of [`raw`](super::raw): an error in one of them comes out as a panic,
/// so that what the caller holds is dropped. 9 ns. The work itself must hold nothing that needs a destructor while it
/// calls them.
#[inline]
pub fn guarded<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: errors jump to the boundary over frames without destructors, as the contract above asks.
    unsafe { pg_guard_ffi_boundary(work) }
}
