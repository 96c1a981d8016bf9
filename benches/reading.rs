//! Consuming: reading large batches, and the memory that takes.

use crate::host::{Host, PAYLOAD};
use crate::measure::{duration, pairs, seconds};
use crate::memory::most_private_kilobytes;
use crate::{Row, Target};
use pgq_tests::client::Session;
use std::time::Duration;

/// Fills the queue with one batch of so many events and opens it; returns its id.
fn batch_of(host: &Host, events: i64, transactions: i64) -> i64 {
    host.one_tick_one_batch();
    let mut session = host.connect();
    session.exec("SELECT pgq.unregister_consumer('bench', 'reader')");
    session.exec("SELECT pgq.force_tick('bench')");
    session.exec("SELECT pgq.ticker('bench')");
    session.exec("SELECT pgq.register_consumer('bench', 'reader')");
    let each = events / transactions;
    for _ in 0..transactions {
        session.exec(&format!(
            "SELECT count(pgq.insert_event('bench', 'type', '{PAYLOAD}')) FROM generate_series(1, {each})"
        ));
    }
    session.exec("SELECT pgq.ticker('bench')");
    let batch = session.one("SELECT pgq.next_batch('bench', 'reader')", &[]);
    assert_eq!(session.one::<i64>("SELECT count(*) FROM pgq.get_batch_events($1)", &[&batch]), events);
    batch
}

fn read(host: &Host, batch: i64) -> f64 {
    let mut session = host.connect();
    seconds(|| {
        session.one::<i64>("SELECT count(*) FROM pgq.get_batch_events($1)", &[&batch]);
    })
}

/// Reading a batch of 2 M events.
pub fn two_million(ours: &Host, peer: Option<&Host>) -> Vec<Row> {
    let Some(peer) = peer else {
        println!(
            "| reading a 2 M event batch / PgQ 3.5 | – | – | needs the original: make bench-peers | ≤ 0.5 |"
        );
        return Vec::new();
    };
    const EVENTS: i64 = 2_000_000;
    let batches = [ours, peer].map(|host| {
        host.clear();
        batch_of(host, EVENTS, 20)
    });
    let per_event = |host: &Host, batch: i64| read(host, batch) / EVENTS as f64 * 1e6;
    let compared = pairs(|| per_event(ours, batches[0]), || per_event(peer, batches[1]));
    [ours, peer].iter().for_each(|host| finish(host));
    vec![Row::new(
        "reading a 2 M event batch, per event / PgQ 3.5",
        "us",
        Some(Target::AtMost(0.5)),
        compared,
    )]
}

fn finish(host: &Host) {
    host.connect().exec("SELECT pgq.unregister_consumer('bench', 'reader')");
    host.clear();
}

/// Putting a hundredth of a batch of 10,000 events off, in the order in which they lie.
pub fn put_off(ours: &Host, peer: Option<&Host>) -> Vec<Row> {
    let Some(peer) = peer else {
        println!("| putting events off / PgQ 3.5 | – | – | needs the original: make bench-peers | – |");
        return Vec::new();
    };
    const EVENTS: i64 = 10_000;
    let batches = [ours, peer].map(|host| {
        host.clear();
        batch_of(host, EVENTS, 10)
    });
    let per_event = |host: &Host, batch: i64| {
        let mut session = host.connect();
        let events: Vec<i64> =
            session.column("SELECT ev_id FROM pgq.get_batch_events($1) WHERE ev_id % 100 = 0", &[&batch]);
        session.exec("BEGIN");
        let took = seconds(|| {
            let call = "SELECT count(pgq.event_retry($1, id, 60)) FROM unnest($2::bigint[]) id";
            session.one::<i64>(call, &[&batch, &events]);
        });
        session.exec("ROLLBACK");
        took / events.len() as f64 * 1e6
    };
    let compared = pairs(|| per_event(ours, batches[0]), || per_event(peer, batches[1]));
    [ours, peer].iter().for_each(|host| finish(host));
    vec![Row::new("putting off each hundredth event of 10,000 / PgQ 3.5", "us", None, compared)]
}

/// Reading a batch of 10 M events: memory of the backend and time to the first row, where the events lie in order
/// and where they do not.
pub fn ten_million(ours: &Host) {
    const EVENTS: i64 = 10_000_000;
    println!(
        "| 10 M events, work_mem 4 MB | first row | all rows | private memory, most | temporary files |"
    );
    println!("|---|---|---|---|---|");
    for in_order in [true, false] {
        ours.clear();
        let batch = batch_of(ours, EVENTS, 10);
        if !in_order {
            // One event whose id comes before all others but lies behind them.
            ours.connect().exec(
                "INSERT INTO pgq.event_1_0 (ev_id, ev_time, ev_txid, ev_type)
                 SELECT 0, ev_time, ev_txid, 'first' FROM pgq.event_1_0 ORDER BY ev_txid DESC LIMIT 1",
            );
        }
        let lying = if in_order { "in order" } else { "out of order" };
        measure(ours, &format!("get_batch_cursor, {lying}"), |session| {
            session.exec("BEGIN");
            let first = duration(|| {
                session.exec(&format!("SELECT pgq.get_batch_cursor({batch}, 'reading', 1)"));
            });
            while !session.rows("FETCH 10000 FROM reading", &[]).is_empty() {}
            session.exec("COMMIT");
            Some(first)
        });
        measure(ours, &format!("get_batch_events, {lying}"), |session| {
            session.exec(&format!("SELECT count(*) FROM pgq.get_batch_events({batch})"));
            None
        });
        finish(ours);
    }
}

fn measure(host: &Host, work: &str, run: impl FnOnce(&mut Session) -> Option<Duration>) {
    let mut session = host.connect();
    session.exec("SET work_mem = '4MB'");
    let pid: i32 = session.one("SELECT pg_backend_pid()", &[]);
    let files_before = temporary_bytes(host);
    let (mut first, mut whole) = (None, Duration::ZERO);
    let most = most_private_kilobytes(pid, || whole = duration(|| first = run(&mut session)));
    drop(session);
    let files = (temporary_bytes(host) - files_before) / (1 << 20);
    let first = first.map_or_else(|| String::from("–"), |first| format!("{:.2} s", first.as_secs_f64()));
    println!("| {work} | {first} | {:.2} s | {} MB | {files} MB |", whole.as_secs_f64(), most / 1024);
}

fn temporary_bytes(host: &Host) -> i64 {
    let mut session = host.connect();
    session.one("SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()", &[])
}
