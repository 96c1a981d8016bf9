//! Ticks: when one comes and what it says, ticks from outside, and the tick at which a batch of a wished size ends.

use crate::scene::with_queue;
use pgq_tests::client::Session;
use pgq_tests::queue;
use pgq_tests::shared::Database;

/// Whether a tick is due with so many new events, the newest tick being so old and the one before it so much older.
/// Nothing stays of it: the event sequence is at 0, so it is the tick that is put back behind it.
fn is_due(session: &mut Session, new_events: i32, age: &str, step: &str) -> bool {
    session.exec(&format!(
        "begin;
         update pgq.tick set tick_event_seq = -{new_events}, tick_time = clock_timestamp() - '{age}'::interval;
         insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
         select tick_queue, 0, tick_time - '{step}'::interval, tick_event_seq from pgq.tick"
    ));
    let tick: Option<i64> = session.one("select pgq.ticker('q')", &[]);
    session.exec("rollback");
    tick.is_some()
}

#[test]
fn new_events_wait_for_their_number_or_the_lag() {
    let (_database, mut session) = with_queue("ticks");
    assert!(!is_due(&mut session, 1, "2 s", "1 s"), "not three seconds yet");
    assert!(is_due(&mut session, 1, "4 s", "1 s"));
    assert!(!is_due(&mut session, 499, "0", "1 s"));
    assert!(is_due(&mut session, 500, "0", "1 s"));
}

#[test]
fn an_idle_queue_waits_for_half_the_lag_and_twice_the_step_or_the_idle_period() {
    let (_database, mut session) = with_queue("ticks");
    session.exec("update pgq.queue set queue_ticker_max_lag = '1 min', queue_ticker_idle_period = '1 h'");
    assert!(!is_due(&mut session, 0, "28 s", "0"), "not half the lag yet");
    assert!(is_due(&mut session, 0, "32 s", "0"));
    assert!(!is_due(&mut session, 0, "18 min", "10 min"), "not twice the step yet");
    assert!(is_due(&mut session, 0, "22 min", "10 min"));
    assert!(!is_due(&mut session, 0, "58 min", "50 min"), "not the idle period yet");
    assert!(is_due(&mut session, 0, "62 min", "50 min"));
    let second: Option<i64> = session.one("select pgq.ticker('q')", &[]);
    assert!(second.is_some(), "a queue with one tick is ticked at once");
}

#[test]
fn the_lag_is_for_events_and_the_idle_period_for_their_absence() {
    let (_database, mut session) = with_queue("ticks");
    session.exec("update pgq.queue set queue_ticker_max_lag = '1 h', queue_ticker_idle_period = '1 s'");
    assert!(!is_due(&mut session, 1, "50 min", "1 d"));
    assert!(is_due(&mut session, 0, "50 min", "1 d"));
    session.exec("update pgq.queue set queue_ticker_max_lag = '1 s', queue_ticker_idle_period = '1 h'");
    assert!(is_due(&mut session, 1, "50 min", "1 d"));
    assert!(!is_due(&mut session, 0, "50 min", "1 d"));
}

#[test]
fn a_tick_has_the_start_of_its_transaction_and_the_last_event_id() {
    let (_database, mut session) = with_queue("ticks");
    for _ in 0..3 {
        queue::insert(&mut session, "q", "kind", "data").unwrap();
    }
    session.exec("update pgq.queue set queue_ticker_max_count = 3");
    session.exec("begin; select pg_sleep(0.01)");
    let tick: i64 = session.one("select pgq.ticker('q')", &[]);
    let row = session.rows(
        "select tick_id, tick_event_seq, tick_time = now() from pgq.tick order by tick_id desc limit 1",
        &[],
    );
    let row: (i64, i64, bool) = (row[0].get(0), row[0].get(1), row[0].get(2));
    assert_eq!(row, (tick, 3, true));
    session.exec("commit");
}

#[test]
fn all_queues_are_ticked_by_name_but_the_external_and_the_paused() {
    let (_database, mut session) = with_queue("ticks");
    for name in ["z", "b", "a", "external", "paused"] {
        queue::create(&mut session, name).unwrap();
    }
    session.exec(
        "select pgq.set_queue_config('external', 'external_ticker', 'true'),
                pgq.set_queue_config('paused', 'ticker_paused', 'true')",
    );
    assert_eq!(session.one::<i64>("select pgq.ticker()", &[]), 4);
    let ticked: Vec<String> = session.column(
        "select queue_name from pgq.tick t join pgq.queue on queue_id = tick_queue
          where tick_id > 1 order by t.ctid",
        &[],
    );
    assert_eq!(ticked, ["a", "b", "q", "z"]);
}

#[test]
fn a_tick_from_outside_lowers_no_sequence() {
    let (_database, mut session) = with_queue("ticks");
    session.exec("select pgq.set_queue_config('q', 'external_ticker', 'true')");
    let sequences = "select concat_ws(' ', pgq.seq_getval(queue_event_seq), pgq.seq_getval(queue_tick_seq))
                       from pgq.queue";
    session.exec("select pgq.ticker('q', 10, now(), 100)");
    assert_eq!(session.one::<String>(sequences, &[]), "100 10");
    session.exec("select pgq.ticker('q', 5, now(), 5)");
    assert_eq!(session.one::<String>(sequences, &[]), "100 10");
    // One may be ahead while the other is behind.
    session.exec("select pgq.ticker('q', 11, now(), 7)");
    assert_eq!(session.one::<String>(sequences, &[]), "100 11");
    session.exec("select pgq.ticker('q', 7, now(), 101)");
    assert_eq!(session.one::<String>(sequences, &[]), "101 11");
}

#[test]
fn a_tick_from_outside_that_says_too_little_is_refused() {
    let (_database, mut session) = with_queue("ticks");
    session.exec("select pgq.set_queue_config('q', 'external_ticker', 'true')");
    for (call, code) in [
        ("pgq.ticker('nosuch', 1, now(), 1)", "P0001"),
        ("pgq.ticker(null, 1, now(), 1)", "P0001"),
        ("pgq.ticker('q', 2, now(), null)", "23502"),
        ("pgq.ticker('q', null, now(), 1)", "23502"),
    ] {
        assert_eq!(session.error(&format!("select {call}")).code, code, "{call}");
    }
}

fn event_sequence(session: &mut Session) -> i64 {
    session.one("select pgq.seq_getval('pgq.event_1_id_seq')", &[])
}

#[test]
fn forcing_a_tick_takes_none_but_pushes_the_event_sequence() {
    let (_database, mut session) = with_queue("ticks");
    assert_eq!(session.one::<Option<i64>>("select pgq.force_tick('q')", &[]), Some(1));
    let first = event_sequence(&mut session);
    assert!(first > 2 * 500 + 1000, "{first}");
    session.exec("select pgq.set_queue_config('q', 'ticker_max_count', '5000')");
    assert_eq!(session.one::<Option<i64>>("select pgq.force_tick('q')", &[]), Some(1));
    let second = event_sequence(&mut session);
    assert!(second > first + 2 * 5000 + 1000, "{first}, then {second}");
    assert_eq!(session.one::<i64>("select count(*) from pgq.tick", &[]), 1);
    assert_eq!(queue::insert(&mut session, "q", "kind", "data").unwrap(), second + 1);
}

#[test]
fn forcing_a_tick_where_none_may_come_only_tells_the_newest() {
    let (_database, mut session) = with_queue("ticks");
    queue::insert(&mut session, "q", "kind", "data").unwrap();
    for setting in ["external_ticker", "ticker_paused"] {
        session.exec(&format!("begin; select pgq.set_queue_config('q', '{setting}', 'true')"));
        assert_eq!(session.one::<Option<i64>>("select pgq.force_tick('q')", &[]), Some(1), "{setting}");
        session.exec("rollback");
        assert_eq!(event_sequence(&mut session), 1, "{setting}");
    }
    assert_eq!(session.one::<Option<i64>>("select pgq.force_tick(null)", &[]), None);
    assert_eq!(session.one::<Option<i64>>("select pgq.force_tick('nosuch')", &[]), None);
}

/// A queue with ten ticks, ten events and one second apart: tick 3 says 30 and 00:00:03.
fn ten_ticks() -> (Database, Session) {
    let (database, mut session) = with_queue("ticks");
    session.exec("select pgq.register_consumer('q', 'c'); delete from pgq.tick");
    session.exec(
        "insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
         select 1, n, '2020-01-01'::timestamptz + n * '1 s'::interval, n * 10 from generate_series(1, 10) n",
    );
    (database, session)
}

/// The end of a batch that begins at this tick.
fn end(session: &mut Session, start: i64, min_count: Option<i64>, min_interval: Option<&str>) -> Option<i64> {
    session.one(
        "select next_tick_id
           from pgq.tick, pgq.find_tick_helper(1, tick_id, tick_time, tick_event_seq, $2, $3::text::interval)
          where tick_id = $1",
        &[&start, &min_count, &min_interval],
    )
}

#[test]
fn a_batch_of_a_wished_count_takes_all_up_to_twice_as_much() {
    let (_database, mut session) = ten_ticks();
    // There are 90 events behind the first tick.
    for (min_count, expected) in [
        (91, None),
        (90, Some(10)),
        (46, Some(10)),
        (45, Some(10)),
        (44, Some(6)),
        (40, Some(5)),
        (1, Some(2)),
    ] {
        assert_eq!(end(&mut session, 1, Some(min_count), None), expected, "{min_count}");
    }
}

#[test]
fn a_batch_of_a_wished_time_takes_all_up_to_twice_as_much() {
    let (_database, mut session) = ten_ticks();
    // The last tick comes 9 seconds behind the first.
    for (min_interval, expected) in [
        ("9.001 s", None),
        ("9 s", Some(10)),
        ("4.5 s", Some(10)),
        ("4.499 s", Some(6)),
        ("4 s", Some(5)),
        ("1 ms", Some(2)),
    ] {
        assert_eq!(end(&mut session, 1, None, Some(min_interval)), expected, "{min_interval}");
    }
}

#[test]
fn of_two_wishes_one_is_enough() {
    let (_database, mut session) = ten_ticks();
    for (min_count, min_interval, expected) in [
        // Too much time, so the first tick that has enough of either.
        (45, "4 s", Some(5)),
        (25, "4 s", Some(4)),
        // Too many events.
        (44, "4.5 s", Some(6)),
        (44, "5.5 s", Some(6)),
        (44, "9 s", Some(6)),
        // Enough of one, and not too much of either.
        (91, "4.5 s", Some(10)),
        (45, "10 s", Some(10)),
        (91, "10 s", None),
    ] {
        let end = end(&mut session, 1, Some(min_count), Some(min_interval));
        assert_eq!(end, expected, "{min_count}, {min_interval}");
    }
}

#[test]
fn a_wish_for_nothing_is_the_next_tick() {
    let (_database, mut session) = ten_ticks();
    for nothing in [0, -1] {
        assert_eq!(end(&mut session, 4, Some(nothing), None), Some(5));
        assert_eq!(end(&mut session, 4, None, Some(&format!("{nothing} s"))), Some(5));
        assert_eq!(end(&mut session, 10, Some(nothing), None), None, "there is none");
    }
    assert_eq!(end(&mut session, 4, None, None), None, "no wish is not a wish for nothing");
}

#[test]
fn the_tick_found_comes_with_its_time_and_event_id() {
    let (_database, mut session) = ten_ticks();
    let row: String = session.one(
        "select concat_ws(' ', next_tick_id, next_tick_time at time zone 'utc', next_tick_seq)
           from pgq.find_tick_helper(1, 2, '2020-01-01 00:00:02+00', 20, 30, null)",
        &[],
    );
    assert_eq!(row, "5 2020-01-01 00:00:05 50");
}

#[test]
fn next_batch_passes_the_wished_time_on() {
    let (_database, mut session) = ten_ticks();
    let end = "select cur_tick_id from pgq.next_batch_custom('q', 'c', null, null, $1::text::interval)";
    assert_eq!(session.one::<Option<i64>>(end, &[&"10 s"]), None);
    assert_eq!(session.one::<Option<i64>>(end, &[&"4 s"]), Some(5));
    session.exec("select pgq.finish_batch(sub_batch) from pgq.subscription");
    // Behind the fifth there are 5 seconds.
    assert_eq!(session.one::<Option<i64>>(end, &[&"2.5 s"]), Some(10));
}

#[test]
fn the_wished_age_is_that_of_the_chosen_tick() {
    let (_database, mut session) = ten_ticks();
    session.exec("update pgq.tick set tick_time = now() where tick_id = 10");
    let end = "select cur_tick_id from pgq.next_batch_custom('q', 'c', '1 h', $1, null)";
    // The last tick would be chosen; that there are older ones does not help.
    assert_eq!(session.one::<Option<i64>>(end, &[&45]), None);
    assert_eq!(session.one::<Option<i64>>(end, &[&44]), Some(6));
}
