//! A campaign: everything at once, crashes included, under the checker's eye.
//!
//! ```text
//!   producers ──►  queue  ──►  consumers          a round: begin, crash, crash, …, end, drain, verdict
//!       │            ▲             │
//!       │  kill -9 ──┘ rotation    │              what a producer's own memory cannot know (did the COMMIT that
//!       ▼                          ▼              was under way count?) the ledger knows, a table that every
//!      checker  ◄── ledger      checker           transaction writes to as its last deed
//! ```
//!
//! The seed decides what everybody does and when; the scheduler and the server decide the interleaving, so a seed
//! repeats a campaign's character, not each of its steps.

mod consumer;
mod link;
mod producer;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::checker::{Checker, EventKey, Txn, Verdict, Violation};
use crate::client::{Session, wait_until};
use crate::cluster::Cluster;
use crate::maintenance::{Daemon, Periods};
use crate::queue;
use crate::server::Server;

/// How many producers there are; the last one does not wait for its commits to be written.
const PRODUCERS: u32 = 6;

/// How long a round lasts, about, without its crashes.
const ROUND: Duration = Duration::from_secs(8);

/// How long consumers may take for the rest.
const DRAIN_LIMIT: Duration = Duration::from_secs(90);

/// The daemon of a campaign is in a hurry: rotations are what loses events.
const PERIODS: Periods =
    Periods { ticker: Duration::from_millis(25), maintenance: Duration::from_millis(150) };

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Where.
    pub server: Server,
    /// What everything is drawn from.
    pub seed: u64,
    /// How long; the round that is under way then is finished.
    pub duration: Duration,
    /// Whether the server is killed now and then.
    pub crashes: bool,
}

/// What a campaign without violations went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Rounds.
    pub rounds: u32,
    /// Crashes.
    pub crashes: u32,
    /// Rotations of the event tables.
    pub rotations: usize,
    /// Committed transactions.
    pub committed: usize,
    /// Transactions that were rolled back, by will or by a crash.
    pub rolled_back: usize,
    /// Committed events.
    pub events: usize,
    /// Batches that were handled.
    pub batches: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds, {} crashes, {} rotations, {} transactions committed and {} rolled back, {} events, {} batches",
            self.rounds,
            self.crashes,
            self.rotations,
            self.committed,
            self.rolled_back,
            self.events,
            self.batches
        )
    }
}

/// How a campaign failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In which round.
    pub round: u32,
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// What else went wrong, and where lost events lie.
    pub details: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "round {}: {} violations", self.round, self.violations.len())?;
        for violation in self.violations.iter().take(20) {
            writeln!(f, "  {violation}")?;
        }
        for detail in &self.details {
            writeln!(f, "  {detail}")?;
        }
        Ok(())
    }
}

impl Campaign {
    /// Runs it; `say` gets a line a round.
    pub fn run(&self, say: &mut dyn FnMut(&str)) -> Result<Summary, Failure> {
        let mut cluster = start(&self.server);
        let ended = Instant::now() + self.duration;
        let mut summary = Summary::default();
        while summary.rounds == 0 || Instant::now() < ended {
            let rng = fastrand::Rng::with_seed(self.seed.wrapping_add(u64::from(summary.rounds) << 32));
            summary.rounds += 1;
            let before = summary;
            let verdict = Round::new(&mut cluster, summary.rounds, rng).run(self.crashes, &mut summary)?;
            summary.committed += verdict.committed;
            summary.rolled_back += verdict.rolled_back;
            summary.events += verdict.events;
            summary.batches += verdict.batches;
            say(&format!(
                "round {}: {} crashes, {} rotations, {} transactions committed, {} rolled back, {} events in {} batches: \
                 all promises kept",
                summary.rounds,
                summary.crashes - before.crashes,
                summary.rotations - before.rotations,
                verdict.committed,
                verdict.rolled_back,
                verdict.events,
                verdict.batches,
            ));
        }
        Ok(summary)
    }
}

fn start(server: &Server) -> Cluster {
    let mut builder = Cluster::builder_on(server);
    if server.has_ticker() {
        builder = builder.conf("shared_preload_libraries", "pgq").conf("pgq.ticker", "off");
    }
    let cluster = builder.start();
    cluster.connect(DATABASE).exec(
        "create extension pgq;
         create table soak_ledger (producer int, number int, primary key (producer, number));
         create table soak_position (reader text primary key, tick bigint);
         create table soak_result (reader text, key text)",
    );
    cluster
}

const DATABASE: &str = "postgres";

/// What the threads of a round share.
struct World {
    config: postgres::Config,
    queue: String,
    checker: Mutex<Checker>,
    producing: AtomicBool,
    /// Where consumers may end; not yet known at first.
    last_tick: AtomicI64,
    failures: Mutex<Vec<String>>,
}

impl World {
    fn checker(&self) -> MutexGuard<'_, Checker> {
        self.checker.lock().expect("no thread panics while it holds the checker")
    }

    fn producing(&self) -> bool {
        self.producing.load(Ordering::Relaxed) && !self.failed()
    }

    fn fail(&self, failure: String) {
        self.failures.lock().expect("no thread panics while it tells a failure").push(failure);
    }

    fn failed(&self) -> bool {
        !self.failures.lock().expect("no thread panics while it tells a failure").is_empty()
    }
}

struct Round<'a> {
    cluster: &'a mut Cluster,
    number: u32,
    rng: fastrand::Rng,
    world: Arc<World>,
}

impl<'a> Round<'a> {
    fn new(cluster: &'a mut Cluster, number: u32, rng: fastrand::Rng) -> Self {
        let world = World {
            config: cluster.config(DATABASE, "postgres"),
            queue: format!("round {number}"),
            checker: Mutex::default(),
            producing: AtomicBool::new(true),
            last_tick: AtomicI64::new(i64::MAX),
            failures: Mutex::default(),
        };
        Self { cluster, number, rng, world: Arc::new(world) }
    }

    fn run(mut self, crashes: bool, summary: &mut Summary) -> Result<Verdict, Failure> {
        self.prepare();
        let consumers = consumer::start_all(&self.world, &mut self.rng);
        let producers: Vec<_> =
            (0..PRODUCERS).map(|number| producer::start(&self.world, number, self.rng.fork())).collect();
        let mut hasty = self.world.config.clone();
        if self.cluster.server().has_ticker() {
            // Our ticks are durable before anybody sees them, whatever the session says; the original's are not.
            hasty.options("-c synchronous_commit=off");
        }
        let daemon = Daemon::start(hasty, PERIODS);

        let mut switches = HashSet::new();
        let ended = Instant::now() + ROUND;
        while Instant::now() < ended && !self.world.failed() {
            let peace = Duration::from_millis(self.rng.u64(500..4000));
            self.watch(peace, &mut switches);
            if crashes {
                self.crash();
                summary.crashes += 1;
            }
        }
        self.world.producing.store(false, Ordering::Relaxed);
        join(producers);
        self.read_ledger();
        let last_tick = queue::tick_now(&mut self.connect(), &self.world.queue);
        self.world.last_tick.store(last_tick.expect("a tick when all is quiet"), Ordering::Relaxed);
        let deadline = Instant::now() + DRAIN_LIMIT;
        while !consumers.iter().all(JoinHandle::is_finished) && !self.world.failed() {
            if Instant::now() > deadline {
                self.world.fail(format!("consumers are not done {DRAIN_LIMIT:?} after the producers"));
            }
            self.watch(Duration::from_millis(50), &mut switches);
        }
        join(consumers);
        if let Some(refusal) = daemon.refusal() {
            self.world.fail(format!("the daemon: {refusal}"));
        }
        drop(daemon);
        let rotations = switches.len().saturating_sub(1);
        summary.rotations += rotations;
        self.verdict()
    }

    /// By SIGKILL at any moment, or at one of the places that a development build of our library names as the values of
    /// its setting `pgq.failpoint`.
    fn crash(&mut self) {
        let names: Vec<String> = self.connect().column(
            "select place from pg_settings, unnest(enumvals) place
              where name = 'pgq.failpoint' and place <> boot_val order by 1",
            &[],
        );
        match self.rng.choice(names).filter(|_| self.rng.bool()) {
            Some(name) => self.crash_at(&name),
            None => {
                self.cluster.kill9();
                self.cluster.start_again();
            }
        }
    }

    /// Whoever comes by next crashes, and the postmaster starts all anew. The setting is in a file, because the server
    /// may be anywhere between two crashes when it has to be taken back.
    fn crash_at(&mut self, name: &str) {
        let mut session = self.connect();
        self.cluster.conf_set("pgq.failpoint", name);
        self.cluster.sighup();
        // Not every place is passed all the time.
        let patience = Instant::now() + Duration::from_secs(3);
        while session.batch_execute("select 1").is_ok() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.cluster.conf_unset("pgq.failpoint");
        self.cluster.sighup();
        wait_until("the server to be back", || self.cluster.try_connect(DATABASE).is_ok());
    }

    fn prepare(&self) {
        let mut session = self.connect();
        session.exec("truncate soak_ledger, soak_position, soak_result");
        queue::create(&mut session, &self.world.queue).expect("a new queue");
        for (name, value) in [
            ("ticker_max_count", "50"),
            ("ticker_max_lag", "100 ms"),
            ("ticker_idle_period", "500 ms"),
            ("rotation_period", "1 second"),
        ] {
            session
                .execute("select pgq.set_queue_config($1, $2, $3)", &[&self.world.queue, &name, &value])
                .expect("a setting");
        }
    }

    /// Lets the threads work, counting rotations meanwhile.
    fn watch(&self, time: Duration, switches: &mut HashSet<i64>) {
        let ended = Instant::now() + time;
        let mut session = self.connect();
        loop {
            let switch = session
                .one("select queue_switch_step1 from pgq.queue where queue_name = $1", &[&self.world.queue]);
            switches.insert(switch);
            if Instant::now() >= ended || self.world.failed() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The ledger's word on every transaction: one that was acknowledged without waiting for the disk may be gone
    /// after all. Producers that wait are not among these.
    fn read_ledger(&self) {
        let rows = self.connect().rows("select producer, number from soak_ledger", &[]);
        let ledger: HashSet<Txn> = rows
            .iter()
            .map(|row| Txn {
                producer: row.get::<_, i32>(0).cast_unsigned(),
                number: row.get::<_, i32>(1).cast_unsigned(),
            })
            .collect();
        let mut checker = self.world.checker();
        for txn in checker.committed() {
            if ledger.contains(&txn) {
                continue;
            }
            if txn.producer == PRODUCERS - 1 {
                checker.settle(txn, false);
            } else {
                self.world.fail(format!("the acknowledged transaction {txn} is gone"));
            }
        }
    }

    fn verdict(&self) -> Result<Verdict, Failure> {
        let mut details = self.world.failures.lock().expect("all threads have ended").clone();
        // Signal 9 is ours, and a failpoint's.
        let trouble = ["PANIC", "by signal 6", "by signal 7", "by signal 11", "could not access status of"];
        let log = self.cluster.log();
        let bad_lines = log.lines().filter(|line| trouble.iter().any(|trouble| line.contains(trouble)));
        details.extend(bad_lines.map(|line| format!("server log: {line}")));
        let checked = self.world.checker().verify();
        match checked {
            Ok(verdict) if details.is_empty() => {
                self.connect()
                    .execute("select pgq.drop_queue($1, true)", &[&self.world.queue])
                    .expect("the queue is dropped");
                Ok(verdict)
            }
            checked => {
                let violations = checked.err().unwrap_or_default();
                details.extend(self.autopsy(&violations));
                Err(Failure { round: self.number, violations, details })
            }
        }
    }

    /// Where lost events lie, one of each transaction, and what the queue looks like.
    fn autopsy(&self, violations: &[Violation]) -> Vec<String> {
        let mut session = self.connect();
        let mut lines = Vec::new();
        let lost: BTreeMap<Txn, EventKey> = violations
            .iter()
            .filter_map(|violation| match violation {
                Violation::Lost { key, .. } => Some((key.txn, *key)),
                _ => None,
            })
            .collect();
        for (txn, key) in lost.into_iter().take(10) {
            let found: Vec<String> = session.column(
                "select format('in %s with ev_id %s and ev_txid %s', tableoid::regclass, ev_id, ev_txid)
                   from pgq.event_template where ev_data = $1",
                &[&key.to_string()],
            );
            let lies = found.first().map_or("in no table any more", String::as_str);
            lines.push(format!(
                "lost: {key} of a transaction {}; it lies {lies}",
                self.world.checker().kind(txn)
            ));
        }
        lines.extend(session.column::<String>(
            "select format('queue: current table %s, step1 %s, step2 %s',
                           queue_cur_table, queue_switch_step1, queue_switch_step2)
               from pgq.queue where queue_name = $1",
            &[&self.world.queue],
        ));
        lines
    }

    fn connect(&self) -> Session {
        self.cluster.connect(DATABASE)
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

/// The events of a batch as the checker wants them. A name that is none would be an event we did not write.
fn keys(events: &[queue::Event]) -> Result<Vec<(i64, EventKey)>, String> {
    events.iter().map(|event| Ok((event.id, event.data.as_deref().unwrap_or_default().parse()?))).collect()
}
