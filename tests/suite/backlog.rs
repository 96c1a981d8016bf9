//! What came while nobody ticked is handed out in pieces.

use crate::scene::{rotating, with_consumer};
use pgq_tests::client::Session;
use pgq_tests::queue::{self, Consumer, Event};

/// As if the ticker had been away for an hour.
fn an_hour_later(session: &mut Session) {
    session.exec("update pgq.tick set tick_time = tick_time - interval '1 hour'");
}

/// So many transactions, each of which counts on the one row of `counter` and puts the number into an event.
fn count_up(session: &mut Session, times: i32) {
    session.exec(&format!(
        "do $$
         declare count int;
         begin
           for i in 1..{times} loop
             update counter set n = n + 1 returning n into count;
             perform pgq.insert_event('q', 'count', count::text);
             commit;
           end loop;
         end $$"
    ));
}

#[test]
fn a_backlog_comes_in_pieces_in_the_order_of_commits() {
    let (database, mut session, consumer) = with_consumer("backlog");
    session.exec("create table counter (n int); insert into counter values (0)");
    session.exec("select pgq.set_queue_config('q', 'ticker_max_count', '100')"); // pieces of 1000
    let mut long = database.connect();
    long.exec("begin; select pgq.insert_event('q', 'long', 'begin')");
    let mut open = database.connect();
    open.exec("begin; select pgq.insert_event('q', 'open', 'not yet')");
    let writers: Vec<_> =
        (0..4).map(|_| database.connect().spawn(|session| count_up(session, 2500))).collect();
    for writer in writers {
        writer.join();
    }
    long.exec("select pgq.insert_event('q', 'long', 'end'); commit");
    an_hour_later(&mut session);
    let _: i64 = session.one("select pgq.ticker('q')", &[]);

    let mut batches: Vec<Vec<Event>> = Vec::new();
    while let Some(batch) = consumer.next_batch(&mut session).unwrap() {
        batches.push(batch.events(&mut session).unwrap());
        batch.finish(&mut session).unwrap();
    }
    assert!((8..=11).contains(&batches.len()), "{} batches", batches.len());
    assert!(
        batches.iter().all(|events| events.len() <= 2000),
        "{:?}",
        batches.iter().map(Vec::len).collect::<Vec<_>>()
    );
    let counted = batches.iter().flatten().filter(|event| event.kind.as_deref() == Some("count"));
    let counted: Vec<i32> = counted.map(|event| event.data.as_ref().unwrap().parse().unwrap()).collect();
    assert!(counted.iter().copied().eq(1..=10_000), "each once, and none before the one it follows");
    let last = batches.last().unwrap();
    let long_ones = last.iter().filter(|event| event.kind.as_deref() == Some("long"));
    assert_eq!(long_ones.count(), 2, "the events of a transaction stay together");

    open.exec("commit");
    let _: i64 = queue::tick_now(&mut session, "q").unwrap();
    assert_eq!(consumer.drain_all(&mut session).unwrap().len(), 1);
}

#[test]
fn one_transaction_is_one_batch_however_big() {
    let (_database, mut session, consumer) = with_consumer("backlog");
    session.exec("select pgq.insert_event('q', 'kind', 'data') from generate_series(1, 20000)");
    an_hour_later(&mut session);
    let _: i64 = session.one("select pgq.ticker('q')", &[]);
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    assert_eq!(batch.events(&mut session).unwrap().len(), 20_000);
}

#[test]
fn a_ticker_in_time_does_not_cut() {
    let (_database, mut session, _consumer) = with_consumer("backlog");
    count_ticks_after(&mut session, "now() - interval '5 seconds'", 1);
    count_ticks_after(&mut session, "now() - interval '1 hour'", 6);
}

/// The ticks that come of six thousand events since a tick of that time.
fn count_ticks_after(session: &mut Session, time: &str, ticks: i64) {
    session.exec(&format!("update pgq.tick set tick_time = {time}"));
    session.exec("select pgq.set_queue_config('q', 'ticker_max_count', '10')");
    session.exec(
        "do $$ begin for i in 1..6000 loop perform pgq.insert_event('q', 'kind', 'data'); commit; end loop; end $$",
    );
    let before: i64 = session.one("select count(*) from pgq.tick", &[]);
    let _: i64 = session.one("select pgq.ticker('q')", &[]);
    assert_eq!(session.one::<i64>("select count(*) - $1 from pgq.tick", &[&before]), ticks);
}

fn drain(session: &mut Session, consumer: &Consumer) -> usize {
    consumer.drain_all(session).unwrap().len()
}

/// A queue whose backlog is cut into pieces of 1000.
fn cut_by_thousands(session: &mut Session) {
    session.exec("create table counter (n int); insert into counter values (0)");
    session.exec("select pgq.set_queue_config('q', 'ticker_max_count', '100')");
}

fn insert_at_once(session: &mut Session, events: i32) {
    session.exec(&format!("select pgq.insert_event('q', 'kind', 'data') from generate_series(1, {events})"));
}

#[test]
fn a_writer_that_straddles_a_rotation_is_found() {
    let (cluster, mut session) = rotating();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    cut_by_thousands(&mut session);
    queue::tick_now(&mut session, "q").unwrap();
    assert_eq!(drain(&mut session, &consumer), 0);
    queue::rotate(&mut session, "q").unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    assert_eq!(drain(&mut session, &consumer), 0);
    // It has its id before the switch, and looks where to write after it.
    let mut straddler = cluster.connect("postgres");
    straddler.exec("begin; select txid_current()");
    session.exec("select txid_current()");
    session.exec("select txid_current()");
    let table: i32 = session.one("select queue_cur_table from pgq.queue", &[]);
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_ne!(session.one::<i32>("select queue_cur_table from pgq.queue", &[]), table);
    insert_at_once(&mut straddler, 2000);
    straddler.exec("commit");
    session.exec("select pgq.maint_rotate_tables_step2()");
    count_up(&mut session, 3000);
    an_hour_later(&mut session);
    let _: i64 = session.one("select pgq.ticker('q')", &[]);
    assert_eq!(drain(&mut session, &consumer), 5000);
}

#[test]
fn two_tickers_at_once_do_not_hand_it_out_twice() {
    let (database, mut session, consumer) = with_consumer("backlog");
    cut_by_thousands(&mut session);
    count_up(&mut session, 4000);
    an_hour_later(&mut session);
    let mut slow = database.connect();
    slow.exec("begin; select pgq.ticker('q')");
    let _: i64 = session.one("select pgq.ticker('q')", &[]);
    slow.exec("commit");
    assert_eq!(drain(&mut session, &consumer), 4000);
}

#[test]
fn what_the_ticking_transaction_inserted_itself_comes_once() {
    let (database, mut session, consumer) = with_consumer("backlog");
    cut_by_thousands(&mut session);
    let mut both = database.connect();
    both.exec("begin");
    insert_at_once(&mut both, 2000);
    count_up(&mut session, 3000);
    an_hour_later(&mut session);
    both.exec("select pgq.ticker('q'); commit");
    queue::tick_now(&mut session, "q").unwrap();
    assert_eq!(drain(&mut session, &consumer), 5000);
}

#[test]
fn a_sequence_that_has_jumped_far_is_cut_into_no_more_pieces_than_can_be() {
    let (_database, mut session, consumer) = with_consumer("backlog");
    cut_by_thousands(&mut session);
    count_up(&mut session, 3000);
    session.exec("select setval(queue_event_seq, 4000000000000000000) from pgq.queue");
    an_hour_later(&mut session);
    let _: i64 = session.one("select pgq.ticker('q')", &[]);
    assert_eq!(drain(&mut session, &consumer), 3000);
}
