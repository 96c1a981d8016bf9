//! The change-capture triggers, judged by the events they write.
//!
//! What PgQ 3.5 does as well is told once and run on both servers ([`Scene::on_each`]); what only ours does, or does
//! better, on ours ([`Scene::ours`]).

mod apply;
mod attach;
mod attach_refusals;
mod captured_tables;
mod changing;
mod columns;
mod differences;
mod encodings;
mod expressions;
mod formats;
mod interception;
mod key_updates;
mod logtriga;
mod options;
mod replay;
mod same_bytes;
mod settings;
mod statement_limits;
mod statements;
mod subscribed;
mod tables;

use std::fmt;

use pgq_tests::client::{DbError, Session};
use pgq_tests::queue;
use pgq_tests::server::Server;
use pgq_tests::shared::Database;

/// The SQLSTATEs of our refusals. The original's are all `XX000`.
mod state {
    pub const BAD_ARGUMENTS: &str = "22023";
    pub const NO_KEY: &str = "55000";
    pub const KEY_UPDATE: &str = "27000";
    pub const NULL_KEY: &str = "23502";
    pub const DENIED: &str = "09000";
    pub const UNKNOWN_MAGIC: &str = "42611";
    pub const UNKNOWN_COLUMN: &str = "42703";
    pub const NOT_A_TRIGGER: &str = "39P01";
    pub const WHEN_NOT_BOOLEAN: &str = "42804";
    pub const WHEN_NULL: &str = "22004";
    pub const NOT_ONE_ROW: &str = "21000";
    pub const UNREADABLE: &str = "42601";
}

/// The functions whose events are compared, in the order in which their triggers fire.
const FUNCTIONS: [&str; 3] = ["jsontriga", "logutriga", "sqltriga"];

/// An event as its writer made it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    kind: Option<String>,
    data: Option<String>,
    extras: [Option<String>; 4],
}

impl fmt::Display for Event {
    /// The fields up to the last one that is not NULL: `I:id | id=1 | public.t`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<&Option<String>> = [&self.kind, &self.data].into_iter().chain(&self.extras).collect();
        let set = fields.iter().rposition(|field| field.is_some()).map_or(0, |last| last + 1);
        let texts: Vec<&str> = fields[..set].iter().map(|field| field.as_deref().unwrap_or("NULL")).collect();
        f.write_str(&texts.join(" | "))
    }
}

/// A database with a queue `q`, and one session at work in it.
struct Scene {
    original: bool,
    database: Database,
    session: Session,
    /// Reads and takes away the events, whatever state the other session is in.
    reader: Session,
}

impl Scene {
    /// On the server with our extension.
    fn ours(label: &str) -> Self {
        Self::on(&Server::ours(), label)
    }

    /// First on our server, then on the original's, if there is one.
    fn on_each(label: &str) -> impl Iterator<Item = Self> {
        let peer = Server::peer();
        if peer.is_none() {
            eprintln!("not compared with the original: PGQ_PEER is not set");
        }
        [Some(Server::ours()), peer].into_iter().flatten().map(move |server| Self::on(&server, label))
    }

    fn on(server: &Server, label: &str) -> Self {
        let database = Database::fresh_on(server, label);
        let mut session = database.connect();
        queue::create(&mut session, "q").unwrap();
        let original = !server.has_ticker();
        if original {
            // Its library still has the function of PgQ 2.1, which its script does not install any more.
            session.exec(
                "create function pgq.logtriga() returns trigger
                 language c as '$libdir/pgq_triggers', 'pgq_logtriga'",
            );
        }
        let reader = database.connect();
        Self { original, database, session, reader }
    }

    /// Whether this is the original's server.
    const fn is_original(&self) -> bool {
        self.original
    }

    /// Whose server it is, for messages of failed tests.
    const fn whose(&self) -> &'static str {
        if self.original { "the original" } else { "ours" }
    }

    #[track_caller]
    fn exec(&mut self, sql: &str) {
        self.session.exec(sql);
    }

    /// Puts the trigger `tap` on a table, in place of the one it had: `capture("t", "logutriga('q', 'backup')")`.
    #[track_caller]
    fn capture(&mut self, table: &str, call: &str) {
        self.tap(table, "after insert or update or delete", "row", call);
    }

    /// The same for TRUNCATE.
    #[track_caller]
    fn capture_truncate(&mut self, table: &str, call: &str) {
        self.tap(table, "after truncate", "statement", call);
    }

    /// Puts the trigger `tap` on a table, in place of the one it had.
    #[track_caller]
    fn tap(&mut self, table: &str, when: &str, each: &str, call: &str) {
        self.exec(&format!(
            "drop trigger if exists tap on {table};
             create trigger tap {when} on {table} for each {each} execute function pgq.{call}"
        ));
    }

    /// Puts triggers of all three functions on a table, with the same options: `capture_by_all("t", "'backup'")`.
    #[track_caller]
    fn capture_by_all(&mut self, table: &str, options: &str) {
        let comma = if options.is_empty() { "" } else { ", " };
        for function in FUNCTIONS {
            self.exec(&format!(
                "drop trigger if exists tap_{function} on {table};
                 create trigger tap_{function} after insert or update or delete on {table}
                        for each row execute function pgq.{function}('q'{comma}{options})"
            ));
        }
    }

    /// The committed events since the last call.
    #[track_caller]
    fn events(&mut self) -> Vec<Event> {
        self.taken_from("pgq.event_template").into_iter().map(|(_, event)| event).collect()
    }

    /// Those of one queue, each with its transaction.
    #[track_caller]
    fn events_of(&mut self, queue: &str) -> Vec<(i64, Event)> {
        let table: String =
            self.reader.one("select queue_data_pfx from pgq.queue where queue_name = $1", &[&queue]);
        self.taken_from(&table)
    }

    #[track_caller]
    fn taken_from(&mut self, table: &str) -> Vec<(i64, Event)> {
        let taken = format!(
            "with taken as (delete from {table} returning *)
             select ev_txid, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from taken order by ev_id"
        );
        let event = |row: &postgres::Row| Event {
            kind: row.get(1),
            data: row.get(2),
            extras: [row.get(3), row.get(4), row.get(5), row.get(6)],
        };
        self.reader.rows(&taken, &[]).iter().map(|row| (row.get(0), event(row))).collect()
    }

    /// The statements write just these events.
    #[track_caller]
    fn writes(&mut self, sql: &str, expected: &[&str]) {
        self.exec(sql);
        let written: Vec<String> = self.events().iter().map(Event::to_string).collect();
        assert_eq!(written, expected, "{}: {sql}", self.whose());
    }

    /// The statements write events with just these data.
    #[track_caller]
    fn writes_data(&mut self, sql: &str, expected: &[&str]) {
        self.exec(sql);
        let written: Vec<String> =
            self.events().into_iter().map(|event| event.data.unwrap_or_else(|| "NULL".to_owned())).collect();
        assert_eq!(written, expected, "{}: {sql}", self.whose());
    }

    /// The statement fails and writes nothing. Our error has this state and names all of that in its message or
    /// detail; the original's has its own state and words.
    #[track_caller]
    fn refuses(&mut self, sql: &str, state: &str, names: &[&str]) -> DbError {
        let error = self.session.error(sql);
        let events = self.events();
        assert!(events.is_empty(), "{}: {sql}: {events:?}", self.whose());
        if self.is_original() {
            assert!([state, "XX000"].contains(&error.code.as_str()), "{sql}: {error:?}");
        } else {
            assert_eq!(error.code, state, "{sql}: {error:?}");
            let text = format!("{} {}", error.message, error.detail.as_deref().unwrap_or_default());
            for name in names {
                assert!(text.contains(name), "{sql}: should name {name}: {error:?}");
            }
        }
        error
    }
}
