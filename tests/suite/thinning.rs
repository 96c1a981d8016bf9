//! Ticks that nobody needs are forgotten by the ticker in the server; batches stay right.

use crate::scene::with_consumer;
use pgq_tests::client::{Session, wait_until, wait_until_blocked};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Consumer};

const TICKS: i64 = 3000;

/// A queue whose consumers waited so eagerly that each of three thousand events got a tick; one and a half minutes
/// ago, a tick every ten milliseconds.
fn many_ticks() -> (Cluster, Session) {
    let cluster = Cluster::builder()
        .conf("shared_preload_libraries", "pgq")
        .conf("pgq.ticker", "off")
        .conf("autovacuum", "off")
        .start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    queue::create(&mut session, "q").unwrap();
    for consumer in ["slow", "reading", "quick"] {
        Consumer::new("q", consumer).register(&mut session).unwrap();
    }
    session.exec("select pgq.set_queue_config('q', 'ticker_max_count', '1')");
    session.exec(&format!(
        "do $$ begin
           for i in 1..{TICKS} loop
             perform pgq.insert_event('q', 'kind', i::text);
             commit;
             perform pgq.ticker('q');
             commit;
           end loop;
         end $$"
    ));
    session.exec("select pgq.set_queue_config('q', 'ticker_max_count', '500')");
    session.exec("update pgq.tick set tick_time = now() - interval '90 s' + tick_id * interval '10 ms'");
    (cluster, session)
}

fn go_on(session: &mut Session) {
    session.exec("alter system set pgq.ticker = on");
    session.exec("select pg_reload_conf()");
}

fn ticks(session: &mut Session) -> i64 {
    session.one("select count(*) from pgq.tick", &[])
}

fn numbers(events: &[queue::Event]) -> Vec<i64> {
    events.iter().map(|event| event.data.as_ref().unwrap().parse().unwrap()).collect()
}

#[test]
fn ticks_are_thinned_to_what_the_classic_rule_would_have_taken() {
    let (_cluster, mut session) = many_ticks();
    let [slow, reading, quick] = ["slow", "reading", "quick"].map(|name| Consumer::new("q", name));
    assert_eq!(quick.drain_all(&mut session).unwrap().len() as i64, TICKS);
    for _ in 0..100 {
        let batch = reading.next_batch(&mut session).unwrap().unwrap();
        batch.finish(&mut session).unwrap();
    }
    let open = reading.next_batch(&mut session).unwrap().unwrap();

    go_on(&mut session);
    // 30 seconds at one in three, those of the last moments aside.
    wait_until("fewer ticks", || ticks(&mut session) < 30);
    assert!(ticks(&mut session) >= 11, "no farther apart than by the rule");

    // The batch that was open is what it was, and what follows is all there is, once.
    assert_eq!(numbers(&open.events(&mut session).unwrap()), [101]);
    open.finish(&mut session).unwrap();
    let rest = numbers(&reading.drain_all(&mut session).unwrap());
    assert!(rest.iter().copied().eq(102..=TICKS), "{rest:?}");
    let mut batches = 0;
    let mut all = Vec::new();
    while let Some(batch) = slow.next_batch(&mut session).unwrap() {
        all.extend(numbers(&batch.events(&mut session).unwrap()));
        batch.finish(&mut session).unwrap();
        batches += 1;
    }
    assert!(all.iter().copied().eq(1..=TICKS), "{all:?}");
    assert!(batches < 30, "{batches}");
}

#[test]
fn behind_all_consumers_few_are_kept() {
    let (_cluster, mut session) = many_ticks();
    for consumer in ["slow", "reading", "quick"] {
        assert_eq!(Consumer::new("q", consumer).drain_all(&mut session).unwrap().len() as i64, TICKS);
    }
    go_on(&mut session);
    // 30 seconds at one in thirty, or 3,000 events at one for 5,000; the windows' ends stay.
    wait_until("few ticks", || ticks(&mut session) < 8);
}

#[test]
fn in_a_cascade_nothing_is_forgotten_ahead_of_the_lowest_position() {
    let (_cluster, mut session) = many_ticks();
    let slow = Consumer::new("q", "slow");
    for consumer in ["reading", "quick"] {
        assert_eq!(Consumer::new("q", consumer).drain_all(&mut session).unwrap().len() as i64, TICKS);
    }
    for _ in 0..1000 {
        slow.next_batch(&mut session).unwrap().unwrap().finish(&mut session).unwrap();
    }
    let position = slow.position(&mut session).unwrap();
    session.exec(
        "create schema pgq_node;
         create table pgq_node.node_info (queue_name text, node_type text);
         insert into pgq_node.node_info values ('q', 'branch')",
    );
    let ahead = "select count(*) from pgq.tick where tick_id >= $1";
    let before: i64 = session.one(ahead, &[&position]);
    go_on(&mut session);
    wait_until("fewer ticks", || ticks(&mut session) - before < 30);
    // The queue's idle ticks go on in a cascade.
    assert!(session.one::<i64>(ahead, &[&position]) >= before);
}

#[test]
fn a_consumer_that_was_choosing_a_forgotten_tick_takes_the_next() {
    let (cluster, mut session) = many_ticks();
    let slow = Consumer::new("q", "slow");
    let mut thinning = cluster.connect("postgres");
    thinning.exec(
        "begin;
         select from pgq.subscription for update;
         delete from pgq.tick where tick_id between 2 and 9",
    );
    let chooser = cluster.connect("postgres");
    let pid = chooser.pid();
    let choosing = chooser.spawn(move |session| {
        let batch = slow.next_batch(session).unwrap().unwrap();
        (batch.tick, numbers(&batch.events(session).unwrap()))
    });
    wait_until_blocked(&mut session, pid);
    thinning.exec("commit");
    let (tick, events) = choosing.join().1;
    assert_eq!((tick, events), (10, (1..=9).collect()));
}

#[test]
fn an_old_view_that_chose_a_forgotten_tick_has_to_be_renewed() {
    let (database, mut session, consumer) = with_consumer("thinning");
    let forgotten = queue::tick_now(&mut session, "q").unwrap();
    let mut old = database.connect();
    old.exec("begin isolation level repeatable read; select from pgq.tick");
    queue::insert(&mut session, "q", "kind", "data").unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    session.exec(&format!("delete from pgq.tick where tick_id = {forgotten}"));
    assert_eq!(old.error("select * from pgq.next_batch('q', 'c')").code, "40001");
    old.exec("rollback; begin isolation level repeatable read");
    assert_eq!(consumer.drain_all(&mut old).unwrap().len(), 1);
}
