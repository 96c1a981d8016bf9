//! The symbols by which `sql/pgq/functions/*.sql` names our functions: the table of contents of the library.
#![allow(unsafe_code)]

use crate::{batch, capture};

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
    crate::pg::watch::register();
}
