//! The ticker, on a database and a clock of the tests.

use super::*;
use crate::fake::{FakeDatabase, millis, name, secs};

#[test]
fn ticks_retries_and_maintains_each_in_its_period() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.run_for(secs(240));
    assert_eq!(database.count("due"), 240);
    assert_eq!(database.count("tick a"), 240);
    assert_eq!(database.count("retry"), 8);
    assert_eq!(database.count("plan"), 2);
    assert_eq!(database.reports, [Stage::Serving]);
}

#[test]
fn an_idle_database_is_only_looked_at() {
    let mut database = FakeDatabase::with_queues(&[]);
    database.run_for(secs(29));
    assert_eq!(database.calls_after("plan"), vec!["due"; 28]);
}

#[test]
fn who_waits_is_served_at_once_but_no_sooner_than_the_interval_allows() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.run_for(millis(1500));
    database.wanted = vec!["a"];
    database.settings.tick_interval = millis(20);
    database.run_for(millis(5));
    assert_eq!(database.count("tick a"), 3, "two by the period, one on demand");
    database.wanted = vec!["a"];
    database.run_for(millis(10));
    assert_eq!(database.count("tick a"), 3);
    database.run_for(millis(10));
    assert_eq!(database.count("tick a"), 4);
    assert_eq!(database.count("wanted"), 2);
}

#[test]
fn a_broken_queue_that_is_waited_for_pauses_alone() {
    let mut database = FakeDatabase::with_queues(&[]);
    database.broken.insert("tick b".to_owned(), "nonsense".to_owned());
    for _ in 0..5 {
        database.wanted = vec!["a", "b"];
        database.run_for(secs(1));
    }
    assert_eq!((database.count("tick a"), database.count("tick b")), (5, 1));
    assert_eq!(database.log.len(), 1, "{:?}", database.log);
}

#[test]
fn what_spoils_a_commit_costs_the_others_nothing() {
    let mut database = FakeDatabase::with_queues(&["a", "b", "c"]);
    database.broken.insert("commit".to_owned(), String::new());
    database.broken.insert("tick b".to_owned(), "nonsense".to_owned());
    database.run_for(secs(3));
    assert_eq!(["tick a", "tick b", "tick c"].map(|call| database.count(call)), [3, 1, 3]);
}

#[test]
fn queues_with_many_ticks_are_thinned_one_by_one() {
    let mut database = FakeDatabase::with_queues(&[]);
    database.run_for(secs(1));
    database.crowded = vec![name("a"), name("b")];
    database.answers.insert("thin a".to_owned(), 2);
    database.run_for(secs(60));
    assert_eq!((database.count("thin a"), database.count("thin b")), (3, 1));
}

#[test]
fn a_broken_queue_pauses_alone() {
    let mut database = FakeDatabase::with_queues(&["a", "b", "c"]);
    database.broken.insert("tick b".to_owned(), "nonsense setting".to_owned());
    database.run_for(secs(70));
    assert_eq!(database.count("tick a"), 70);
    assert_eq!(database.count("tick c"), 70);
    // At 0, after 10 s, and after 20 s more; the next attempt is due at 70 s.
    assert_eq!(database.count("tick b"), 3);
    assert_eq!(database.failures, ["tick of queue \"b\": nonsense setting"; 3]);
    assert_eq!(
        database.log,
        ["tick of queue \"b\" failed (1 in a row), next attempt in 10 s: nonsense setting"]
    );
    database.broken.clear();
    database.run_for(secs(5));
    assert_eq!(database.log[1], "tick of queue \"b\" works again; failures before: 3");
    assert_eq!(database.count("tick b"), 8);
}

#[test]
fn a_broken_operation_does_not_starve_those_after_it() {
    let mut database = FakeDatabase::with_queues(&[]);
    database.operations = ["one", "two", "three"].map(call).to_vec();
    database.broken.insert("do two()".to_owned(), "broken".to_owned());
    database.run_for(secs(1));
    assert_eq!(database.calls_after("plan"), ["do one()", "do two()", "do three()"]);
}

#[test]
fn operations_are_repeated_while_they_ask_for_it() {
    let mut database = FakeDatabase::with_queues(&[]);
    database.operations = ["one", "two"].map(call).to_vec();
    database.answers.insert("do one()".to_owned(), 2);
    database.run_for(secs(1));
    assert_eq!(database.calls_after("plan"), ["do one()", "do one()", "do one()", "do two()"]);
}

#[test]
fn an_operation_without_end_is_left_for_the_next_round() {
    let mut database = FakeDatabase::with_queues(&[]);
    database.operations = ["endless", "two"].map(call).to_vec();
    database.answers.insert("do endless()".to_owned(), usize::MAX);
    database.run_for(secs(1));
    assert_eq!(database.count("do endless()"), CALLS_IN_A_ROW as usize);
    assert_eq!(database.count("do two()"), 1);
}

#[test]
fn many_retries_come_in_turns_with_maintenance_but_without_a_pause() {
    let mut database = FakeDatabase::with_queues(&[]);
    database.operations = vec![call("one")];
    database.answers.insert("retry".to_owned(), 2500);
    database.run_for(secs(1));
    assert_eq!(database.count("retry"), 2501);
    let calls = &database.calls;
    let done = calls.iter().position(|call| call == "do one()").expect("done");
    assert!(calls[done..].iter().any(|call| call == "retry"), "maintenance waits for no more than its turn");
}

#[test]
fn long_maintenance_delays_ticks_by_one_chore() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.operations = (0..5).map(|n| call(&format!("slow{n}"))).collect();
    database.takes.insert("do".to_owned(), secs(3));
    database.run_for(secs(15));
    assert_eq!(database.calls_after("plan")[..4], ["do slow0()", "due", "tick a", "do slow1()"]);
}

#[test]
fn ticks_longer_than_the_period_leave_chores_their_turn() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.takes.insert("tick".to_owned(), secs(5));
    database.run_for(secs(15));
    assert_eq!(database.count("retry"), 1);
    assert_eq!(database.count("plan"), 1);
}

#[test]
fn leaves_when_the_extension_goes_and_does_not_complain() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.run_for(secs(3));
    database.broken.insert("due".to_owned(), "schema \"pgq\" does not exist".to_owned());
    database.gone_at = Some(millis(3000));
    database.run_for(secs(3));
    assert_eq!(database.reports, [Stage::Serving, Stage::NoExtension]);
    assert!(database.log.is_empty(), "{:?}", database.log);
    assert!(database.failures.is_empty(), "{:?}", database.failures);
}

#[test]
fn never_serves_where_the_extension_is_not() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.version = None;
    database.run_for(secs(1));
    assert_eq!(database.reports, [Stage::NoExtension]);
    assert!(database.calls.is_empty());
}

#[test]
fn idles_over_a_version_that_is_not_ours_and_says_so_once() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.version = Some("99.0".to_owned());
    database.run_for(secs(600));
    assert_eq!(database.log.len(), 1);
    assert!(database.log[0].starts_with("extension pgq 99.0 is not served"));
    assert!(database.calls.is_empty());
    database.version = Some(version::LIBRARY.to_owned());
    database.run_for(secs(60));
    assert!(database.count("tick a") > 0);
}

#[test]
fn leaves_when_it_is_sent_away() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.run_for(secs(2));
    database.sent_away = true;
    database.run_for(secs(2));
    assert_eq!(database.reports, [Stage::Serving, Stage::SentAway]);
    assert_eq!(database.count("tick a"), 2);
}

#[test]
fn leaves_when_it_is_switched_off() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.run_for(secs(2));
    database.settings.ticker = false;
    database.run_for(secs(2));
    assert_eq!(database.reports, [Stage::Serving, Stage::SwitchedOff]);
    assert_eq!(database.count("tick a"), 2);
}

#[test]
fn a_changed_period_holds_at_the_next_step() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.run_for(secs(2));
    database.settings.ticker_period = millis(100);
    database.run_for(secs(1));
    assert_eq!(database.count("tick a"), 2 + 10);
}

#[test]
fn a_failing_look_is_survived() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.broken.insert("extension".to_owned(), "out of memory".to_owned());
    database.run_for(secs(15));
    assert_eq!(database.log.len(), 1);
    database.broken.clear();
    database.run_for(secs(10));
    assert!(database.count("tick a") > 0);
}

#[test]
fn leaves_when_others_wait_and_hands_over_when_its_rounds_were() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.run_for(secs(40));
    database.room_wanted = 1;
    database.run_for(secs(1));
    assert_eq!(database.reports, [Stage::Serving, Stage::Relieved]);
    let [retries, thinning, maintenance] =
        [secs(30), secs(40), Duration::ZERO].map(|last| Every::since(Some(last)));
    assert_eq!(database.handed_over, Some(Rounds { retries, thinning, maintenance }));
}

#[test]
fn goes_on_where_the_one_before_has_stopped() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    let [retries, maintenance] = [secs(980), secs(950)].map(|last| Every::since(Some(last)));
    database.enter(secs(1000), Rounds { retries, maintenance, ..Rounds::default() });
    database.run_for(secs(9));
    assert_eq!((database.count("retry"), database.count("plan")), (0, 0));
    database.run_for(secs(2));
    assert_eq!((database.count("retry"), database.count("plan")), (1, 0));
    database.run_for(secs(60));
    assert_eq!((database.count("retry"), database.count("plan")), (3, 1));
}

#[test]
fn does_what_is_due_before_it_leaves() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.room_wanted = 1;
    database.operations = ["one", "two"].map(call).to_vec();
    database.takes.insert("do".to_owned(), secs(3));
    database.run_for(secs(10));
    assert_eq!(database.reports, [Stage::Serving, Stage::Relieved]);
    assert_eq!(database.calls_after("plan").iter().filter(|call| call.starts_with("do")).count(), 2);
    assert_eq!(database.count("retry"), 1);
}

#[test]
fn stays_a_little_and_only_as_many_leave_as_are_asked() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.room_wanted = 1;
    database.run_for(millis(99));
    assert_eq!(database.reports, [Stage::Serving]);
    database.room_wanted = 0;
    database.run_for(secs(60));
    assert_eq!(database.reports, [Stage::Serving]);
}

#[test]
fn ticks_longer_than_the_period_do_not_keep_it() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.takes.insert("tick".to_owned(), secs(5));
    database.room_wanted = 1;
    database.run_for(secs(20));
    assert_eq!(database.reports, [Stage::Serving, Stage::Relieved]);
}

#[test]
fn leaves_a_version_that_is_not_ours_when_others_wait() {
    let mut database = FakeDatabase::with_queues(&["a"]);
    database.version = Some("99.0".to_owned());
    database.run_for(secs(10));
    database.room_wanted = 1;
    database.run_for(secs(60));
    assert_eq!(database.reports, [Stage::Serving, Stage::NoExtension]);
}

#[test]
fn says_when_it_leaves_work_that_fails() {
    let mut database = FakeDatabase::with_queues(&["a", "b"]);
    database.broken.insert("tick b".to_owned(), "nonsense".to_owned());
    database.room_wanted = 1;
    database.run_for(secs(1));
    assert_eq!(database.reports, [Stage::Serving, Stage::Troubled]);
}

fn call(function: &str) -> Operation {
    Operation::Call { function: name(function), argument: None }
}
