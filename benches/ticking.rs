//! What ticks cost: to the ticker, to producers, and to a server with nothing to do.

use crate::Row;
use crate::Target::AtLeast;
use crate::capture::event_rate;
use crate::host::Host;
use crate::measure::{pairs, seconds};
use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Consumer};
use pgq_tests::server::Server;
use postgres::fallible_iterator::FallibleIterator;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const QUEUES: usize = 1000;

/// A thousand queues with one event each are ticked: by the ticker in the server as soon as it looks, by the original as
/// soon as its daemon calls it.
pub fn thousand_queues(ours: &Server, peer: Option<&Server>) -> Vec<Row> {
    let Some(peer) = peer else { return Vec::new() };
    let (ours, peer) = (Crowd::start(ours, "pgq"), Crowd::start(peer, ""));
    let (ours_cpu, peer_cpu) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let time = pairs(|| ours.tick_in_server(&ours_cpu), || peer.tick_by_call(&peer_cpu));
    let mut cpu = (ours_cpu.into_inner().into_iter(), peer_cpu.into_inner().into_iter());
    let cpu = pairs(|| cpu.0.next().expect("as many"), || cpu.1.next().expect("as many"));
    vec![
        Row::new("a tick of each of 1,000 queues / PgQ 3.5", "s", None, time),
        Row::new("CPU of the ticker, per tick / PgQ 3.5", "us", None, cpu),
    ]
}

/// A cluster with many queues, all due with their first event.
struct Crowd {
    cluster: Cluster,
    session: RefCell<Session>,
}

impl Crowd {
    fn start(server: &Server, preloaded: &str) -> Crowd {
        let cluster = Cluster::builder_on(server)
            .durable()
            .conf("shared_preload_libraries", preloaded)
            .conf("pgq.ticker_period", "1ms")
            .conf("max_locks_per_transaction", "512")
            .start();
        let mut session = cluster.connect("postgres");
        session.exec("CREATE EXTENSION pgq");
        for number in 0..QUEUES {
            let name = format!("q{number:04}");
            queue::create(&mut session, &name).unwrap();
        }
        session.exec("UPDATE pgq.queue SET queue_ticker_max_count = 1");
        let crowd = Crowd { cluster, session: RefCell::new(session) };
        // The original does not count a queue's first event.
        crowd.insert_everywhere();
        crowd
    }

    fn insert_everywhere(&self) {
        self.session.borrow_mut().exec("SELECT pgq.insert_event(queue_name, 'kind', 'data') FROM pgq.queue");
    }

    /// Seconds until the last queue by name is told of its tick; the queues are ticked by name.
    fn tick_in_server(&self, cpu: &RefCell<Vec<f64>>) -> f64 {
        let ticker: i32 = self
            .session
            .borrow_mut()
            .one("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgq ticker'", &[]);
        let mut listener = self.cluster.connect("postgres");
        listener.exec(&format!("LISTEN \"pgq.q{:04}\"", QUEUES - 1));
        let before = cpu_of(ticker);
        let took = seconds(|| {
            self.insert_everywhere();
            listener.notifications().blocking_iter().next().unwrap();
        });
        // What it has used in between is counted when it rests.
        std::thread::sleep(Duration::from_millis(100));
        cpu.borrow_mut().push((cpu_of(ticker) - before) * 1e6 / QUEUES as f64);
        took
    }

    fn tick_by_call(&self, cpu: &RefCell<Vec<f64>>) -> f64 {
        let mut caller = self.cluster.connect("postgres");
        // Its plans are made once in the life of a daemon.
        caller.exec("SELECT pgq.ticker()");
        let before = cpu_of(caller.pid());
        let took = seconds(|| {
            self.insert_everywhere();
            assert_eq!(caller.one::<i64>("SELECT pgq.ticker()", &[]), QUEUES as i64);
        });
        cpu.borrow_mut().push((cpu_of(caller.pid()) - before) * 1e6 / QUEUES as f64);
        took
    }
}

/// The processor time that a process has used, in seconds.
fn cpu_of(pid: i32) -> f64 {
    let schedstat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    schedstat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Prints what a server with a thousand queues at rest uses.
pub fn idle(server: &Server) {
    let cluster = Crowd::start(server, "pgq");
    // The default; measuring how fast ticks are taken it looks all the time.
    let mut session = cluster.session.borrow_mut();
    session.exec("ALTER SYSTEM SET pgq.ticker_period = '1s'");
    session.exec("SELECT pg_reload_conf()");
    // A consumer that came before the tick of what was inserted would be behind.
    std::thread::sleep(Duration::from_secs(5));
    for number in 0..QUEUES {
        Consumer::new(&format!("q{number:04}"), "c").register(&mut session).unwrap();
    }
    std::thread::sleep(Duration::from_secs(70));
    let pids: Vec<i32> =
        session.column("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pgq%'", &[]);
    let used = || pids.iter().map(|pid| cpu_of(*pid)).sum::<f64>();
    let before = used();
    let span = Duration::from_secs(60);
    std::thread::sleep(span);
    let share = (used() - before) / span.as_secs_f64();
    println!("1,000 idle queues: {:.2} % of a core (target: under 1 %)", share * 100.0);
}

/// What producers pay for ticks on commit.
pub fn producers(server: &Server) -> Vec<Row> {
    let (with, without) = (Host::preloading(server, "pgq"), Host::preloading(server, ""));
    let marks = pairs(|| event_rate(&with), || event_rate(&without));
    let mut rows = vec![Row::new(
        "transactions of one event, nobody waits / not preloaded",
        "tps",
        Some(AtLeast(0.97)),
        marks,
    )];
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| read_along(with.connect(), &end));
        let compared = pairs(
            || {
                with.set("pgq.tick_interval", "1ms");
                event_rate(&with)
            },
            || {
                with.set("pgq.tick_interval", "1h");
                event_rate(&with)
            },
        );
        rows.push(Row::new(
            "the same, a consumer listens / ticks by the classic rule",
            "tps",
            Some(AtLeast(0.97)),
            compared,
        ));
        end.store(true, Ordering::Relaxed);
    });
    rows
}

/// A consumer as it should be: it asks until there is nothing, and then listens.
fn read_along(mut session: Session, end: &AtomicBool) {
    let consumer = Consumer::new("bench", "along");
    consumer.register(&mut session).unwrap();
    session.exec("LISTEN \"pgq.bench\"");
    while !end.load(Ordering::Relaxed) {
        match consumer.next_batch(&mut session).unwrap() {
            Some(batch) => {
                batch.events(&mut session).unwrap();
                batch.finish(&mut session).unwrap();
            }
            None => drop(session.notifications().timeout_iter(Duration::from_secs(1)).next().unwrap()),
        }
    }
}
