//! The symbols that the server looks up: those by which `sql/pgq/functions/*.sql` names our functions, the table of
//! contents of the library, and where it enters by itself.
#![allow(unsafe_code)]

use crate::{batch, capture, guc, pg, worker};
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::pgrx_extern_c_guard;

crate::sql_functions! {
    insert_event => capture::insert_event,
    insert_event_raw => capture::insert_event_raw,
    insert_events => capture::insert_events,
    current_event_table => capture::current_event_table,

    batch_event_sql => batch::batch_event_sql,
    batch_event_tables => batch::batch_event_tables,
    get_batch_events => batch::get_batch_events,
    get_batch_cursor => batch::get_batch_cursor,
    batch_events => batch::batch_events,
}

/// Called by the server when it loads the library, in each backend or, preloaded, in the postmaster.
#[unsafe(no_mangle)]
extern "C-unwind" fn _PG_init() {
    // SAFETY: the guard turns a panic into a server error, so nothing unwinds into C.
    unsafe {
        pgrx_extern_c_guard(|| {
            pg::watch::register();
            guc::define();
            if pg::guc::is_preloading() {
                worker::register();
            }
        });
    }
}

/// Where the launcher's process begins.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn pgq_launcher_main(_: Datum) {
    // SAFETY: as above.
    unsafe { pgrx_extern_c_guard(|| worker::launcher()) }
}

/// Where a ticker's process begins.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn pgq_ticker_main(argument: Datum) {
    // SAFETY: as above; only the launcher has a process begin here, through `Child::start`.
    unsafe {
        pgrx_extern_c_guard(|| {
            let (database, seat) = pg::children::assignment(argument);
            worker::ticker(database, seat);
        });
    }
}
