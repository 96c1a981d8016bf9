//! Those who were silent for too long.

use super::{drain, finish, names, next, next_after, positions, read, supply, with_group};
use pgq_tests::client::{wait_until, wait_until_blocked};

#[test]
fn the_batch_of_a_silent_sibling_goes_on_under_its_id() {
    let (_database, mut session) = with_group("silent");
    supply(&mut session, &["1", "2"]);
    let batch = next(&mut session, "a").unwrap();
    assert_eq!(
        next_after(&mut session, "b", "1 hour").map(|batch| read(&mut session, batch)),
        Some(vec!["2".to_owned()])
    );
    let b = next(&mut session, "b").unwrap();
    assert_eq!(next_after(&mut session, "b", "0"), Some(b), "who has a batch goes on with that");
    assert_eq!(finish(&mut session, b), 1);
    assert_eq!(next_after(&mut session, "b", "0"), Some(batch));
    let expected = [("m".to_owned(), Some(3), None, None), ("m.b".to_owned(), Some(1), Some(2), Some(batch))];
    assert_eq!(positions(&mut session), expected);
    assert_eq!(names(&mut session), ["m", "m.b"]);
    assert_eq!(read(&mut session, batch), ["1"]);
    assert_eq!(next(&mut session, "a"), None, "it begins anew");
    assert_eq!(finish(&mut session, batch), 1);
    assert_eq!(finish(&mut session, batch), 0, "whoever was second");
}

#[test]
fn silent_ones_without_a_batch_are_removed_one_a_call() {
    let (_database, mut session) = with_group("silent");
    for name in ["a", "b", "c"] {
        next(&mut session, name);
    }
    supply(&mut session, &["1"]);
    assert_eq!(
        next_after(&mut session, "d", "0").map(|batch| read(&mut session, batch)),
        Some(vec!["1".to_owned()])
    );
    assert_eq!(positions(&mut session).len(), 4, "m, d and two of the others");
    drain(&mut session, "d");
    for left in [3, 2, 2] {
        assert_eq!(next_after(&mut session, "d", "0"), None);
        assert_eq!(positions(&mut session).len(), left);
    }
    assert_eq!(names(&mut session), ["m", "m.d"]);
}

#[test]
fn one_with_a_batch_comes_before_one_without() {
    let (_database, mut session) = with_group("silent");
    next(&mut session, "idle");
    supply(&mut session, &["1"]);
    let batch = next(&mut session, "busy").unwrap();
    assert_eq!(next_after(&mut session, "c", "0"), Some(batch));
    assert_eq!(names(&mut session), ["m", "m.c", "m.idle"]);
}

#[test]
fn who_has_just_got_or_finished_a_batch_is_not_silent() {
    let (_database, mut session) = with_group("silent");
    supply(&mut session, &["1"]);
    let long_ago = "update pgq.subscription set sub_active = now() - interval '1 hour'";
    next(&mut session, "b").map(|batch| finish(&mut session, batch));
    supply(&mut session, &["2"]);
    session.exec(long_ago);
    let batch = next(&mut session, "a").unwrap();
    assert_eq!(next_after(&mut session, "c", "1 minute"), None, "that of a");
    session.exec("select pgq_coop.unregister_subconsumer('q', 'm', 'c', 0)");
    next(&mut session, "b");
    session.exec(long_ago);
    assert_eq!(next_after(&mut session, "b", "1 minute"), Some(batch));
    assert_eq!(next_after(&mut session, "c", "1 minute"), None, "that was taken over");
    session.exec(long_ago);
    assert_eq!(finish(&mut session, batch), 1);
    assert_eq!(next_after(&mut session, "d", "1 minute"), None, "one, of the two, is silent");
    assert_eq!(next_after(&mut session, "d", "1 minute"), None);
    assert_eq!(names(&mut session), ["m", "m.b", "m.d"]);
}

#[test]
fn of_two_batches_that_are_left_the_older_comes_first() {
    let (_database, mut session) = with_group("silent");
    supply(&mut session, &["1", "2"]);
    let [first, second] = ["a", "b"].map(|name| next(&mut session, name).unwrap());
    for batch in [first, second] {
        assert_eq!(next_after(&mut session, "c", "0"), Some(batch));
        assert_eq!(finish(&mut session, batch), 1);
    }
}

#[test]
fn main_consumers_and_strangers_are_no_siblings() {
    let (_database, mut session) = with_group("silent");
    session.exec("select pgq.register_consumer('q', 'm.x'), pgq.register_consumer('q', 'other')");
    session.exec("select pgq_coop.register_subconsumer('q', 'other', 'm.a')");
    for _ in 0..3 {
        assert_eq!(next_after(&mut session, "a", "-1 hour"), None);
    }
    assert_eq!(names(&mut session), ["m", "m.a", "m.x", "other", "other.m.a"]);
}

#[test]
fn who_is_just_finishing_is_neither_waited_for_nor_taken_for_dead() {
    for isolation in ["read committed", "repeatable read"] {
        let (database, mut session) = with_group("silent");
        supply(&mut session, &["1", "2"]);
        let batch = next(&mut session, "a").unwrap();
        session.exec("begin");
        assert_eq!(finish(&mut session, batch), 1);
        let mut sibling = database.connect();
        sibling.exec(&format!("set lock_timeout = '10 s'; begin isolation level {isolation}"));
        let own = next_after(&mut sibling, "b", "0").unwrap();
        assert_eq!(read(&mut sibling, own), ["2"], "{isolation}");
        sibling.exec("commit");
        session.exec("commit");
        assert_eq!(names(&mut session), ["m", "m.a", "m.b"]);
    }
}

#[test]
fn who_finishes_while_his_batch_is_taken_over_learns_it() {
    let (database, mut session) = with_group("silent");
    supply(&mut session, &["1"]);
    let batch = next(&mut session, "a").unwrap();
    session.exec("begin");
    assert_eq!(next_after(&mut session, "b", "0"), Some(batch));
    let finishing = database.connect().spawn(move |late| finish(late, batch));
    wait_until_blocked(&mut database.connect(), finishing.pid());
    session.exec("commit");
    assert_eq!(finishing.join().1, 0);
    assert_eq!(finish(&mut session, batch), 1);
}

#[test]
fn two_who_want_the_same_batch_do_not_both_get_it() {
    let (database, mut session) = with_group("silent");
    supply(&mut session, &["1"]);
    let batch = next(&mut session, "a").unwrap();
    next(&mut session, "c");
    wait_until("a while to be over", || {
        session.one("select bool_or(now() - sub_active > '100 ms') from pgq.subscription", &[])
    });
    session.exec("begin");
    assert_eq!(next_after(&mut session, "b", "50 ms"), Some(batch));
    let second = database.connect().spawn(|sibling| next_after(sibling, "c", "1 minute"));
    wait_until_blocked(&mut database.connect(), second.pid());
    session.exec("commit");
    assert_eq!(second.join().1, None);
    assert_eq!(positions(&mut session)[1], ("m.b".to_owned(), Some(1), Some(2), Some(batch)));
}

#[test]
fn in_repeatable_read_who_has_worked_meanwhile_is_not_taken_for_dead() {
    let (database, mut session) = with_group("silent");
    supply(&mut session, &["1"]);
    let batch = next(&mut session, "a").unwrap();
    let mut sibling = database.connect();
    sibling.exec("begin isolation level repeatable read; select 1");
    assert_eq!(finish(&mut session, batch), 1);
    assert_eq!(sibling.error("select pgq_coop.next_batch('q', 'm', 'b', '0')").code, "40001");
}
