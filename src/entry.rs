//! The symbols that the server looks up: those by which `sql/pgq/functions/*.sql` names our functions, the table of
//! contents of the library, and where it enters by itself.
#![allow(unsafe_code)]

use crate::{batch, capture, consume, guc, pg, queue, stats, tick, txid, worker};
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::pgrx_extern_c_guard;

crate::sql_functions! {
    insert_event => capture::insert_event,
    insert_event_raw => capture::insert_event_raw,
    insert_events => capture::insert_events,
    current_event_table => capture::current_event_table,
    logutriga => capture::logutriga,
    jsontriga => capture::jsontriga,
    sqltriga => capture::sqltriga,
    logtriga => capture::logtriga,
    capture => capture::capture,
    uncapture => capture::uncapture,
    trigger_arguments => capture::trigger_arguments,

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
    sequence_last_value => queue::sequence_last_value,
    rebase_queue => queue::rebase_queue,
    upgrade_schema => queue::upgrade_schema,

    batch_event_sql => batch::batch_event_sql,
    batch_event_tables => batch::batch_event_tables,
    get_batch_events => batch::get_batch_events,
    get_batch_cursor => batch::get_batch_cursor,
    batch_events => batch::batch_events,

    ticker => tick::ticker,
    ticker_all => tick::ticker_all,
    ticker_external => tick::ticker_external,
    force_tick => tick::force_tick,
    final_tick => tick::final_tick,
    queue_channel => tick::queue_channel,

    register_consumer_at => consume::register_consumer_at,
    unregister_consumer => consume::unregister_consumer,
    next_batch_custom => consume::next_batch_custom,
    find_tick_helper => consume::find_tick_helper,
    finish_batch => consume::finish_batch,
    keep_commit => consume::keep_commit,
    event_retry_at => consume::event_retry_at,
    event_retry_in => consume::event_retry_in,
    batch_retry => consume::batch_retry,
    event_retry_raw => consume::event_retry_raw,
    maint_retry_events => consume::maint_retry_events,

    stat_queues => stats::stat_queues,
    stat_tickers => stats::stat_tickers,
    stat_reset => stats::reset,
    stat_reset_queue => stats::reset_queue,
    idle_until => stats::idle_until,

    txid_current => txid::current,
    txid_current_if_assigned => txid::current_if_assigned,
    txid_snapshot_xmin => txid::snapshot_xmin,
    txid_snapshot_xmax => txid::snapshot_xmax,
    txid_snapshot_xip => txid::snapshot_xip,
    txid_in_snapshot => txid::in_snapshot,
    txid_between => txid::is_between,
    txids_between => txid::all_between,
    txid_to_xid8 => txid::to_xid8,
    xid8_to_txid => txid::from_xid8,
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
