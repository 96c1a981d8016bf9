//! VACUUM and ANALYZE from a background worker. VACUUM cannot run inside a function, nor through SPI; the server's own
//! entry can be called where no function is around, as autovacuum does.
#![allow(unsafe_code)]

use super::text::Text;
use pgrx::pg_sys;
use std::ffi::CString;

/// Runs VACUUM, VACUUM ANALYZE or ANALYZE (the `verb`) on a `schema.table`. Ends the transaction it is called in and
/// leaves another one open, without a snapshot.
pub fn run(verb: &str, table: Text) {
    let sql = [verb.as_bytes(), b" ", &table.quoted_qualified()].concat();
    let sql = CString::new(sql).expect("names of the server never contain a zero byte");
    // SAFETY: the text is one such statement. It is parsed into the worker's own memory (`PortalContext`), since
    // the statement outlives the transaction; the worker is at top level, in no transaction block.
    unsafe {
        let caller = pg_sys::MemoryContextSwitchTo(pg_sys::PortalContext);
        let parsed = pg_sys::raw_parser(sql.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let statement = (*pg_sys::list_nth(parsed, 0).cast::<pg_sys::RawStmt>()).stmt;
        let state = pg_sys::make_parsestate(std::ptr::null_mut());
        pg_sys::MemoryContextSwitchTo(caller);
        pg_sys::ExecVacuum(state, statement.cast::<pg_sys::VacuumStmt>(), true);
    }
}
