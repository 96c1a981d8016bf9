//! How long an event takes from its commit to a consumer that listens.

use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;
use pgq_tests::latency::Latency;
use pgq_tests::queue::{self, Consumer};
use pgq_tests::server::Server;
use postgres::fallible_iterator::FallibleIterator;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Long enough for a few hundred samples at 10 events a second.
const DURATION: Duration = Duration::from_secs(6);

/// Rates of events a second, over so many queues with a consumer each.
pub const CASES: [(u32, usize); 6] = [(10, 1), (100, 1), (1000, 1), (10_000, 1), (1000, 10), (1000, 50)];

/// Prints a table: server settings are the defaults, but for `shared_preload_libraries`.
pub fn table(server: &Server) {
    println!("| events/s | queues | p50 | p99 | max | ticks/s |");
    println!("|---|---|---|---|---|---|");
    for (rate, queues) in [(1000, 10); 14] {
        let cluster = Cluster::builder_on(server).durable().conf("shared_preload_libraries", "pgq").start();
        let mut admin = cluster.connect("postgres");
        admin.exec("CREATE EXTENSION pgq");
        for number in 0..queues {
            queue::create(&mut admin, &format!("q{number}")).unwrap();
            Consumer::new(&format!("q{number}"), "c").register(&mut admin).unwrap();
        }
        let before: i64 = admin
            .one("SELECT sum(last_value)::bigint FROM pg_sequences WHERE sequencename ~ 'tick_seq'", &[]);
        let latency = measure(&cluster, rate, queues);
        let after: i64 = admin
            .one("SELECT sum(last_value)::bigint FROM pg_sequences WHERE sequencename ~ 'tick_seq'", &[]);
        println!(
            "| {} | {queues} | {:.1?} | {:.1?} | {:.1?} | {:.0} |",
            latency.count() / DURATION.as_secs(),
            latency.percentile(0.5),
            latency.percentile(0.99),
            latency.max(),
            (after - before) as f64 / DURATION.as_secs_f64()
        );
    }
}

fn measure(cluster: &Cluster, rate: u32, queues: usize) -> Latency {
    // One session commits a few thousand transactions a second.
    let producers = rate.div_ceil(2500);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..queues)
            .map(|queue| {
                scope.spawn({
                    let ended = &ended;
                    move || consume(cluster.connect("postgres"), queue, ended)
                })
            })
            .collect();
        let producing: Vec<_> = (0..producers)
            .map(|_| scope.spawn(move || produce(cluster.connect("postgres"), rate / producers, queues)))
            .collect();
        let committed: HashMap<(usize, i64), Instant> =
            producing.into_iter().flat_map(|producer| producer.join().unwrap()).collect();
        std::thread::sleep(Duration::from_secs(4));
        ended.store(true, Ordering::Relaxed);
        let mut latency = Latency::default();
        let received: Vec<_> = consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect();
        assert_eq!(received.len(), committed.len());
        let began = *committed.values().min().unwrap();
        for (event, at) in received {
            let took = at.saturating_duration_since(committed[&event]);
            if took > Duration::from_millis(200) {
                eprintln!(
                    "{event:?} committed at {:?} took {took:?}",
                    committed[&event].duration_since(began)
                );
            }
            latency.record(at.saturating_duration_since(committed[&event]));
        }
        latency
    })
}

fn produce(mut session: Session, rate: u32, queues: usize) -> Vec<((usize, i64), Instant)> {
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

fn consume(mut session: Session, queue: usize, ended: &AtomicBool) -> Vec<((usize, i64), Instant)> {
    let consumer = Consumer::new(&format!("q{queue}"), "c");
    session.exec(&format!("LISTEN \"pgq.q{queue}\""));
    let mut received = Vec::new();
    let mut timed_out = false;
    while !ended.load(Ordering::Relaxed) {
        match consumer.next_batch(&mut session).unwrap() {
            Some(batch) => {
                if timed_out {
                    eprintln!(
                        "q{queue} {:?}: after a timeout there was batch {batch:?}",
                        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
                    );
                }
                timed_out = false;
                let events = batch.events(&mut session).unwrap();
                let now = Instant::now();
                received.extend(events.iter().map(|event| ((queue, event.id), now)));
                batch.finish(&mut session).unwrap();
            }
            None => {
                timed_out =
                    session.notifications().timeout_iter(Duration::from_secs(1)).next().unwrap().is_none();
            }
        }
    }
    received
}
