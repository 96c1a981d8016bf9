//! Consumers that are many.

use std::collections::BTreeSet;
use std::time::Duration;

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{create, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};
use skytools::script::Script;
use skytools::{Error, Result};

use crate::kit::{Break, Breaker, Proxy, Running, Side, Worker, Workplace, config, conninfo, servers};

fn scene(server: &Server) -> Option<(Database, Session)> {
    let database = Database::fresh_on(server, "coop");
    let mut session = database.connect();
    // The original's pgq_coop is a package of its own.
    if !session
        .one::<bool>("select exists (select from pg_available_extensions where name = 'pgq_coop')", &[])
    {
        return None;
    }
    session.exec("create extension pgq_coop; create table result (member text, ev_id bigint)");
    create(&mut session, "orders").unwrap();
    session.exec("select pgq.register_consumer('orders', 'worker')");
    Some((database, session))
}

/// Writes down who has handled an event, in the transaction of the batch; and stays at it for a moment.
struct Signs(String);

impl Handler for Signs {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        batch.source()?.execute("insert into result values ($1, $2)", &[&self.0, &event.id()]).await?;
        Ok(Verdict::Done)
    }
}

fn join(source: &str, name: &str, timeout: &str) -> Worker {
    let keys = [
        ("queue_name", "orders"),
        ("subconsumer_name", name),
        ("subconsumer_timeout", timeout),
        ("exception_sleep", "0.01"),
    ];
    let member = name.to_owned();
    Worker::start(config(source, &keys), |script: &mut Script| {
        Consumer::cooperative(script, "src_db", Signs(member))
    })
}

/// Says that it was asked, and fails.
struct Fails(std::sync::mpsc::Sender<()>);

impl Handler for Fails {
    async fn event(&mut self, _event: &Event, _batch: &mut Batch) -> Result<Verdict> {
        self.0.send(()).unwrap();
        Err(Error::bad("gone"))
    }
}

/// So many batches of ten events.
fn insert_batches(session: &mut Session, batches: i64) {
    for _ in 0..batches {
        session.exec("select pgq.insert_event('orders', 'new', '') from generate_series(1, 10)");
        tick_now(session, "orders").unwrap();
    }
}

fn handled(session: &mut Session) -> i64 {
    session.one("select count(*) from result", &[])
}

fn assert_once(session: &mut Session, events: i64) {
    let distinct: i64 = session.one("select count(distinct ev_id) from result", &[]);
    assert_eq!((handled(session), distinct), (events, events));
}

#[test]
fn members_share_the_batches_and_each_event_is_handled_once() {
    for (_database, mut session, source) in all_scenes() {
        insert_batches(&mut session, 20);
        let _members = ["1", "2", "3"].map(|name| join(&source, name, ""));
        wait_until("all results", || handled(&mut session) == 200);
        assert_once(&mut session, 200);
        let members: BTreeSet<String> =
            session.column("select distinct member from result", &[]).into_iter().collect();
        assert!(members.len() > 1, "{members:?} has done all");
    }
}

fn all_scenes() -> impl Iterator<Item = (Database, Session, String)> {
    servers().filter_map(|server| {
        let (database, session) = scene(&server)?;
        let source = conninfo(&database);
        Some((database, session, source))
    })
}

#[test]
fn the_batch_of_a_member_that_is_gone_is_taken_over() {
    for (_database, mut session, source) in all_scenes() {
        insert_batches(&mut session, 1);
        // It gets the batch, and no further.
        let keys = [("queue_name", "orders"), ("subconsumer_name", "gone"), ("exception_sleep", "3600")];
        let (tried, has_tried) = std::sync::mpsc::channel();
        let gone = Worker::start(config(&source, &keys), |script: &mut Script| {
            Consumer::cooperative(script, "src_db", Fails(tried))
        });
        has_tried.recv().unwrap();
        drop(gone);
        insert_batches(&mut session, 2);
        let _heirs = ["1", "2"].map(|name| join(&source, name, "0.2 seconds"));
        wait_until("all results", || handled(&mut session) >= 30);
        assert_once(&mut session, 30);
    }
}

#[test]
fn work_that_comes_too_late_is_taken_back() {
    for (_database, mut session, source) in all_scenes() {
        insert_batches(&mut session, 3);
        // Each takes the other for dead at once, and works on its batch beside it.
        let _members = ["1", "2"].map(|name| join(&source, name, "0 seconds"));
        wait_until("all results", || handled(&mut session) >= 30);
        wait_until("idle members", || {
            session.one("select not exists (select from pgq.subscription where sub_batch is not null)", &[])
        });
        assert_once(&mut session, 30);
    }
}

const MEMBER: &str = "coop::member_as_a_program";

#[test]
#[ignore = "is started by a test here, in a folder with its configuration: no shipped program is a member"]
fn member_as_a_program() {
    let source = std::fs::read_to_string("source").unwrap();
    let member = join(&source, "victim", "");
    member.end().unwrap();
}

/// Runs a batch for each step that a member takes to do one, and breaks that step.
fn each_step_of_a_member_may_break(what: Break) {
    for (database, mut session, source) in all_scenes() {
        let (workplace, breaker) = (Workplace::new(), Breaker::default());
        let proxy = Proxy::to(&database, &workplace.path("way"), &breaker);
        workplace.write("source", &proxy.conninfo());
        let mut events = 0;
        for side in [Side::Before, Side::After] {
            for step in 1.. {
                insert_batches(&mut session, 1);
                events += 10;
                breaker.arm(step, side, what);
                let victim = victim(&workplace);
                wait_until("all results, or the break", || {
                    handled(&mut session) >= events || what == Break::Kill && breaker.has_broken()
                });
                let is_last = breaker.disarm();
                drop(victim);
                let _again = join(&source, "victim", "");
                wait_until("all results", || handled(&mut session) >= events);
                assert_once(&mut session, events);
                if is_last {
                    assert!(step > 10, "only {step} steps");
                    break;
                }
            }
        }
    }
}

fn victim(workplace: &Workplace) -> Running {
    let me = std::env::current_exe().unwrap();
    workplace.start("victim", me.to_str().unwrap(), &["--exact", MEMBER, "--ignored", "--nocapture"])
}

#[test]
fn a_member_is_killed_at_each_step_and_each_event_is_handled_once() {
    each_step_of_a_member_may_break(Break::Kill);
}

#[test]
fn a_member_loses_its_connection_at_each_step_and_each_event_is_handled_once() {
    each_step_of_a_member_may_break(Break::Cut);
}

#[test]
fn a_member_that_is_killed_leaves_its_batch_to_others() {
    for (_database, mut session, source) in all_scenes() {
        let workplace = Workplace::new();
        workplace.write("source", &source);
        let mut events = 0;
        for round in 0..5 {
            insert_batches(&mut session, 3);
            events += 30;
            let victim = victim(&workplace);
            let open = "select exists (select from pgq.subscription where sub_batch is not null)";
            wait_until("a batch of the victim", || session.one(open, &[]) || handled(&mut session) >= events);
            std::thread::sleep(Duration::from_millis(round * 7));
            drop(victim);
        }
        let _heirs = ["1", "2"].map(|name| join(&source, name, "0.5 seconds"));
        wait_until("all results", || handled(&mut session) >= events);
        assert_once(&mut session, events);
    }
}

/// Wants to see each event a second time.
struct Twice;

impl Handler for Twice {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        if event.retry().is_none() {
            return Ok(Verdict::Retry(Duration::ZERO));
        }
        batch.source()?.execute("insert into result values ('any', $1)", &[&event.id()]).await?;
        Ok(Verdict::Done)
    }
}

#[test]
fn what_a_member_sends_back_comes_again_to_one_of_them() {
    for (_database, mut session, source) in all_scenes() {
        insert_batches(&mut session, 2);
        let _members = ["1", "2"].map(|name| {
            let keys = [("queue_name", "orders"), ("subconsumer_name", name)];
            Worker::start(config(&source, &keys), |script: &mut Script| {
                Consumer::cooperative(script, "src_db", Twice)
            })
        });
        wait_until("all results", || {
            session.exec("select pgq.maint_retry_events()");
            tick_now(&mut session, "orders").unwrap();
            handled(&mut session) >= 20
        });
        assert_once(&mut session, 20);
    }
}
