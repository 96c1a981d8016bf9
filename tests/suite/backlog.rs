//! What came while nobody ticked is handed out in pieces.

use crate::scene::with_consumer;
use pgq_tests::client::Session;
use pgq_tests::queue::Event;

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
    let _: i64 = pgq_tests::queue::tick_now(&mut session, "q").unwrap();
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
