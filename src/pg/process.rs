//! A process of our own in the server: how it starts, waits, and does a piece of work that may fail.
#![allow(unsafe_code)]

use super::compat;
use super::session::Session;
use super::xact::from_caught;
use crate::error::Result;
use pgrx::PgTryBuilder;
use pgrx::pg_sys;
use pgrx::pg_sys::{MemoryContext, Oid};
use std::ffi::{CStr, CString, c_int};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

// As the kernel calls them: not through pgrx's guard, which a signal handler must not need.
unsafe extern "C-unwind" {
    /// Ends the process at the next safe point, also one that waits for a lock.
    fn die(signal: c_int);
    fn SignalHandlerForConfigReload(signal: c_int);
}

/// Memory of the piece of work at hand, emptied after it.
static WORK: Session<MemoryContext> = Session::new(std::ptr::null_mut());

/// What may be set for a database, a role or the whole server, and would change what our work means.
const FIXED: &[(&CStr, &CStr)] = &[
    (c"role", c"none"),
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"session_replication_role", c"origin"),
    (c"default_transaction_isolation", c"read committed"),
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_deferrable", c"off"),
    (c"statement_timeout", c"0"),
    (c"lock_timeout", c"0"),
    (c"idle_in_transaction_session_timeout", c"0"),
    (c"idle_session_timeout", c"0"),
    // Of two that wait for each other (DROP EXTENSION locks everything, in its own order) we give way.
    (c"deadlock_timeout", c"50ms"),
    // An error is to cost one piece of work, not the process.
    (c"exit_on_error", c"off"),
];

/// Makes the process that the server has started for us ready to work: as the bootstrap superuser, in a database
/// or, for the shared catalogs only, in none.
pub fn begin(database: Option<Oid>) {
    // SAFETY: called once, first thing in a background worker; the settings are the server's own.
    unsafe {
        compat::set_signal_handler(pg_sys::SIGTERM as c_int, Some(die));
        compat::set_signal_handler(pg_sys::SIGHUP as c_int, Some(SignalHandlerForConfigReload));
        pg_sys::BackgroundWorkerUnblockSignals();
        match database {
            Some(oid) => pg_sys::BackgroundWorkerInitializeConnectionByOid(oid, pg_sys::InvalidOid, 0),
            None => pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0),
        }
        FIXED.iter().chain(compat::FIXED_SETTINGS).for_each(|(name, value)| fix_setting(name, value));
        fix_setting(c"application_name", CStr::from_ptr((*pg_sys::MyBgworkerEntry).bgw_name.as_ptr()));
        let context = pg_sys::AllocSetContextCreateInternal(
            pg_sys::TopMemoryContext,
            c"pgq worker".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        WORK.with(|work| *work = context);
        pg_sys::MemoryContextSwitchTo(context);
        // VACUUM keeps here what it needs over its several transactions.
        pg_sys::PortalContext = context;
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
}

unsafe fn fix_setting(name: &CStr, value: &CStr) {
    // SAFETY: both are NUL-terminated and copied. As an override, nothing that comes later changes it.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
        );
    }
}

/// The name under which this process was started.
pub fn name() -> Vec<u8> {
    // SAFETY: the server has set the entry, and its name is NUL-terminated.
    unsafe { CStr::from_ptr((*pg_sys::MyBgworkerEntry).bgw_name.as_ptr()).to_bytes().to_vec() }
}

/// Sleeps until the latch is set or the time is over. Does not return when the server wants this process to end.
pub fn wait(at_most: Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let millis = at_most.as_micros().div_ceil(1000).min(i32::MAX as u128);
    PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: the latch is this process's own; no transaction is open.
        unsafe {
            pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, millis as _, pg_sys::PG_WAIT_EXTENSION);
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        pgrx::check_for_interrupts!();
    }))
    // Somebody cancelled us while we had nothing to do.
    .catch_others(|_| ())
    .execute();
}

/// Reads the configuration files again if the server was told to.
pub fn reload_if_asked() {
    // SAFETY: the flag is set by our own signal handler, in this process; between pieces of work settings may
    // change.
    unsafe {
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Does a piece of work in a transaction of its own, visible in `pg_stat_activity` as `activity`. When it fails,
/// in whatever way, everything is rolled back and the process is ready for the next piece.
pub fn transaction<T>(activity: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let activity = CString::new(activity).unwrap_or_default();
    let mut work = Some(work);
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: no transaction is open, which this function and its like see to. The work may have ended the
        // transaction and begun another one, as VACUUM does: then there is no snapshot to pop.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr());
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let work = work.take().expect("executed once");
            let outcome = work()?;
            if pg_sys::ActiveSnapshotSet() {
                pg_sys::PopActiveSnapshot();
            }
            pg_sys::CommitTransactionCommand();
            Ok(outcome)
        }
    }))
    .catch_others(|caught| Err(from_caught(caught)))
    .execute();
    // SAFETY: after a commit there is nothing to abort, and nothing allocated by the work is needed any more: what
    // it returns are Rust values.
    unsafe {
        if outcome.is_err() {
            pg_sys::AbortCurrentTransaction();
        }
        let context = WORK.with(|work| *work);
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::MemoryContextReset(context);
        pg_sys::pgstat_report_stat(true);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
    outcome
}

/// Allocates something that is to live as long as the process.
pub(super) fn in_lasting_memory<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the top context always exists; after an error the server chooses the context anew.
    unsafe {
        let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let result = work();
        pg_sys::MemoryContextSwitchTo(context);
        result
    }
}
