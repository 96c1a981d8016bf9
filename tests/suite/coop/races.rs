//! Two at once: nothing is handed out twice, nothing is skipped, whoever commits first.

use super::{drain, finish, names, next, positions, read, supply, with_group};
use pgq_tests::client::{Background, DbError, Session, wait_until_blocked};
use pgq_tests::queue;
use pgq_tests::shared::Database;

/// Another session asks in the group's name, and has to wait.
fn asking(database: &Database, name: &'static str) -> Background<Result<Option<i64>, DbError>> {
    calling(database, format!("select pgq_coop.next_batch('q', 'm', '{name}')"))
}

/// Another session makes a call, and has to wait.
fn calling(database: &Database, call: String) -> Background<Result<Option<i64>, DbError>> {
    let called = database.connect().spawn(move |session| match session.query_one(&call, &[]) {
        Ok(row) => Ok(row.get(0)),
        Err(error) => Err(DbError::from(error.as_db_error().expect("an error of the server"))),
    });
    wait_until_blocked(&mut database.connect(), called.pid());
    called
}

#[test]
fn siblings_get_different_batches() {
    let (database, mut session) = with_group("race");
    supply(&mut session, &["1", "2"]);
    session.exec("begin");
    let first = next(&mut session, "a").unwrap();
    let second = asking(&database, "b");
    session.exec("commit");
    let second = second.join().1.unwrap().unwrap();
    assert_eq!([first, second].map(|batch| read(&mut session, batch).join(" ")), ["1", "2"]);
}

#[test]
fn what_is_rolled_back_goes_to_who_waits() {
    let (database, mut session) = with_group("race");
    supply(&mut session, &["1", "2"]);
    session.exec("begin");
    let lost = next(&mut session, "a").unwrap();
    let second = asking(&database, "b");
    session.exec("rollback");
    let second = second.join().1.unwrap().unwrap();
    assert_ne!(second, lost);
    assert_eq!(read(&mut session, second), ["1"]);
}

#[test]
fn two_sessions_of_one_sub_consumer_get_the_same_batch() {
    let (database, mut session) = with_group("race");
    supply(&mut session, &["1", "2"]);
    session.exec("begin");
    let first = next(&mut session, "a");
    let second = asking(&database, "a");
    session.exec("commit");
    assert_eq!(second.join().1.unwrap(), first);
    // And each other's finished batch is finished.
    session.exec("begin");
    assert_eq!(finish(&mut session, first.unwrap()), 1);
    let second = asking(&database, "a");
    session.exec("commit");
    let second = second.join().1.unwrap().unwrap();
    assert_eq!(read(&mut session, second), ["2"]);
}

#[test]
fn in_repeatable_read_who_comes_late_has_to_come_again() {
    let (database, mut session) = with_group("race");
    supply(&mut session, &["1", "2"]);
    for name in ["a", "b"] {
        session.exec(&format!("select pgq_coop.register_subconsumer('q', 'm', '{name}')"));
    }
    let mut late = database.connect();
    late.exec("begin isolation level repeatable read; select 1");
    let first = next(&mut session, "a").unwrap();
    assert_eq!(late.error("select pgq_coop.next_batch('q', 'm', 'b')").code, "40001");
    late.exec("rollback; begin isolation level repeatable read");
    let second = next(&mut late, "b").unwrap();
    assert_eq!(read(&mut late, second), ["2"]);
    late.exec("commit");
    assert_eq!(read(&mut session, first), ["1"]);

    // A group that it does not see yet.
    late.exec("begin isolation level repeatable read; select 1");
    session.exec("select pgq_coop.register_subconsumer('q', 'new', 'a')");
    for name in ["a", "b"] {
        let call = format!("savepoint s; select pgq_coop.next_batch('q', 'new', '{name}')");
        assert_eq!(late.error(&call).code, "40001", "{name}");
        late.exec("rollback to s");
    }
    // And one that begins at a tick that it does not see.
    late.exec("rollback; begin isolation level repeatable read; select 1");
    supply(&mut session, &["3"]);
    assert_eq!(late.error("select pgq_coop.next_batch('q', 'newer', 'a')").code, "40001");
}

#[test]
fn a_whole_group_works_in_repeatable_read() {
    let (database, mut session) = with_group("race");
    supply(&mut session, &["1", "2", "3", "4"]);
    let mut got = Vec::new();
    for name in ["a", "b", "a", "b"] {
        let mut member = database.connect();
        member.exec("set default_transaction_isolation = 'repeatable read'; begin");
        let batch = next(&mut member, name).unwrap();
        got.extend(read(&mut member, batch));
        assert_eq!(finish(&mut member, batch), 1);
        member.exec("commit");
    }
    assert_eq!(got, ["1", "2", "3", "4"]);
}

#[test]
fn unregistering_the_group_takes_along_who_is_just_coming() {
    for call in ["register_subconsumer('q', 'm', 'new')", "next_batch('q', 'm', 'new')"] {
        let (database, mut session) = with_group("race");
        supply(&mut session, &["1"]);
        session.exec(&format!("begin; select pgq_coop.{call}"));
        let unregistering = calling(&database, "select pgq.unregister_consumer('q', 'm')::bigint".to_owned());
        session.exec("commit");
        assert_eq!(unregistering.join().1.unwrap(), Some(2), "{call}");
        assert_eq!((positions(&mut session), names(&mut session)), (vec![], vec![]), "{call}");
    }
}

#[test]
fn who_comes_while_the_group_is_unregistered_finds_it_gone() {
    let (database, mut session) = with_group("race");
    next(&mut session, "old");
    for name in ["old", "new"] {
        session.exec("select pgq_coop.register_subconsumer('q', 'm', 'old')");
        supply(&mut session, &["1"]);
        session.exec("begin; select pgq.unregister_consumer('q', 'm')");
        let coming = asking(&database, name);
        session.exec("commit");
        match (name, coming.join().1) {
            ("old", Err(error)) => assert_eq!(error.code, "P0001", "{error:?}"),
            ("new", Ok(None)) => {}
            (_, answer) => panic!("{name}: {answer:?}"),
        }
        assert_eq!(next(&mut session, name), None, "a new group begins here");
        assert_eq!(positions(&mut session).len(), 2, "{name}");
    }
}

#[test]
fn who_was_just_unregistered_gets_no_batch_and_the_others_do() {
    for call in ["pgq.unregister_consumer('q', 'm.a')", "pgq_coop.unregister_subconsumer('q', 'm', 'a', 0)"] {
        let (database, mut session) = with_group("race");
        next(&mut session, "a");
        supply(&mut session, &["1"]);
        let before = positions(&mut session)[0].clone();
        session.exec(&format!("begin; select {call}"));
        let coming = asking(&database, "a");
        session.exec("commit");
        match coming.join().1 {
            Err(error) => {
                assert_eq!(error.code, "40001", "{call}: {error:?}");
                assert_eq!(positions(&mut session), [before], "{call}");
            }
            // It waited for the group, and came back.
            Ok(batch) => assert_eq!(finish(&mut session, batch.unwrap()), 1, "{call}"),
        }
        drain(&mut session, "b");
        let finished: i64 =
            session.one("select sub_last_tick from pgq.subscription where sub_last_tick is not null", &[]);
        assert_eq!(finished, 2, "{call}");
    }
}

#[test]
fn a_group_that_is_moved_meanwhile_goes_on_from_there() {
    let (database, mut session) = with_group("race");
    next(&mut session, "a");
    supply(&mut session, &["1", "2", "3"]);
    let worked_on = next(&mut session, "b").unwrap();
    session.exec("begin; select pgq.register_consumer_at('q', 'm', 1)");
    let coming = asking(&database, "a");
    session.exec("commit");
    let again = coming.join().1.unwrap().unwrap();
    assert_eq!([worked_on, again].map(|batch| read(&mut session, batch).join(" ")), ["1", "1"]);
    assert_eq!(drain(&mut session, "c"), ["2", "3"]);
}

#[test]
fn a_batch_that_somebody_opens_past_the_group_just_now_stays_his() {
    let (database, mut session) = with_group("race");
    next(&mut session, "a");
    supply(&mut session, &["1"]);
    session.exec("begin");
    let own: i64 = session.one("select pgq.next_batch('q', 'm')", &[]);
    let coming = asking(&database, "a");
    session.exec("commit");
    assert_eq!(coming.join().1.unwrap_err().code, "P0001");
    let expected = [("m".to_owned(), Some(1), Some(2), Some(own)), ("m.a".to_owned(), None, None, None)];
    assert_eq!(positions(&mut session), expected);
}

#[test]
fn a_batch_that_a_sub_consumer_gets_past_the_group_just_now_is_not_lost() {
    let (database, mut session) = with_group("race");
    next(&mut session, "a");
    supply(&mut session, &["1"]);
    // It holds up who asks, after they have looked at the sub-consumer.
    session.exec("begin; select from pgq.subscription where sub_last_tick is not null for update");
    let coming = asking(&database, "a");
    let mut other = database.connect();
    other.exec("select pgq.register_consumer_at('q', 'm.a', 1)");
    let own: i64 = other.one("select pgq.next_batch('q', 'm.a')", &[]);
    session.exec("commit");
    assert_eq!(coming.join().1.unwrap_err().code, "40001");
    let expected = [("m".to_owned(), Some(1), None, None), ("m.a".to_owned(), Some(1), Some(2), Some(own))];
    assert_eq!(positions(&mut session), expected);
}

#[test]
fn groups_do_not_wait_for_each_other() {
    let (database, mut session) = with_group("race");
    let mut other: Session = database.connect();
    queue::create(&mut session, "other").unwrap();
    // Names are shared by all queues: they are here before.
    session.exec(
        "select pgq.register_consumer('q', 'n'), pgq_coop.register_subconsumer('q', 'm', 'a'),
                pgq_coop.register_subconsumer('other', 'm', 'a')",
    );
    supply(&mut session, &["1"]);
    queue::tick_now(&mut session, "other").unwrap();
    session.exec("begin");
    next(&mut session, "a").unwrap();
    other.exec("set lock_timeout = '10 s'");
    for group in ["'q', 'n'", "'other', 'm'"] {
        let call = format!("select pgq_coop.next_batch({group}, 'a')");
        assert!(other.one::<Option<i64>>(&call, &[]).is_some(), "{group}");
    }
    session.exec("commit");
}
