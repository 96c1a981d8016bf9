//! Several events at a time.

use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{self, create, tick_now};
use pgq_tests::shared::Database;
use skytools::consumer::{Consumer, Event, Lane, Parallel, ParallelHandler, Verdict};
use skytools::script::Script;
use skytools::{Error, Result};
use tokio::sync::Barrier;

use crate::kit::{Break, Breaker, Proxy, Side, Worker, Workplace, config, conninfo};

const LANES: usize = 4;

fn worker() -> queue::Consumer {
    queue::Consumer::new("orders", "worker")
}

fn scene() -> (Database, Session) {
    let database = Database::fresh("parallel");
    let mut session = database.connect();
    create(&mut session, "orders").unwrap();
    worker().register(&mut session).unwrap();
    (database, session)
}

fn is_at_top(session: &mut Session) -> bool {
    let top: i64 = session.one("select max(tick_id) from pgq.tick", &[]);
    worker().position(session).unwrap() == top
}

/// What lanes do, and have done.
#[derive(Clone, Default)]
struct Company {
    seen: Arc<Mutex<Vec<(String, i64)>>>,
    done: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
    /// Where all lanes have to be at the same time, once.
    meeting: Option<Arc<Barrier>>,
    /// The event that fails, the first time.
    bad: Option<i64>,
}

struct One {
    company: Company,
    has_met: bool,
}

impl ParallelHandler for Company {
    type Lane = One;

    async fn lane(&mut self, _script: &mut Script, _number: usize) -> Result<One> {
        let made = self.made.fetch_add(1, Ordering::SeqCst);
        let bad = self.bad.filter(|_| made < LANES);
        Ok(One { company: Self { bad, ..self.clone() }, has_met: false })
    }

    fn key(&self, event: &Event) -> impl Hash {
        event.kind().map(str::to_owned)
    }
}

impl Lane for One {
    async fn event(&mut self, event: &Event) -> Result<Verdict> {
        if !self.has_met
            && let Some(meeting) = &self.company.meeting
        {
            meeting.wait().await;
            self.has_met = true;
        }
        // Others get their turn.
        tokio::task::yield_now().await;
        if self.company.bad == Some(event.id()) {
            return Err(Error::bad("no"));
        }
        self.company.seen.lock().unwrap().push((event.kind().unwrap().to_owned(), event.id()));
        Ok(Verdict::Done)
    }

    async fn batch_done(&mut self) -> Result<()> {
        self.company.done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn start(database: &Database, company: &Company, pairs: &[(&str, &str)]) -> Worker {
    let company = company.clone();
    let pairs: Vec<_> = pairs.iter().copied().chain([("queue_name", "orders")]).collect();
    Worker::start(config(&conninfo(database), &pairs), |script| {
        Consumer::new(script, "src_db", Parallel::new(company, LANES))
    })
}

fn insert_of_many_keys(session: &mut Session) {
    session.exec(
        "select pgq.insert_event('orders', 'key' || n % 37, null::text) from generate_series(1, 2000) n",
    );
    tick_now(session, "orders").unwrap();
}

#[test]
fn all_lanes_work_at_a_time_and_each_key_keeps_its_order() {
    let (database, mut session) = scene();
    insert_of_many_keys(&mut session);
    // Who works alone waits for ever.
    let company = Company { meeting: Some(Arc::new(Barrier::new(LANES))), ..Company::default() };
    let _worker = start(&database, &company, &[]);
    wait_until("the end of the batch", || is_at_top(&mut session));
    let seen = company.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2000);
    let mut last = std::collections::BTreeMap::new();
    for (key, id) in seen {
        let before = last.insert(key.clone(), id).unwrap_or(0);
        assert!(before < id, "{key}: {before} before {id}");
    }
    assert_eq!(company.done.load(Ordering::SeqCst) % LANES, 0);
    assert_eq!(company.made.load(Ordering::SeqCst), LANES);
}

#[test]
fn the_first_failure_ends_all_and_the_batch_comes_again() {
    let (database, mut session) = scene();
    insert_of_many_keys(&mut session);
    let company = Company { bad: Some(1000), ..Company::default() };
    let _worker = start(&database, &company, &[]);
    wait_until("the end of the batch", || is_at_top(&mut session));
    assert_eq!(company.made.load(Ordering::SeqCst), 2 * LANES, "lanes do not outlive a failure");
    let seen = company.seen.lock().unwrap();
    let distinct: std::collections::BTreeSet<i64> = seen.iter().map(|(_, id)| *id).collect();
    assert_eq!(distinct.len(), 2000);
    assert!(seen.len() < 4000, "all of the batch was handled before the failure was met");
}

#[test]
fn a_policy_meets_the_failures_of_lanes() {
    let (database, mut session) = scene();
    insert_of_many_keys(&mut session);
    let company = Company { bad: Some(1000), ..Company::default() };
    let _worker = start(&database, &company, &[("event_policy", "park")]);
    wait_until("the end of the batch", || is_at_top(&mut session));
    assert_eq!(company.seen.lock().unwrap().len(), 1999);
    assert_eq!(session.column::<i64>("select ev_id from pgq_consumer.dead_letter", &[]), [1000]);
}

/// Writes through a connection of its own, and commits at the end of the batch.
struct Writes;

struct Pen(skytools::db::Connection);

impl ParallelHandler for Writes {
    type Lane = Pen;

    async fn lane(&mut self, script: &mut Script, number: usize) -> Result<Pen> {
        let source = script.config().text("src_db")?.to_owned();
        Ok(Pen(script.connections().get(&format!("pen {number}"), &source).await?))
    }

    fn key(&self, event: &Event) -> impl Hash {
        event.kind().map(str::to_owned)
    }
}

impl Lane for Pen {
    async fn event(&mut self, event: &Event) -> Result<Verdict> {
        self.0.execute("insert into result values ($1)", &[&event.id()]).await?;
        Ok(Verdict::Done)
    }

    async fn batch_done(&mut self) -> Result<()> {
        self.0.commit().await
    }
}

fn start_writing(source: &str, lifetime: &str) -> Worker {
    let keys = [("queue_name", "orders"), ("pgq_lazy_fetch", "2"), ("connection_lifetime", lifetime)];
    Worker::start(config(source, &keys), |script| Consumer::new(script, "src_db", Parallel::new(Writes, 2)))
}

fn insert_ten(session: &mut Session) {
    session.exec("select pgq.insert_event('orders', n::text, null::text) from generate_series(1, 10) n");
    tick_now(session, "orders").unwrap();
}

fn results(session: &mut Session) -> (i64, i64) {
    let row = &session.rows("select count(*), count(distinct ev_id) from result", &[])[0];
    (row.get(0), row.get(1))
}

#[test]
fn lanes_lose_nothing_whichever_step_is_lost() {
    for side in [Side::Before, Side::After] {
        let (database, mut session) = scene();
        session.exec("create table result (ev_id bigint)");
        let (workplace, breaker) = (Workplace::new(), Breaker::default());
        let proxy = Proxy::to(&database, &workplace.path("way"), &breaker);
        for step in 1.. {
            insert_ten(&mut session);
            breaker.arm(step, side, Break::Cut);
            let worker = start_writing(&proxy.conninfo(), "0");
            wait_until("the end of the batch", || is_at_top(&mut session));
            let is_last = breaker.disarm();
            drop(worker);
            assert_eq!(results(&mut session).1, i64::from(step) * 10, "{side:?} step {step}");
            if is_last {
                assert!(step > 20, "only {step} steps");
                break;
            }
        }
    }
}

#[test]
fn lanes_do_not_outlive_their_connections() {
    let (database, mut session) = scene();
    session.exec("create table result (ev_id bigint)");
    let _worker = start_writing(&conninfo(&database), "0.001");
    for round in 1..=20 {
        insert_ten(&mut session);
        wait_until("the end of the batch", || is_at_top(&mut session));
        let (count, distinct) = results(&mut session);
        assert_eq!((count, distinct), (round * 10, round * 10), "no batch came twice");
    }
}
