//! What wakes a consumer that has nothing to do.

use std::time::Duration;

use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{create, insert};

use super::{see_at, worker};

/// A server whose ticker runs, with the queue `orders` and its consumer `worker`.
fn ticking() -> (Cluster, Session) {
    let cluster = Cluster::builder().conf("shared_preload_libraries", "pgq").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    create(&mut session, "orders").unwrap();
    worker().register(&mut session).unwrap();
    (cluster, session)
}

#[test]
fn a_tick_wakes_a_consumer_that_would_sleep_for_an_hour() {
    let (cluster, mut session) = ticking();
    let keys = [("queue_name", "orders"), ("loop_delay", "3600")];
    let (sees, _worker) = see_at(&cluster.conninfo("postgres"), &keys);
    for number in 1..=5 {
        insert(&mut session, "orders", "new", "").unwrap();
        wait_until("the event", || sees.all().len() == number);
    }
}

#[test]
fn a_consumer_that_would_sleep_for_an_hour_notices_that_it_is_no_longer_told_of_ticks() {
    let (mut cluster, mut session) = ticking();
    let keys = [("queue_name", "orders"), ("loop_delay", "3600")];
    let (sees, _worker) = see_at(&cluster.conninfo("postgres"), &keys);
    let next = |session: &mut Session, number: usize| {
        insert(session, "orders", "new", &number.to_string()).unwrap();
        wait_until(&format!("event {number}"), || sees.all().contains(&number.to_string()));
    };
    next(&mut session, 1);
    session.exec("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test'");
    next(&mut session, 2);
    cluster.kill9();
    cluster.start_again();
    let mut session = cluster.connect("postgres");
    next(&mut session, 3);
    next(&mut session, 4);
}

#[test]
fn a_consumer_listens_on_when_its_connection_was_too_old() {
    let (cluster, mut session) = ticking();
    let keys = [("queue_name", "orders"), ("loop_delay", "3600"), ("connection_lifetime", "0.5")];
    let (sees, _worker) = see_at(&cluster.conninfo("postgres"), &keys);
    for number in 1..=4 {
        insert(&mut session, "orders", "new", "").unwrap();
        wait_until("the event", || sees.all().len() == number);
        std::thread::sleep(Duration::from_millis(600));
    }
}
