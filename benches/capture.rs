//! Producing: single calls, bulk, one event a transaction, and the WAL that they write.

use crate::host::{Host, PAYLOAD};
use crate::measure::{pairs, seconds};
use crate::{Row, Target};

const MILLION: i64 = 1_000_000;

fn insert_events_one_by_one(host: &Host) -> f64 {
    host.clear();
    let mut session = host.connect();
    seconds(|| {
        session.exec(&format!(
            "SELECT count(pgq.insert_event('bench', 'type', '{PAYLOAD}')) FROM generate_series(1, {MILLION})"
        ));
    })
}

fn insert_select(host: &Host) -> f64 {
    host.clear();
    let mut session = host.connect();
    seconds(|| {
        session.exec(&format!(
            "INSERT INTO plain (ev_id, ev_time, ev_type, ev_data)
             SELECT nextval('plain_id_seq'), now(), 'type', '{PAYLOAD}' FROM generate_series(1, {MILLION})"
        ));
    })
}

/// 1 M calls in one transaction.
pub fn single_transaction(ours: &Host, peer: Option<&Host>) -> Vec<Row> {
    let against_plain = pairs(|| insert_events_one_by_one(ours), || insert_select(ours));
    let mut rows = vec![Row::new(
        "1 M insert_event in one transaction / INSERT … SELECT into a plain table",
        "s",
        Some(Target::AtMost(1.1)),
        against_plain,
    )];
    if let Some(peer) = peer {
        let against_peer = pairs(|| insert_events_one_by_one(ours), || insert_events_one_by_one(peer));
        rows.push(Row::new(
            "1 M insert_event in one transaction / PgQ 3.5",
            "s",
            Some(Target::AtMost(0.2)),
            against_peer,
        ));
    }
    rows
}

/// The bulk form against COPY of the same rows from a file of the server's.
pub fn bulk(ours: &Host) -> Vec<Row> {
    let mut session = ours.connect();
    session.exec(&format!(
        "CREATE TABLE source AS
           SELECT array_agg('type'::text) AS types, array_agg('{PAYLOAD}'::text) AS data
             FROM generate_series(1, {MILLION})"
    ));
    let file = ours.cluster.data_folder().join("events.copy");
    session.exec(&format!(
        "COPY (SELECT number, now(), 'type', '{PAYLOAD}' FROM generate_series(1, {MILLION}) AS number) TO '{}'",
        file.display()
    ));
    let bulk = || {
        ours.clear();
        let mut session = ours.connect();
        seconds(|| session.exec("SELECT cardinality(pgq.insert_events('bench', types, data)) FROM source"))
    };
    let copy = || {
        ours.clear();
        let mut session = ours.connect();
        seconds(|| {
            session.exec(&format!("COPY plain (ev_id, ev_time, ev_type, ev_data) FROM '{}'", file.display()));
        })
    };
    let compared = pairs(bulk, copy);
    session.exec("DROP TABLE source");
    vec![Row::new("insert_events, 1 M / COPY into a plain table", "s", Some(Target::AtMost(0.8)), compared)]
}

/// WAL bytes per event: one event a transaction, and many in one.
pub fn wal(ours: &Host) -> Vec<Row> {
    let event = format!("SELECT pgq.insert_event('bench', 'type', '{PAYLOAD}')");
    let row = format!(
        "INSERT INTO plain (ev_id, ev_time, ev_type, ev_data) VALUES (nextval('plain_id_seq'), now(), 'type', '{PAYLOAD}')"
    );
    let single = pairs(|| wal_per_event(ours, &event, 5_000), || wal_per_event(ours, &row, 5_000));
    let events = format!(
        "SELECT count(pgq.insert_event('bench', 'type', '{PAYLOAD}')) FROM generate_series(1, 100000)"
    );
    let rows = format!(
        "INSERT INTO plain (ev_id, ev_time, ev_type, ev_data)
         SELECT nextval('plain_id_seq'), now(), 'type', '{PAYLOAD}' FROM generate_series(1, 100000)"
    );
    let many = pairs(|| wal_per_event(ours, &events, 1) / 1e5, || wal_per_event(ours, &rows, 1) / 1e5);
    vec![
        Row::new("WAL per event, one a transaction / plain INSERT", "B", Some(Target::AtMost(1.0)), single),
        Row::new(
            "WAL per event, 100 k in one transaction / plain INSERT",
            "B",
            Some(Target::AtMost(1.0)),
            many,
        ),
    ]
}

/// Bytes of WAL for each of `times` executions.
fn wal_per_event(host: &Host, sql: &str, times: u32) -> f64 {
    host.clear();
    let mut session = host.connect();
    // Past the full-page images of the first touch after the checkpoint.
    session.exec(sql);
    let start: String = session.one("SELECT pg_current_wal_insert_lsn()::text", &[]);
    for _ in 0..times {
        session.exec(sql);
    }
    let bytes: f64 =
        session.one("SELECT (pg_current_wal_insert_lsn() - $1::text::pg_lsn)::float8", &[&start]);
    bytes / f64::from(times)
}

/// One event per transaction by pgbench: 8 clients, prepared.
pub fn one_event_a_transaction(ours: &Host, peer: Option<&Host>) -> Vec<Row> {
    let mut rows = Vec::new();
    for setting in ["on", "off"] {
        let compared = pairs(|| rate(ours, EVENT, setting), || rate(ours, PLAIN, setting));
        rows.push(Row::new(
            &format!("transactions of one event, synchronous_commit {setting} / raw INSERT"),
            "tps",
            Some(Target::AtLeast(0.95)),
            compared,
        ));
        if let Some(peer) = peer {
            let compared = pairs(|| rate(peer, EVENT, setting), || rate(peer, PLAIN, setting));
            rows.push(Row::new(
                &format!("the same by PgQ 3.5, synchronous_commit {setting} / raw INSERT"),
                "tps",
                None,
                compared,
            ));
        }
    }
    rows
}

const EVENT: &str = "SELECT pgq.insert_event('bench', 'type', :payload)";
const PLAIN: &str = "INSERT INTO plain (ev_id, ev_time, ev_type, ev_data)
    VALUES (nextval('plain_id_seq'), now(), 'type', :payload)";

/// Transactions of one event a second.
pub fn event_rate(host: &Host) -> f64 {
    rate(host, EVENT, "on")
}

fn rate(host: &Host, sql: &str, synchronous_commit: &str) -> f64 {
    host.clear();
    let script = host.cluster.data_folder().join("bench.sql");
    std::fs::write(&script, sql.replace(":payload", &format!("'{PAYLOAD}'"))).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    host.rate(synchronous_commit, &["-T", "3", "-f", script.to_str().unwrap()])
}
