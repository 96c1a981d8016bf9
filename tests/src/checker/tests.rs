//! Each promise broken once, and the checker sees it.

use super::*;

/// A checker with one producer's committed transactions of so many events, and a consumer from the beginning.
fn story(transactions: &[u32]) -> (Checker, Reader) {
    let mut checker = Checker::default();
    let reader = checker.reader("c", Since::TheBeginning);
    for &events in transactions {
        let txn = checker.begin(1, "test");
        for _ in 0..events {
            checker.write(txn);
        }
        checker.committing(txn);
        checker.settle(txn, true);
    }
    (checker, reader)
}

fn key(number: u32, seq: u32) -> EventKey {
    EventKey { txn: Txn { producer: 1, number }, seq }
}

fn deliver(checker: &mut Checker, reader: Reader, tick: i64, events: &[(i64, EventKey)]) {
    checker.delivered(reader, tick - 1, tick, events.to_vec());
    checker.finishing(reader, tick);
    checker.finished(reader, tick);
}

#[test]
fn names_survive_the_way_through_text() {
    assert_eq!(key(7, 9).to_string().parse(), Ok(key(7, 9)));
    assert!("1:2".parse::<EventKey>().is_err() && "1:2:3:4".parse::<EventKey>().is_err());
}

#[test]
fn all_delivered_once_is_right() {
    let (mut checker, c) = story(&[2, 1]);
    deliver(&mut checker, c, 1, &[(1, key(0, 0)), (2, key(0, 1))]);
    deliver(&mut checker, c, 2, &[(3, key(1, 0))]);
    let verdict = checker.verify().unwrap();
    assert_eq!((verdict.committed, verdict.events, verdict.batches, verdict.deliveries), (2, 3, 2, 3));
}

#[test]
fn a_missing_event_is_lost() {
    let (mut checker, c) = story(&[1, 1]);
    deliver(&mut checker, c, 1, &[(2, key(1, 0))]);
    assert_eq!(checker.verify(), Err(vec![Violation::Lost { reader: "c".into(), key: key(0, 0) }]));
}

#[test]
fn half_a_transaction_is_torn() {
    let (mut checker, c) = story(&[2]);
    deliver(&mut checker, c, 1, &[(1, key(0, 0))]);
    deliver(&mut checker, c, 2, &[(2, key(0, 1))]);
    let torn = |tick: i64| Violation::Torn {
        reader: "c".into(),
        txn: key(0, 0).txn,
        span: (tick - 1, tick),
        got: 1,
        wrote: 2,
    };
    assert_eq!(checker.verify(), Err(vec![torn(1), torn(2)]));
}

#[test]
fn a_batch_may_come_again_unless_it_has_changed() {
    let (mut checker, c) = story(&[1, 1]);
    checker.delivered(c, 0, 1, vec![(1, key(0, 0))]);
    checker.finishing(c, 1); // no answer: it was not finished
    deliver(&mut checker, c, 1, &[(1, key(0, 0))]);
    deliver(&mut checker, c, 2, &[(2, key(1, 0))]);
    assert!(checker.verify().is_ok());
    checker.may_fall_back(c);
    checker.delivered(c, 1, 2, vec![]);
    assert_eq!(
        checker.verify(),
        Err(vec![Violation::Changed { reader: "c".into(), span: (1, 2), before: 1, after: 0 }])
    );
}

#[test]
fn an_event_in_two_batches_is_doubled() {
    let (mut checker, c) = story(&[1]);
    deliver(&mut checker, c, 1, &[(1, key(0, 0))]);
    deliver(&mut checker, c, 2, &[(1, key(0, 0))]);
    assert_eq!(
        checker.verify(),
        Err(vec![Violation::Doubled { reader: "c".into(), key: key(0, 0), first: (0, 1), second: (1, 2) }])
    );
}

#[test]
fn nothing_before_its_commit_and_nothing_rolled_back() {
    let (mut checker, c) = story(&[]);
    let txn = checker.begin(1, "test");
    let (kept, undone) = (checker.write(txn), checker.write(txn));
    checker.undo_from(txn, undone.seq);
    checker.delivered(c, 0, 1, vec![(1, kept)]);
    checker.committing(txn);
    checker.delivered(c, 0, 1, vec![(1, kept)]);
    checker.settle(txn, true);
    let early = Violation::Uncommitted { reader: "c".into(), key: kept, fate: Fate::Open };
    assert_eq!(checker.verify(), Err(vec![early.clone()]));
    checker.finished(c, 1);
    checker.delivered(c, 1, 2, vec![(2, undone)]);
    let found = checker.verify().unwrap_err();
    assert!(found.contains(&Violation::RolledBack { reader: "c".into(), key: undone }), "{found:?}");
    assert!(found.contains(&early));
}

#[test]
fn a_transaction_without_an_end_is_told() {
    let (mut checker, _) = story(&[]);
    let txn = checker.begin(1, "test");
    checker.committing(txn);
    assert_eq!(checker.unsettled(), [txn]);
    assert_eq!(checker.verify(), Err(vec![Violation::Unsettled { txn }]));
    checker.settle(txn, false);
    assert!(checker.verify().is_ok());
}

#[test]
fn ids_ascend_and_a_producers_transactions_keep_their_order() {
    let (mut checker, c) = story(&[1, 1]);
    checker.delivered(c, 0, 1, vec![(2, key(0, 0)), (1, key(1, 0))]);
    assert!(matches!(checker.verify().unwrap_err()[..], [Violation::Disordered { .. }]));

    let (mut checker, c) = story(&[1, 1]);
    deliver(&mut checker, c, 1, &[(2, key(1, 0))]);
    deliver(&mut checker, c, 2, &[(1, key(0, 0))]);
    assert!(matches!(checker.verify().unwrap_err()[..], [Violation::Disordered { .. }]));
    checker.out_of_turn(key(0, 0).txn);
    assert!(checker.verify().is_ok());
}

#[test]
fn a_position_is_where_the_last_batch_ended() {
    let (mut checker, c) = story(&[]);
    deliver(&mut checker, c, 1, &[]);
    deliver(&mut checker, c, 3, &[]);
    assert_eq!(checker.verify(), Err(vec![Violation::Jumped { reader: "c".into(), stood: 1, begins: 2 }]));
}

#[test]
fn a_finish_without_an_answer_may_have_happened() {
    let (mut checker, c) = story(&[]);
    checker.delivered(c, 0, 1, vec![]);
    checker.finishing(c, 1);
    checker.delivered(c, 1, 2, vec![]);
    assert!(checker.verify().is_ok());
}

#[test]
fn only_after_a_crash_may_a_position_fall_back() {
    let (mut checker, c) = story(&[]);
    deliver(&mut checker, c, 1, &[]);
    deliver(&mut checker, c, 2, &[]);
    checker.may_fall_back(c);
    deliver(&mut checker, c, 2, &[]);
    assert!(checker.verify().is_ok());
    deliver(&mut checker, c, 2, &[]);
    assert!(matches!(checker.verify().unwrap_err()[..], [Violation::Jumped { .. }]));
}

#[test]
fn results_kept_with_the_position_are_there_exactly_once() {
    let (mut checker, c) = story(&[2]);
    deliver(&mut checker, c, 1, &[(1, key(0, 0)), (2, key(0, 1))]);
    checker.applied(c, [key(0, 0), key(0, 0)]);
    let applied = |seq, times| Violation::Applied { reader: "c".into(), key: key(0, seq), times };
    assert_eq!(checker.verify(), Err(vec![applied(0, 2), applied(1, 0)]));
}

#[test]
fn a_latecomer_is_owed_what_lies_between_its_ticks() {
    let (mut checker, c) = story(&[1, 1, 1]);
    let late = checker.reader("late", Since::Later);
    for (tick, number) in [(1, 0), (2, 1), (3, 2)] {
        deliver(&mut checker, c, tick, &[(tick, key(number, 0))]);
    }
    deliver(&mut checker, late, 2, &[(2, key(1, 0))]);
    assert!(checker.verify().is_ok(), "neither the first nor, since it left, the last");
    deliver(&mut checker, late, 3, &[]);
    assert_eq!(checker.verify(), Err(vec![Violation::Lost { reader: "late".into(), key: key(2, 0) }]));
}

#[test]
fn consumers_agree_where_an_event_lies() {
    let (mut checker, c) = story(&[1]);
    let late = checker.reader("late", Since::Later);
    deliver(&mut checker, c, 1, &[(1, key(0, 0))]);
    deliver(&mut checker, late, 2, &[(1, key(0, 0))]);
    assert!(matches!(checker.verify().unwrap_err()[..], [Violation::Disagreement { .. }]));
}
