//! Signals to other processes of the server.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use pgrx::pg_sys::Oid;
use std::ffi::c_int;

unsafe extern "C" {
    fn kill(pid: c_int, signal: c_int) -> c_int;
}

/// Whether this is a process of the server, connected to this database.
pub fn is_in_database(process: i32, database: Oid) -> bool {
    if process == 0 {
        return false;
    }
    // SAFETY: reads the process's entry in shared memory, which exists whether or not the process still does.
    unsafe {
        let entry = pg_sys::BackendPidGetProc(process);
        !entry.is_null() && (*entry).databaseId == database
    }
}

/// Wakes a process of the server from its wait.
pub fn wake(process: i32) {
    if process == 0 {
        return;
    }
    // SAFETY: the entry is in shared memory, which exists whether or not the process still does; at worst a stranger
    // is woken for nothing.
    unsafe {
        let entry = pg_sys::BackendPidGetProc(process);
        if !entry.is_null() {
            pg_sys::SetLatch(&mut (*entry).procLatch);
        }
    }
}

/// Asks a process of the server to end.
pub fn terminate(process: i32) {
    // SAFETY: a plain system call. That the process has ended meanwhile does not matter.
    unsafe { kill(process, pg_sys::SIGTERM as c_int) };
}

/// The number of this process.
#[cfg(feature = "failpoints")]
pub fn this_process() -> i32 {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::MyProcPid }
}

/// Ends this process as if it had been shot, so that the server restarts all others.
#[cfg(feature = "failpoints")]
pub fn crash() -> ! {
    const SIGKILL: c_int = 9;
    // SAFETY: plain system calls; the signal cannot be caught.
    unsafe { kill(pg_sys::MyProcPid, SIGKILL) };
    std::process::abort()
}
