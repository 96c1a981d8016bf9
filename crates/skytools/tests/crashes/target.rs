//! What the target remembers, and of whom.

use std::sync::Arc;

use pgq_tests::client::{Session, wait_until};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::Result;
use skytools::consumer::{Batch, Event, Handler, Verdict};

use super::{Class, EVENTS_OF_A_BATCH, Job, position, prepare, produce, registered, results, start_with};
use crate::kit::{Workplace, conninfo};

/// A remote consumer beside its two databases, with nothing done yet.
fn remote_on(server: &Server, more: &str) -> (Job, Session, Session) {
    let (source, target) = (Database::fresh_on(server, "remote_source"), Database::fresh("remote_target"));
    let (mut at_source, mut at_target) = (source.connect(), target.connect());
    prepare(&mut at_source, &mut at_target);
    let job = Job::new(Class::Remote, Workplace::new(), &conninfo(&source), &conninfo(&target));
    let ini = job.workplace.read("copier.ini");
    job.workplace.write("copier.ini", &(ini + more));
    // They are dropped with the shared server.
    std::mem::forget((source, target));
    (job, at_source, at_target)
}

fn run_to(job: &Job, source: &mut Session, tick: i64) {
    let _program = job.start();
    wait_until("the batch to be done", || position(source) == Some(tick));
}

#[test]
fn registering_anew_forgets_the_batch_in_the_target() {
    for server in crate::kit::servers() {
        let (job, mut source, mut target) = remote_on(&server, "auto_register = 1\n");
        let program = job.start();
        wait_until("the consumer to register", || position(&mut source).is_some());
        let tick = produce(&mut source);
        wait_until("the batch to be done", || position(&mut source) == Some(tick));
        drop(program);
        // A source that was made anew counts its batches anew.
        source.exec(
            "select pgq.unregister_consumer('orders', 'copier');
             select setval('pgq.batch_id_seq', last_value, false) from pgq.batch_id_seq",
        );
        let program = job.start();
        wait_until("the consumer to register", || position(&mut source).is_some());
        drop(program);
        let tick = produce(&mut source);
        run_to(&job, &mut source, tick);
        assert_eq!(results(&mut target), (2 * EVENTS_OF_A_BATCH, 2 * EVENTS_OF_A_BATCH));
    }
}

#[test]
fn a_batch_of_another_database_with_the_same_number_is_not_taken_for_done() {
    let (job, mut source, mut target) = remote_on(&Server::ours(), "");
    source.exec("select pgq.register_consumer('orders', 'copier')");
    let tick = produce(&mut source);
    run_to(&job, &mut source, tick);
    // As if the mark were that of another queue: its tick was taken a second later.
    target.exec(
        "update pgq_ext.completed_tick set last_tick_id = last_tick_id + 1000000 where subconsumer_id = '#time';
         update pgq_ext.completed_tick set last_tick_id = last_tick_id + 1 where subconsumer_id = '#number';
         update pgq_ext.completed_batch set last_batch_id = last_batch_id + 1",
    );
    let tick = produce(&mut source);
    let ini = job.workplace.read("copier.ini");
    job.workplace.write("copier.ini", &ini.replace("loop_delay = 0.1", "loop_delay = -1"));
    job.start().end();
    assert_ne!(position(&mut source), Some(tick), "it is not skipped");
    // Its own mark lets it be skipped.
    let time = "select (extract(epoch from tick_time) * 1000000)::bigint from pgq.tick where tick_id = $1";
    let time: i64 = source.one(time, &[&tick]);
    target.exec(&format!(
        "update pgq_ext.completed_tick set last_tick_id = {time} where subconsumer_id = '#time'"
    ));
    job.start().end();
    assert_eq!(position(&mut source), Some(tick));
    assert_eq!(results(&mut target).0, EVENTS_OF_A_BATCH);
}

/// Marks its events itself, each in a transaction of its own beside that of the batch.
struct MarksItsEvents {
    target: Arc<Database>,
}

impl Handler for MarksItsEvents {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        let (target, batch, event) = (Arc::clone(&self.target), batch.info().batch_id, event.id());
        let mark = move || {
            let mut session = target.connect();
            session.exec("set lock_timeout = '5s'");
            let once =
                "insert into result select $2 where pgq_ext.set_event_done('orders', 'copier', '', $1, $2)";
            session.execute(once, &[&batch, &event]).map(drop).map_err(|error| error.to_string())
        };
        std::thread::spawn(mark).join().unwrap().map(|()| Verdict::Done).map_err(skytools::Error::bad)
    }
}

#[test]
fn a_handler_can_mark_its_events_under_the_same_names() {
    for class in [Class::Remote, Class::Serial] {
        let (source, target) = (Database::fresh("marks_source"), Arc::new(Database::fresh("marks_target")));
        let (mut at_source, mut at_target) = (source.connect(), target.connect());
        prepare(&mut at_source, &mut at_target);
        at_source.exec("select pgq.register_consumer('orders', 'copier')");
        let (from, to) = (conninfo(&source), conninfo(&target));
        let handler = MarksItsEvents { target: Arc::clone(&target) };
        let _worker = start_with(class, [&from, &to], &Workplace::new(), handler);
        for round in 1..=3 {
            let tick = produce(&mut at_source);
            wait_until("the batch to be done", || position(&mut at_source) == Some(tick));
            assert_eq!(results(&mut at_target), (round * EVENTS_OF_A_BATCH, round * EVENTS_OF_A_BATCH));
            let marked: i64 = at_target.one("select count(*) from pgq_ext.completed_event", &[]);
            assert_eq!(marked, EVENTS_OF_A_BATCH, "{class:?}: those of its batch");
        }
    }
}

#[test]
fn a_batch_that_was_marked_without_the_queue_is_taken_over_once() {
    for server in crate::kit::servers() {
        let (job, mut source, mut target) = remote_on(&server, "");
        registered(&job, &mut source);
        let done = produce(&mut source);
        let batch: i64 = source.one("select pgq.next_batch('orders', 'copier')", &[]);
        let mark = format!("select pgq_ext.set_batch_done('copier', {batch})");
        target.exec(&mark);
        run_to(&job, &mut source, done);
        assert_eq!(results(&mut target), (0, 0), "it was done before the upgrade");
        let next = produce(&mut source);
        run_to(&job, &mut source, next);
        assert_eq!(results(&mut target).0, EVENTS_OF_A_BATCH);
    }
}

#[test]
fn a_mark_without_the_queue_is_nothing_to_those_who_have_one_with_it() {
    let (job, mut source, mut target) = remote_on(&Server::ours(), "");
    registered(&job, &mut source);
    let first = produce(&mut source);
    run_to(&job, &mut source, first);
    produce(&mut source);
    let batch: i64 = source.one("select pgq.next_batch('orders', 'copier')", &[]);
    target.exec(&format!("select pgq_ext.set_batch_done('copier', {batch})"));
    let last = produce(&mut source);
    run_to(&job, &mut source, last);
    assert_eq!(results(&mut target).0, 3 * EVENTS_OF_A_BATCH);
}
