//! The launcher, on a server and a clock of the tests.

use super::*;
use crate::fake::{FakeCluster, millis, secs};

#[test]
fn every_database_is_looked_into_one_at_a_time() {
    let mut cluster = FakeCluster::with_databases(&[1, 2, 3]);
    cluster.run_for(millis(100));
    assert_eq!(cluster.starts.len(), 1);
    cluster.say(1, Stage::Serving, true);
    cluster.run_for(secs(1));
    cluster.say(2, Stage::NoExtension, false);
    cluster.run_for(secs(1));
    assert_eq!(cluster.starts, [(0, 1), (0, 2), (1, 3)]);
}

#[test]
fn a_new_database_is_found_within_a_second() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    cluster.run_for(millis(500));
    cluster.say(1, Stage::Serving, true);
    cluster.run_for(secs(10));
    cluster.set_databases(&[1, 2]);
    cluster.run_for(secs(1));
    assert_eq!(cluster.starts_of(2), [11]);
}

#[test]
fn a_database_without_the_extension_is_looked_into_every_check_period() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    for _ in 0..3 {
        cluster.run_for(millis(100));
        cluster.say(1, Stage::NoExtension, false);
        cluster.run_for(millis(60_900));
    }
    let starts = cluster.starts_of(1);
    assert_eq!(starts[0], 0);
    assert!(starts.windows(2).all(|pair| (60..=62).contains(&(pair[1] - pair[0]))), "{starts:?}");
}

#[test]
fn create_extension_is_noticed_at_once() {
    let mut cluster = FakeCluster::with_databases(&[1, 2]);
    cluster.run_for(millis(100));
    cluster.say(1, Stage::NoExtension, false);
    cluster.run_for(secs(2));
    cluster.say(2, Stage::NoExtension, false);
    cluster.run_for(secs(10));
    cluster.newcomers = vec![2, 99];
    cluster.run_for(secs(1));
    assert_eq!(cluster.starts_of(1).len(), 1);
    assert_eq!(cluster.starts_of(2).len(), 2);
}

#[test]
fn create_extension_is_noticed_by_the_next_look_if_one_is_under_way() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    cluster.run_for(millis(100));
    cluster.newcomers = vec![1];
    cluster.run_for(secs(1));
    cluster.say(1, Stage::NoExtension, false);
    cluster.run_for(secs(2));
    assert_eq!(cluster.starts_of(1).len(), 2);
}

#[test]
fn a_shorter_check_period_holds_at_once() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    cluster.run_for(millis(100));
    cluster.say(1, Stage::NoExtension, false);
    cluster.run_for(secs(10));
    cluster.settings.check_period = secs(1);
    cluster.run_for(secs(1));
    assert_eq!(cluster.starts.len(), 2);
}

#[test]
fn a_terminated_ticker_is_back_after_a_second_every_time() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    for _ in 0..5 {
        cluster.run_for(millis(1500));
        cluster.say(1, Stage::Serving, true);
        cluster.run_for(millis(500));
        cluster.say(1, Stage::Serving, false);
    }
    cluster.run_for(secs(2));
    assert_eq!(cluster.starts.len(), 6);
}

#[test]
fn tickers_that_fail_to_start_come_ever_more_slowly() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    for _ in 0..200 {
        cluster.run_for(secs(1));
        cluster.say(1, Stage::Looking, false);
    }
    let starts = cluster.starts_of(1);
    assert!((7..=10).contains(&starts.len()), "{starts:?}");
}

#[test]
fn one_that_hangs_at_the_start_does_not_hold_up_the_others() {
    let mut cluster = FakeCluster::with_databases(&[1, 2]);
    cluster.run_for(secs(7));
    assert_eq!(cluster.starts.len(), 2);
}

#[test]
fn a_database_that_sent_its_ticker_away_is_left_alone_for_a_while() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    cluster.run_for(millis(100));
    cluster.say(1, Stage::SentAway, false);
    cluster.run_for(secs(4));
    assert_eq!(cluster.starts.len(), 1);
    cluster.run_for(secs(3));
    assert_eq!(cluster.starts.len(), 2);
}

#[test]
fn nothing_is_started_while_it_is_switched_off() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    cluster.settings.ticker = false;
    cluster.run_for(secs(100));
    assert!(cluster.starts.is_empty());
    cluster.settings.ticker = true;
    cluster.run_for(secs(2));
    assert_eq!(cluster.starts.len(), 1);
    cluster.settings.ticker = false;
    cluster.say(1, Stage::SwitchedOff, false);
    cluster.run_for(secs(100));
    assert_eq!(cluster.starts.len(), 1);
}

#[test]
fn without_room_it_complains_once_and_tries_again() {
    let mut cluster = FakeCluster::with_databases(&[1, 2]);
    cluster.room = 1;
    cluster.run_for(millis(100));
    cluster.say(1, Stage::Serving, true);
    cluster.run_for(secs(60));
    assert_eq!(cluster.log.len(), 1, "{:?}", cluster.log);
    cluster.room = 2;
    cluster.run_for(secs(11));
    assert_eq!(cluster.starts_of(2).len(), 1);
}

#[test]
fn statistics_are_told_each_period_if_there_is_anything_to_tell() {
    let mut cluster = FakeCluster::with_databases(&[]);
    cluster.run_for(secs(10));
    let counts = Counts { ticks: 7, rounds: 2, retries: 1, errors: 0 };
    cluster.counts = counts;
    cluster.run_for(secs(280));
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    cluster.run_for(secs(20));
    assert_eq!(cluster.log, ["{ticks: 7, maint: 2, retry: 1}"]);
    cluster.run_for(secs(1000));
    assert_eq!(cluster.log.len(), 1);
    cluster.settings.stats_period = secs(30);
    cluster.counts = counts;
    cluster.run_for(secs(35));
    assert_eq!(cluster.log.len(), 2);
    cluster.settings.stats_period = Duration::ZERO;
    cluster.counts = counts;
    cluster.run_for(secs(1000));
    assert_eq!(cluster.log.len(), 2);
}

#[test]
fn a_dropped_database_is_forgotten() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    cluster.run_for(secs(1));
    cluster.say(1, Stage::Looking, false);
    cluster.set_databases(&[]);
    cluster.run_for(secs(100));
    assert_eq!(cluster.starts.len(), 1);
}

#[test]
fn a_failed_listing_changes_nothing() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    cluster.run_for(secs(1));
    cluster.say(1, Stage::Serving, true);
    cluster.broken = Some(Failure("out of memory".to_owned()));
    cluster.run_for(secs(60));
    cluster.broken = None;
    cluster.run_for(secs(60));
    assert_eq!(cluster.starts.len(), 1);
    assert_eq!(cluster.log.len(), 2, "{:?}", cluster.log);
}

#[test]
fn where_there_is_room_for_all_each_keeps_its_ticker() {
    let mut cluster = FakeCluster::with_databases(&[1, 2, 3, 4, 5]);
    (cluster.acts, cluster.empty) = (true, vec![5]);
    cluster.run_for(secs(2));
    assert_eq!(cluster.attended(), [1, 2, 3, 4]);
    cluster.starts.clear();
    cluster.run_for(secs(600));
    // Looks into the fifth come on top.
    assert!(cluster.starts.iter().all(|(_, oid)| *oid == 5), "{:?}", cluster.starts);
    assert!((9..=10).contains(&cluster.starts.len()), "{:?}", cluster.starts);
}

#[test]
fn more_databases_than_places_are_served_in_turns() {
    let mut cluster = FakeCluster::crowded(100);
    cluster.run_for(secs(300));
    assert_eq!(cluster.most, 4);
    for oid in 1..=100 {
        let starts = cluster.starts_of(oid);
        let pauses = starts.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(pauses.into_iter().max().is_some_and(|longest| longest <= 40), "{oid}: {starts:?}");
    }
    // Nothing happens, so nobody comes but for the rounds.
    assert!(cluster.starts.len() <= 100 * (2 + 360 / 30), "{}", cluster.starts.len());
}

#[test]
fn rounds_keep_their_periods_from_visit_to_visit() {
    let mut cluster = FakeCluster::crowded(10);
    for second in 0..240 {
        // Visited twice a second, for the sake of ticks.
        cluster.demands.insert(second % 10 + 1, Demand::Wanted);
        cluster.demands.insert((second + 5) % 10 + 1, Demand::Wanted);
        cluster.run_for(secs(1));
    }
    let mut began: Vec<_> = cluster.tickers.iter().map(|ticker| ticker.rounds.maintenance.last()).collect();
    began.sort_unstable();
    began.dedup();
    assert!(began.len() <= 10 * (1 + 300 / 120 + 1), "{}", began.len());
}

#[test]
fn who_is_waited_for_is_visited_at_once() {
    let mut cluster = FakeCluster::crowded(100);
    for oid in [50, 60, 70] {
        let visits = cluster.starts_of(oid).len();
        cluster.demands.insert(oid, Demand::Wanted);
        cluster.run_for(millis(300));
        assert!(cluster.starts_of(oid).len() > visits || cluster.attended().contains(&oid), "{oid}");
    }
}

#[test]
fn events_are_visited_after_the_ticker_period() {
    let mut cluster = FakeCluster::crowded(30);
    let resting = (1..=30).find(|oid| !cluster.attended().contains(oid)).expect("there are four places");
    cluster.demands.insert(resting, Demand::News);
    cluster.run_for(millis(1500));
    assert!(!cluster.demands.contains_key(&resting));
}

#[test]
fn the_busy_do_not_starve_the_idle() {
    let mut cluster = FakeCluster::crowded(20);
    cluster.starts.clear();
    for _ in 0..1000 {
        (1..=10).for_each(|oid| _ = cluster.demands.insert(oid, Demand::Wanted));
        cluster.run_for(millis(100));
    }
    for oid in 11..=20 {
        assert!(cluster.starts_of(oid).len() >= 2, "{oid}: {:?}", cluster.starts_of(oid));
    }
    let visits: Vec<usize> = (1..=10).map(|oid| cluster.starts_of(oid).len()).collect();
    assert!(visits.iter().max() <= visits.iter().min().map(|least| least * 2 + 10).as_ref(), "{visits:?}");
}

#[test]
fn one_that_leaves_trouble_behind_comes_back_more_slowly() {
    let mut cluster = FakeCluster::with_databases(&[1, 2]);
    cluster.settings.max_workers = 1;
    cluster.run_for(millis(10));
    cluster.say(1, Stage::Troubled, false);
    cluster.demands.insert(1, Demand::Wanted);
    cluster.run_for(millis(10));
    cluster.say(2, Stage::Relieved, false);
    cluster.tickers[1].rounds.retries = Every::since(Some(secs(0)));
    cluster.tickers[1].rounds.maintenance = Every::since(Some(secs(0)));
    // A place that nobody needs is not left empty, though.
    cluster.run_for(millis(10));
    assert_eq!(cluster.starts.iter().map(|(_, oid)| *oid).collect::<Vec<_>>(), [1, 2, 1]);
    cluster.say(1, Stage::Serving, true);
    cluster.demands.insert(2, Demand::Wanted);
    cluster.run_for(millis(10));
    assert_eq!(cluster.room_wanted, 1);
    cluster.say(1, Stage::Troubled, false);
    cluster.run_for(millis(10));
    cluster.say(2, Stage::Serving, true);
    cluster.run_for(millis(900));
    assert_eq!(cluster.room_wanted, 0, "not yet");
    cluster.run_for(millis(200));
    assert_eq!(cluster.room_wanted, 1);
}

#[test]
fn nobody_is_asked_for_room_that_is_not_needed() {
    let mut cluster = FakeCluster::with_databases(&[1, 2, 3]);
    cluster.settings.max_workers = 2;
    for oid in [1, 2] {
        cluster.run_for(millis(10));
        cluster.say(oid, Stage::Serving, true);
    }
    cluster.run_for(millis(10));
    assert_eq!(cluster.room_wanted, 1);
    // On its way out.
    cluster.say(2, Stage::Relieved, true);
    cluster.run_for(millis(10));
    assert_eq!(cluster.room_wanted, 0);
    cluster.say(2, Stage::Relieved, false);
    cluster.run_for(millis(10));
    assert_eq!((cluster.attended(), cluster.room_wanted), (vec![1, 3], 0));
}

#[test]
fn another_number_of_places_holds_at_once() {
    let mut cluster = FakeCluster::crowded(10);
    cluster.settings.max_workers = 2;
    cluster.run_for(secs(2));
    assert_eq!(cluster.attended().len(), 2);
    cluster.settings.max_workers = 6;
    cluster.run_for(secs(2));
    assert_eq!(cluster.attended().len(), 6);
    cluster.settings.max_workers = 20;
    cluster.run_for(secs(2));
    assert_eq!(cluster.attended().len(), 10);
    let starts = cluster.starts.len();
    cluster.run_for(secs(200));
    assert_eq!(cluster.starts.len(), starts);
}

#[test]
fn a_server_with_less_room_than_allowed_is_shared_too() {
    let mut cluster = FakeCluster::with_databases(&(1..=10).collect::<Vec<_>>());
    (cluster.acts, cluster.room) = (true, 2);
    cluster.run_for(secs(100));
    assert!((1..=10).all(|oid| cluster.starts_of(oid).len() >= 2), "{:?}", cluster.starts);
    assert_eq!(cluster.log.len(), 1, "{:?}", cluster.log);
    cluster.room = 4;
    cluster.run_for(secs(12));
    assert_eq!(cluster.attended().len(), 4);
}

#[test]
fn a_database_without_a_ticker_is_left_alone_when_somebody_wants_it() {
    let mut cluster = FakeCluster::crowded(10);
    let resting = (1..=10).find(|oid| !cluster.attended().contains(oid)).expect("there are four places");
    let visits = cluster.starts_of(resting).len();
    cluster.claimed = vec![resting, 99];
    cluster.demands.insert(resting, Demand::Wanted);
    cluster.run_for(millis(4900));
    assert_eq!(cluster.starts_of(resting).len(), visits);
    cluster.run_for(secs(1));
    assert_eq!(cluster.starts_of(resting).len(), visits + 1);
}

#[test]
fn a_ticker_that_comes_while_somebody_wants_the_database_is_sent_away() {
    let mut cluster = FakeCluster::with_databases(&[1]);
    cluster.run_for(millis(10));
    cluster.claimed = vec![1];
    cluster.run_for(millis(10));
    assert!(cluster.attended().is_empty());
}

#[test]
fn a_database_that_is_taken_off_the_list_loses_its_ticker() {
    let mut cluster = FakeCluster::with_databases(&[1, 2]);
    cluster.acts = true;
    cluster.run_for(secs(2));
    assert_eq!(cluster.attended(), [1, 2]);
    cluster.set_databases(&[2]);
    cluster.run_for(secs(2));
    assert_eq!(cluster.attended(), [2]);
    cluster.set_databases(&[1, 2]);
    cluster.run_for(secs(2));
    assert_eq!(cluster.attended(), [1, 2]);
}
