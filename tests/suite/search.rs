//! Finding the events that are put off: in any order, wherever they lie, for whomever they are.

use std::collections::{BTreeMap, BTreeSet};

use crate::scene::{rotating, with_consumer};
use pgq_tests::client::Session;
use pgq_tests::queue::{self, Batch, Consumer};

fn tick_and_open(session: &mut Session, consumer: &Consumer) -> Batch {
    queue::tick_now(session, &consumer.queue).unwrap();
    consumer.next_batch(session).unwrap().expect("a batch after a tick")
}

/// All that a batch shows, by id, and how often each came back.
fn shown(session: &mut Session, batch: &Batch) -> BTreeMap<i64, String> {
    let sql = format!("select ev_id, (e.*)::text from pgq.get_batch_events({}) e", batch.id);
    session.rows(&sql, &[]).into_iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The same of what waits for a consumer. The transaction is not kept, and a retry is counted.
fn waiting(session: &mut Session, consumer: &Consumer, batch: &Batch) -> BTreeMap<i64, String> {
    let sql = "select r.ev_id, (e.*)::text
                 from pgq.retry_queue r
                 join pgq.subscription s on s.sub_id = r.ev_owner and s.sub_batch = $1
                 join pgq.consumer on co_id = sub_consumer and co_name = $2
                 join pgq.get_batch_events($1) g on g.ev_id = r.ev_id
                 cross join lateral (
                        select r.ev_id, r.ev_time, g.ev_txid, nullif(r.ev_retry - 1, 0), r.ev_type, r.ev_data,
                               r.ev_extra1, r.ev_extra2, r.ev_extra3, r.ev_extra4) e";
    let rows = session.rows(sql, &[&batch.id, &consumer.name]);
    rows.into_iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Puts off each of these events once or twice and compares with what the batch shows.
fn put_off(session: &mut Session, consumer: &Consumer, batch: &Batch, ids: &[i64]) {
    let shown = shown(session, batch);
    let mut put_off = BTreeSet::new();
    for id in ids {
        let answer = session.query_one("select pgq.event_retry($1, $2, -1)", &[&batch.id, id]);
        match (shown.contains_key(id), answer) {
            (true, Ok(row)) => assert_eq!(row.get::<_, i32>(0) == 1, put_off.insert(*id), "event {id}"),
            (false, Err(error)) => assert_eq!(error.code().unwrap().code(), "P0001"),
            (is_in, answer) => panic!("event {id}, in the batch: {is_in}: {answer:?}"),
        }
    }
    let expected: BTreeMap<_, _> = shown.into_iter().filter(|(id, _)| put_off.contains(id)).collect();
    assert_eq!(waiting(session, consumer, batch), expected);
}

fn orders(last: i64) -> [Vec<i64>; 3] {
    let ascending: Vec<i64> = (1..=last + 2).filter(|_| fastrand::u8(..) < 128).collect();
    let descending = ascending.iter().rev().copied().collect();
    let mut random: Vec<i64> = ascending.iter().chain(&ascending).copied().collect();
    fastrand::shuffle(&mut random);
    [ascending, descending, random]
}

#[test]
fn in_any_order_just_those_of_the_batch_are_found() {
    let (cluster, mut session) = rotating();
    let consumers = ["c", "d", "e"].map(|name| Consumer::new("q", name));
    for consumer in &consumers {
        consumer.register(&mut session).unwrap();
    }
    let mut writers = [cluster.connect("postgres"), cluster.connect("postgres")];
    let mut tables = BTreeSet::new();
    for round in 0..6 {
        for writer in &mut writers {
            writer.exec("begin");
        }
        for _ in 0..15 {
            let writer = &mut writers[fastrand::usize(..2)];
            let length = if fastrand::u8(..8) == 0 { 12_000 } else { fastrand::i32(..400) };
            let insert = format!(
                "select pgq.insert_event('q', 'kind', pgq_payload, 'one', null, 'three', null)
                   from (select string_agg(chr(65 + (random() * 25)::int), '') from generate_series(1, {length}))
                     as payload (pgq_payload)"
            );
            match fastrand::u8(..5) {
                0 => writer.exec(&format!("savepoint s; {insert}; rollback to s")),
                _ => writer.exec(&insert),
            }
        }
        // One stays open in some rounds: its events lie among those of this batch, and are in the next.
        writers[0].exec("commit");
        if round % 3 > 0 {
            writers[1].exec("commit");
        }
        queue::tick_now(&mut session, "q").unwrap();
        let last: i64 = session.one("select last_value from pgq.event_1_id_seq", &[]);
        let batches = consumers.each_ref().map(|c| c.next_batch(&mut session).unwrap().unwrap());
        for ((consumer, batch), ids) in consumers.iter().zip(&batches).zip(orders(last)) {
            let used: Vec<String> = session.column("select pgq.batch_event_tables($1)", &[&batch.id]);
            tables.extend(used);
            put_off(&mut session, consumer, batch, &ids);
        }
        for batch in &batches {
            batch.finish(&mut session).unwrap();
        }
        if round % 3 == 0 {
            writers[1].exec("commit");
        }
        session.exec("select pgq.maint_retry_events()");
        queue::tick_now(&mut session, "q").unwrap();
        session.exec("select pgq.maint_rotate_tables_step1('q')");
        session.exec("select pgq.maint_rotate_tables_step2()");
    }
    assert_eq!(tables.len(), 3, "events of all tables");
}

#[test]
fn in_an_altered_table_they_are_found_too() {
    let (_database, mut session, consumer) = with_consumer("search");
    session.exec("select pgq.insert_event('q', 'kind', n::text) from generate_series(1, 30) n");
    session.exec("alter table pgq.event_1_0 add column note text");
    let batch = tick_and_open(&mut session, &consumer);
    for ids in orders(30) {
        put_off(&mut session, &consumer, &batch, &ids);
        session.exec("delete from pgq.retry_queue");
    }
}

#[test]
fn the_place_of_the_last_one_may_be_gone() {
    let (_database, mut session, consumer) = with_consumer("search");
    session.exec("select pgq.insert_event('q', 'kind', repeat('x', 500)) from generate_series(1, 100) n");
    let batch = tick_and_open(&mut session, &consumer);
    put_off(&mut session, &consumer, &batch, &[99]);
    batch.finish(&mut session).unwrap();
    session.exec("truncate pgq.event_1_0");
    let id = queue::insert(&mut session, "q", "kind", "the only one").unwrap();
    let batch = tick_and_open(&mut session, &consumer);
    session.exec("delete from pgq.retry_queue");
    put_off(&mut session, &consumer, &batch, &[id, id + 1]);
}
