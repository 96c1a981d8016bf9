//! Consumers whose position is the queue's own: what reaches a handler, the loop around it, and what survives a crash at
//! any step.

mod cutting;
mod reading;
mod rounds;
mod waking;

use std::sync::{Arc, Mutex};

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{self, create, insert, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::Result;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};

use crate::kit::{Running, Worker, Workplace, config, conninfo};

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
    see_at(&conninfo(database), pairs)
}

fn see_at(source: &str, pairs: &[(&str, &str)]) -> (Sees, Worker) {
    let sees = Sees::default();
    let handler = sees.clone();
    let config = config(source, pairs);
    (sees, Worker::start(config, |script| Consumer::new(script, "src_db", handler)))
}

/// A program that runs a statement for each event of `worker`, in the queue's own database.
struct Copier {
    workplace: Workplace,
    program: &'static str,
    section: &'static str,
    database: String,
}

impl Copier {
    fn simple(database: &Database) -> Self {
        Self {
            workplace: Workplace::new(),
            program: env!("CARGO_BIN_EXE_simple_consumer"),
            section: "simple_consumer",
            database: conninfo(database),
        }
    }

    fn serial(database: &Database) -> Self {
        let program = env!("CARGO_BIN_EXE_simple_serial_consumer");
        Self { program, section: "simple_serial_consumer", ..Self::simple(database) }
    }

    /// Says which statement, and more.
    fn set(&self, query: &str, more: &str) {
        self.set_source(&self.database, query, more);
    }

    /// Reads the queue over another way.
    fn set_source(&self, source: &str, query: &str, more: &str) {
        let text = format!(
            "[{}]\nsrc_db = {source}\ndst_db = {}\nqueue_name = orders\nconsumer_name = worker\n\
             loop_delay = 0.02\ndst_query = {query}\n{more}\n",
            self.section, self.database
        );
        self.workplace.write("copier.ini", &text);
    }

    fn start(&self) -> Running {
        self.workplace.start("copier", self.program, &["copier.ini"])
    }

    /// Runs it with a switch: how that ended, and what it said.
    fn ask(&self, switch: &str) -> (bool, String) {
        let output = self.workplace.run(self.program, &["copier.ini", switch]);
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    }
}
