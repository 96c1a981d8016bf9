//! A database that collects the logs of all jobs.

use std::time::{Duration, Instant};

use pgq_tests::client::wait_until;
use pgq_tests::shared::Database;
use skytools::script::log::Log;
use tracing::{debug, info, warn};

use super::{skylog, with};
use crate::kit::{Workplace, conninfo};

/// The log of a job that logs to this database.
fn log_database(workplace: &Workplace, conninfo: &str) -> Log {
    let quoted = conninfo.replace('\\', r"\\").replace('\'', r"\'").replace('%', "%%");
    skylog(workplace, "db", &format!("[handler_db]\nclass = skylog.LogDBHandler\nargs = ('{quoted}',)\n"))
}

const COLLECTOR: &str = "
    create schema log; create table log.lines (id serial, level text, job text, message text);
    create function log.add(text, text, text) returns void language sql
    as $$ insert into log.lines (level, job, message) values ($1, $2, $3) $$";

#[test]
fn a_database_collects_records_and_sums() {
    let database = Database::fresh("logs");
    let mut session = database.connect();
    session.exec(COLLECTOR);
    let workplace = Workplace::new();
    let log = log_database(&workplace, &conninfo(&database));
    with(&log, || {
        debug!("not for the database");
        info!("{{count: 5, duration: 0.0312}}");
        warn!("first line\nsecond line");
        info!("{{count: 7, duration: 0.5}}");
    });
    let mut told = || {
        session.column::<String>("select concat_ws(' ', level, job, message) from log.lines order by id", &[])
    };
    wait_until("the warning", || !told().is_empty());
    drop(log);
    assert_eq!(told(), ["WARNING copier first line", "INFO copier {count: 12, duration: 0.5312}"]);
}

#[test]
fn a_database_that_was_away_is_found_again() {
    let database = Database::fresh("logs");
    let mut session = database.connect();
    session.exec(COLLECTOR);
    let workplace = Workplace::new();
    let log = log_database(&workplace, &conninfo(&database));
    let mut has = |message: &str| {
        session.one::<bool>("select exists (select from log.lines where message = $1)", &[&message])
    };
    with(&log, || info!("one"));
    wait_until("the first record", || has("one"));
    let mut killer = database.connect();
    killer.exec(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity
         where query like '%log.add%' and pid <> pg_backend_pid() and datname = current_database()",
    );
    with(&log, || info!("two"));
    wait_until("the second record", || has("two"));
}

#[test]
fn a_database_that_does_not_answer_holds_nobody_up() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let workplace = Workplace::new();
    let log =
        log_database(&workplace, &format!("host=127.0.0.1 port={port} user=x password=secret dbname=x"));
    let began = Instant::now();
    with(&log, || (0..10_000).for_each(|number| info!("line {number}")));
    drop(log);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
