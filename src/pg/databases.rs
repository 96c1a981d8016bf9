//! The databases of the server, read without being in one: there SPI does not work, a table scan does.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use pgrx::pg_sys::Oid;
use std::ffi::CStr;

/// A row of `pg_database`.
pub struct Row {
    pub oid: Oid,
    pub name: Vec<u8>,
    /// Accepts connections, is no template, and no half-dropped remainder either.
    pub can_be_served: bool,
}

/// All rows, within a transaction.
pub fn list() -> Vec<Row> {
    const SHARE: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    /// What a DROP DATABASE that was interrupted leaves in `datconnlimit`.
    const INVALID: i32 = -2;
    let mut rows = Vec::new();
    // SAFETY: a catalog scan as the server itself does it; fixed-length columns are read in place, before the scan
    // moves on.
    unsafe {
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, SHARE);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            rows.push(Row {
                oid: row.oid,
                name: CStr::from_ptr(row.datname.data.as_ptr()).to_bytes().to_vec(),
                can_be_served: row.datallowconn && !row.datistemplate && row.datconnlimit != INVALID,
            });
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, SHARE);
    }
    rows
}
