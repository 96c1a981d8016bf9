//! The companion crate: consuming and producing, beside COPY and beside the original's Python framework.

use crate::host::{Host, PAYLOAD};
use crate::measure::{pairs, seconds};
use crate::memory::{most_private_kilobytes, private_kilobytes};
use crate::{Row, Target};
use futures_util::{SinkExt, TryStreamExt};
use pgq_tests::client::Session;
use pgq_tests::server::Server;
use skytools::consumer::{Batch, Event, Handler, Subscription, Verdict};
use skytools::db::{Connection, Options};
use skytools::{NewEvent, Producer};
use std::process::Command;
use tokio::runtime::Runtime;

/// Takes events and does nothing.
struct Nothing;

impl Handler for Nothing {
    async fn event(&mut self, event: &Event, _batch: &mut Batch) -> skytools::Result<Verdict> {
        std::hint::black_box(event.data());
        Ok(Verdict::Done)
    }
}

/// As a program of the crate has it.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A queue whose events lie between two ticks, to be read as often as wanted.
struct Filled {
    host: Host,
    first_tick: i64,
    events: i64,
}

impl Filled {
    fn new(events: i64, transactions: i64) -> Filled {
        let host = Host::start(&Server::ours());
        let mut session = host.connect();
        host.one_tick_one_batch();
        session.exec("SELECT pgq.force_tick('bench')");
        let first_tick = session.one("SELECT pgq.ticker('bench')", &[]);
        let each = events / transactions;
        for _ in 0..transactions {
            session.exec(&format!(
                "SELECT count(pgq.insert_event('bench', 'type', '{PAYLOAD}')) FROM generate_series(1, {each})"
            ));
        }
        session.exec("SELECT pgq.ticker('bench')");
        session.exec("VACUUM ANALYZE pgq.event_1_0");
        Filled { host, first_tick, events }
    }

    /// A consumer that has not read anything yet.
    fn rewind(&self) -> Session {
        let mut session = self.host.connect();
        session.exec(&format!("SELECT pgq.register_consumer_at('bench', 'reader', {})", self.first_tick));
        session
    }

    fn conninfo(&self) -> String {
        self.host.cluster.conninfo("postgres")
    }

    /// Microseconds an event.
    fn per_event(&self, work: impl FnOnce()) -> f64 {
        seconds(work) / self.events as f64 * 1e6
    }

    fn consume(&self) -> f64 {
        self.rewind();
        let runtime = runtime();
        let source =
            runtime.block_on(Connection::open("source", &self.conninfo(), Options::default())).unwrap();
        let subscription = Subscription::new("bench", "reader");
        self.per_event(|| {
            runtime.block_on(async {
                let mut batch = subscription.next_batch(&source).await.unwrap().expect("a batch");
                Nothing.batch(&mut batch).await.unwrap();
                assert_eq!(batch.finish().await.unwrap().count, self.events.cast_unsigned());
            });
        })
    }

    fn copy(&self) -> f64 {
        let runtime = runtime();
        let source =
            runtime.block_on(Connection::open("source", &self.conninfo(), Options::autocommit())).unwrap();
        self.per_event(|| {
            runtime.block_on(async {
                let client = source.client().await.unwrap();
                let rows = client.copy_out("COPY pgq.event_1_0 TO STDOUT").await.unwrap();
                let bytes = rows.try_fold(0, async |sum, chunk| Ok(sum + chunk.len())).await.unwrap();
                assert!(bytes > PAYLOAD.len());
            });
        })
    }

    /// `None` where there is no Python with the original's modules.
    fn python(&self) -> Option<f64> {
        let modules = Server::peer()?.python_modules()?;
        self.rewind();
        let folder = self.host.cluster.socket_folder();
        let ini = folder.join("python.ini");
        let text = format!(
            "[bench]\nsrc_db = {}\nqueue_name = bench\nconsumer_name = reader\nuse_skylog = 0\n",
            self.conninfo()
        );
        std::fs::write(&ini, text).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/noop_consumer.py");
        let mut python = Command::new("python3");
        python.args(["-W", "ignore", script]).arg(&ini).env("PYTHONPATH", modules);
        let output = python.output().ok().filter(|output| output.status.success())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let took: f64 = said.trim().parse().unwrap_or_else(|_| panic!("seconds, not {said:?}"));
        Some(took / self.events as f64 * 1e6)
    }
}

/// Reading a batch with a handler that does nothing.
pub fn consumer() -> Vec<Row> {
    let filled = Filled::new(2_000_000, 20);
    let mut rows = vec![Row::new(
        "consuming a 2 M event batch, handler does nothing, per event / COPY of the table",
        "us",
        Some(Target::AtMost(1.0 / 0.6)),
        pairs(|| filled.consume(), || filled.copy()),
    )];
    if filled.python().is_some() {
        rows.push(Row::new(
            "the same / python3-pgq on the same server",
            "us",
            Some(Target::AtMost(0.25)),
            pairs(|| filled.consume(), || filled.python().expect("it ran before")),
        ));
    } else {
        println!("| the same / python3-pgq | – | – | needs the original: make bench-peers | ≤ 0.25 |");
    }
    rows
}

/// Writing very many events, beside COPY of the same texts into the plain table.
pub fn producer(ours: &Host) -> Vec<Row> {
    const EVENTS: u64 = 500_000;
    let runtime = runtime();
    let conninfo = ours.cluster.conninfo("postgres");
    let connection = runtime.block_on(Connection::open("db", &conninfo, Options::default())).unwrap();
    let producer = Producer::new(&connection, "bench");
    let per_event = |work: &dyn Fn()| {
        ours.clear();
        seconds(work) / EVENTS as f64 * 1e6
    };
    let events = || (0..EVENTS).map(|_| NewEvent::new("type", PAYLOAD));
    let produced = || {
        per_event(&|| {
            runtime.block_on(async {
                assert_eq!(producer.insert_all(events()).await.unwrap(), EVENTS);
                connection.commit().await.unwrap();
            });
        })
    };
    let copied = || {
        per_event(&|| {
            runtime.block_on(async {
                let client = connection.client().await.unwrap();
                let sql = "COPY plain (ev_id, ev_time, ev_type, ev_data) FROM STDIN";
                let mut sink = std::pin::pin!(client.copy_in(sql).await.unwrap());
                for chunk in 0..EVENTS / 1000 {
                    let rows: String = (0..1000)
                        .map(|row| format!("{}\t2026-01-01 00:00:00Z\ttype\t{PAYLOAD}\n", chunk * 1000 + row))
                        .collect();
                    sink.feed(bytes::Bytes::from(rows)).await.unwrap();
                }
                sink.finish().await.unwrap();
                connection.commit().await.unwrap();
            });
        })
    };
    vec![Row::new(
        "producing 500,000 events in one transaction, per event / COPY into the plain table",
        "us",
        None,
        pairs(produced, copied),
    )]
}

/// Memory of a consumer whose batch has 10 million events.
pub fn ten_million() {
    let filled = Filled::new(10_000_000, 10);
    let pid = std::process::id().cast_signed();
    let before = private_kilobytes(pid);
    let mut per_event = 0.0;
    let most = most_private_kilobytes(pid, || per_event = filled.consume());
    println!(
        "\nconsuming a batch of 10 M events: {:.1} MiB of memory of its own in the consumer ({:.1} MiB before), {per_event:.3} us an event",
        most as f64 / 1024.0,
        before as f64 / 1024.0
    );
}
