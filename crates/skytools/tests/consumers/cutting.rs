//! The queue's consumer, and a connection that is lost or a program that is killed at each step.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{insert, tick_now};
use pgq_tests::server::Server;
use skytools::Result;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};

use super::{Copier, insert_many, scene, top, wait_until_at_top, worker};
use crate::kit::{Break, Breaker, Proxy, Side, Worker, Workplace, config, servers};

/// Writes into the queue's own database, in the batch's own transaction; sends what says so back once.
struct Copies;

impl Handler for Copies {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        if event.data() == Some("later") && event.retry().is_none() {
            return Ok(Verdict::Retry(Duration::ZERO));
        }
        batch.source()?.execute("insert into result values ($1)", &[&event.id()]).await?;
        Ok(Verdict::Done)
    }
}

fn copy(source: &str) -> Worker {
    let keys = [("queue_name", "orders"), ("pgq_lazy_fetch", "2"), ("exception_sleep", "0.01")];
    Worker::start(config(source, &keys), |script| Consumer::new(script, "src_db", Copies))
}

/// Brings events that wait for a retry back, when the consumer has nothing else to do.
fn bring_retries(session: &mut Session) {
    if worker().position(session).unwrap() == top(session) {
        session.exec("select pgq.maint_retry_events()");
        tick_now(session, "orders").unwrap();
    }
}

/// For each request of a batch: the connection is lost there. Every event takes effect once.
fn cut_at_every_step(server: &Server, side: Side) -> u32 {
    let (database, mut session) = scene(server, "cut");
    session.exec("create table result (ev_id bigint)");
    let (workplace, breaker) = (Workplace::new(), Breaker::default());
    let proxy = Proxy::to(&database, &workplace.path("way"), &breaker);
    let mut inserted: i64 = 0;
    for step in 1.. {
        insert_many(&mut session, &["a", "b", "later", "c", "d"]);
        inserted += 5;
        breaker.arm(step, side, Break::Cut);
        let worker = copy(&proxy.conninfo());
        wait_until("all results", || {
            bring_retries(&mut session);
            session.one::<i64>("select count(distinct ev_id) from result", &[]) == inserted
        });
        let all_steps_done = breaker.disarm();
        drop(worker);
        let results = session.one::<i64>("select count(*) from result", &[]);
        assert_eq!(results, inserted, "an event took effect twice, step {step} was cut");
        if all_steps_done {
            return step;
        }
    }
    unreachable!("steps come to an end")
}

#[test]
fn each_event_takes_effect_once_whichever_request_is_lost() {
    for server in servers() {
        let steps = cut_at_every_step(&server, Side::Before);
        assert!(steps > 15, "only {steps} steps");
    }
}

#[test]
fn each_event_takes_effect_once_whichever_answer_is_lost() {
    for server in servers() {
        let steps = cut_at_every_step(&server, Side::After);
        assert!(steps > 15, "only {steps} steps");
    }
}

#[test]
fn a_program_that_is_killed_at_any_step_loses_nothing() {
    for server in servers() {
        let (database, mut session) = scene(&server, "kill");
        session.exec("create table result (data text)");
        let (workplace, breaker) = (Workplace::new(), Breaker::default());
        let proxy = Proxy::to(&database, &workplace.path("way"), &breaker);
        let (victim, healer) = (Copier::simple(&database), Copier::simple(&database));
        let write = "insert into result values (%%(pgq.ev_data)s)";
        victim.set_source(&proxy.conninfo(), write, "pgq_lazy_fetch = 2");
        healer.set(write, "");
        let mut names = BTreeSet::new();
        for (step, side) in (1..).flat_map(|step| [(step, Side::Before), (step, Side::After)]) {
            let new: Vec<String> = (0..5).map(|number| format!("{step}{side:?}{number}")).collect();
            for data in &new {
                insert(&mut session, "orders", "I:id", data).unwrap();
            }
            tick_now(&mut session, "orders").unwrap();
            names.extend(new);
            breaker.arm(step, side, Break::Kill);
            let mut victim = victim.start();
            let top = top(&mut session);
            wait_until("the end of the batch, or of the program", || {
                breaker.has_broken() || worker().position(&mut session).unwrap() == top
            });
            let is_last = breaker.disarm();
            victim.signal(Signal::SIGKILL);
            victim.end();
            let _healer = healer.start();
            wait_until_at_top(&mut session);
            let seen = session.column::<String>("select distinct data from result", &[]);
            let seen: BTreeSet<String> = seen.into_iter().collect();
            assert_eq!(seen, names, "killed at step {step}, {side:?}");
            if is_last {
                assert!(step > 5, "only {step} steps");
                break;
            }
        }
    }
}
