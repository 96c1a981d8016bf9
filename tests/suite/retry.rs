//! Events put off: what waits, what is refused, and how it comes back.

use crate::scene::with_consumer;
use pgq_tests::client::{Session, wait_until_blocked};
use pgq_tests::queue::{self, Batch, Consumer};

/// The next batch after a tick.
fn tick_and_open(session: &mut Session, consumer: &Consumer) -> Batch {
    queue::tick_now(session, &consumer.queue).unwrap();
    consumer.next_batch(session).unwrap().expect("a batch after a tick")
}

fn retry(session: &mut Session, batch: &Batch, event: i64, seconds: i32) -> i32 {
    session.one("select pgq.event_retry($1, $2, $3::int)", &[&batch.id, &event, &seconds])
}

fn maint(session: &mut Session) -> i32 {
    session.one("select pgq.maint_retry_events()", &[])
}

#[test]
fn a_copy_of_the_event_waits_with_all_it_has() {
    let (_database, mut session, _) = with_consumer("retry");
    // Another queue, so that queue and owner are not both 1.
    queue::create(&mut session, "other").unwrap();
    let consumer = Consumer::new("other", "c");
    Consumer::new("other", "before").register(&mut session).unwrap();
    consumer.register(&mut session).unwrap();
    session.exec(
        "select pgq.insert_event_raw('other', 50, '2001-02-03 04:05:06+00', null, null, 't', 'd', '1', '2', null, '4')",
    );
    let batch = tick_and_open(&mut session, &consumer);
    let at: i32 =
        session.one("select pgq.event_retry($1, 50, '2002-03-04 05:06:07+00'::timestamptz)", &[&batch.id]);
    assert_eq!(at, 1);
    let waiting: String = session.one(
        "select concat_ws(',', ev_retry_after at time zone 'utc', ev_queue, ev_id, ev_time at time zone 'utc',
                          coalesce(ev_txid::text, '-'), ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2,
                          coalesce(ev_extra3, '-'), ev_extra4)
           from pgq.retry_queue",
        &[],
    );
    assert_eq!(waiting, "2002-03-04 05:06:07,2,50,2001-02-03 04:05:06,-,3,1,t,d,1,2,-,4");
    let call = format!("select pgq.event_retry({}, 50, null::timestamptz)", batch.id);
    session.exec("delete from pgq.retry_queue");
    assert_eq!(session.error(&call).code, "23502");
}

#[test]
fn seconds_count_from_now_in_both_directions() {
    let (_database, mut session, consumer) = with_consumer("retry");
    let id = queue::insert(&mut session, "q", "kind", "data").unwrap();
    let batch = tick_and_open(&mut session, &consumer);
    for seconds in [90, -90, 0] {
        session.exec("begin");
        assert_eq!(retry(&mut session, &batch, id, seconds), 1);
        let away: i32 =
            session.one("select extract(epoch from ev_retry_after - now())::int from pgq.retry_queue", &[]);
        assert_eq!(away, seconds);
        session.exec("rollback");
        session.exec("begin");
        assert_eq!(session.one::<i32>("select pgq.batch_retry($1, $2)", &[&batch.id, &seconds]), 1);
        let away: i32 =
            session.one("select extract(epoch from ev_retry_after - now())::int from pgq.retry_queue", &[]);
        assert_eq!(away, seconds, "the whole batch");
        session.exec("rollback");
    }
    assert_eq!(retry(&mut session, &batch, id, 3600), 1);
    assert_eq!(maint(&mut session), 0, "its time has not come");
}

#[test]
fn each_retry_counts() {
    let (_database, mut session, consumer) = with_consumer("retry");
    let id = queue::insert(&mut session, "q", "kind", "data").unwrap();
    let mut counts = Vec::new();
    for _ in 0..3 {
        let batch = tick_and_open(&mut session, &consumer);
        counts.push(batch.events(&mut session).unwrap()[0].retry);
        assert_eq!(retry(&mut session, &batch, id, 0), 1);
        batch.finish(&mut session).unwrap();
        assert_eq!(maint(&mut session), 1);
    }
    assert_eq!(counts, [None, Some(1), Some(2)]);
}

#[test]
fn only_events_of_an_open_batch_can_be_put_off() {
    let (_database, mut session, consumer) = with_consumer("retry");
    let early = queue::insert(&mut session, "q", "kind", "early").unwrap();
    let batch = tick_and_open(&mut session, &consumer);
    let late = queue::insert(&mut session, "q", "kind", "late").unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    let call = |batch: &Batch, event| format!("select pgq.event_retry({}, {event}, 0)", batch.id);
    assert_eq!(session.error(&call(&batch, late)).code, "P0001", "it belongs to the next batch");
    batch.finish(&mut session).unwrap();
    assert_eq!(session.error(&call(&batch, early)).code, "P0001", "the batch is finished");
    let next = consumer.next_batch(&mut session).unwrap().unwrap();
    assert_eq!(session.error(&call(&next, early)).code, "P0001", "it belongs to the batch before");
    assert_eq!(session.one::<i64>("select count(*) from pgq.retry_queue", &[]), 0);
}

#[test]
fn a_whole_batch_is_put_off_but_for_what_waits_already() {
    let (_database, mut session, consumer) = with_consumer("retry");
    for number in 1..=5 {
        queue::insert(&mut session, "q", "kind", &number.to_string()).unwrap();
    }
    let batch = tick_and_open(&mut session, &consumer);
    assert_eq!(retry(&mut session, &batch, 3, 7200), 1);
    let null = format!("select pgq.batch_retry({}, null)", batch.id);
    assert_eq!(session.error(&null).code, "23502");
    assert_eq!(session.one::<i32>("select pgq.batch_retry($1, 3600)", &[&batch.id]), 4);
    // What waited already goes on waiting for its own time.
    let later: Vec<i64> = session
        .column("select ev_id from pgq.retry_queue where ev_retry_after > now() + '90 min'::interval", &[]);
    assert_eq!(later, [3]);
    let all: String = session.one(
        "select string_agg(concat_ws(':', ev_id, ev_retry, ev_data), ' ' order by ev_id) from pgq.retry_queue",
        &[],
    );
    assert_eq!(all, "1:1:1 2:1:2 3:1:3 4:1:4 5:1:5");
}

#[test]
fn the_raw_form_stores_what_it_is_given() {
    let (_database, mut session, _) = with_consumer("retry");
    session.exec(
        "select pgq.event_retry_raw('q', 'c', '2002-03-04 05:06:07+00', 4711, '2001-02-03 04:05:06+00', 7, 't', 'd',
                                    '1', null, '3', '4')",
    );
    let waiting = "select concat_ws(',', ev_retry_after at time zone 'utc', ev_queue, ev_id,
                                    ev_time at time zone 'utc', ev_owner, coalesce(ev_retry::text, '-'), ev_type,
                                    ev_data, ev_extra1, coalesce(ev_extra2, '-'), ev_extra3, ev_extra4)
                     from pgq.retry_queue";
    assert_eq!(
        session.one::<String>(waiting, &[]),
        "2002-03-04 05:06:07,1,4711,2001-02-03 04:05:06,1,7,t,d,1,-,3,4"
    );
    for arguments in ["null, 1, now(), 1", "now(), 1, null, 1"] {
        let call =
            format!("select pgq.event_retry_raw('q', 'c', {arguments}, 't', 'd', null, null, null, null)");
        assert_eq!(session.error(&call).code, "23502", "{arguments}");
    }
    session.exec("delete from pgq.retry_queue");
    let uncounted: i64 = session.one(
        "select pgq.event_retry_raw('q', 'c', now(), null, now(), null, 't', 'd', null, null, null, null)",
        &[],
    );
    assert_eq!(uncounted, 1, "the next value of the sequence");
    assert!(session.one::<bool>("select ev_retry is null from pgq.retry_queue", &[]));
}

/// So many due events, the first to be put off being the last to come, and one that is not due.
fn put_off(session: &mut Session, count: i32) {
    session.exec(&format!(
        "select pgq.event_retry_raw('q', 'c', now() - n * '1 min'::interval, n, '2001-01-01'::timestamptz + n * '1 s'::interval,
                                    n, 't' || n, 'd' || n, 'a' || n, null, 'c' || n, null)
           from generate_series(1, {count}) n;
         select pgq.event_retry_raw('q', 'c', now() + '1 h'::interval, 100, now(), 1, 't', 'd', null, null, null, null)"
    ));
}

#[test]
fn the_ten_that_wait_longest_go_first() {
    let (_database, mut session, _) = with_consumer("retry");
    put_off(&mut session, 12);
    assert_eq!(maint(&mut session), 10);
    let waiting = "select ev_id from pgq.retry_queue order by ev_id";
    assert_eq!(session.column::<i64>(waiting, &[]), [1, 2, 100]);
    assert_eq!(maint(&mut session), 2);
    assert_eq!(maint(&mut session), 0);
    assert_eq!(session.column::<i64>(waiting, &[]), [100]);
}

#[test]
fn what_comes_back_is_the_event_as_it_was_in_a_new_transaction() {
    let (_database, mut session, consumer) = with_consumer("retry");
    put_off(&mut session, 3);
    let columns = "concat_ws(',', ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, ev_extra1,
                             coalesce(ev_extra2, '-'), ev_extra3, coalesce(ev_extra4, '-'))";
    let before: Vec<String> = session
        .column(&format!("select {columns} from pgq.retry_queue where ev_id < 100 order by ev_id"), &[]);
    session.exec("begin");
    assert_eq!(maint(&mut session), 3);
    assert!(session.one::<bool>("select bool_and(ev_txid = txid_current()) from pgq.event_1", &[]));
    session.exec("commit");
    let after: Vec<String> =
        session.column(&format!("select {columns} from pgq.event_1 order by ev_id"), &[]);
    assert_eq!(after, before);
    let batch = tick_and_open(&mut session, &consumer);
    let ids: Vec<i64> = batch.events(&mut session).unwrap().iter().map(|event| event.id).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn two_movers_go_one_after_the_other_and_hold_up_no_writer() {
    let (database, mut first, _) = with_consumer("retry");
    put_off(&mut first, 12);
    first.exec("begin");
    assert_eq!(maint(&mut first), 10);
    let second = database.connect().spawn(maint);
    let mut writer = database.connect();
    wait_until_blocked(&mut writer, second.pid());
    writer.exec("set lock_timeout = '5s'");
    queue::insert(&mut writer, "q", "kind", "meanwhile").unwrap();
    first.exec("commit");
    assert_eq!(second.join().1, 2);
    let returned: Vec<i64> =
        first.column("select ev_id from pgq.event_1 where ev_owner is not null order by ev_id", &[]);
    assert_eq!(returned, (1..=12).collect::<Vec<i64>>());
}

/// A queue that is the copy of another node's is never open to producers, but its own consumers' retries come back.
#[test]
fn a_copied_queue_takes_back_what_is_for_one_consumer() {
    let (_database, mut session, consumer) = with_consumer("retry");
    Consumer::new("q", "other").register(&mut session).unwrap();
    queue::insert(&mut session, "q", "kind", "again").unwrap();
    let batch = tick_and_open(&mut session, &consumer);
    retry(&mut session, &batch, 1, 0);
    batch.finish(&mut session).unwrap();
    session.exec(
        "select pgq.set_queue_config('q', 'disable_insert', 'true'), pgq.set_queue_config('q', 'external_ticker', 'true')",
    );
    assert_eq!(session.error("select pgq.insert_event('q', 'kind', 'new')").code, "55000");
    let raw = "select pgq.insert_event_raw('q', 9, null, null, null, 'kind', 'new', null, null, null, null)";
    assert_eq!(session.error(raw).code, "55000");
    assert_eq!(maint(&mut session), 1);
    let read = |consumer: &Consumer, session: &mut Session| -> Vec<(i64, Option<i32>)> {
        let events = consumer.drain_all(session).unwrap();
        events.iter().map(|event| (event.id, event.retry)).collect()
    };
    assert_eq!(read(&Consumer::new("q", "other"), &mut session), [(1, None)]);
    session.exec("select pgq.ticker('q', max(tick_id) + 1, now(), 100) from pgq.tick");
    assert_eq!(read(&consumer, &mut session), [(1, Some(1))]);
    assert_eq!(read(&Consumer::new("q", "other"), &mut session), []);
}
