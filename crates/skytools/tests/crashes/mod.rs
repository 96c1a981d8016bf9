//! Consumers that keep a position, and everything that can die.

mod any_time;
mod each_step;
mod target;

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{create, tick_now};
use skytools::consumer::{
    CONSUMER_KEYS, FAILED_EVENT_KEYS, Handler, LOCAL_KEYS, LocalConsumer, RemoteConsumer, STATEMENT_KEYS,
    SerialConsumer, StatementRunner, TARGET_KEYS,
};
use skytools::script::{Config, Script};

use crate::kit::{Running, Worker, Workplace};

const EVENTS_OF_A_BATCH: i64 = 5;

/// Where the position is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Remote,
    Serial,
    Local,
}

impl Class {
    fn section(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Serial => "simple_serial_consumer",
            Self::Local => "simple_local_consumer",
        }
    }
}

/// A consumer that writes down which events it got.
struct Job {
    class: Class,
    workplace: Workplace,
}

impl Job {
    fn new(class: Class, workplace: Workplace, source: &str, target: &str) -> Self {
        let ini = format!(
            "[{}]\njob_name = copier\nsrc_db = {source}\ndst_db = {target}\nqueue_name = orders\n\
             consumer_name = copier\nloop_delay = 0.1\nexception_sleep = 0.05\npgq_lazy_fetch = 2\n\
             dst_query = insert into result values (%%(pgq.ev_id)s)\n",
            class.section()
        );
        let file = if class == Class::Local { "local_tracking_file = copier.tick\n" } else { "" };
        workplace.write("copier.ini", &(ini + file));
        Self { class, workplace }
    }

    fn start(&self) -> Running {
        let start = |binary: &str, arguments: &[&str]| self.workplace.start("copier", binary, arguments);
        match self.class {
            Class::Serial => start(env!("CARGO_BIN_EXE_simple_serial_consumer"), &["copier.ini"]),
            Class::Local => start(env!("CARGO_BIN_EXE_simple_local_consumer"), &["copier.ini"]),
            Class::Remote => {
                let me = std::env::current_exe().unwrap();
                start(me.to_str().unwrap(), &["--exact", REMOTE_PROGRAM, "--ignored", "--nocapture"])
            }
        }
    }
}

const REMOTE_PROGRAM: &str = "crashes::remote_consumer_as_a_program";

#[test]
#[ignore = "is started by the tests here, in a folder with its INI file: no shipped program is of this class"]
fn remote_consumer_as_a_program() {
    let ini = std::fs::read_to_string("copier.ini").unwrap();
    let pairs = ini.lines().filter_map(|line| line.split_once(" = "));
    let config =
        Config::from_pairs("remote", &[CONSUMER_KEYS, FAILED_EVENT_KEYS, TARGET_KEYS, STATEMENT_KEYS], pairs)
            .unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut script = Script::new(config);
        let handler = StatementRunner::in_batch(&script).unwrap();
        let mut job = RemoteConsumer::to_target(&script, "src_db", "dst_db", handler).unwrap();
        script.run(&mut job).await.unwrap();
    });
}

fn produce(source: &mut Session) -> i64 {
    source.exec(&format!(
        "select pgq.insert_event('orders', 'I:id', 'id=' || i) from generate_series(1, {EVENTS_OF_A_BATCH}) i"
    ));
    tick_now(source, "orders").unwrap()
}

fn position(source: &mut Session) -> Option<i64> {
    source.column("select last_tick from pgq.get_consumer_info('orders', 'copier')", &[]).first().copied()
}

/// How many events were written down, and how many different ones.
fn results(target: &mut Session) -> (i64, i64) {
    let row = &target.rows("select count(*), count(distinct id) from result", &[])[0];
    (row.get(0), row.get(1))
}

fn prepare(source: &mut Session, target: &mut Session) {
    create(source, "orders").unwrap();
    target.exec(
        "create extension if not exists pgq; create extension pgq_ext; create table result (id bigint)",
    );
}

fn registered(job: &Job, source: &mut Session) {
    if job.class == Class::Local {
        let _registers_itself = job.start();
        wait_until("the consumer to register", || position(source).is_some());
        wait_until("its file", || job.workplace.path("copier.tick").exists());
    } else {
        source.exec("select pgq.register_consumer('orders', 'copier')");
    }
}

/// A consumer in this process, with a handler of its own.
fn start_with<H: Handler + Send + 'static>(
    class: Class,
    [from, to]: [&str; 2],
    workplace: &Workplace,
    handler: H,
) -> Worker {
    let file = workplace.path("copier.tick");
    let pairs = [
        ("src_db", from),
        ("dst_db", to),
        ("dst_query", "select"),
        ("queue_name", "orders"),
        ("consumer_name", "copier"),
        ("loop_delay", "0.02"),
        ("exception_sleep", "0.02"),
        ("local_tracking_file", file.to_str().unwrap()),
    ];
    let keys = [CONSUMER_KEYS, FAILED_EVENT_KEYS, TARGET_KEYS, STATEMENT_KEYS, LOCAL_KEYS];
    let config = Config::from_pairs("copier", &keys, pairs).unwrap();
    let (from, to) = ("src_db", "dst_db");
    match class {
        Class::Remote => Worker::start(config, move |s| RemoteConsumer::to_target(s, from, to, handler)),
        Class::Serial => Worker::start(config, move |s| SerialConsumer::to_target(s, from, to, handler)),
        Class::Local => Worker::start(config, move |s| LocalConsumer::with_file(s, from, handler)),
    }
}
