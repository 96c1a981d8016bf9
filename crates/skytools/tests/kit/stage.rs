//! A queue, a place for results, and one of the simple consumers between them.

use std::process::Output;
use std::sync::Arc;

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{create, insert, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;

use crate::kit::{Running, Workplace, conninfo, servers};

/// The programs that run a statement for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    Simple,
    Local,
    Serial,
}

impl Consumer {
    pub const ALL: [Self; 3] = [Self::Simple, Self::Local, Self::Serial];

    pub fn binary(self) -> &'static str {
        match self {
            Self::Simple => env!("CARGO_BIN_EXE_simple_consumer"),
            Self::Local => env!("CARGO_BIN_EXE_simple_local_consumer"),
            Self::Serial => env!("CARGO_BIN_EXE_simple_serial_consumer"),
        }
    }

    pub fn section(self) -> &'static str {
        match self {
            Self::Simple => "simple_consumer3",
            Self::Local => "simple_local_consumer3",
            Self::Serial => "simple_serial_consumer",
        }
    }
}

/// See the module. The queue is `orders`, the consumer `copier`, and results are rows of `result`.
pub struct Stage {
    pub source: Database,
    pub target: Arc<Database>,
    pub workplace: Workplace,
    consumer: Consumer,
}

impl Stage {
    pub fn of(consumer: Consumer) -> Self {
        Self::on(&Server::ours(), consumer)
    }

    /// With a queue of the same name in another database, and the same target.
    pub fn with_another_source(&self) -> Self {
        let other = Self::of(self.consumer);
        let other = Self { target: Arc::clone(&self.target), ..other };
        other.write("copier.ini", "orders", "");
        other
    }

    /// On ours and, where it is there, the original's.
    pub fn on_both_servers(consumer: Consumer, test: impl Fn(&Self)) {
        for server in servers() {
            test(&Self::on(&server, consumer));
        }
    }

    /// With the queue on this server. The results are on ours.
    pub fn on(server: &Server, consumer: Consumer) -> Self {
        let (source, target) = (Database::fresh_on(server, "source"), Arc::new(Database::fresh("target")));
        create(&mut source.connect(), "orders").unwrap();
        target.create_extensions(&["pgq_ext"]);
        target.connect().exec("create table result (data text)");
        let stage = Self { source, target, workplace: Workplace::new(), consumer };
        stage.write("copier.ini", "orders", "");
        if consumer != Consumer::Local {
            stage.at_source().exec("select pgq.register_consumer('orders', 'copier')");
        }
        stage
    }

    pub fn at_source(&self) -> Session {
        self.source.connect()
    }

    pub fn at_target(&self) -> Session {
        self.target.connect()
    }

    /// Writes the INI file of a consumer with the name `copier`, which stores the data of each event.
    pub fn write(&self, file: &str, queue: &str, more: &str) {
        self.write_with_query(file, queue, "insert into result values (%%(pgq.ev_data)s)", more);
    }

    /// Makes it run another statement, and adds lines.
    pub fn set_query(&self, query: &str, more: &str) {
        self.write_with_query("copier.ini", "orders", query, more);
    }

    fn write_with_query(&self, file: &str, queue: &str, query: &str, more: &str) {
        let (source, target) = (conninfo(&self.source), conninfo(&self.target));
        let tracking =
            if self.consumer == Consumer::Local { "local_tracking_file = copier.tick" } else { "" };
        self.workplace.write(
            file,
            &format!(
                "[{}]\nsrc_db = {source}\ndst_db = {target}\nqueue_name = {queue}\nconsumer_name = copier\n\
                 loop_delay = 0.05\nexception_sleep = 0.05\ndst_query = {query}\n{tracking}\n{more}\n",
                self.consumer.section(),
            ),
        );
    }

    pub fn start(&self) -> Running {
        self.start_with("copier.ini")
    }

    pub fn start_with(&self, file: &str) -> Running {
        self.workplace.start(file, self.consumer.binary(), &[file])
    }

    pub fn start_asking(&self, switch: &str) -> Running {
        self.workplace.start(switch, self.consumer.binary(), &["copier.ini", switch])
    }

    pub fn run(&self, switch: &str) -> Output {
        self.workplace.run(self.consumer.binary(), &["copier.ini", switch])
    }

    /// Runs it with a switch that it can fulfil.
    pub fn ask(&self, switch: &str) {
        let output = self.run(switch);
        assert!(output.status.success(), "{switch}: {output:?}");
    }

    /// An event, and the tick behind it.
    pub fn produce(&self, data: &str) -> i64 {
        self.produce_in("orders", data)
    }

    pub fn insert(&self, kind: &str, data: &str, table: &str) {
        let sql = "select pgq.insert_event('orders', $1, nullif($2, 'NULL'), $3, null, null, null)";
        self.at_source().execute(sql, &[&kind, &data, &table]).unwrap();
    }

    /// Lets the consumer do what was inserted.
    pub fn flow(&self) {
        let tick = tick_now(&mut self.at_source(), "orders").unwrap();
        self.wait_for_position(tick);
    }

    pub fn produce_in(&self, queue: &str, data: &str) -> i64 {
        let mut session = self.at_source();
        insert(&mut session, queue, "I:id", data).unwrap();
        tick_now(&mut session, queue).unwrap()
    }

    /// Where the queue has the consumer.
    pub fn position(&self) -> Option<i64> {
        self.position_in("orders")
    }

    pub fn position_in(&self, queue: &str) -> Option<i64> {
        let sql = "select last_tick from pgq.get_consumer_info($1, 'copier')";
        self.at_source().column(sql, &[&queue]).first().copied()
    }

    pub fn wait_for_position(&self, tick: i64) {
        wait_until(&format!("the queue at tick {tick}"), || self.position() == Some(tick));
    }

    pub fn results(&self) -> Vec<String> {
        self.at_target().column("select data from result order by ctid", &[])
    }

    /// The tick in the target, stored with the queue and without.
    pub fn ticks_in_target(&self) -> (Option<i64>, Option<i64>) {
        let row = &self.at_target().rows(
            "select pgq_ext.get_last_tick('orders', 'copier', ''), pgq_ext.get_last_tick('copier')",
            &[],
        )[0];
        (row.get(0), row.get(1))
    }

    pub fn store_in_target(&self, tick: i64) {
        self.at_target().exec(&format!("select pgq_ext.set_last_tick('orders', 'copier', '', {tick})"));
    }

    pub fn tracking_file(&self) -> String {
        self.workplace.read("copier.tick")
    }

    /// Runs a local consumer until the queue is here.
    pub fn run_to(&self, tick: i64) {
        let _program = self.start();
        self.wait_for_position(tick);
        wait_until("the file", || self.tracking_file().starts_with(&format!("{tick}\n")));
    }
}
