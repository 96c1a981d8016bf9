//! Those whose server process is gone, where `pgq.coop_watch_processes` says that this means something.

use super::{drain, finish, names, next, next_after, positions, read, supply, with_group};
use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue;
use pgq_tests::shared::Database;

/// A session that takes its process for the sub-consumers it acts as.
fn watched(database: &Database) -> Session {
    let mut session = database.connect();
    session.exec("set pgq.coop_watch_processes = on");
    session
}

/// Ends the session, and waits until the server's process is gone.
fn end(monitor: &mut Session, session: Session) {
    let pid = session.pid();
    drop(session);
    gone(monitor, pid);
}

fn gone(monitor: &mut Session, pid: i32) {
    let runs = "select count(*) from pg_stat_get_activity($1)";
    wait_until("the process to be gone", || monitor.one::<i64>(runs, &[&pid]) == 0);
}

#[test]
fn the_batch_of_a_gone_process_is_offered_at_once_under_a_new_id() {
    let (database, mut session) = with_group("process");
    supply(&mut session, &["1", "2"]);
    let mut member = watched(&database);
    let batch = next(&mut member, "a").unwrap();
    let own = next(&mut session, "b").unwrap();
    assert_eq!(finish(&mut session, own), 1);
    assert_eq!(next(&mut session, "b"), None, "it lives");
    end(&mut session, member);

    // The sibling's own setting does not matter, nor which of the functions it calls.
    let again = next(&mut session, "b").unwrap();
    assert!(again > batch);
    assert_eq!(read(&mut session, again), ["1"]);
    assert_eq!(names(&mut session), ["m", "m.b"]);
    drop(session.take_notices());
    assert_eq!(finish(&mut session, batch), 0, "the client lives, but its process did not");
    assert!(session.take_notices()[0].message.contains(&batch.to_string()));
    assert_eq!(finish(&mut session, again), 1);
    assert_eq!(session.one::<i64>("select count(*) from pgq_coop.process", &[]), 0);
}

#[test]
fn every_way_to_ask_finds_it() {
    for call in [
        "next_batch('q', 'm', 'b')",
        "next_batch('q', 'm', 'b', '1 hour')",
        "next_batch_custom('q', 'm', 'b', '1 hour', 1000, '1 hour')",
        "next_batch_custom('q', 'm', 'b', null, null, null, '0')",
    ] {
        let (database, mut session) = with_group("process");
        supply(&mut session, &["1"]);
        let mut member = watched(&database);
        let batch = next(&mut member, "a").unwrap();
        end(&mut session, member);
        let again: Option<i64> = session.one(&format!("select pgq_coop.{call}"), &[]);
        assert!(again.unwrap() > batch, "{call}");
    }
}

#[test]
fn without_the_setting_nobody_is_gone() {
    let (database, mut session) = with_group("process");
    supply(&mut session, &["1", "2", "3"]);
    let mut member = database.connect();
    let batch = next(&mut member, "a").unwrap();
    end(&mut session, member);
    drain(&mut session, "b");

    // On for one batch, off for the next.
    assert_eq!(next(&mut session, "a"), Some(batch));
    let mut member = watched(&database);
    assert_eq!(next(&mut member, "a"), Some(batch));
    member.exec("set pgq.coop_watch_processes = off");
    assert_eq!(next(&mut member, "a"), Some(batch));
    end(&mut session, member);
    assert_eq!(next(&mut session, "b"), None);
    assert_eq!(positions(&mut session)[1].3, Some(batch));
}

#[test]
fn one_without_a_batch_stays() {
    let (database, mut session) = with_group("process");
    supply(&mut session, &["1"]);
    let mut member = watched(&database);
    let batch = next(&mut member, "a").unwrap();
    assert_eq!(finish(&mut member, batch), 1);
    end(&mut session, member);
    assert_eq!(next(&mut session, "b"), None);
    assert_eq!(names(&mut session), ["m", "m.a", "m.b"]);
}

#[test]
fn a_process_is_noted_when_it_is_another_one() {
    let (database, mut session) = with_group("process");
    supply(&mut session, &["1", "2", "3"]);
    let noted = "select xmin::text || ' ' || pid from pgq_coop.process";
    let mut member = watched(&database);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let batch = next(&mut member, "a").unwrap();
        seen.push(session.one::<String>(noted, &[]));
        assert_eq!(next(&mut member, "a"), Some(batch));
        assert_eq!(finish(&mut member, batch), 1);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].ends_with(&member.pid().to_string()));

    // The last one counts: who has got the batch again is at work on it.
    let batch = next(&mut member, "a").unwrap();
    let mut second = watched(&database);
    assert_eq!(next(&mut second, "a"), Some(batch));
    end(&mut session, member);
    assert_eq!(next(&mut session, "b"), None);
    end(&mut session, second);
    assert!(next(&mut session, "b").is_some());
}

#[test]
fn another_process_of_the_same_number_is_another() {
    let (database, mut session) = with_group("process");
    supply(&mut session, &["1"]);
    let mut member = watched(&database);
    next(&mut member, "a").unwrap();
    assert_eq!(next(&mut session, "b"), None);
    let an_older_one = "update pgq_coop.process set backend_start = backend_start - interval '1 microsecond'";
    session.exec(an_older_one);
    next(&mut member, "a").unwrap();
    assert_eq!(next(&mut session, "b"), None, "it is noted anew");
    session.exec(an_older_one);
    assert!(next(&mut session, "b").is_some());
}

#[test]
fn processes_that_the_functions_owner_may_not_see_are_not_gone() {
    let (database, mut session) = with_group("process");
    supply(&mut session, &["1"]);
    let mut member = watched(&database);
    let batch = next(&mut member, "a").unwrap();
    let owner = format!("{}_owner", database.name());
    session.exec(&format!(
        "create role {owner};
         grant all on all tables in schema pgq, pgq_coop to {owner};
         grant all on all functions in schema pgq, pgq_coop to {owner};
         alter function pgq_coop.next_batch_custom(text, text, text, interval, int, interval, interval) owner to {owner}"
    ));
    assert_eq!(next(&mut session, "b"), None);
    assert_eq!(finish(&mut member, batch), 1);
    session.exec(&format!(
        "reassign owned by {owner} to current_user; drop owned by {owner}; drop role {owner}"
    ));
}

#[test]
fn who_has_looked_at_processes_before_does_not_take_younger_ones_for_gone() {
    let (database, mut session) = with_group("process");
    supply(&mut session, &["1"]);
    session.exec("begin; select count(*) from pg_stat_activity");
    let mut member = watched(&database);
    let batch = next(&mut member, "a").unwrap();
    assert_eq!(next(&mut session, "b"), None);
    session.exec("commit");
    assert_eq!(finish(&mut member, batch), 1);
}

#[test]
fn the_setting_may_come_from_anywhere_and_before_the_library() {
    let cluster = Cluster::builder().conf("autovacuum", "off").start();
    let mut session = cluster.connect("postgres");
    session
        .exec("create extension pgq; create extension pgq_coop; create role worker login in role pgq_reader");
    queue::create(&mut session, "q").unwrap();
    session.exec("alter role worker set pgq.coop_watch_processes = on");
    session.exec("select pgq.register_consumer('q', 'm')");
    supply(&mut session, &["1", "2"]);
    let noted = "select count(*) from pgq_coop.process where pid = $1";
    let mut worker = cluster.connect_as("postgres", "worker");
    let batch = next(&mut worker, "a");
    assert_eq!(session.one::<i64>(noted, &[&worker.pid()]), 1);
    // A process in which nothing of the library runs.
    let mut worker = cluster.connect_as("postgres", "worker");
    assert_eq!(next(&mut worker, "a"), batch);
    assert_eq!(session.one::<i64>(noted, &[&worker.pid()]), 1);

    let mut config = cluster.config("postgres", "postgres");
    let mut worker = Session::connect(config.options("-c pgq.coop_watch_processes=on")).unwrap();
    next(&mut worker, "b").unwrap();
    assert_eq!(session.one::<i64>(noted, &[&worker.pid()]), 1);
    // Set for a transaction only, it is empty afterwards.
    let mut worker = cluster.connect("postgres");
    worker.exec("begin; set local pgq.coop_watch_processes = on; commit");
    assert!(next(&mut worker, "b").is_some());
    assert_eq!(session.one::<i64>(noted, &[&worker.pid()]), 0);
    let error = session.error("set pgq.coop_watch_processes = perhaps");
    assert_eq!(error.code, "22023");
    let off: String = session.one("show pgq.coop_watch_processes", &[]);
    assert_eq!(off, "off");
}

#[test]
fn after_a_crash_of_the_server_all_are_gone_and_no_id_comes_again() {
    let mut cluster = Cluster::builder()
        .conf("autovacuum", "off")
        .conf("synchronous_commit", "off")
        .conf("wal_writer_delay", "10s")
        .start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq; create extension pgq_coop");
    queue::create(&mut session, "q").unwrap();
    session.exec("select pgq.register_consumer('q', 'm')");
    supply(&mut session, &["1", "2", "3"]);
    let mut workers: Vec<Session> = ["a", "b", "c"].map(|_| cluster.connect("postgres")).into();
    let mut batches = Vec::new();
    for (worker, name) in workers.iter_mut().zip(["a", "b", "c"]) {
        worker.exec("set pgq.coop_watch_processes = on");
        batches.push(next(worker, name).unwrap());
    }
    // One is taken over, in two ways, each the last thing that is written.
    let pid = workers[0].pid();
    drop(workers.remove(0));
    gone(&mut session, pid);
    let again = next(&mut session, "d").unwrap();
    cluster.kill9();
    cluster.start_again();
    let mut session = cluster.connect("postgres");
    assert_eq!(positions(&mut session)[3], ("m.d".to_owned(), Some(1), Some(2), Some(again)));
    assert_eq!(next_after(&mut session, "e", "-1 hour").map(|batch| batch > again), Some(true));
    let mut got = vec![next(&mut session, "e").unwrap()];
    got.push(next(&mut session, "f").unwrap());
    assert_eq!(next(&mut session, "g"), None, "that of d was not watched");
    let mut read: Vec<String> = got.iter().flat_map(|batch| read(&mut session, *batch)).collect();
    read.sort_unstable();
    assert_eq!(read, ["2", "3"]);
    for batch in batches {
        assert_eq!(finish(&mut session, batch), 0);
    }
}
