//! The transaction around the call.
#![allow(unsafe_code)]

use super::raw;
use crate::error::{Error, Result};
use pgq_core::Txid;
use pgrx::pg_sys;
use pgrx::pg_sys::errcodes::PgSqlErrorCode;
use pgrx::pg_sys::panic::CaughtError;
use std::ffi::CString;
use std::panic::AssertUnwindSafe;

/// The top-level transaction id, assigned now if the transaction has none yet.
pub fn assign_txid() -> Txid {
    // SAFETY: every SQL function runs in a transaction; the server refuses by itself where ids cannot be had.
    Txid::new(unsafe { pg_sys::GetTopFullTransactionId() }.value)
}

/// The top-level transaction id, if the transaction has one.
pub fn txid_if_assigned() -> Option<Txid> {
    // SAFETY: reads the state of the current transaction.
    let txid = Txid::new(unsafe { pg_sys::GetTopFullTransactionIdIfAny() }.value);
    txid.is_normal().then_some(txid)
}

/// The lowest transaction id that is not assigned yet. Assigns nothing.
pub fn next_txid() -> Txid {
    // SAFETY: reads shared memory under the server's own lock.
    Txid::new(unsafe { pg_sys::ReadNextFullTransactionId() }.value)
}

/// A number that differs between two statements of a transaction if the first of them wrote something.
#[inline]
pub fn command() -> u32 {
    // SAFETY: reads a variable of the transaction system.
    unsafe { raw::GetCurrentCommandId(false) }
}

/// Whether all statements of this transaction see what its first one saw.
pub fn keeps_its_snapshot() -> bool {
    // SAFETY: reads a variable of the transaction system.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Makes this transaction's commit wait for the disk, whatever `synchronous_commit` says. For what other systems
/// will remember: an id that a consumer has seen must never come back with other contents after a crash.
pub fn force_sync_commit() {
    // SAFETY: sets a flag that the server clears at the end of the transaction.
    unsafe { pg_sys::ForceSyncCommit() };
}

/// Refuses, in the server's own words, what cannot be done on a standby.
pub fn require_primary(function: &std::ffi::CStr) {
    // SAFETY: the name is NUL-terminated; the function raises an error or does nothing.
    unsafe { pg_sys::PreventCommandDuringRecovery(function.as_ptr()) };
}

/// Refuses, in the server's own words, what cannot be done in a read-only transaction, on a standby or in a
/// parallel worker.
pub fn require_writable(function: &std::ffi::CStr) {
    // SAFETY: the name is NUL-terminated; the functions raise an error or do nothing.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(function.as_ptr());
        pg_sys::PreventCommandDuringRecovery(function.as_ptr());
        pg_sys::PreventCommandIfParallelMode(function.as_ptr());
    }
}

/// Lets this transaction from now on never wait longer for a lock; 0: as long as it takes.
pub fn limit_lock_waits(millis: u32) {
    let value = CString::new(millis.to_string()).expect("digits");
    // SAFETY: name and value are NUL-terminated and copied; the end of the transaction undoes it.
    unsafe {
        pg_sys::set_config_option(
            c"lock_timeout".as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}

/// Does work that may fail without spoiling the transaction: all of it, or nothing.
///
/// A cancel or a termination is not a failure of the work, and goes on to end the transaction.
pub fn isolated<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: the subtransaction is ended in each of its ways out, after which context and owner are those from
    // before, as internal subtransactions require.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let mut work = Some(work);
        let outcome = pgrx::PgTryBuilder::new(AssertUnwindSafe(|| {
            let work = work.take().expect("executed once");
            work()
        }))
        .catch_others(|caught| Err(from_caught(caught)))
        .execute();
        match outcome {
            Ok(_) => pg_sys::ReleaseCurrentSubTransaction(),
            Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        match outcome {
            Err(error) if is_shutdown(error.state) => error.raise(),
            outcome => outcome,
        }
    }
}

fn is_shutdown(state: PgSqlErrorCode) -> bool {
    matches!(
        state,
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED
            | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
            | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
    )
}

/// A caught error as a value.
pub(super) fn from_caught(caught: CaughtError) -> Error {
    let report = match &caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report,
        CaughtError::RustPanic { ereport, .. } => ereport,
    };
    let mut error = Error::new(report.sql_error_code(), report.message().to_owned());
    error.detail = report.detail().map(str::to_owned);
    error.hint = report.hint().map(str::to_owned);
    error
}
