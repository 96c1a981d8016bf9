//! Memory of the server that is given back as a whole.
#![allow(unsafe_code)]

use pgrx::pg_sys;

/// A memory context of ours, deleted with this value.
pub struct Arena(pg_sys::MemoryContext);

impl Arena {
    /// For what the session keeps.
    pub fn of_session() -> Arena {
        // SAFETY: the session's context is always there.
        unsafe { Arena::under(pg_sys::TopMemoryContext) }
    }

    /// For what this call needs for a while.
    pub fn of_call() -> Arena {
        // SAFETY: there always is a current context.
        unsafe { Arena::under(pg_sys::CurrentMemoryContext) }
    }

    unsafe fn under(parent: pg_sys::MemoryContext) -> Arena {
        // SAFETY: the parent is live, and the name a constant, as the server asks.
        Arena(unsafe {
            pg_sys::AllocSetContextCreateInternal(
                parent,
                c"pgq".as_ptr(),
                pg_sys::ALLOCSET_SMALL_MINSIZE as usize,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        })
    }

    /// Does work whose allocations go into it.
    pub fn within<R>(&self, work: impl FnOnce() -> R) -> R {
        struct Back(pg_sys::MemoryContext);
        impl Drop for Back {
            fn drop(&mut self) {
                // SAFETY: it was the current one, and outlives this call.
                unsafe { pg_sys::MemoryContextSwitchTo(self.0) };
            }
        }
        // SAFETY: the context is live; the former one comes back in every way out.
        let _back = Back(unsafe { pg_sys::MemoryContextSwitchTo(self.0) });
        work()
    }

    /// How much memory it has taken of the system.
    #[inline]
    pub fn size(&self) -> usize {
        // SAFETY: the context is live.
        unsafe { (*self.0).mem_allocated }
    }

    /// Frees what was allocated within.
    pub fn reset(&mut self) {
        // SAFETY: who borrows what lives in it cannot hold this exclusively.
        unsafe { pg_sys::MemoryContextReset(self.0) };
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: `within` never leaves it the current one; it is a child of a context that outlives it.
        unsafe { pg_sys::MemoryContextDelete(self.0) };
    }
}
