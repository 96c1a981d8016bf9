//! The symbols by which `sql/pgq/functions/*.sql` names our functions: the table of contents of the library.
#![allow(unsafe_code)]

use crate::{batch, capture, queue};

crate::sql_functions! {
    insert_event => capture::insert_event,
    insert_event_raw => capture::insert_event_raw,
    insert_events => capture::insert_events,
    current_event_table => capture::current_event_table,

    create_queue => queue::create_queue,
    drop_queue => queue::drop_queue,
    set_queue_config => queue::set_queue_config,
    tune_storage => queue::tune_storage,
    grant_perms => queue::grant_perms,
    grant_perms_from => queue::grant_perms_from,
    maint_rotate_tables_step1 => queue::maint_rotate_tables_step1,
    maint_rotate_tables_step2 => queue::maint_rotate_tables_step2,
    maint_operations => queue::maint_operations,
    seq_getval => queue::seq_getval,
    seq_setval => queue::seq_setval,
    rebase_queue => queue::rebase_queue,
    upgrade_schema => queue::upgrade_schema,

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
