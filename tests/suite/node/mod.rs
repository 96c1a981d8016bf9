//! The extension `pgq_node`: queues that many databases share.
//!
//! A scenario is one function over a [`Node`]. It says what it expects, and all that the node answered is kept as its
//! story; ours and the original must tell the same one. Notes (`ret_note`) are free text and no part of it.

use pgq_tests::client::{DbError, Session};
use pgq_tests::queue;
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use postgres::SimpleQueryMessage;

mod cascade;
mod consumers;
mod crashes;
mod create_drop;
mod demote_promote;
mod differences;
mod dump;
mod locations;
mod notes;
mod races;
mod rights;
mod subscribers;
mod three_nodes;
mod watermarks;
mod worker;

/// What a database is for each queue, as the original keeps it.
const NODES: &str = "select queue_name, node_type, node_name, worker_name, combined_queue, node_attrs
                       from pgq_node.node_info";

/// A database that takes part in cascades, and what it has answered so far.
pub struct Node {
    database: Database,
    session: Session,
    story: Vec<String>,
    notes: Vec<(String, Option<String>)>,
}

impl Node {
    fn on(server: &Server) -> Self {
        let database = Database::fresh_on(server, "node");
        database.create_extensions(&["pgq_node"]);
        let session = database.connect();
        Self { database, session, story: Vec::new(), notes: Vec::new() }
    }

    fn ours() -> Self {
        Self::on(&Server::ours())
    }

    /// The root `a` of the queue `q`, whose worker is `a_worker`; it has only its first tick.
    fn become_root(&mut self) {
        self.exec(
            "select pgq_node.register_location('q', 'a', 'dbname=a', false);
             select pgq_node.create_node('q', 'root', 'a', 'a_worker', null, null, null)",
        );
    }

    /// The branch `b` of the queue `q` of the root `a`, from this tick on.
    fn become_branch(&mut self, watermark: i64) {
        self.exec(&format!(
            "select pgq_node.register_location('q', 'a', 'dbname=a', false);
             select pgq_node.register_location('q', 'b', 'dbname=b', false);
             select pgq_node.create_node('q', 'branch', 'b', 'b_worker', 'a', {watermark}, null)"
        ));
    }

    /// The leaf `l` of the queue `q` of the root `a`, from tick 1 on.
    fn become_leaf(&mut self) {
        self.exec(
            "select pgq_node.register_location('q', 'a', 'dbname=a', false);
             select pgq_node.register_location('q', 'l', 'dbname=l', false);
             select pgq_node.create_node('q', 'leaf', 'l', 'l_worker', 'a', 1, null)",
        );
    }

    fn exec(&mut self, sql: &str) {
        self.session.exec(sql);
    }

    /// Goes on with no more than the rights of this role.
    fn act_as(&mut self, role: &str) {
        self.exec(&format!("reset role; set role {role}"));
    }

    /// Takes ticks of a queue until it has had so many more.
    fn tick(&mut self, queue: &str, times: usize) {
        for _ in 0..times {
            queue::tick_now(&mut self.session, queue).unwrap();
        }
    }

    /// The tick that a branch's worker would make.
    fn copy_tick(&mut self, tick: i64) {
        self.exec(&format!("select pgq.ticker('q', {tick}, now(), {tick} * 100)"));
    }

    /// Calls a function: its rows, each as its code and the columns that are not NULL; or the SQLSTATE of its error.
    #[track_caller]
    fn ask(&mut self, call: &str) -> String {
        let answer = match self.session.simple_query(&format!("select * from pgq_node.{call}")) {
            Ok(messages) => self.told(call, &messages),
            Err(error) => {
                let error = DbError::from(error.as_db_error().unwrap_or_else(|| panic!("{call}: {error:?}")));
                error.code
            }
        };
        self.story.push(format!("{call}: {answer}"));
        answer
    }

    fn told(&mut self, call: &str, messages: &[SimpleQueryMessage]) -> String {
        let mut rows = Vec::new();
        for message in messages {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let mut words = Vec::new();
            for (index, column) in row.columns().iter().enumerate() {
                match (column.name(), row.get(index)) {
                    ("ret_note", note) => self.notes.push((call.to_owned(), note.map(str::to_owned))),
                    ("ret_code", code) => words.push(code.unwrap_or("no code").to_owned()),
                    (_, None) => {}
                    (name, Some(value)) if call.starts_with(name) => words.push(value.to_owned()),
                    (name, Some(value)) => words.push(format!("{name}={value}")),
                }
            }
            rows.push(words.join(" "));
        }
        rows.join("; ")
    }

    /// Calls a function, which must answer so.
    #[track_caller]
    fn expect(&mut self, call: &str, answer: &str) {
        assert_eq!(self.ask(call), answer, "{call}");
    }

    /// The note of the last answer.
    fn note(&self) -> Option<&str> {
        self.notes.last().expect("an answer with a note").1.as_deref()
    }

    /// The rows of a query, which go into the story too.
    #[track_caller]
    fn see(&mut self, query: &str) -> Vec<String> {
        let rows: Vec<String> = self.session.column(&format!("select t::text from ({query}) t"), &[]);
        self.story.push(format!("{query}: {rows:?}"));
        rows
    }

    /// All that is kept, with names for ids and without times: what a refusal leaves as it was.
    #[track_caller]
    fn state(&mut self) -> Vec<String> {
        let mut state = Vec::new();
        for query in [
            "select * from pgq_node.node_location order by 1, 2",
            &format!("{NODES} order by 1"),
            "select * from pgq_node.local_state order by 1, 2",
            "select * from pgq_node.subscriber_info order by 1, 2",
            "select queue_name, queue_external_ticker, queue_disable_insert, queue_ticker_paused from pgq.queue
              order by queue_name",
            "select queue_name, tick_id from pgq.tick join pgq.queue on queue_id = tick_queue order by 1, 2",
            "select queue_name, consumer_name, last_tick from pgq.get_consumer_info()",
            "select co_name from pgq.consumer order by co_name",
        ] {
            state.extend(self.see(query));
        }
        state.extend(self.events());
        state
    }

    /// The events that are in the queues, without their ids.
    #[track_caller]
    fn events(&mut self) -> Vec<String> {
        self.see(
            "select queue_name, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4
               from pgq.event_template e join pgq.queue on e.tableoid::regclass::text like queue_data_pfx || '\\_%'
              order by queue_name, ev_id",
        )
    }
}

/// Tells the scenario to ours and to the original.
#[track_caller]
fn on_both(scenario: fn(&mut Node)) {
    let told_to = |server: &Server| {
        let mut node = Node::on(server);
        scenario(&mut node);
        node.state();
        node
    };
    let ours = told_to(&Server::ours());
    for (call, note) in &ours.notes {
        assert!(note.as_ref().is_some_and(|note| !note.is_empty()), "a note: {call}");
    }
    match Server::peer() {
        None => eprintln!("not compared with the original: PGQ_PEER is not set"),
        Some(peer) => {
            let original = told_to(&peer).story;
            for (ours, original) in ours.story.iter().zip(&original) {
                assert_eq!(ours, original, "ours, and the original");
            }
            assert_eq!(ours.story.len(), original.len());
        }
    }
}
