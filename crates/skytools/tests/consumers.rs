//! Consumers whose position is the queue's own: what reaches a handler, and what survives a crash at any step.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{self, create, insert, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::Result;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};

use crate::kit::{Break, Breaker, Proxy, Side, Worker, Workplace, config, conninfo, servers};

/// A database with the queue `orders` and its consumer `worker`.
fn scene(server: &Server, label: &str) -> (Database, Session) {
    let database = Database::fresh_on(server, label);
    let mut session = database.connect();
    create(&mut session, "orders").unwrap();
    worker().register(&mut session).unwrap();
    (database, session)
}

fn worker() -> queue::Consumer {
    queue::Consumer::new("orders", "worker")
}

fn insert_many(session: &mut Session, data: &[&str]) {
    data.iter().for_each(|data| _ = insert(session, "orders", "new", data).unwrap());
    tick_now(session, "orders").unwrap();
}

/// The newest tick.
fn top(session: &mut Session) -> i64 {
    session.one("select max(tick_id) from pgq.tick", &[])
}

fn wait_until_at_top(session: &mut Session) {
    let top = top(session);
    wait_until("the consumer at the newest tick", || worker().position(session).unwrap() == top);
}

/// Remembers what it sees.
#[derive(Clone, Default)]
struct Sees(Arc<Mutex<Vec<String>>>);

impl Sees {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Handler for Sees {
    async fn event(&mut self, event: &Event, _batch: &mut Batch) -> Result<Verdict> {
        self.0.lock().unwrap().push(event.data().unwrap_or("").to_owned());
        Ok(Verdict::Done)
    }
}

fn see(database: &Database, pairs: &[(&str, &str)]) -> (Sees, Worker) {
    let sees = Sees::default();
    let handler = sees.clone();
    let config = config(&conninfo(database), pairs);
    (sees, Worker::start(config, |script| Consumer::new(script, "src_db", handler)))
}

#[test]
fn events_come_in_order_however_they_are_read() {
    for server in servers() {
        let (database, mut session) = scene(&server, "order");
        let expected: Vec<String> = (0..25).map(|number| number.to_string()).collect();
        for (lazy, autocommit) in [("1", "0"), ("10", "0"), ("300", "0"), ("0", "0"), ("0", "1")] {
            insert_many(&mut session, &expected.iter().map(String::as_str).collect::<Vec<_>>());
            let keys = [("queue_name", "orders"), ("pgq_lazy_fetch", lazy), ("pgq_autocommit", autocommit)];
            let (sees, _worker) = see(&database, &keys);
            wait_until("all events", || sees.all().len() >= expected.len());
            assert_eq!(sees.all(), expected, "blocks of {lazy}, autocommit {autocommit}");
            wait_until_at_top(&mut session);
        }
    }
}

#[test]
fn batches_without_events_are_finished() {
    for server in servers() {
        let (database, mut session) = scene(&server, "empty");
        (0..3).for_each(|_| _ = tick_now(&mut session, "orders").unwrap());
        let (sees, _worker) = see(&database, &[("queue_name", "orders")]);
        wait_until_at_top(&mut session);
        assert!(sees.all().is_empty());
    }
}

#[test]
fn only_events_of_some_tables_come() {
    for server in servers() {
        let (database, mut session) = scene(&server, "filter");
        for lazy in ["300", "0"] {
            for table in ["public.orders", "orders", "s.it''s", "s.other"] {
                session.exec(&format!(
                    "select pgq.insert_event('orders', 'I', '{table}', '{table}', null, null, null)"
                ));
            }
            tick_now(&mut session, "orders").unwrap();
            let (sees, _worker) = see(
                &database,
                &[("queue_name", "orders"), ("pgq_lazy_fetch", lazy), ("table_filter", "orders, s.it's")],
            );
            wait_until_at_top(&mut session);
            assert_eq!(sees.all(), ["public.orders", "s.it's"]);
        }
    }
}

#[test]
fn small_batches_are_collected() {
    let (database, mut session) = scene(&Server::ours(), "collect");
    session.exec("select pgq.set_queue_config('orders', 'ticker_max_count', '1')");
    for _ in 0..10 {
        // Without force_tick, which draws event numbers.
        (0..2).for_each(|_| _ = insert(&mut session, "orders", "new", "").unwrap());
        assert!(session.one::<Option<i64>>("select pgq.ticker('orders')", &[]).is_some());
    }
    struct Counts(Arc<Mutex<Vec<u64>>>);
    impl Handler for Counts {
        async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
            while batch.next().await?.is_some() {}
            self.0.lock().unwrap().push(batch.count().unwrap());
            Ok(())
        }
    }
    let counts = Arc::new(Mutex::new(Vec::new()));
    let handler = Counts(Arc::clone(&counts));
    let keys = [("queue_name", "orders"), ("pgq_batch_collect_events", "8")];
    let _worker =
        Worker::start(config(&conninfo(&database), &keys), |script| Consumer::new(script, "src_db", handler));
    wait_until("two batches", || counts.lock().unwrap().len() == 2);
    assert!(counts.lock().unwrap().iter().all(|count| *count >= 8), "{counts:?}");
}

/// Goes through a batch twice.
struct Twice(Arc<Mutex<Vec<Option<String>>>>);

impl Handler for Twice {
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        while batch.next().await?.is_some() {}
        let second = batch.next().await;
        self.0.lock().unwrap().push(second.as_ref().err().map(ToString::to_string));
        while batch.next().await?.is_some() {}
        Ok(())
    }
}

#[test]
fn what_a_cursor_reads_can_be_gone_through_once() {
    let (database, mut session) = scene(&Server::ours(), "twice");
    insert_many(&mut session, &["a"]);
    for (lazy, refusal) in [("300", "the events of a batch can be gone through once"), ("0", "")] {
        let seconds = Arc::new(Mutex::new(Vec::new()));
        let handler = Twice(Arc::clone(&seconds));
        let keys = [("queue_name", "orders"), ("pgq_lazy_fetch", lazy)];
        let _worker = Worker::start(config(&conninfo(&database), &keys), |script| {
            Consumer::new(script, "src_db", handler)
        });
        wait_until("a second time", || !seconds.lock().unwrap().is_empty());
        let second = seconds.lock().unwrap()[0].clone().unwrap_or_default();
        assert_eq!(second.is_empty(), refusal.is_empty(), "{second}");
        assert!(second.starts_with(refusal), "{second}");
    }
    wait_until_at_top(&mut session);
}

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

fn copy(source: &str, lazy: &str) -> Worker {
    let keys = [("queue_name", "orders"), ("pgq_lazy_fetch", lazy), ("exception_sleep", "0.01")];
    Worker::start(config(source, &keys), |script| Consumer::new(script, "src_db", Copies))
}

#[test]
fn what_waits_to_be_read_does_not_block_the_handler() {
    let (database, mut session) = scene(&Server::ours(), "ahead");
    session.exec(
        "create table result (ev_id bigint);
         select pgq.insert_event('orders', 'new', repeat('x', 20000)) from generate_series(1, 1000)",
    );
    tick_now(&mut session, "orders").unwrap();
    let _worker = copy(&conninfo(&database), "300");
    wait_until("all results", || session.one::<i64>("select count(*) from result", &[]) == 1000);
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
        let worker = copy(&proxy.conninfo(), "2");
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
        let ini = |file: &str, source: &str| {
            let text = format!(
                "[simple_consumer]\nsrc_db = {source}\ndst_db = {}\nqueue_name = orders\nconsumer_name = worker\n\
                 loop_delay = 0.02\npgq_lazy_fetch = 2\ndst_query = insert into result values (%%(pgq.ev_data)s)\n",
                conninfo(&database)
            );
            workplace.write(file, &text);
        };
        ini("broken.ini", &proxy.conninfo());
        ini("well.ini", &conninfo(&database));
        let mut names = BTreeSet::new();
        for (step, side) in (1..).flat_map(|step| [(step, Side::Before), (step, Side::After)]) {
            let new: Vec<String> = (0..5).map(|number| format!("{step}{side:?}{number}")).collect();
            for data in &new {
                insert(&mut session, "orders", "I:id", data).unwrap();
            }
            tick_now(&mut session, "orders").unwrap();
            names.extend(new);
            breaker.arm(step, side, Break::Kill);
            let program = env!("CARGO_BIN_EXE_simple_consumer");
            let mut victim = workplace.start("victim", program, &["broken.ini"]);
            let top = top(&mut session);
            wait_until("the end of the batch, or of the program", || {
                breaker.has_broken() || worker().position(&mut session).unwrap() == top
            });
            let is_last = breaker.disarm();
            victim.signal(Signal::SIGKILL);
            victim.end();
            let _healer = workplace.start("healer", program, &["well.ini"]);
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
