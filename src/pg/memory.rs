//! Shared memory: asked for, and handed to those who use it.
#![allow(unsafe_code)]

use super::session::Session;
use super::{demand, seat, stats};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::pgrx_extern_c_guard;
use std::ffi::CStr;

type Hook = Option<unsafe extern "C-unwind" fn()>;
static NEXT_REQUEST: Session<Hook> = Session::new(None);
static NEXT_STARTUP: Session<Hook> = Session::new(None);

/// Asks for the shared memory. Only while libraries are being preloaded.
pub fn request() {
    // SAFETY: hooks are chained as the server's documentation asks, before any other process exists.
    unsafe {
        NEXT_REQUEST.with(|next| *next = pg_sys::shmem_request_hook);
        pg_sys::shmem_request_hook = Some(on_request);
        NEXT_STARTUP.with(|next| *next = pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(on_startup);
    }
}

/// The parts: name, size, and who takes it over.
type Part = (&'static CStr, fn() -> usize, unsafe fn(*mut u8));
const PARTS: [Part; 3] = [
    (c"pgq seats", seat::size, seat::settle),
    (c"pgq demand", demand::size, demand::settle),
    (c"pgq statistics", stats::size, stats::settle),
];

unsafe extern "C-unwind" fn on_request() {
    // SAFETY: called by the server when memory may be requested; the next hook is what was there before ours.
    unsafe {
        pgrx_extern_c_guard(|| {
            NEXT_REQUEST.with(|next| *next).into_iter().for_each(|next| next());
            // Each is rounded up to what suits any type.
            PARTS.iter().for_each(|(_, size, _)| pg_sys::RequestAddinShmemSpace(size() + 64));
            demand::request_lock();
        });
    }
}

unsafe extern "C-unwind" fn on_startup() {
    // SAFETY: called in the postmaster, while no other process can see the memory, at the start and after each
    // crash; it is as large as asked for, and aligned for any type. All-zero bytes are a valid value of each part.
    unsafe {
        pgrx_extern_c_guard(|| {
            NEXT_STARTUP.with(|next| *next).into_iter().for_each(|next| next());
            for (name, size, settle) in PARTS {
                let mut found = false;
                let memory = pg_sys::ShmemInitStruct(name.as_ptr(), size(), &mut found).cast::<u8>();
                memory.write_bytes(0, size());
                settle(memory);
            }
        });
    }
}
