//! A cascade at work: databases as nodes, and workers that keep to the protocol, over plain SQL.
//!
//! A node is named as its database is, its worker `NODE_worker`, the queue `q`. What a worker applies it writes into the
//! node's table `applied`, which refuses nothing: what comes twice is there twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pgq_tests::client::{Background, Session, wait_until};
use pgq_tests::cluster::{Builder, Cluster};
use pgq_tests::queue::{self, Consumer, Event};
use pgq_tests::server::Server;
use postgres::Error;

/// Ours, and the original if it is here.
pub fn servers() -> Vec<Server> {
    if Server::peer().is_none() {
        eprintln!("not told to the original: PGQ_PEER is not set");
    }
    std::iter::once(Server::ours()).chain(Server::peer()).collect()
}

/// How to reach the nodes.
#[derive(Clone)]
pub struct Way(postgres::Config);

impl Way {
    pub fn to(&self, node: &str) -> Session {
        self.try_to(node).unwrap_or_else(|error| panic!("connect to {node}: {error:?}"))
    }

    fn try_to(&self, node: &str) -> Result<Session, Error> {
        Session::connect(self.0.clone().dbname(node))
    }

    /// By its public location.
    fn by_location(&self, location: &str) -> Result<Session, Error> {
        self.try_to(location.strip_prefix("dbname=").expect("a location of ours"))
    }
}

/// Databases that can become nodes.
pub struct Cascade {
    pub cluster: Cluster,
}

impl Cascade {
    /// The test takes the ticks.
    pub fn on(server: &Server, nodes: &[&str]) -> Self {
        let builder = Cluster::builder_on(server);
        Self::of(if server.has_ticker() { ours(builder, "off") } else { builder }, nodes)
    }

    /// The ticker in our server takes the ticks. Under load there is no story to tell to the original: who has seen a
    /// queue open there writes behind the final tick.
    pub fn ticking(nodes: &[&str]) -> Self {
        Self::of(ours(Cluster::builder_on(&Server::ours()), "on").conf("pgq.ticker_period", "20ms"), nodes)
    }

    fn of(builder: Builder, nodes: &[&str]) -> Self {
        let cluster = builder.conf("autovacuum", "off").start();
        for node in nodes {
            cluster.create_database(node);
            cluster.connect(node).exec(
                "create extension pgq; create extension pgq_node;
                 create table applied (ev_id bigint, ev_data text)",
            );
        }
        Self { cluster }
    }

    pub fn way(&self) -> Way {
        let mut config = self.cluster.config("postgres", "postgres");
        config.application_name("worker");
        Way(config)
    }

    pub fn connect(&self, node: &str) -> Session {
        self.cluster.connect(node)
    }

    /// Makes the node the root.
    pub fn root(&self, node: &str) {
        let mut session = self.connect(node);
        good(&mut session, &format!("register_location('q', '{node}', 'dbname={node}', false)"));
        good(&mut session, &format!("create_node('q', 'root', '{node}', '{node}_worker', null, null, null)"));
        often(&mut session);
    }

    /// Makes the node a branch or a leaf below its provider; where it begins.
    pub fn subscribe(&self, node: &str, kind: &str, provider: &str, root: &str) -> i64 {
        let location = format!("register_location('q', '{node}', 'dbname={node}', false)");
        let (mut here, mut above) = (self.connect(node), self.connect(provider));
        good(&mut self.connect(root), &location);
        for row in above.rows("select * from pgq_node.get_queue_locations('q')", &[]) {
            let (name, place, dead): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
            good(&mut here, &format!("register_location('q', '{name}', '{place}', {dead})"));
        }
        good(&mut above, &location);
        good(&mut here, &location);
        let watermark: i64 = above.one(
            &format!(
                "select global_watermark
                   from pgq_node.register_subscriber('q', '{node}', '{node}_worker', null)"
            ),
            &[],
        );
        good(
            &mut here,
            &format!(
                "create_node('q', '{kind}', '{node}', '{node}_worker', '{provider}', {watermark}, null)"
            ),
        );
        if kind == "branch" {
            often(&mut here);
        }
        watermark
    }

    /// Waits until the workers of these nodes have completed a tick.
    pub fn wait_for(&self, nodes: &[&str], tick: i64) {
        for node in nodes {
            let mut session = self.connect(node);
            wait_until(&format!("{node} to complete tick {tick}"), || completed(&mut session, node) >= tick);
        }
    }

    /// Takes a tick at the root, and waits until these nodes have completed it.
    pub fn settle(&self, root: &str, nodes: &[&str]) -> i64 {
        let tick = queue::tick_now(&mut self.connect(root), "q").unwrap();
        self.wait_for(nodes, tick);
        tick
    }

    /// The batches of a node's queue between two of its ticks.
    pub fn history(&self, node: &str, from: i64, to: i64) -> Vec<Chapter> {
        let mut session = self.connect(node);
        let reader = Consumer::new("q", "historian");
        register_at(&mut session, &reader.name, from).unwrap();
        let mut history = Vec::new();
        while let Some(chapter) = next_chapter(&mut session, &reader) {
            if chapter.tick.0 > to {
                break;
            }
            history.push(chapter);
        }
        reader.unregister(&mut session).unwrap();
        history
    }

    /// What a node has applied, in order.
    pub fn applied(&self, node: &str) -> Vec<String> {
        self.connect(node).column("select ev_data from applied order by ev_data", &[])
    }
}

fn ours(builder: Builder, ticker: &str) -> Builder {
    builder.conf("shared_preload_libraries", "pgq").conf("pgq.ticker", ticker)
}

/// Ticks as often as there is anything.
fn often(session: &mut Session) {
    for (name, value) in [("ticker_max_lag", "10 milliseconds"), ("ticker_idle_period", "1 second")] {
        session.exec(&format!("select pgq.set_queue_config('q', '{name}', '{value}')"));
    }
}

/// Calls a function of pgq_node, which must succeed.
#[track_caller]
pub fn good(session: &mut Session, call: &str) {
    let row = session.query_one(&format!("select ret_code, ret_note from pgq_node.{call}"), &[]);
    let row = row.unwrap_or_else(|error| panic!("{call}: {error:?}"));
    let (code, note): (i32, Option<String>) = (row.get(0), row.get(1));
    assert!(code < 300, "{call}: {code} {note:?}");
}

pub fn completed(session: &mut Session, node: &str) -> i64 {
    let state = "select completed_tick from pgq_node.get_consumer_state('q', $1)";
    session.one(state, &[&format!("{node}_worker")])
}

pub fn register_at(session: &mut Session, consumer: &str, tick: i64) -> Result<(), Error> {
    session.execute("select pgq.register_consumer_at('q', $1, $2)", &[&consumer, &tick]).map(drop)
}

/// A batch as every node must have it: its end with time and event count, and its events but for the transaction's id.
#[derive(Clone, Debug, PartialEq)]
pub struct Chapter {
    pub prev: i64,
    pub tick: (i64, String, i64),
    pub events: Vec<Event>,
}

pub fn next_chapter(session: &mut Session, reader: &Consumer) -> Option<Chapter> {
    let batch = reader.next_batch(session).unwrap()?;
    let mut events = batch.events(session).unwrap();
    events.iter_mut().for_each(|event| event.txid = 0);
    let row = session
        .query_one(
            "select t.tick_id, t.tick_time::text, t.tick_event_seq
               from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
              where q.queue_name = 'q' and t.tick_id = $1",
            &[&batch.tick],
        )
        .unwrap();
    batch.finish(session).unwrap();
    Some(Chapter { prev: batch.prev_tick, tick: (row.get(0), row.get(1), row.get(2)), events })
}

/// Where a worker can be stopped, as if its process had died there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    BatchOpened,
    EventsCopied,
    CompletedInTransaction,
    Committed,
    Ticked,
    Finished,
}

impl Step {
    pub const ALL: [Self; 6] = [
        Self::BatchOpened,
        Self::EventsCopied,
        Self::CompletedInTransaction,
        Self::Committed,
        Self::Ticked,
        Self::Finished,
    ];
}

/// Why a pass did not end.
#[derive(Debug)]
#[allow(dead_code)] // what it holds is for who reads of a failure
pub enum Trouble {
    /// The server or the connection.
    Sql(Error),
    /// It was stopped there.
    Stopped(Step),
    /// The provider's batch does not go on where this node stands.
    Lost { prev: i64, tick: i64, completed: i64 },
    /// A branch's newest tick is neither begin nor end of the batch that is done.
    Torn { newest: i64, prev: i64, tick: i64 },
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

/// What a pass came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It was told to stand still.
    Paused,
    /// There was nothing to do.
    Idle,
    /// A batch, up to this tick.
    Did(i64),
    /// The same, but an earlier pass had applied it.
    WasDone(i64),
}

/// The state that the pass begins with.
struct State {
    kind: String,
    completed: i64,
    location: String,
    is_paused: bool,
    is_uptodate: bool,
    global_watermark: Option<i64>,
    local_watermark: Option<i64>,
    top: Option<i64>,
}

/// The worker of a node.
pub struct Worker {
    node: String,
    way: Way,
    local: Session,
    provider: Option<(String, Session)>,
    stop_at: Option<Step>,
    reports: bool,
}

impl Worker {
    pub fn of(node: &str, way: &Way) -> Self {
        Self::try_of(node, way).unwrap_or_else(|error| panic!("{node}: {error:?}"))
    }

    pub fn try_of(node: &str, way: &Way) -> Result<Self, Error> {
        let local = way.try_to(node)?;
        let (node, way) = (node.to_owned(), way.clone());
        Ok(Self { node, way, local, provider: None, stop_at: None, reports: false })
    }

    /// Publishes watermarks at every pass, not every few minutes.
    pub fn reporting(mut self) -> Self {
        self.reports = true;
        self
    }

    /// The next pass ends there.
    pub fn stop_at(mut self, step: Step) -> Self {
        self.stop_at = Some(step);
        self
    }

    /// The server processes that work for it.
    pub fn pids(&self) -> Vec<i32> {
        std::iter::once(self.local.pid())
            .chain(self.provider.iter().map(|(_, session)| session.pid()))
            .collect()
    }

    fn came_to(&self, step: Step) -> Result<(), Trouble> {
        if self.stop_at == Some(step) { Err(Trouble::Stopped(step)) } else { Ok(()) }
    }

    fn state(&mut self) -> Result<State, Error> {
        let row = self.local.query_one("select * from pgq_node.get_worker_state('q')", &[])?;
        assert_eq!(row.get::<_, i32>("ret_code"), 100, "{:?}", row.get::<_, Option<String>>("ret_note"));
        Ok(State {
            kind: row.get("node_type"),
            completed: row.get("completed_tick"),
            location: row.get("provider_location"),
            is_paused: row.get("paused"),
            is_uptodate: row.get("uptodate"),
            global_watermark: row.get("global_watermark"),
            local_watermark: row.get("local_watermark"),
            top: row.get("local_queue_top"),
        })
    }

    /// One pass of the loop.
    pub fn pass(&mut self) -> Result<Pass, Trouble> {
        let state = self.state()?;
        let worker = format!("{}_worker", self.node);
        if !state.is_uptodate {
            self.local.execute("select pgq_node.set_consumer_uptodate('q', $1, true)", &[&worker])?;
        }
        if state.is_paused {
            return Ok(Pass::Paused);
        }
        if state.kind == "root" {
            if self.reports && state.local_watermark > state.global_watermark {
                self.local.execute("select pgq_node.set_global_watermark('q', null)", &[])?;
            }
            return Ok(Pass::Idle);
        }
        if self.provider.as_ref().is_none_or(|(location, _)| *location != state.location) {
            self.provider = Some((state.location.clone(), self.way.by_location(&state.location)?));
        }
        let provider = &mut self.provider.as_mut().expect("connected").1;
        if self.reports {
            let call = "select ret_code from pgq_node.set_subscriber_watermark('q', $1, $2)";
            provider.query(call, &[&self.node, &state.local_watermark])?;
        }
        let row = provider.query_one(
            "select batch_id, prev_tick_id, cur_tick_id, cur_tick_time::text, cur_tick_event_seq
               from pgq.next_batch_info('q', $1)",
            &[&worker],
        )?;
        let Some(batch) = row.get::<_, Option<i64>>(0) else { return Ok(Pass::Idle) };
        let (prev, tick): (i64, i64) = (row.get(1), row.get(2));
        let (time, count): (String, i64) = (row.get(3), row.get(4));
        self.came_to(Step::BatchOpened)?;

        let is_done = tick == state.completed;
        if !is_done && prev != state.completed {
            return Err(Trouble::Lost { prev, tick, completed: state.completed });
        }
        if !is_done {
            self.apply(batch, &state.kind, &worker, tick)?;
        }
        if state.kind == "branch" {
            let newest = state.top.expect("a branch has ticks");
            if newest == prev {
                let call = "select pgq.ticker('q', $1, $2::text::timestamptz, $3)";
                self.local.execute(call, &[&tick, &time, &count])?;
            } else if !(is_done && newest == tick) {
                return Err(Trouble::Torn { newest, prev, tick });
            }
        }
        self.came_to(Step::Ticked)?;
        let provider = &mut self.provider.as_mut().expect("connected").1;
        provider.execute("select pgq.finish_batch($1)", &[&batch])?;
        self.came_to(Step::Finished)?;
        Ok(if is_done { Pass::WasDone(tick) } else { Pass::Did(tick) })
    }

    /// Applies a batch, copies it where there is a queue, and stores that it is done: one transaction.
    fn apply(&mut self, batch: i64, kind: &str, worker: &str, tick: i64) -> Result<(), Trouble> {
        let provider = &mut self.provider.as_mut().expect("connected").1;
        let rows = provider.query(
            "select ev_id, ev_time::text, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4
               from pgq.get_batch_events($1)",
            &[&batch],
        )?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        let text =
            |column: usize| -> Vec<Option<String>> { rows.iter().map(|row| row.get(column)).collect() };
        let fields: Vec<_> = (1..8).map(text).collect();

        let local = &mut self.local;
        local.batch_execute("begin")?;
        for row in &rows {
            let [kind, data, queue, location, dead] =
                [2, 3, 4, 5, 6].map(|column| row.get::<_, Option<String>>(column));
            match kind.as_deref() {
                Some("pgq.location-info") => local.execute(
                    "select pgq_node.register_location($1, $2, $3, $4::text::boolean)",
                    &[&queue, &data, &location, &dead],
                )?,
                Some("pgq.unregister-location") => {
                    local.execute("select pgq_node.unregister_location($1, $2)", &[&queue, &data])?
                }
                Some("pgq.global-watermark") => local.execute(
                    "select pgq_node.set_global_watermark($1, $2::text::bigint)",
                    &[&queue, &data],
                )?,
                _ => local.execute("insert into applied values ($1, $2)", &[&row.get::<_, i64>(0), &data])?,
            };
        }
        if kind == "branch" {
            local.batch_execute("set local session_replication_role = replica")?;
            let table: String = local.query_one("select pgq.current_event_table('q')", &[])?.get(0);
            let [time, kind, data, extra1, extra2, extra3, extra4] =
                <[_; 7]>::try_from(fields).expect("seven columns");
            local.execute(
                &format!(
                    "insert into {table} (ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3,
                                          ev_extra4)
                     select * from unnest($1::bigint[], $2::text[]::timestamptz[], $3::text[], $4::text[],
                                          $5::text[], $6::text[], $7::text[], $8::text[])"
                ),
                &[&ids, &time, &kind, &data, &extra1, &extra2, &extra3, &extra4],
            )?;
        }
        self.came_to(Step::EventsCopied)?;
        self.local.execute("select pgq_node.set_consumer_completed('q', $1, $2)", &[&worker, &tick])?;
        self.came_to(Step::CompletedInTransaction)?;
        self.local.batch_execute("commit")?;
        self.came_to(Step::Committed)
    }

    /// Passes until there is nothing to do.
    pub fn catch_up(&mut self) {
        while !matches!(
            self.pass().unwrap_or_else(|trouble| panic!("{}: {trouble:?}", self.node)),
            Pass::Idle
        ) {}
    }
}

/// Workers in threads of their own. Whatever the server does to one, another one goes on in its place.
pub struct Workers {
    end: Arc<AtomicBool>,
    threads: Vec<Background<()>>,
}

impl Workers {
    pub fn start(cascade: &Cascade, nodes: &[&str]) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let threads = nodes.iter().map(|node| {
            let (end, way, node) = (Arc::clone(&end), cascade.way(), (*node).to_owned());
            cascade.connect(&node).spawn(move |_| keep_working(&node, &way, &end))
        });
        Self { threads: threads.collect(), end }
    }

    pub fn stop(self) {
        self.end.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn keep_working(node: &str, way: &Way, end: &AtomicBool) {
    while !end.load(Ordering::Relaxed) {
        let Ok(worker) = Worker::try_of(node, way) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut worker = worker.reporting();
        while !end.load(Ordering::Relaxed) {
            match worker.pass() {
                Ok(Pass::Did(_) | Pass::WasDone(_)) => {}
                Ok(Pass::Idle | Pass::Paused) => std::thread::sleep(Duration::from_millis(2)),
                Err(Trouble::Sql(error)) => {
                    assert!(is_killed(&error), "{node}: {error:?}");
                    break;
                }
                Err(trouble) => panic!("{node}: {trouble:?}"),
            }
        }
    }
}

/// By `pg_terminate_backend`, or because that happened before.
fn is_killed(error: &Error) -> bool {
    error.is_closed() || pgq_tests::client::connection_lost(error)
}

/// Producers, who write where they may: who is turned away by one node tries the next.
pub struct Load {
    end: Arc<AtomicBool>,
    committed: Arc<AtomicUsize>,
    writers: Vec<Background<Vec<String>>>,
}

impl Load {
    pub fn start(cascade: &Cascade, nodes: &[&str], writers: usize) -> Self {
        let (end, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let writers = (0..writers).map(|writer| {
            let (end, committed, way) = (Arc::clone(&end), Arc::clone(&committed), cascade.way());
            let nodes: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
            cascade.connect(&nodes[0]).spawn(move |_| write(&way, &nodes, writer, &committed, &end))
        });
        Self { writers: writers.collect(), end, committed }
    }

    /// Waits until so many transactions more have been committed.
    pub fn go_on(&self, transactions: usize) {
        let enough = self.committed.load(Ordering::Relaxed) + transactions;
        wait_until("the producers", || {
            let is_down = self.writers.iter().any(Background::is_finished);
            is_down || self.committed.load(Ordering::Relaxed) >= enough
        });
    }

    /// What was committed, in order.
    pub fn stop(self) -> Vec<String> {
        self.end.store(true, Ordering::Relaxed);
        let mut sent: Vec<String> = self.writers.into_iter().flat_map(|writer| writer.join().1).collect();
        sent.sort();
        sent
    }
}

fn write(
    way: &Way,
    nodes: &[String],
    writer: usize,
    committed: &AtomicUsize,
    end: &AtomicBool,
) -> Vec<String> {
    let (mut sent, mut number, mut place) = (Vec::new(), 0, 0);
    let mut session = way.to(&nodes[place]);
    session.exec("set application_name = 'writer'");
    while !end.load(Ordering::Relaxed) {
        number += 1;
        let names: Vec<String> =
            (0..fastrand::usize(1..4)).map(|event| format!("{writer}:{number}:{event}")).collect();
        session.exec("begin");
        let refusal = names.iter().find_map(|name| {
            let call = "select pgq.insert_event('q', 'kind', $1, 'one', null, '', 'four')";
            session.query(call, &[name]).err()
        });
        if let Some(error) = refusal {
            let message = error.as_db_error().unwrap_or_else(|| panic!("{error:?}")).message().to_owned();
            assert!(message.contains("disallowed"), "{message}");
            session.exec("rollback");
            place = (place + 1) % nodes.len();
            session = way.to(&nodes[place]);
            session.exec("set application_name = 'writer'");
            std::thread::sleep(Duration::from_millis(5));
        } else if fastrand::u8(..5) == 0 {
            session.exec("rollback");
        } else {
            session.exec("commit");
            committed.fetch_add(1, Ordering::Relaxed);
            sent.extend(names);
        }
        // Enough for many batches, little enough for the workers to keep pace.
        std::thread::sleep(Duration::from_millis(1));
    }
    sent
}
