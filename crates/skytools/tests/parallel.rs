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

use crate::kit::{Worker, config, conninfo};

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
