//! Positions: registering, moving, opening and finishing, ticks from outside, retries; and what each refuses.

use crate::scene::with_consumer;
use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Consumer};

fn code(session: &mut Session, call: &str) -> String {
    session.error(&format!("select {call}")).code
}

#[test]
fn registering_and_moving() {
    let (_database, mut session, consumer) = with_consumer("positions");
    assert!(!consumer.register(&mut session).unwrap(), "already there");
    for _ in 0..3 {
        queue::tick_now(&mut session, "q").unwrap();
    }
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    assert_eq!(session.one::<i32>("select pgq.register_consumer_at('q', 'c', 3)", &[]), 0);
    assert_eq!(consumer.position(&mut session).unwrap(), 3);
    assert!(!batch.finish(&mut session).unwrap(), "moving drops the open batch");
    assert_eq!(session.one::<i32>("select pgq.register_consumer_at('q', 'c', 1)", &[]), 0);
    assert_eq!(consumer.position(&mut session).unwrap(), 1);
    assert_eq!(session.one::<i32>("select pgq.register_consumer_at('q', 'new', 2)", &[]), 1);
    assert_eq!(code(&mut session, "pgq.register_consumer_at('q', 'none', 99)"), "P0001");
    assert_eq!(code(&mut session, "pgq.register_consumer('nosuch', 'c')"), "P0001");
    assert_eq!(code(&mut session, "pgq.register_consumer('q', null)"), "22004");
    session.exec("select pgq.create_queue('bare'); delete from pgq.tick where tick_queue = 2");
    let error = session.error("select pgq.register_consumer('bare', 'c')");
    assert_eq!(error.code, "P0001");
    assert!(error.message.contains("tick"), "{}", error.message);
    let none: i64 = session.one("select count(*) from pgq.consumer where co_name = 'none'", &[]);
    assert_eq!(none, 0, "nothing is left of a refused registration");
    assert_eq!(consumer.unregister(&mut session).unwrap(), 1);
    assert_eq!(consumer.unregister(&mut session).unwrap(), 0);
}

#[test]
fn a_batch_is_the_same_until_it_is_finished_and_is_finished_once() {
    let (_database, mut session, consumer) = with_consumer("positions");
    assert_eq!(consumer.next_batch(&mut session).unwrap(), None);
    queue::tick_now(&mut session, "q").unwrap();
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    assert_eq!(consumer.next_batch(&mut session).unwrap(), Some(batch));
    let info = session.rows(
        "select queue_name, consumer_name, prev_tick_id, tick_id from pgq.get_batch_info($1)",
        &[&batch.id],
    );
    assert_eq!((info[0].get::<_, &str>(0), info[0].get::<_, &str>(1)), ("q", "c"));
    assert_eq!((info[0].get::<_, i64>(2), info[0].get::<_, i64>(3)), (batch.prev_tick, batch.tick));
    assert!(batch.finish(&mut session).unwrap());
    let _ = session.take_notices();
    assert!(!batch.finish(&mut session).unwrap());
    let notices = session.take_notices();
    assert_eq!((notices[0].severity.as_str(), notices[0].code.as_str()), ("WARNING", "01000"));
    assert!(notices[0].message.contains(&batch.id.to_string()));
    assert_eq!(session.one::<i32>("select pgq.finish_batch(null)", &[]), 0);
    let next = consumer.next_batch(&mut session).unwrap().unwrap();
    assert_eq!(next.prev_tick, batch.tick);
    assert!(next.id > batch.id);
}

#[test]
fn refusals_of_next_batch_name_queue_and_consumer() {
    let (_database, mut session, _) = with_consumer("positions");
    for (call, words) in [
        ("pgq.next_batch('q', 'nobody')", ["q", "nobody"]),
        ("pgq.next_batch('nosuch', 'c')", ["nosuch", "c"]),
        ("pgq.next_batch_info(null, null)", ["NULL", "NULL"]),
        ("pgq.next_batch_custom('q', 'nobody', null, null, null)", ["q", "nobody"]),
    ] {
        let error = session.error(&format!("select {call}"));
        assert_eq!(error.code, "P0001", "{call}");
        assert!(words.iter().all(|word| error.message.contains(word)), "{call}: {}", error.message);
    }
    session.exec("update pgq.subscription set sub_last_tick = 77");
    let error = session.error("select pgq.next_batch('q', 'c')");
    assert_eq!(error.code, "P0001");
}

#[test]
fn ticks_from_outside() {
    let (_database, mut session, consumer) = with_consumer("positions");
    assert_eq!(code(&mut session, "pgq.ticker('q', 10, now(), 100)"), "P0001");
    session.exec("select pgq.set_queue_config('q', 'external_ticker', 'true')");
    assert_eq!(code(&mut session, "pgq.ticker('q')"), "P0001");
    assert_eq!(session.one::<i64>("select pgq.ticker('q', 10, '2001-01-01', 100)", &[]), 10);
    let row: String = session.one(
        "select concat_ws(' ', tick_event_seq, tick_time::date, pgq.seq_getval(queue_event_seq), pgq.seq_getval(queue_tick_seq))
           from pgq.tick join pgq.queue on queue_id = tick_queue where tick_id = 10",
        &[],
    );
    assert_eq!(row, "100 2001-01-01 100 10");
    assert_eq!(code(&mut session, "pgq.ticker('q', 10, now(), 100)"), "23505");
    assert_eq!(code(&mut session, "pgq.ticker('q', 11, null, 100)"), "23502");
    assert_eq!(session.one::<i64>("select pgq.ticker('q', 5, now(), 5)", &[]), 5, "a lower id is accepted");
    assert_eq!(session.one::<Option<i64>>("select pgq.force_tick('q')", &[]), Some(10));
    assert_eq!(consumer.next_batch(&mut session).unwrap().unwrap().tick, 5);
    session.exec("select pgq.set_queue_config('q', 'ticker_paused', 'true')");
    assert_eq!(code(&mut session, "pgq.ticker('q', 12, now(), 100)"), "P0001");
    session.exec("select pgq.set_queue_config('q', 'external_ticker', 'false')");
    assert_eq!(code(&mut session, "pgq.ticker('q')"), "P0001");
    assert_eq!(code(&mut session, "pgq.ticker('nosuch')"), "P0001");
    assert_eq!(session.one::<Option<i64>>("select pgq.force_tick('nosuch')", &[]), None);
    assert_eq!(session.one::<i64>("select pgq.ticker()", &[]), 0, "a paused queue is passed over");
}

#[test]
fn a_retried_event_comes_back_to_its_consumer_alone() {
    let (_database, mut session, consumer) = with_consumer("positions");
    let other = Consumer::new("q", "other");
    other.register(&mut session).unwrap();
    let id = queue::insert(&mut session, "q", "kind", "again").unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    let retry = |session: &mut Session, event: i64| -> i32 {
        session.one("select pgq.event_retry($1, $2, 0)", &[&batch.id, &event])
    };
    assert_eq!(retry(&mut session, id), 1);
    assert_eq!(retry(&mut session, id), 0, "it waits already");
    let call = format!("pgq.event_retry({}, 4711, 0)", batch.id);
    assert_eq!(code(&mut session, &call), "P0001");
    assert_eq!(code(&mut session, &format!("pgq.event_retry({}, {id}, null::int)", batch.id)), "23502");
    assert_eq!(code(&mut session, "pgq.event_retry(77, 1, 0)"), "P0001");
    assert_eq!(session.one::<i32>(&format!("select pgq.batch_retry({}, 0)", batch.id), &[]), 0);
    batch.finish(&mut session).unwrap();
    assert_eq!(session.one::<i32>("select pgq.maint_retry_events()", &[]), 1);
    assert_eq!(session.one::<i32>("select pgq.maint_retry_events()", &[]), 0);
    queue::tick_now(&mut session, "q").unwrap();
    let events = consumer.drain_all(&mut session).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].id, events[0].retry, events[0].data.as_deref()), (id, Some(1), Some("again")));
    assert_eq!(other.drain_all(&mut session).unwrap().len(), 1, "the other has it once, from the first time");

    let raw = "pgq.event_retry_raw('q', 'c', now(), null, now(), 7, 't', 'd', null, null, null, null)";
    let raw_id: i64 = session.one(&format!("select {raw}"), &[]);
    assert!(raw_id > id);
    let twice = raw.replace("now(), null", &format!("now(), {raw_id}"));
    assert_eq!(code(&mut session, &twice), "23505");
    assert_eq!(code(&mut session, &raw.replace("'c'", "'nobody'")), "P0001");
}

/// Makes it look as if nobody had been here for years, to see who is noticed.
fn long_ago(session: &mut Session) {
    session.exec("update pgq.subscription set sub_active = '2001-01-01'");
}

fn seen_just_now(session: &mut Session) -> bool {
    session.one("select sub_active > now() - '1 h'::interval from pgq.subscription", &[])
}

#[test]
fn a_consumer_is_active_when_it_moves_opens_or_finishes() {
    let (_database, mut session, consumer) = with_consumer("positions");
    queue::tick_now(&mut session, "q").unwrap();
    long_ago(&mut session);
    consumer.register(&mut session).unwrap();
    assert!(!seen_just_now(&mut session), "registered again");
    session.exec("select pgq.register_consumer_at('q', 'c', null)");
    assert!(!seen_just_now(&mut session), "registered again at no tick");
    session.exec("select pgq.register_consumer_at('q', 'c', 1)");
    assert!(seen_just_now(&mut session), "moved, if only to where it was");

    long_ago(&mut session);
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    assert!(seen_just_now(&mut session), "opened a batch");
    long_ago(&mut session);
    assert_eq!(consumer.next_batch(&mut session).unwrap(), Some(batch));
    assert!(!seen_just_now(&mut session), "asked for the open batch");
    batch.finish(&mut session).unwrap();
    assert!(seen_just_now(&mut session), "finished");
    long_ago(&mut session);
    assert_eq!(consumer.next_batch(&mut session).unwrap(), None);
    assert!(!seen_just_now(&mut session), "asked for a batch in vain");
}

#[test]
fn a_moved_consumer_gets_a_batch_of_a_new_id() {
    let (_database, mut session, consumer) = with_consumer("positions");
    queue::tick_now(&mut session, "q").unwrap();
    let before = consumer.next_batch(&mut session).unwrap().unwrap();
    session.exec("select pgq.register_consumer_at('q', 'c', 1)");
    let after = consumer.next_batch(&mut session).unwrap().unwrap();
    assert_eq!((after.prev_tick, after.tick), (before.prev_tick, before.tick));
    assert_ne!(after.id, before.id);
}

#[test]
fn an_open_batch_comes_whatever_else_is_wished() {
    let (_database, mut session, consumer) = with_consumer("positions");
    queue::tick_now(&mut session, "q").unwrap();
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    let row = &session.rows(
        "select batch_id, prev_tick_id, cur_tick_id
           from pgq.next_batch_custom('q', 'c', '1 year', 1000000, '1 year')",
        &[],
    )[0];
    assert_eq!((row.get(0), row.get(1), row.get(2)), (batch.id, batch.prev_tick, batch.tick));
}

#[test]
fn batches_of_all_queues_are_numbered_together() {
    let (_database, mut session, consumer) = with_consumer("positions");
    queue::create(&mut session, "r").unwrap();
    let other = Consumer::new("r", "c");
    other.register(&mut session).unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    queue::tick_now(&mut session, "r").unwrap();
    let first = consumer.next_batch(&mut session).unwrap().unwrap();
    let second = other.next_batch(&mut session).unwrap().unwrap();
    assert_eq!(second.id, first.id + 1);
}

#[test]
fn who_unregisters_takes_its_retries_and_its_name_along_and_nobody_elses() {
    let (_database, mut session, consumer) = with_consumer("positions");
    queue::create(&mut session, "r").unwrap();
    let elsewhere = Consumer::new("r", "c");
    for another in [&elsewhere, &Consumer::new("q", "other")] {
        another.register(&mut session).unwrap();
    }
    session.exec(
        "select pgq.event_retry_raw(queue_name, co_name, now(), n, now(), 1, 't', 'd', null, null, null, null)
           from pgq.subscription join pgq.queue on queue_id = sub_queue
           join pgq.consumer on co_id = sub_consumer, generate_series(1, 2) n",
    );
    let waiting = "select count(*) from pgq.retry_queue join pgq.subscription on sub_id = ev_owner";
    let names = "select co_name from pgq.consumer order by co_name";
    assert_eq!(session.one::<i64>(waiting, &[]), 6);

    assert_eq!(consumer.unregister(&mut session).unwrap(), 1);
    assert_eq!(session.one::<i64>("select count(*) from pgq.retry_queue", &[]), 4);
    assert_eq!(session.one::<i64>(waiting, &[]), 4, "those of the others");
    assert_eq!(session.column::<String>(names, &[]), ["c", "other"], "c still reads r");

    assert_eq!(elsewhere.unregister(&mut session).unwrap(), 1);
    assert_eq!(session.one::<i64>("select count(*) from pgq.retry_queue", &[]), 2);
    assert_eq!(session.column::<String>(names, &[]), ["other"]);
}

#[test]
fn unregistering_who_is_not_there_is_0() {
    let (_database, mut session, _) = with_consumer("positions");
    for arguments in ["'q', 'nobody'", "'nosuch', 'c'", "null, 'c'", "'q', null", "null, null"] {
        let count: i32 = session.one(&format!("select pgq.unregister_consumer({arguments})"), &[]);
        assert_eq!(count, 0, "{arguments}");
    }
    assert_eq!(session.one::<i64>("select count(*) from pgq.subscription", &[]), 1);
}

/// The batch is finished next, where the events come from: what was lost here then would be lost for good.
#[test]
fn positions_kept_with_the_results_are_on_the_disk_whatever_other_commits_are() {
    let marks = [
        ("pgq_ext.set_batch_done('q', 'c', '', 17)", "pgq_ext.is_batch_done('q', 'c', '', 17)"),
        ("pgq_ext.set_last_tick('q', 'c', '', 17)", "pgq_ext.get_last_tick('q', 'c', '') = 17"),
        ("pgq_ext.set_event_done('q', 'c', '', 17, 4)", "pgq_ext.is_event_done('q', 'c', '', 17, 4)"),
        (
            "pgq_node.set_consumer_completed('q', 'worker', 17)",
            "(select completed_tick = 17 from pgq_node.get_consumer_state('q', 'worker'))",
        ),
    ];
    let mut cluster =
        Cluster::builder().conf("synchronous_commit", "off").conf("wal_writer_delay", "10s").start();
    let mut session = cluster.connect("postgres");
    session.exec(
        "create extension pgq; create extension pgq_ext; create extension pgq_node;
         select pgq_node.register_location('q', 'node', '', false);
         select pgq_node.create_node('q', 'root', 'node', 'worker', null, null, null);
         create table result (mark text); create table unmarked ()",
    );
    for (mark, is_kept) in marks {
        session.exec(&format!("begin; insert into result values ('{}'); select {mark}; commit", &mark[..12]));
        session.exec("insert into unmarked default values");
        cluster.kill9();
        cluster.start_again();
        session = cluster.connect("postgres");
        assert!(session.one::<bool>(&format!("select {is_kept}"), &[]), "{mark}");
    }
    assert_eq!(session.one::<i64>("select count(*) from result", &[]), 4);
    // What shows that a commit can be lost here.
    assert!(session.one::<i64>("select count(*) from unmarked", &[]) < 4);
}

/// Who stores the batch's id with the results must never meet it again with other contents.
#[test]
fn a_batch_that_was_handed_out_is_on_the_disk_whatever_other_commits_are() {
    let mut cluster =
        Cluster::builder().conf("synchronous_commit", "off").conf("wal_writer_delay", "10s").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    queue::create(&mut session, "q").unwrap();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    cluster.kill9();
    cluster.start_again();
    let open: Option<i64> = cluster.connect("postgres").one("select sub_batch from pgq.subscription", &[]);
    assert_eq!(open, Some(batch.id));
}
