//! The settings `pgq.*`, which ALTER SYSTEM and a reload change.

use crate::pg;
use pgq_bgworker::Settings;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::{CStr, CString};
use std::time::Duration;

static TICKER: GucSetting<bool> = GucSetting::<bool>::new(true);
static TICKER_PERIOD: GucSetting<i32> = GucSetting::<i32>::new(1000);
static TICK_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(1);
static RETRY_PERIOD: GucSetting<i32> = GucSetting::<i32>::new(30);
static MAINT_PERIOD: GucSetting<i32> = GucSetting::<i32>::new(120);
static CHECK_PERIOD: GucSetting<i32> = GucSetting::<i32>::new(60);
static STATS_PERIOD: GucSetting<i32> = GucSetting::<i32>::new(300);
static MAX_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(4);
static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static COOP_WATCH_PROCESSES: GucSetting<bool> = GucSetting::<bool>::new(false);
static ROLE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"pgq_admin"));

/// As many background workers as a server of any size may want to spend on this.
const MOST_WORKERS: i32 = 1024;

const HOUR_MS: i32 = 3_600_000;
const DAY_S: i32 = 86_400;

/// Makes the settings known, in the server's start or when a session first calls us. The defaults of the periods
/// are those of pgqd.
pub fn define() {
    GucRegistry::define_bool_guc(
        c"pgq.ticker",
        c"Whether the server ticks queues and maintains them by itself.",
        c"Needs pgq in shared_preload_libraries. When off, pgq.ticker() and pgq.maint_operations() have to be \
          called from outside, by pgqd for one.",
        &TICKER,
        GucContext::Sighup,
        GucFlags::default(),
    );
    period(
        c"pgq.ticker_period",
        c"Time from one look at the queues to the next.",
        c"Whether a queue is ticked then, its own settings decide.",
        &TICKER_PERIOD,
        HOUR_MS,
        GucFlags::UNIT_MS,
    );
    period(
        c"pgq.tick_interval",
        c"Least time from one tick to the next where a consumer waits for events.",
        c"A commit then brings a tick at once, but no sooner than this after the one before.",
        &TICK_INTERVAL,
        HOUR_MS,
        GucFlags::UNIT_MS,
    );
    period(
        c"pgq.retry_period",
        c"Time from one round of retried events to the next.",
        c"Each round brings back all events whose time has come.",
        &RETRY_PERIOD,
        DAY_S,
        GucFlags::UNIT_S,
    );
    period(
        c"pgq.maint_period",
        c"Time from one round of maintenance to the next.",
        c"Each round does what pgq.maint_operations() lists; a queue rotates only after its own rotation period.",
        &MAINT_PERIOD,
        DAY_S,
        GucFlags::UNIT_S,
    );
    period(
        c"pgq.check_period",
        c"Time after which a database without the extension is looked into again.",
        c"New databases, and those where CREATE EXTENSION is committed, are looked into within a second.",
        &CHECK_PERIOD,
        DAY_S,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"pgq.stats_period",
        c"Time from one line of statistics in the log to the next; 0 is none.",
        c"It tells ticks, rounds of maintenance and retried events in all databases, when there were any.",
        &STATS_PERIOD,
        0,
        DAY_S,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"pgq.max_workers",
        c"Most databases that have their ticker at the same time.",
        c"If more databases have the extension, they are served in turns. The launcher is not counted.",
        &MAX_WORKERS,
        1,
        MOST_WORKERS,
        GucContext::Sighup,
        GucFlags::default(),
    );
    pg::guc::define_names(
        c"pgq.databases",
        c"Databases to serve, separated by commas; empty: all that have the extension.",
        c"Names with capitals or special characters are put in double quotes. Those that do not exist are simply not \
          there.",
        &DATABASES,
    );
    GucRegistry::define_string_guc(
        c"pgq.role",
        c"Role with whose rights the ticker brings back retried events and calls the functions of maintenance.",
        c"A member of pgq_admin decides which functions these are, so it should not have more rights than such a member.",
        &ROLE,
        GucContext::Sighup,
        GucFlags::default(),
    );
    // Read by the SQL of pgq_coop.
    GucRegistry::define_bool_guc(
        c"pgq.coop_watch_processes",
        c"Whether a sub-consumer of pgq_coop counts as gone when the server process that got its batch has ended.",
        c"A sibling then gets the batch at once, under a new id. Off, as behind a connection pooler processes end while \
          their clients go on working.",
        &COOP_WATCH_PROCESSES,
        GucContext::Userset,
        GucFlags::default(),
    );
    #[cfg(feature = "failpoints")]
    pg::failpoint::define();
    pg::guc::reserve_prefix();
}

fn period(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    longest: i32,
    unit: GucFlags,
) {
    GucRegistry::define_int_guc(name, short, long, setting, 1, longest, GucContext::Sighup, unit);
}

/// The settings in force.
pub fn settings() -> Settings {
    let seconds = |setting: &GucSetting<i32>| Duration::from_secs(setting.get() as u64);
    Settings {
        ticker: TICKER.get(),
        ticker_period: Duration::from_millis(TICKER_PERIOD.get() as u64),
        tick_interval: Duration::from_millis(TICK_INTERVAL.get() as u64),
        retry_period: seconds(&RETRY_PERIOD),
        maint_period: seconds(&MAINT_PERIOD),
        check_period: seconds(&CHECK_PERIOD),
        stats_period: seconds(&STATS_PERIOD),
        max_workers: MAX_WORKERS.get() as usize,
    }
}

/// The databases to serve; none means all.
pub fn databases() -> Vec<Vec<u8>> {
    let list = DATABASES.get().unwrap_or_default();
    pg::guc::names(&list).expect("the setting was checked")
}

/// With whose rights retries and maintenance are done.
pub fn role() -> CString {
    ROLE.get().unwrap_or_default()
}
