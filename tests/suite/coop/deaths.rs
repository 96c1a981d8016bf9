//! Terminated between any two statements: what is not finished is handed out again, and what is finished is not.

use super::{drain, finish, next, next_after, read, supply, with_group};
use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue;

/// What a worker does, statement by statement; a batch is worked on in one transaction.
const STEPS: [&str; 7] = ["begin", "next", "commit", "read", "begin", "finish", "commit"];

/// Goes so many steps.
fn work(session: &mut Session, steps: usize) {
    let mut batch = None;
    for step in &STEPS[..steps] {
        match *step {
            "next" => batch = next(session, "victim"),
            "read" => assert_eq!(read(session, batch.unwrap()), ["1"]),
            "finish" => assert_eq!(finish(session, batch.unwrap()), 1),
            statement => session.exec(statement),
        }
    }
}

/// Whether the whole way was gone.
const fn is_done(steps: usize) -> bool {
    steps == STEPS.len()
}

#[test]
fn a_terminated_worker_leaves_its_batch_to_the_others() {
    for watch in ["on", "off"] {
        for steps in 0..=STEPS.len() {
            let (database, mut session) = with_group("terminated");
            supply(&mut session, &["1", "2"]);
            let mut victim = database.connect();
            victim.exec(&format!("set pgq.coop_watch_processes = {watch}"));
            work(&mut victim, steps);
            let pid = victim.pid();
            session.one::<bool>("select pg_terminate_backend($1)", &[&pid]);
            wait_until("its end", || {
                session.one("select count(*) = 0 from pg_stat_get_activity($1)", &[&pid])
            });
            let mut got = Vec::new();
            if watch == "off" {
                // Before its batch is offered, somebody has to say how long is too long.
                got.extend(next_after(&mut session, "other", "0").map(|batch| {
                    let events = read(&mut session, batch);
                    assert_eq!(finish(&mut session, batch), 1);
                    events.concat()
                }));
            }
            got.extend(drain(&mut session, "other"));
            let expected: &[&str] = if is_done(steps) { &["2"] } else { &["1", "2"] };
            assert_eq!(got, expected, "{watch}, {steps} steps");
        }
    }
}

#[test]
fn a_killed_server_leaves_the_batches_to_all() {
    for steps in [2, 3, 4, 6, 7] {
        let mut cluster = Cluster::builder().conf("autovacuum", "off").start();
        let mut session = cluster.connect("postgres");
        session.exec("create extension pgq; create extension pgq_coop");
        session.exec("alter database postgres set pgq.coop_watch_processes = on");
        queue::create(&mut session, "q").unwrap();
        session.exec("select pgq.register_consumer('q', 'm')");
        supply(&mut session, &["1", "2"]);
        let mut victim = cluster.connect("postgres");
        work(&mut victim, steps);
        cluster.kill9();
        cluster.start_again();
        let mut session = cluster.connect("postgres");
        let expected: &[&str] = if is_done(steps) { &["2"] } else { &["1", "2"] };
        assert_eq!(drain(&mut session, "other"), expected, "{steps} steps");
    }
}
