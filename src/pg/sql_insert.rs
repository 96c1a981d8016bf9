//! The slow way into an event table that somebody altered: an ordinary INSERT, with whatever hangs on it.
#![allow(unsafe_code)]

use super::event_table::{COLUMNS, EventRow};
use super::privilege::Identity;
use super::text::Text;
use crate::pg::relation;
use pgrx::pg_sys;
use std::ffi::CString;

/// Inserts the row by SQL; with the rights of the table's owner if asked, as `insert_event` promises, and then
/// with a fixed search_path.
pub fn insert(table: &[u8], row: &EventRow, as_owner: bool) {
    let sql = [
        b"INSERT INTO ".as_slice(),
        &Text(table).quoted_qualified(),
        b" (ev_id, ev_time, ev_txid, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)",
        b" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    ]
    .concat();
    let sql = CString::new(sql).expect("names of the server never contain a zero byte");
    let (big, int, text) = (pg_sys::INT8OID, pg_sys::INT4OID, pg_sys::TEXTOID);
    let mut types: [pg_sys::Oid; COLUMNS] =
        [big, pg_sys::TIMESTAMPTZOID, big, int, int, text, text, text, text, text, text];
    let nulls: Vec<u8> = row.nulls.iter().map(|null| if *null { b'n' } else { b' ' }).collect();
    let mut values = row.values;
    let identity = as_owner.then(|| {
        let table = relation::find(Text(table)).expect("the event table is locked by this transaction");
        Identity::of_owner(table)
    });
    // SAFETY: the arrays have a place for each parameter; an error leaves SPI to the abort.
    unsafe {
        pg_sys::SPI_connect();
        let code = pg_sys::SPI_execute_with_args(
            sql.as_ptr(),
            COLUMNS as i32,
            types.as_mut_ptr(),
            values.as_mut_ptr(),
            nulls.as_ptr().cast(),
            false,
            0,
        );
        assert_eq!(code, pg_sys::SPI_OK_INSERT as i32, "insert into an altered event table");
        pg_sys::SPI_finish();
    }
    drop(identity);
}
