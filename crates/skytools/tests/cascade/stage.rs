//! Databases that are nodes, and the workers that keep them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Event};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::Result;
use skytools::cascade::{CascadedWorker, WORKER_KEYS};
use skytools::consumer::{Batch, CONSUMER_KEYS, Event as Handed, Handler, Verdict};
use skytools::script::{Config, Key, Kind, Script};

use crate::kit::{Worker, conninfo};

const KEYS: &[Key] = &[Key::required("db", Kind::Connection, "The node's database.")];

/// Writes down all it gets.
pub struct Applies;

impl Handler for Applies {
    async fn event(&mut self, event: &Handed, batch: &mut Batch) -> Result<Verdict> {
        let row = "insert into applied values ($1, $2, $3, $4)";
        let (node, queue) = (batch.target()?, event.queue());
        node.execute(row, &[&queue, &event.id(), &event.kind(), &event.data()]).await?;
        Ok(Verdict::Done)
    }

    async fn standby(&mut self, script: &mut Script) -> Result<()> {
        let node = script.db("db").await?;
        node.execute("insert into applied values ('standby')", &[]).await?;
        node.commit().await
    }
}

/// See the module.
pub struct Cascade {
    nodes: Vec<(String, Place)>,
}

/// Where a node is.
enum Place {
    /// On the servers that all tests share.
    Shared(Database),
    /// The database `postgres` of a server that the test may kill.
    Own(Box<Cluster>),
}

impl Place {
    fn connect(&self) -> Session {
        match self {
            Self::Shared(database) => database.connect(),
            Self::Own(cluster) => cluster.connect("postgres"),
        }
    }

    fn conninfo(&self) -> String {
        match self {
            Self::Shared(database) => conninfo(database),
            Self::Own(cluster) => cluster.conninfo("postgres"),
        }
    }
}

/// A batch as every node must have it: its bounds with time and event number, and its events but for their transaction.
#[derive(Debug, PartialEq)]
pub struct Chapter {
    pub prev: i64,
    pub tick: (i64, String, i64),
    pub events: Vec<Event>,
}

impl Cascade {
    /// Databases that can become nodes.
    pub fn of(nodes: &[&str]) -> Self {
        Self::on(&Server::ours(), nodes)
    }

    pub fn on(server: &Server, nodes: &[&str]) -> Self {
        Self::at(nodes, |name| Place::Shared(Database::fresh_on(server, name)))
    }

    fn at(nodes: &[&str], place: impl Fn(&str) -> Place) -> Self {
        let node = |name: &&str| {
            let place = place(name);
            place.connect().exec(
                "create extension if not exists pgq; create extension pgq_node;
                 create table applied (queue text, ev_id bigint, ev_type text, ev_data text)",
            );
            ((*name).to_owned(), place)
        };
        Self { nodes: nodes.iter().map(node).collect() }
    }

    /// Root `a`, branch `b` below it, leaf `c` below that.
    pub fn chain() -> Self {
        Self::chain_on(&Server::ours())
    }

    pub fn chain_on(server: &Server) -> Self {
        Self::on(server, &["a", "b", "c"]).in_a_chain()
    }

    /// The same, each on a server of its own.
    pub fn chain_on_servers_of_its_own() -> Self {
        let server =
            || Cluster::builder().conf("shared_preload_libraries", "pgq").conf("pgq.ticker", "off").start();
        Self::at(&["a", "b", "c"], |_| Place::Own(Box::new(server()))).in_a_chain()
    }

    fn in_a_chain(self) -> Self {
        let cascade = self;
        cascade.root("a", "q");
        // So that nobody's position is the first tick by chance.
        cascade.tick("a", "q");
        cascade.subscribe("b", "branch", "a", "q", None);
        cascade.subscribe("c", "leaf", "b", "q", None);
        cascade
    }

    fn place(&self, node: &str) -> &Place {
        &self.nodes.iter().find(|(name, _)| name == node).unwrap().1
    }

    pub fn database(&self, node: &str) -> &Database {
        let Place::Shared(database) = self.place(node) else { panic!("{node} is on a server of its own") };
        database
    }

    pub fn server(&mut self, node: &str) -> &mut Cluster {
        let place = self.nodes.iter_mut().find(|(name, _)| name == node).map(|(_, place)| place);
        let Some(Place::Own(server)) = place else { panic!("{node} is on no server of its own") };
        server
    }

    pub fn connect(&self, node: &str) -> Session {
        self.place(node).connect()
    }

    pub fn location(&self, node: &str) -> String {
        self.place(node).conninfo()
    }

    pub fn tick(&self, node: &str, queue: &str) -> i64 {
        queue::tick_now(&mut self.connect(node), queue).unwrap()
    }

    pub fn register_location(&self, at: &str, queue: &str, node: &str) {
        let location = self.location(node);
        good(&mut self.connect(at), &format!("register_location('{queue}', '{node}', '{location}', false)"));
    }

    /// Makes the node the root of a queue.
    pub fn root(&self, node: &str, queue: &str) {
        self.register_location(node, queue, node);
        let worker = worker_name(node, queue);
        let call = format!("create_node('{queue}', 'root', '{node}', '{worker}', null, null, null)");
        good(&mut self.connect(node), &call);
    }

    /// Makes the node a branch or leaf below its provider.
    pub fn subscribe(
        &self,
        node: &str,
        kind: &str,
        provider: &str,
        queue: &str,
        combined: Option<&str>,
    ) -> i64 {
        let (mut here, mut above) = (self.connect(node), self.connect(provider));
        self.register_location(provider, queue, node);
        for (name, _) in &self.nodes {
            self.register_location(node, queue, name);
        }
        let worker = worker_name(node, queue);
        let watermark: i64 = above.one(
            "select global_watermark from pgq_node.register_subscriber($1, $2, $3, null)",
            &[&queue, &node, &worker],
        );
        let combined = combined.map_or("null".to_owned(), |queue| format!("'{queue}'"));
        let call = format!(
            "create_node('{queue}', '{kind}', '{node}', '{worker}', '{provider}', {watermark}, {combined})"
        );
        good(&mut here, &call);
        watermark
    }

    /// The configuration of a worker: quick to come back to its work, and to tell watermarks.
    pub fn config(&self, node: &str, queue: &str, pairs: &[(&str, &str)]) -> Config {
        config_at(&self.location(node), &worker_name(node, queue), queue, pairs)
    }

    /// Starts the worker of a node.
    pub fn start(&self, node: &str) -> Worker {
        self.start_with(node, "q", &[])
    }

    pub fn start_with(&self, node: &str, queue: &str, pairs: &[(&str, &str)]) -> Worker {
        start_worker(self.config(node, queue, pairs))
    }

    pub fn insert(&self, node: &str, queue: &str, data: &str) -> i64 {
        queue::insert(&mut self.connect(node), queue, "kind", data).unwrap()
    }

    pub fn completed(&self, node: &str, queue: &str) -> i64 {
        completed(&mut self.connect(node), &worker_name(node, queue), queue)
    }

    pub fn wait_for(&self, nodes: &[&str], queue: &str, tick: i64) {
        for node in nodes {
            let (mut session, worker) = (self.connect(node), worker_name(node, queue));
            let told = format!("{node} to complete tick {tick} of {queue}");
            wait_until(&told, || completed(&mut session, &worker, queue) >= tick);
        }
    }

    /// Takes a tick at the root, and waits until these nodes have completed it.
    pub fn settle(&self, root: &str, nodes: &[&str]) -> i64 {
        let tick = self.tick(root, "q");
        self.wait_for(nodes, "q", tick);
        tick
    }

    /// The error that a node shows.
    pub fn error(&self, node: &str, queue: &str) -> Option<String> {
        let sql = "select cur_error from pgq_node.get_consumer_state($1, $2)";
        self.connect(node).one(sql, &[&queue, &worker_name(node, queue)])
    }

    pub fn wait_for_error(&self, node: &str, queue: &str, part: &str) {
        wait_until(&format!("the error {part:?} at {node}"), || {
            self.error(node, queue).is_some_and(|error| error.contains(part))
        });
    }

    /// The batches of a node's queue between two of its ticks.
    pub fn history(&self, node: &str, from: i64, to: i64) -> Vec<Chapter> {
        history(&mut self.connect(node), from, to)
    }

    /// The data that a node has applied of a queue, in order.
    pub fn applied(&self, node: &str, queue: &str) -> Vec<String> {
        let sql = "select ev_data from applied where queue = $1 order by ev_data collate \"C\"";
        self.connect(node).column(sql, &[&queue])
    }

    /// The branch has the batches of the root, and these nodes have applied just their events.
    #[track_caller]
    pub fn all_alike(&self, root: &str, branch: &str, to: i64, applied: &[&str], sent: &[String]) {
        let from = 2;
        let (original, copy) = (self.history(root, from, to), self.history(branch, from, to));
        assert_eq!(original.len(), copy.len());
        for (original, copy) in original.iter().zip(&copy) {
            assert_eq!(original, copy);
        }
        for node in applied {
            assert_eq!(self.applied(node, "q"), sent, "{node}");
        }
    }
}

pub fn start_worker(config: Config) -> Worker {
    Worker::start(config, |script| applies_all(script))
}

/// A worker that writes down all it gets.
pub fn applies_all(script: &Script) -> Result<CascadedWorker<Applies>> {
    CascadedWorker::on_node(script, "db", Applies).map(|worker| worker.system_events("my."))
}

pub fn config_at(db: &str, consumer: &str, queue: &str, pairs: &[(&str, &str)]) -> Config {
    let usual = [
        ("db", db),
        ("queue_name", queue),
        ("consumer_name", consumer),
        ("loop_delay", "0.02"),
        ("exception_sleep", "0.02"),
        ("global_wm_publish_period", "0"),
        ("local_wm_publish_period", "0"),
    ];
    let pairs = usual.into_iter().chain(pairs.iter().copied());
    Config::from_pairs("test", &[KEYS, CONSUMER_KEYS, WORKER_KEYS], pairs).unwrap()
}

pub fn worker_name(node: &str, queue: &str) -> String {
    format!("{node}_{queue}_worker")
}

pub fn completed(session: &mut Session, consumer: &str, queue: &str) -> i64 {
    session.one("select completed_tick from pgq_node.get_consumer_state($1, $2)", &[&queue, &consumer])
}

/// Calls a function of pgq_node, which must succeed.
#[track_caller]
pub fn good(session: &mut Session, call: &str) {
    let row = session.query_one(&format!("select ret_code, ret_note from pgq_node.{call}"), &[]);
    let row = row.unwrap_or_else(|error| panic!("{call}: {error:?}"));
    let (code, note): (i32, Option<String>) = (row.get(0), row.get(1));
    assert!(code < 300, "{call}: {code} {note:?}");
}

pub fn history(session: &mut Session, from: i64, to: i64) -> Vec<Chapter> {
    let reader = queue::Consumer::new("q", "historian");
    session.execute("select pgq.register_consumer_at('q', 'historian', $1)", &[&from]).unwrap();
    let mut history = Vec::new();
    while let Some(batch) = reader.next_batch(session).unwrap().filter(|batch| batch.tick <= to) {
        let mut events = batch.events(session).unwrap();
        events.iter_mut().for_each(|event| event.txid = 0);
        let sql = "select t.tick_time::text, t.tick_event_seq from pgq.tick t, pgq.queue q
                    where q.queue_id = t.tick_queue and q.queue_name = 'q' and t.tick_id = $1";
        let row = &session.rows(sql, &[&batch.tick])[0];
        history.push(Chapter { prev: batch.prev_tick, tick: (batch.tick, row.get(0), row.get(1)), events });
        batch.finish(session).unwrap();
    }
    reader.unregister(session).unwrap();
    history
}

/// Producers at the root, and a ticker.
pub struct Load {
    end: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    pub fn start(cascade: &Cascade, node: &str) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let writers = (0..2).map(|writer| {
            let (end, mut session) = (Arc::clone(&end), cascade.connect(node));
            // By that name whoever ends the sessions of workers spares it.
            session.exec("set application_name = 'writer'");
            std::thread::spawn(move || write(&mut session, writer, &end))
        });
        Self { writers: writers.collect(), end }
    }

    /// What was committed, in order.
    pub fn stop(self) -> Vec<String> {
        self.end.store(true, Ordering::Relaxed);
        let mut sent: Vec<String> =
            self.writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        sent.sort();
        sent
    }
}

fn write(session: &mut Session, writer: usize, end: &AtomicBool) -> Vec<String> {
    let (mut sent, mut number) = (Vec::new(), 0);
    while !end.load(Ordering::Relaxed) {
        number += 1;
        let names: Vec<String> =
            (0..1 + number % 3).map(|event| format!("{writer}:{number}:{event}")).collect();
        session.exec("begin");
        for name in &names {
            let call = "select pgq.insert_event('q', 'kind', $1, 'one', null, '', 'four\\\t')";
            session.execute(call, &[name]).unwrap();
        }
        if number % 5 == 0 {
            session.exec("rollback");
        } else {
            session.exec("commit");
            sent.extend(names);
        }
        if writer == 0 && number % 3 == 0 {
            queue::tick_now(session, "q").unwrap();
        }
        // Enough for many batches, little enough for the workers to keep pace.
        std::thread::sleep(Duration::from_millis(3));
    }
    sent
}
