//! Cooperative consumers: what the functions of `pgq_coop` answer, and that a group as a whole is a consumer that
//! misses nothing, whoever of it meets, stalls or dies.

mod answers;
mod campaign;
mod company;
mod deaths;
mod processes;
mod races;
mod takeover;

use crate::scene::with_queue;
use pgq_tests::client::Session;
use pgq_tests::queue;
use pgq_tests::shared::Database;

/// A database with the queue `q`, whose group `m` works from here on. Sub-consumers come as they are named.
fn with_group(label: &str) -> (Database, Session) {
    let (database, mut session) = with_queue(label);
    database.create_extensions(&["pgq_coop"]);
    session.exec("select pgq.register_consumer('q', 'm')");
    (database, session)
}

/// Takes part in the group under this name.
fn next(session: &mut Session, name: &str) -> Option<i64> {
    session.one("select pgq_coop.next_batch('q', 'm', $1)", &[&name])
}

/// The same, taking over from who was silent for so long.
fn next_after(session: &mut Session, name: &str, dead_interval: &str) -> Option<i64> {
    session.one("select pgq_coop.next_batch('q', 'm', $1, $2::text::interval)", &[&name, &dead_interval])
}

fn finish(session: &mut Session, batch: i64) -> i32 {
    session.one("select pgq_coop.finish_batch($1)", &[&batch])
}

/// What the events of a batch say.
fn read(session: &mut Session, batch: i64) -> Vec<String> {
    session.column("select ev_data from pgq.get_batch_events($1)", &[&batch])
}

/// A tick's worth of events for each; each is one batch.
fn supply(session: &mut Session, events: &[&str]) {
    for data in events {
        queue::insert(session, "q", "kind", data).unwrap();
        queue::tick_now(session, "q").unwrap();
    }
}

/// Works off all that there is, under this name.
fn drain(session: &mut Session, name: &str) -> Vec<String> {
    let mut got = Vec::new();
    while let Some(batch) = next(session, name) {
        got.extend(read(session, batch));
        assert_eq!(finish(session, batch), 1);
    }
    got
}

/// A subscription: name, last tick, next tick, batch.
type Position = (String, Option<i64>, Option<i64>, Option<i64>);

/// The subscriptions of the queue, by name.
fn positions(session: &mut Session) -> Vec<Position> {
    let rows = session.rows(
        "select co_name, sub_last_tick, sub_next_tick, sub_batch
           from pgq.subscription join pgq.consumer on co_id = sub_consumer order by co_name",
        &[],
    );
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

/// The names that the queue's consumers have.
fn names(session: &mut Session) -> Vec<String> {
    session.column("select co_name from pgq.consumer order by co_name", &[])
}
