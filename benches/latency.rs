//! How long an event takes from its commit to a consumer.

use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;
use pgq_tests::latency::Latency;
use pgq_tests::pgqd::Pgqd;
use pgq_tests::queue::{self, Consumer};
use pgq_tests::server::Server;
use postgres::fallible_iterator::FallibleIterator;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DURATION: Duration = Duration::from_secs(15);

/// Events a second, spread over so many queues with a consumer each.
const CASES: [(u32, usize); 6] = [(10, 1), (100, 1), (1000, 1), (10_000, 1), (1000, 10), (1000, 100)];

/// How a consumer learns of a tick.
#[derive(Clone, Copy)]
enum Waiting {
    /// By LISTEN.
    Listens,
    /// By asking again after this time.
    Polls(Duration),
}

/// Prints a table. The settings of server and queues are the defaults, but for `shared_preload_libraries` and enough
/// connections.
pub fn table(ours: &Server, peer: Option<&Server>) {
    println!("| events/s | queues | a consumer | p50 | p99 | greatest | ticks/s |");
    println!("|---|---|---|---|---|---|---|");
    for (rate, queues) in CASES {
        line(&start(ours, "pgq"), rate, queues, Waiting::Listens);
    }
    let often = Waiting::Polls(Duration::from_millis(50));
    line(&start(ours, "pgq"), 100, 1, often);
    if let Some(peer) = peer {
        let cluster = start(peer, "");
        let _pgqd = Pgqd::start(&cluster, "").expect("it comes with the original");
        print!("PgQ 3.5 and pgqd: ");
        line(&cluster, 100, 1, often);
    }
}

fn start(server: &Server, preloaded: &str) -> Cluster {
    let cluster = Cluster::builder_on(server)
        .durable()
        .conf("shared_preload_libraries", preloaded)
        .conf("max_connections", "150")
        // Making a new segment takes half a second, in which nobody commits; a server that is in use has spare ones.
        .conf("min_wal_size", "1GB")
        .start();
    cluster.connect("postgres").exec("CREATE EXTENSION pgq");
    cluster
}

fn line(cluster: &Cluster, rate: u32, queues: usize, waiting: Waiting) {
    let mut admin = cluster.connect("postgres");
    for number in 0..queues {
        queue::create(&mut admin, &format!("q{number}")).unwrap();
        Consumer::new(&format!("q{number}"), "c").register(&mut admin).unwrap();
    }
    let ticks = "SELECT sum(last_value)::bigint FROM pg_sequences WHERE sequencename ~ 'tick_seq'";
    let before: i64 = admin.one(ticks, &[]);
    let latency = measure(cluster, rate, queues, waiting);
    let taken: i64 = admin.one::<i64>(ticks, &[]) - before;
    let how = match waiting {
        Waiting::Listens => "listens".to_owned(),
        Waiting::Polls(pause) => format!("polls every {pause:?}"),
    };
    println!(
        "| {} | {queues} | {how} | {:.1?} | {:.1?} | {:.1?} | {:.0} |",
        latency.count() / DURATION.as_secs(),
        latency.percentile(0.5),
        latency.percentile(0.99),
        latency.max(),
        taken as f64 / DURATION.as_secs_f64()
    );
}

/// A queue's number and the id of one of its events.
type Event = (usize, i64);

fn measure(cluster: &Cluster, rate: u32, queues: usize, waiting: Waiting) -> Latency {
    // One session commits a few thousand transactions a second.
    let producers = rate.div_ceil(2500);
    let (received, sent) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..queues)
            .map(|queue| {
                let (received, sent) = (&received, &sent);
                scope.spawn(move || consume(cluster.connect("postgres"), queue, waiting, received, sent))
            })
            .collect();
        let producing: Vec<_> = (0..producers)
            .map(|_| scope.spawn(move || produce(cluster.connect("postgres"), rate / producers, queues)))
            .collect();
        let committed: HashMap<Event, Instant> =
            producing.into_iter().flat_map(|producer| producer.join().unwrap()).collect();
        sent.store(committed.len(), Ordering::Relaxed);
        let mut latency = Latency::default();
        for (event, at) in consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()) {
            latency.record(at.saturating_duration_since(committed[&event]));
        }
        assert_eq!(latency.count(), committed.len() as u64);
        latency
    })
}

fn produce(mut session: Session, rate: u32, queues: usize) -> Vec<(Event, Instant)> {
    let insert = session.prepare("SELECT pgq.insert_event($1, 'kind', 'data')").unwrap();
    let names: Vec<String> = (0..queues).map(|queue| format!("q{queue}")).collect();
    let began = Instant::now();
    let mut committed = Vec::new();
    for number in 0u32.. {
        let due = began + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
        if due > began + DURATION {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let queue = number as usize % queues;
        let id: i64 = session.query_one(&insert, &[&names[queue]]).unwrap().get(0);
        committed.push(((queue, id), Instant::now()));
    }
    committed
}

/// Reads until all consumers together have `received` what was `sent`.
fn consume(
    mut session: Session,
    queue: usize,
    waiting: Waiting,
    received: &AtomicUsize,
    sent: &AtomicUsize,
) -> Vec<(Event, Instant)> {
    let consumer = Consumer::new(&format!("q{queue}"), "c");
    if let Waiting::Listens = waiting {
        session.exec(&format!("LISTEN \"pgq.q{queue}\""));
    }
    let mut events = Vec::new();
    while received.load(Ordering::Relaxed) < sent.load(Ordering::Relaxed) {
        match (consumer.next_batch(&mut session).unwrap(), waiting) {
            (Some(batch), _) => {
                let batch_events = batch.events(&mut session).unwrap();
                let now = Instant::now();
                events.extend(batch_events.iter().map(|event| ((queue, event.id), now)));
                batch.finish(&mut session).unwrap();
                received.fetch_add(batch_events.len(), Ordering::Relaxed);
            }
            (None, Waiting::Polls(pause)) => std::thread::sleep(pause),
            (None, Waiting::Listens) => {
                let limit = Duration::from_secs(1);
                session.notifications().timeout_iter(limit).next().unwrap();
            }
        }
    }
    events
}
