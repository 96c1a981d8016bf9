//! Two sessions of one consumer that do the same at the same time.

use super::target;
use pgq_tests::client::{Session, wait_until_blocked};
use std::sync::{Arc, Barrier};

/// What came before, and a call that two make at a time.
const RACES: [(&str, &str); 6] = [
    ("", "set_batch_done('c', 2)"),
    ("set_batch_done('c', 1)", "set_batch_done('c', 2)"),
    ("set_batch_done('q', 'c', 's', 3)", "set_batch_done('q', 'c', 's', 2)"),
    ("", "set_event_done('c', 2, 1)"),
    ("set_event_done('c', 1, 1)", "set_event_done('c', 2, 1)"),
    ("set_event_done('q', 'c', 's', 2, 7)", "set_event_done('q', 'c', 's', 2, 8)"),
];

#[test]
fn the_second_waits_for_the_first_and_only_one_does_the_work() {
    for (before, race) in RACES {
        for first_commits in [true, false] {
            let (database, mut first) = target("ext");
            if !before.is_empty() {
                first.exec(&format!("select pgq_ext.{before}"));
            }
            let race = format!("select pgq_ext.{race}");
            first.exec("begin");
            assert!(first.one::<bool>(&race, &[]), "{race}");
            let again = race.clone();
            let second = database.connect().spawn(move |session| session.one::<bool>(&again, &[]));
            wait_until_blocked(&mut database.connect(), second.pid());
            first.exec(if first_commits { "commit" } else { "rollback" });
            assert_eq!(second.join().1, !first_commits, "after {before:?}: {race}");
            assert!(!first.one::<bool>(&race, &[]), "{race}");
        }
    }
}

#[test]
fn who_cannot_see_that_the_first_has_done_it_fails_and_does_nothing() {
    for (before, race) in RACES {
        let (database, mut first) = target("ext");
        if !before.is_empty() {
            first.exec(&format!("select pgq_ext.{before}"));
        }
        let mut second = database.connect();
        second.exec("begin isolation level repeatable read; select from pgq_ext.completed_tick");
        assert!(first.one::<bool>(&format!("select pgq_ext.{race}"), &[]), "{race}");
        assert_eq!(second.error(&format!("select pgq_ext.{race}")).code, "40001", "after {before:?}: {race}");
    }
}

#[test]
fn the_first_two_ticks_of_a_consumer_are_the_later_one() {
    let (database, mut first) = target("ext");
    first.exec("begin; select pgq_ext.set_last_tick('c', 1)");
    let second =
        database.connect().spawn(|session| session.one::<i32>("select pgq_ext.set_last_tick('c', 2)", &[]));
    wait_until_blocked(&mut database.connect(), second.pid());
    first.exec("commit");
    assert_eq!(second.join().1, 1);
    assert_eq!(first.one::<i64>("select pgq_ext.get_last_tick('c')", &[]), 2);
}

#[test]
fn an_event_that_comes_late_to_its_batch_does_not_stay_for_ever() {
    let (database, mut late) = target("ext");
    let mut session = database.connect();
    session.exec("select pgq_ext.set_event_done('c', 1, 1)");
    late.exec("begin; select pgq_ext.set_event_done('c', 1, 2)");
    session.exec("select pgq_ext.set_event_done('c', 2, 1)");
    late.exec("commit");
    assert!(session.one::<bool>("select pgq_ext.is_event_done('c', 1, 2)", &[]), "it is done");
    session.exec("select pgq_ext.set_event_done('c', 3, 1)");
    assert_eq!(session.column::<i64>("select batch_id from pgq_ext.completed_event", &[]), [3]);
}

#[test]
fn two_sub_consumers_and_two_queues_do_not_wait_for_each_other() {
    let (database, mut first) = target("ext");
    first.exec(
        "begin; select pgq_ext.set_batch_done('q', 'c', 's', 1), pgq_ext.set_event_done('q', 'c', 's', 1, 1),
                       pgq_ext.set_last_tick('q', 'c', 's', 1)",
    );
    let mut second = database.connect();
    second.exec("set lock_timeout = '1 s'");
    for names in ["'c'", "'c', 's'", "'q', 'c', ''", "'r', 'c', 's'", "'q', 'd', 's'"] {
        second.exec(&format!(
            "select pgq_ext.set_batch_done({names}, 1), pgq_ext.set_event_done({names}, 1, 1),
                    pgq_ext.set_last_tick({names}, 1)"
        ));
    }
}

/// Sessions that go through the same batches, event by event, all on the same batch at a time; a transaction holds so
/// many events.
fn crowd(events_in_transaction: usize) {
    const SESSIONS: usize = 4;
    const BATCHES: i64 = 15;
    const EVENTS: i64 = 30;
    let (database, mut monitor) = target("ext");
    monitor.exec("create table applied (batch bigint, event bigint)");
    let together = Arc::new(Barrier::new(SESSIONS));
    let work = move |session: &mut Session, together: &Barrier| {
        for batch in 1..=BATCHES {
            together.wait();
            let events: Vec<i64> = (1..=EVENTS).collect();
            for events in events.chunks(events_in_transaction) {
                session.exec("begin");
                for event in events {
                    session.exec(&format!(
                        "insert into applied select {batch}, {event}
                          where pgq_ext.set_event_done('q', 'c', '', {batch}, {event})"
                    ));
                }
                session.exec(if fastrand::u8(..5) == 0 { "rollback" } else { "commit" });
            }
        }
    };
    let crowd: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let together = Arc::clone(&together);
            database.connect().spawn(move |session| work(session, &together))
        })
        .collect();
    crowd.into_iter().for_each(|session| drop(session.join()));
    let twice: i64 = monitor
        .one("select count(*) from (select from applied group by batch, event having count(*) > 1) s", &[]);
    assert_eq!(twice, 0);
    let (applied, done): (i64, i64) = (
        monitor.one("select count(*) from applied where batch = $1", &[&BATCHES]),
        monitor.one("select count(*) from pgq_ext.completed_event", &[]),
    );
    assert_eq!(applied, done, "what is marked is applied");
    assert!(applied > EVENTS / 2, "{applied}");
}

#[test]
fn many_sessions_with_a_transaction_for_each_event_do_each_once() {
    crowd(1);
}

#[test]
fn many_sessions_with_transactions_of_many_events_do_each_once_and_do_not_deadlock() {
    crowd(30);
}
