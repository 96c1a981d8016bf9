//! Programs, sessions and servers that die at any time.

use std::time::{Duration, SystemTime};

use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::Cluster;
use pgq_tests::shared::Database;

use super::{Class, EVENTS_OF_A_BATCH, Job, position, prepare, produce, registered, results};
use crate::kit::{Running, Workplace, conninfo};

/// Up to so many milliseconds.
fn a_moment(limit: u64) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Duration::from_millis(u64::from(now.subsec_nanos()) / 1000 % limit)
}

/// Produces batches while `disturb` does its worst, and then lets the consumer come to the end.
fn any_time(
    class: Class,
    rounds: usize,
    mut disturb: impl FnMut(&mut Option<Running>, &Job, &mut Session, &mut Session),
) {
    let (source, target) = (Database::fresh("chaos_source"), Database::fresh("chaos_target"));
    let (mut at_source, mut at_target) = (source.connect(), target.connect());
    prepare(&mut at_source, &mut at_target);
    let job = Job::new(class, Workplace::new(), &conninfo(&source), &conninfo(&target));
    registered(&job, &mut at_source);
    let (mut inserted, mut program) = (0, None);
    for _ in 0..rounds {
        for _ in 0..10 {
            produce(&mut at_source);
            inserted += EVENTS_OF_A_BATCH;
        }
        std::thread::sleep(a_moment(100));
        disturb(&mut program, &job, &mut at_source, &mut at_target);
    }
    let last = produce(&mut at_source);
    inserted += EVENTS_OF_A_BATCH;
    let _program = program.unwrap_or_else(|| job.start());
    wait_until("all batches to be done", || position(&mut at_source) == Some(last));
    let (count, different) = results(&mut at_target);
    assert_eq!(different, inserted, "nothing is lost");
    assert!(class == Class::Local || count == inserted, "{count} results of {inserted} events");
}

fn killed_at_any_time(class: Class) {
    any_time(class, 30, |program, job, _, _| {
        // Dropped is killed.
        *program = None;
        *program = Some(job.start());
    });
}

#[test]
fn a_remote_consumer_is_killed_at_any_time() {
    killed_at_any_time(Class::Remote);
}

#[test]
fn a_serial_consumer_is_killed_at_any_time() {
    killed_at_any_time(Class::Serial);
}

#[test]
fn a_local_consumer_is_killed_at_any_time() {
    killed_at_any_time(Class::Local);
}

#[test]
fn sessions_of_a_serial_consumer_are_terminated_at_any_time() {
    any_time(Class::Serial, 30, |program, job, source, target| {
        program.get_or_insert_with(|| job.start());
        for session in [source, target] {
            session.exec(
                "select pg_terminate_backend(pid) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()",
            );
        }
    });
}

/// The servers of queue and results die in turn while batches go through.
fn servers_die(class: Class) {
    let server =
        || Cluster::builder().conf("shared_preload_libraries", "pgq").conf("pgq.ticker", "off").start();
    let (mut source, mut target) = (server(), server());
    let mut at_source = source.connect("postgres");
    at_source.exec("create extension pgq");
    prepare(&mut at_source, &mut target.connect("postgres"));
    let job = Job::new(class, Workplace::new(), &source.conninfo("postgres"), &target.conninfo("postgres"));
    registered(&job, &mut at_source);
    let program = job.start();
    let mut inserted = 0;
    for round in 0..6 {
        let mut at_source = source.connect("postgres");
        for _ in 0..20 {
            produce(&mut at_source);
            inserted += EVENTS_OF_A_BATCH;
        }
        std::thread::sleep(a_moment(100));
        let dies = if round % 2 == 0 { &mut source } else { &mut target };
        dies.kill9();
        dies.start_again();
    }
    let mut at_source = source.connect("postgres");
    let last = produce(&mut at_source);
    inserted += EVENTS_OF_A_BATCH;
    wait_until("all batches to be done", || position(&mut at_source) == Some(last));
    let (count, different) = results(&mut target.connect("postgres"));
    assert_eq!(different, inserted, "nothing is lost: {}", program.said());
    assert!(class == Class::Local || count == inserted, "{count} results of {inserted} events");
}

#[test]
fn servers_of_a_remote_consumer_die() {
    servers_die(Class::Remote);
}

#[test]
fn servers_of_a_serial_consumer_die() {
    servers_die(Class::Serial);
}

#[test]
fn servers_of_a_local_consumer_die() {
    servers_die(Class::Local);
}
