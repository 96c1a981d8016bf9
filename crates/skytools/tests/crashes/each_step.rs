//! A batch for each step that a consumer takes to do one, in which that step breaks.

use pgq_tests::client::wait_until;
use pgq_tests::queue::tick_now;
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::Result;
use skytools::consumer::{Batch, Event, Handler, Verdict};

use super::{Class, EVENTS_OF_A_BATCH, Job, position, prepare, produce, registered, results, start_with};
use crate::kit::{Break, Breaker, Proxy, Side, Workplace, conninfo};

/// Runs a batch for each step that the consumer takes to do one, and breaks that step.
fn each_step_may_break(class: Class, what: Break) {
    each_step_may_break_on(&Server::ours(), class, what);
}

fn each_step_may_break_on(server: &Server, class: Class, what: Break) {
    let (source, target) = (Database::fresh_on(server, "crash_source"), Database::fresh("crash_target"));
    let (mut at_source, mut at_target) = (source.connect(), target.connect());
    prepare(&mut at_source, &mut at_target);
    let (workplace, breaker) = (Workplace::new(), Breaker::default());
    let source = Proxy::to(&source, &workplace.path("source"), &breaker);
    let target = Proxy::to(&target, &workplace.path("target"), &breaker);
    let job = Job::new(class, workplace, &source.conninfo(), &target.conninfo());
    registered(&job, &mut at_source);

    let mut inserted = 0;
    for side in [Side::Before, Side::After] {
        let mut steps = 0;
        loop {
            steps += 1;
            let tick = produce(&mut at_source);
            inserted += EVENTS_OF_A_BATCH;
            breaker.arm(steps, side, what);
            let mut program = job.start();
            let mut is_done = || position(&mut at_source) == Some(tick);
            wait_until("the batch to be done, or the step to break", || {
                is_done() || what == Break::Kill && breaker.has_broken()
            });
            if what == Break::Kill && breaker.has_broken() {
                program.end();
                program = job.start();
                wait_until("the batch to be done by another start", is_done);
            }
            drop(program);
            let (count, different) = results(&mut at_target);
            assert_eq!(different, inserted, "{side:?} step {steps}: nothing is lost");
            if class != Class::Local {
                assert_eq!(count, inserted, "{side:?} step {steps}: nothing is done twice");
            }
            if breaker.disarm() {
                break;
            }
        }
        assert!(steps > 15, "a batch has more than {steps} steps");
        let (count, different) = results(&mut at_target);
        let repeated = i64::from(steps) * EVENTS_OF_A_BATCH;
        assert!(
            count - different <= repeated,
            "{count} results of {different} events: at most the batch again"
        );
    }
}

/// Every second event cannot be handled until the gate is open.
const GATE: &str = "
    create table gate (is_open boolean);
    insert into gate values (false);
    create function pass(id bigint) returns bigint language plpgsql as $$
    begin
        if id % 2 = 1 and not (select is_open from gate) then
            raise exception 'event % does not pass', id;
        end if;
        return id;
    end $$";

#[test]
fn what_a_remote_consumer_has_sent_back_is_not_lost_at_any_step() {
    let (source, target) = (Database::fresh("retry_source"), Database::fresh("retry_target"));
    let (mut at_source, mut at_target) = (source.connect(), target.connect());
    prepare(&mut at_source, &mut at_target);
    at_target.exec(GATE);
    let (workplace, breaker) = (Workplace::new(), Breaker::default());
    let source = Proxy::to(&source, &workplace.path("source"), &breaker);
    let target = Proxy::to(&target, &workplace.path("target"), &breaker);
    let job = Job::new(Class::Remote, workplace, &source.conninfo(), &target.conninfo());
    let ini = job.workplace.read("copier.ini").replace("%%(pgq.ev_id)s", "pass(%%(pgq.ev_id)s)");
    job.workplace.write("copier.ini", &(ini + "event_policy = retry\nretry_delay = 0\n"));
    registered(&job, &mut at_source);

    let mut inserted = 0;
    for side in [Side::Before, Side::After] {
        for step in 1.. {
            at_target.exec("update gate set is_open = false");
            let tick = produce(&mut at_source);
            inserted += EVENTS_OF_A_BATCH;
            breaker.arm(step, side, Break::Kill);
            let mut program = job.start();
            let mut is_done = || position(&mut at_source) == Some(tick);
            wait_until("the batch to be done, or the step to break", || is_done() || breaker.has_broken());
            if breaker.has_broken() {
                program.end();
                program = job.start();
                wait_until("the batch to be done by another start", is_done);
            }
            drop(program);
            let is_over = breaker.disarm();

            at_target.exec("update gate set is_open = true");
            at_source.exec("select pgq.maint_retry_events()");
            let tick = tick_now(&mut at_source, "orders").unwrap();
            let _program = job.start();
            wait_until("the rest to be done", || position(&mut at_source) == Some(tick));
            let (_, different) = results(&mut at_target);
            assert_eq!(different, inserted, "{side:?} step {step}: nothing is lost");
            if is_over {
                assert!(step > 15, "a batch has more than {step} steps");
                break;
            }
        }
    }
}

#[test]
fn a_remote_consumer_is_killed_at_each_step_and_does_each_event_once() {
    each_step_may_break(Class::Remote, Break::Kill);
}

#[test]
fn a_remote_consumer_loses_its_connection_at_each_step_and_does_each_event_once() {
    each_step_may_break(Class::Remote, Break::Cut);
}

#[test]
fn consumers_of_the_originals_queue_lose_their_connection_at_each_step_and_do_each_event_once() {
    let Some(peer) = Server::peer() else { return eprintln!("skipped: PGQ_PEER names no original") };
    for class in [Class::Remote, Class::Serial] {
        each_step_may_break_on(&peer, class, Break::Cut);
    }
}

/// Writes where the queue is, though the position is elsewhere.
struct WritesAtTheSource;

impl Handler for WritesAtTheSource {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        batch.source()?.execute("insert into result values ($1)", &[&event.id()]).await?;
        Ok(Verdict::Done)
    }
}

#[test]
fn what_is_written_at_the_source_is_not_lost_when_the_position_is_elsewhere() {
    for class in [Class::Remote, Class::Serial, Class::Local] {
        let (source, target) = (Database::fresh("beside_source"), Database::fresh("beside_target"));
        let mut session = source.connect();
        prepare(&mut session, &mut target.connect());
        session.exec("create table result (id bigint)");
        let (workplace, breaker) = (Workplace::new(), Breaker::default());
        let from = Proxy::to(&source, &workplace.path("source"), &breaker).conninfo();
        let to = conninfo(&target);
        session.exec("select pgq.register_consumer('orders', 'copier')");
        for side in [Side::Before, Side::After] {
            for step in 1.. {
                let tick = produce(&mut session);
                breaker.arm(step, side, Break::Cut);
                let worker = start_with(class, [&from, &to], &workplace, WritesAtTheSource);
                wait_until("the batch to be done", || position(&mut session) == Some(tick));
                let is_over = breaker.disarm();
                drop(worker);
                let missing: i64 = session.one(
                    "select count(*) from pgq.event_template e where not exists (select from result r where r.id = e.ev_id)",
                    &[],
                );
                assert_eq!(missing, 0, "{class:?}, {side:?} step {step}");
                if is_over {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_serial_consumer_is_killed_at_each_step_and_does_each_event_once() {
    each_step_may_break(Class::Serial, Break::Kill);
}

#[test]
fn a_serial_consumer_loses_its_connection_at_each_step_and_does_each_event_once() {
    each_step_may_break(Class::Serial, Break::Cut);
}

#[test]
fn a_local_consumer_is_killed_at_each_step_and_loses_nothing() {
    each_step_may_break(Class::Local, Break::Kill);
}

#[test]
fn a_local_consumer_loses_its_connection_at_each_step_and_loses_nothing() {
    each_step_may_break(Class::Local, Break::Cut);
}
