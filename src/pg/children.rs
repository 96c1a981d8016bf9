//! Background workers: the launcher, which the server starts, and the tickers, which the launcher starts.
#![allow(unsafe_code)]

use super::process::in_lasting_memory;
use super::seat::Seat;
use super::session::Session;
use pgq_bgworker::Rounds;
use pgrx::pg_sys;
use pgrx::pg_sys::{BackgroundWorker, BackgroundWorkerHandle, Datum, Oid};
use std::ffi::{CStr, c_char};

/// A ticker's process, seen from the launcher.
pub struct Child {
    handle: *mut BackgroundWorkerHandle,
    /// Where the ticker says how far it has come.
    pub seat: Seat,
}

/// The children that are not known to have ended, to be ended with their parent.
static CHILDREN: Session<Vec<(*mut BackgroundWorkerHandle, Seat)>> = Session::new(Vec::new());

/// Has the launcher started whenever the server is open for writing: after recovery, and again a second after it
/// ended. Only while libraries are being preloaded.
pub fn register_launcher(function: &CStr, name: &CStr) {
    let mut worker = describe(function, name.to_bytes(), name.to_bytes());
    worker.bgw_restart_time = 1;
    // SAFETY: the description is complete and copied.
    unsafe { pg_sys::RegisterBackgroundWorker(&mut worker) };
}

/// To be called by the launcher before it has children: when it ends, in whatever way, they end too, so that the
/// next launcher knows of all there are.
pub fn end_them_with_me() {
    // SAFETY: the callback has the declared type, and cannot raise an error.
    unsafe { pg_sys::before_shmem_exit(Some(on_exit), Datum::null()) };
}

unsafe extern "C-unwind" fn on_exit(_: std::ffi::c_int, _: Datum) {
    CHILDREN.with(|children| {
        for (handle, _) in children {
            // SAFETY: a handle stays valid until its `Child` is dropped, which takes it out of the list.
            unsafe { pg_sys::TerminateBackgroundWorker(*handle) };
        }
    });
}

impl Child {
    /// Starts a ticker for a database, which nobody restarts when it ends. `None`: the server has no room.
    pub fn start(
        function: &CStr,
        kind: &CStr,
        database: Oid,
        database_name: &[u8],
        rounds: Rounds,
    ) -> Option<Child> {
        let taken =
            CHILDREN.with(|children| children.iter().map(|(_, seat)| seat.number()).collect::<Vec<_>>());
        let seat = Seat::reserve(database, rounds, &taken)?;
        let name = [kind.to_bytes(), b" ", database_name].concat();
        let mut worker = describe(function, &name, kind.to_bytes());
        worker.bgw_restart_time = pg_sys::BGW_NEVER_RESTART;
        worker.bgw_main_arg = Datum::from(database);
        fill(&mut worker.bgw_extra, &seat.to_bytes());
        // SAFETY: the description is complete and copied; the handle is allocated to last.
        let handle = unsafe {
            worker.bgw_notify_pid = pg_sys::MyProcPid;
            let mut handle = std::ptr::null_mut();
            in_lasting_memory(|| pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle))
                .then_some(handle)?
        };
        CHILDREN.with(|children| children.push((handle, seat)));
        Some(Child { handle, seat })
    }

    /// Whether the process may still be there, or may still come.
    pub fn is_alive(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle is valid as long as this value.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.handle, &mut pid) };
        matches!(
            status,
            pg_sys::BgwHandleStatus::BGWH_STARTED | pg_sys::BgwHandleStatus::BGWH_NOT_YET_STARTED
        )
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        CHILDREN.with(|children| children.retain(|(handle, _)| *handle != self.handle));
        // SAFETY: allocated by the server for us, and now in nobody's list.
        unsafe { pg_sys::pfree(self.handle.cast()) };
    }
}

/// In a ticker: the database it was started for, and its seat.
///
/// # Safety
/// This process was started by [`Child::start`], and `argument` is what its main function was given.
pub unsafe fn assignment(argument: Datum) -> (Oid, Seat) {
    // SAFETY: the server sets the entry before it calls the main function; the bytes are those of `start`.
    unsafe {
        let extra = (*pg_sys::MyBgworkerEntry).bgw_extra.map(|byte| byte as u8);
        (Oid::from(argument.value() as u32), Seat::from_bytes(&extra))
    }
}

fn describe(function: &CStr, name: &[u8], kind: &[u8]) -> BackgroundWorker {
    let mut worker = BackgroundWorker {
        bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as i32,
        bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
        ..Default::default()
    };
    fill(&mut worker.bgw_name, name);
    fill(&mut worker.bgw_type, kind);
    fill(&mut worker.bgw_library_name, b"pgq");
    fill(&mut worker.bgw_function_name, function.to_bytes());
    worker
}

/// Copies what fits, leaving a zero byte at the end.
fn fill(field: &mut [c_char], bytes: &[u8]) {
    let room = field.len() - 1;
    field.iter_mut().zip(&bytes[..bytes.len().min(room)]).for_each(|(to, from)| *to = *from as c_char);
}
