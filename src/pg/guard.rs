//! Server errors that pass through our frames as they are.
//!
//! pgrx makes a server error a panic, and the panic a new error at the edge. What it copies is the SQLSTATE (if it is
//! one of the server's own), message, detail and hint; context, names of constraints, and states that users have made up
//! are lost. Where users' code runs, and on the hot path, errors take this way instead: destructors run, and the edge
//! throws on what was thrown.
#![allow(unsafe_code)]

use cee_scape::{SigJmpBufFields, call_with_sigsetjmp};
use pgrx::pg_sys;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The panic that stands for the error that the server holds.
struct ServerError;

/// Does work that calls the server's functions of [`raw`](super::raw): an error in one of them comes out as a panic, so
/// that what the caller holds is dropped. 9 ns. The work itself must hold nothing that needs a destructor while it calls
/// them.
#[inline]
pub fn guarded<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: errors jump here over frames without destructors, as the contract above asks; no panic crosses the jump
    // buffer's C frame. The four variables are what the server's own PG_TRY keeps and restores.
    unsafe {
        let memory = pg_sys::CurrentMemoryContext;
        let handlers = pg_sys::PG_exception_stack;
        let contexts = pg_sys::error_context_stack;
        let mut outcome = None;
        let jumped = call_with_sigsetjmp(false, |here: &SigJmpBufFields| {
            pg_sys::PG_exception_stack = std::ptr::from_ref(here).cast_mut().cast();
            outcome = Some(catch_unwind(AssertUnwindSafe(work)));
            0
        });
        pg_sys::PG_exception_stack = handlers;
        pg_sys::error_context_stack = contexts;
        match outcome {
            Some(Ok(value)) => value,
            Some(Err(panic)) => resume_unwind(panic),
            None => {
                debug_assert!(jumped != 0);
                pg_sys::CurrentMemoryContext = memory;
                resume_unwind(Box::new(ServerError))
            }
        }
    }
}

/// Runs what may end with such a panic, and then throws the server's error on. For the edge, where nothing else is left
/// that needs a destructor.
#[inline]
pub(super) fn passing_on<R>(work: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => value,
        Err(panic) => pass_on(panic),
    }
}

#[cold]
fn pass_on(panic: Box<dyn Any + Send>) -> ! {
    unsafe extern "C-unwind" {
        fn pg_re_throw() -> !;
    }
    if panic.is::<ServerError>() {
        drop(panic);
        // SAFETY: the error is still the newest that the server holds; the way out leads over frames without
        // destructors.
        unsafe { pg_re_throw() }
    }
    resume_unwind(panic)
}
