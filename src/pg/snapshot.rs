//! Snapshots: the latest one, and those that SQL hands in.
#![allow(unsafe_code)]

use super::call::Call;
use super::xact;
use pgq_core::{Snapshot, Txid};
use pgrx::pg_sys;
use std::ffi::CStr;

/// Which transactions are finished by now, whatever the isolation level of the calling one. What
/// `txid_current_snapshot()` says in a fresh statement of READ COMMITTED; not for a standby, whose snapshots do
/// not list who runs.
pub fn latest() -> Snapshot {
    // SAFETY: the snapshot is static memory of the server's, valid until the next one is asked for; it lists xcnt
    // top-level ids. Read after it, the next id is above all of them.
    unsafe {
        let snapshot = &*pg_sys::GetLatestSnapshot();
        let next = xact::next_txid();
        let widen = |xid: pg_sys::TransactionId| Txid::widen(xid.into_inner(), next);
        let running = (0..snapshot.xcnt as usize).map(|place| *snapshot.xip.add(place));
        let mut running: Vec<Txid> = running.map(widen).collect();
        running.sort_unstable();
        // While a prepared transaction is being finished the server may list it twice.
        running.dedup();
        Snapshot::new(widen(snapshot.xmin), widen(snapshot.xmax), running).expect("a snapshot of the server")
    }
}

impl Call {
    /// A `txid_snapshot` or `pg_snapshot` argument: two names of one type.
    pub fn snapshot(&self, index: usize) -> Option<Snapshot> {
        let datum = self.datum(index)?;
        // SAFETY: the declared type is one of the two, whose output function returns a C string.
        let text = unsafe {
            let text = pgrx::direct_function_call_as_datum(pg_sys::pg_snapshot_out, &[Some(datum)]);
            CStr::from_ptr(text.expect("an output function never returns NULL").cast_mut_ptr())
        };
        let text = text.to_str().expect("digits and punctuation");
        Some(text.parse().expect("a snapshot that the server accepted"))
    }
}
