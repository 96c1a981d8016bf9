//! Ticks and consumers: when a tick comes, who gets which batch, and what happens when several do it at once.

use crate::scene::with_consumer;
use pgq_tests::client::{Session, wait_until_blocked};
use pgq_tests::queue::{self, Consumer};

fn tick(session: &mut Session, queue: &str) -> Option<i64> {
    session.one("select pgq.ticker($1)", &[&queue])
}

/// Ticks the queue until it has had its idle tick, and sets it so that the next tick is an hour away.
fn lull(session: &mut Session, queue: &str) {
    session.exec("update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'");
    tick(session, queue);
    session.exec("update pgq.queue set queue_ticker_max_lag = '1h', queue_ticker_idle_period = '1h'");
    assert_eq!(tick(session, queue), None);
}

#[test]
fn the_first_event_of_a_queue_counts() {
    let (_database, mut session, _) = with_consumer("ticks");
    lull(&mut session, "q");
    session.exec("update pgq.queue set queue_ticker_max_count = 1");
    assert_eq!(tick(&mut session, "q"), None);
    queue::insert(&mut session, "q", "kind", "first").unwrap();
    assert!(tick(&mut session, "q").is_some());
    assert_eq!(tick(&mut session, "q"), None);
}

#[test]
fn polling_an_idle_queue_writes_nothing() {
    let (_database, mut session, consumer) = with_consumer("idle");
    lull(&mut session, "q");
    while let Some(batch) = consumer.next_batch(&mut session).unwrap() {
        batch.finish(&mut session).unwrap();
    }
    let poll = "select pgq.ticker() + coalesce(pgq.ticker('q'), 0) + coalesce(pgq.next_batch('q', 'c'), 0)
                     + pgq.register_consumer('q', 'c') + pgq.maint_retry_events()";
    assert_eq!(session.one::<i64>(poll, &[]), 0);
    for _ in 0..50 {
        // In one transaction: what others do in this server gives the transaction no id.
        session.exec("begin");
        assert_eq!(session.one::<i64>(poll, &[]), 0);
        assert!(session.one::<bool>("select txid_current_if_assigned() is null", &[]));
        session.exec("commit");
    }
}

#[test]
fn a_queue_that_cannot_be_ticked_does_not_stop_the_others() {
    let (_database, mut session, _) = with_consumer("isolation");
    for name in ["a", "z"] {
        queue::create(&mut session, name).unwrap();
        lull(&mut session, name);
    }
    lull(&mut session, "q");
    session.exec("update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'");
    session.exec("drop sequence pgq.event_1_tick_seq");
    drop(session.take_notices());
    assert_eq!(session.one::<i64>("select pgq.ticker()", &[]), 2);
    let warnings = session.take_notices();
    assert!(warnings.iter().any(|warning| warning.message.contains("\"q\"")), "{warnings:?}");
}

#[test]
fn who_registers_waits_for_who_unregisters() {
    let (database, mut session, _) = with_consumer("reregister");
    queue::create(&mut session, "other").unwrap();
    // Another queue keeps the consumer's own row.
    Consumer::new("other", "c").register(&mut session).unwrap();
    let mut leaver = database.connect();
    leaver.exec("begin; select pgq.unregister_consumer('q', 'c')");
    let registering =
        database.connect().spawn(|session| session.one::<i32>("select pgq.register_consumer('q', 'c')", &[]));
    wait_until_blocked(&mut session, registering.pid());
    leaver.exec("commit");
    assert_eq!(registering.join().1, 1);
    let registered: i64 = session.one("select count(*) from pgq.get_consumer_info('q', 'c')", &[]);
    assert_eq!(registered, 1);
}

#[test]
fn a_tick_that_does_not_fit_the_server_is_told_at_each_call_due_or_not() {
    let (_database, mut session, _) = with_consumer("clock");
    lull(&mut session, "q");
    let next: i64 = session.one("select txid_snapshot_xmax(txid_current_snapshot())", &[]);
    let newest = |snapshot: String, event_seq: i64| {
        format!(
            "update pgq.tick set tick_snapshot = '{snapshot}', tick_event_seq = {event_seq}
              where tick_id = (select max(tick_id) from pgq.tick)"
        )
    };
    let (behind, ahead) = (next + 1_000_000, next + 1_000);
    session.exec(&newest(format!("{behind}:{behind}:"), 0));
    let error = session.error("select pgq.ticker('q')");
    assert_eq!(error.code, "P0001");
    assert!(error.message.contains("\"q\""), "{error:?}");
    assert!(error.detail.unwrap().contains(&behind.to_string()));
    assert!(error.hint.unwrap().contains("pgq.rebase_queue"));

    session.exec(&newest(format!("3:{ahead}:3"), 0));
    drop(session.take_notices());
    assert_eq!(tick(&mut session, "q"), None);
    assert!(session.take_notices().iter().any(|notice| notice.message.contains("transactions to come")));

    // What a first tick of PgQ 3.5 says of a queue without events is nothing strange, more is.
    for (event_seq, warnings) in [(1, 0), (2000, 1)] {
        session.exec(&newest("3:3:".to_owned(), event_seq));
        assert_eq!(tick(&mut session, "q"), None);
        assert_eq!(session.take_notices().len(), warnings, "{event_seq}");
    }
}

#[test]
fn who_ticks_sees_its_own_events_in_the_next_batch() {
    let (database, mut session, consumer) = with_consumer("own");
    // A later transaction finishes first, so that the own id is below the snapshot's xmax.
    session.exec("begin; select pgq.insert_event('q', 'kind', 'before')");
    database.connect().exec("select txid_current()");
    session.exec(
        "select pgq.force_tick('q'), pgq.ticker('q'); select pgq.insert_event('q', 'kind', 'after'); commit",
    );
    let batch = consumer.next_batch(&mut session).unwrap().expect("the tick");
    assert_eq!(batch.events(&mut session).unwrap(), []);
    batch.finish(&mut session).unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    assert_eq!(consumer.drain_all(&mut session).unwrap().len(), 2);
}

#[test]
fn a_tick_in_repeatable_read_has_a_fresh_snapshot() {
    let (database, mut session, consumer) = with_consumer("fresh");
    let mut ticker = database.connect();
    ticker.exec("begin isolation level repeatable read; select 1");
    queue::insert(&mut session, "q", "kind", "later").unwrap();
    session.exec("select pgq.force_tick('q')");
    assert!(tick(&mut ticker, "q").is_some());
    ticker.exec("commit");
    assert_eq!(consumer.drain_all(&mut session).unwrap().len(), 1);
}

#[test]
fn two_sessions_of_a_consumer_get_the_same_batch() {
    let (database, mut session, consumer) = with_consumer("same");
    queue::tick_now(&mut session, "q").unwrap();
    session.exec("begin");
    let first = consumer.next_batch(&mut session).unwrap().expect("a batch");
    let second = {
        let consumer = consumer.clone();
        database.connect().spawn(move |other| consumer.next_batch(other).unwrap())
    };
    wait_until_blocked(&mut database.connect(), second.pid());
    session.exec("commit");
    assert_eq!(second.join().1, Some(first));
}

#[test]
fn who_loses_a_race_to_register_is_registered() {
    let (database, mut session, _) = with_consumer("register");
    session.exec("begin");
    assert!(Consumer::new("q", "new").register(&mut session).unwrap());
    let second = database.connect().spawn(|other| Consumer::new("q", "new").register(other).unwrap());
    wait_until_blocked(&mut database.connect(), second.pid());
    session.exec("commit");
    assert!(!second.join().1);
}

#[test]
fn registering_elsewhere_survives_unregistering() {
    let (database, mut session, consumer) = with_consumer("unregister");
    queue::create(&mut session, "other").unwrap();
    session.exec("begin");
    assert_eq!(consumer.unregister(&mut session).unwrap(), 1);
    let second = database.connect().spawn(|other| Consumer::new("other", "c").register(other).unwrap());
    wait_until_blocked(&mut database.connect(), second.pid());
    session.exec("commit");
    assert!(second.join().1);
    assert_eq!(session.one::<i64>("select count(*) from pgq.get_consumer_info('other', 'c')", &[]), 1);
}

#[test]
fn a_batch_of_a_wished_size() {
    let (_database, mut session, _) = with_consumer("window");
    for _ in 0..6 {
        for _ in 0..10 {
            queue::insert(&mut session, "q", "kind", "data").unwrap();
        }
        session.exec("update pgq.queue set queue_ticker_max_count = 1");
        assert!(tick(&mut session, "q").is_some());
    }
    let mut ends = Vec::new();
    let next = "select batch_id, cur_tick_event_seq - prev_tick_event_seq
                  from pgq.next_batch_custom('q', 'c', null, 15, null)";
    loop {
        let row = session.query_one(next, &[]).unwrap();
        let Some(batch) = row.get::<_, Option<i64>>(0) else { break };
        ends.push(row.get::<_, i64>(1));
        session.exec(&format!("select pgq.finish_batch({batch})"));
    }
    // A backlog is worked off in batches of the wished size; the last, at most twice as big, goes to the end.
    assert_eq!(ends, [20, 20, 20]);
    let too_young = "select batch_id is null from pgq.next_batch_custom('q', 'c', '1 hour', null, null)";
    queue::tick_now(&mut session, "q").unwrap();
    assert!(session.one::<bool>(too_young, &[]));
}

#[test]
fn a_refused_retry_does_not_stop_the_others() {
    let (_database, mut session, consumer) = with_consumer("retry");
    queue::create(&mut session, "closed").unwrap();
    queue::create(&mut session, "full").unwrap();
    for name in ["closed", "full", "q"] {
        Consumer::new(name, "c").register(&mut session).unwrap();
        session.exec(&format!(
            "select pgq.event_retry_raw('{name}', 'c', now() - '1 hour'::interval, null, now(), 1, 'kind', n::text,
                                        null, null, null, null) from generate_series(1, 12) n"
        ));
    }
    session.exec("update pgq.queue set queue_disable_insert = true where queue_name = 'closed'");
    session.exec("update pgq.queue set queue_per_tx_limit = 0 where queue_name = 'full'");
    let mut moved = Vec::new();
    while let count @ 1.. = session.one::<i32>("select pgq.maint_retry_events()", &[]) {
        moved.push(count);
    }
    assert_eq!(moved, [10, 2]);
    queue::tick_now(&mut session, "q").unwrap();
    assert_eq!(consumer.drain_all(&mut session).unwrap().len(), 12);
    assert_eq!(session.one::<i64>("select count(*) from pgq.retry_queue", &[]), 24);
}

#[test]
fn a_sub_consumers_batch_finished_by_the_plain_function_leaves_it_idle() {
    let (_database, mut session, consumer) = with_consumer("coop");
    queue::tick_now(&mut session, "q").unwrap();
    session.exec(
        "insert into pgq.consumer (co_name) values ('c.1');
         insert into pgq.subscription (sub_id, sub_queue, sub_consumer, sub_last_tick, sub_next_tick, sub_batch)
         select s.sub_id, s.sub_queue, c.co_id, 1, 2, 77 from pgq.subscription s, pgq.consumer c where c.co_name = 'c.1'",
    );
    assert_eq!(session.one::<i32>("select pgq.finish_batch(77)", &[]), 1);
    let idle = "select sub_last_tick is null and sub_next_tick is null and sub_batch is null
                  from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name = 'c.1'";
    assert!(session.one::<bool>(idle, &[]));
    let batch = consumer.next_batch(&mut session).unwrap().expect("the main consumer has not moved");
    batch.finish(&mut session).unwrap();
    assert_eq!(session.one::<i32>("select pgq.unregister_consumer('q', 'c')", &[]), 2);
}

#[test]
fn a_sub_consumer_unregisters_alone_whether_idle_or_active() {
    for state in ["null, null, null", "1, 2, 77"] {
        let (_database, mut session, consumer) = with_consumer("coop");
        queue::tick_now(&mut session, "q").unwrap();
        session.exec(&format!(
            "insert into pgq.consumer (co_name) values ('c.1');
             insert into pgq.subscription (sub_id, sub_queue, sub_consumer, sub_last_tick, sub_next_tick, sub_batch)
             select s.sub_id, s.sub_queue, c.co_id, {state} from pgq.subscription s, pgq.consumer c where c.co_name = 'c.1';
             select pgq.event_retry_raw('q', 'c.1', now(), 1, now(), 1, 't', 'd', null, null, null, null)"
        ));
        assert_eq!(session.one::<i32>("select pgq.unregister_consumer('q', 'c.1')", &[]), 1, "{state}");
        let left: Vec<String> = session.column(
            "select co_name from pgq.subscription right join pgq.consumer on co_id = sub_consumer",
            &[],
        );
        assert_eq!(left, ["c"], "{state}");
        // The retried event was for whichever of them asks first.
        assert_eq!(session.one::<i32>("select pgq.maint_retry_events()", &[]), 1, "{state}");
        queue::tick_now(&mut session, "q").unwrap();
        assert_eq!(consumer.drain_all(&mut session).unwrap().len(), 1, "{state}");
    }
}

#[test]
fn no_batch_is_seven_nulls() {
    let (_database, mut session, _) = with_consumer("none");
    for call in ["next_batch_info('q', 'c')", "next_batch_custom('q', 'c', '1 s', 1, '1 s')"] {
        let columns: Vec<String> =
            session.column(&format!("select value::text from pgq.{call} b, jsonb_each(to_jsonb(b))"), &[]);
        assert_eq!(columns, ["null"; 7], "{call}");
    }
}
