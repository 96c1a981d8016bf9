//! More databases than tickers, which then come for visits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgq_tests::client::{Background, Session, wait_until};
use pgq_tests::cluster::{Builder, Cluster};
use pgq_tests::queue::{self, Consumer};

const PLACES: i64 = 4;

/// For a moment in which it is wanted, a database has to be free of its ticker within this time.
const AT_ONCE: Duration = Duration::from_secs(2);

fn builder() -> Builder {
    Cluster::builder().conf("autovacuum", "off").conf("shared_preload_libraries", "pgq")
}

/// `max_worker_processes` and `pgq.max_workers` are what they are by default.
fn crowded(databases: usize) -> Crowd {
    let cluster = builder().conf("pgq.ticker_period", "100ms").start();
    cluster.create_database("d0");
    let mut first = cluster.connect("d0");
    first.exec("create extension pgq");
    queue::create(&mut first, "q").unwrap();
    consumer().register(&mut first).unwrap();
    drop(first);
    let mut session = cluster.connect("postgres");
    let names: Vec<String> = (0..databases).map(|n| format!("d{n}")).collect();
    for name in &names[1..] {
        session.exec(&format!("create database {name} template d0 strategy file_copy"));
    }
    Crowd { cluster, session, names }
}

/// A server with databases that have the extension, a queue `q`, and its consumer `c`.
struct Crowd {
    cluster: Cluster,
    session: Session,
    names: Vec<String>,
}

fn consumer() -> Consumer {
    Consumer::new("q", "c")
}

impl Crowd {
    /// The databases that have a ticker at this moment.
    fn attended(&mut self) -> BTreeSet<String> {
        attended(&mut self.session)
    }

    /// A database that has no ticker at this moment, nor is about to get one.
    fn unattended(&mut self) -> String {
        let attended = self.attended();
        self.names.iter().rev().find(|name| !attended.contains(*name)).unwrap().clone()
    }

    fn set(&mut self, setting: &str, value: &str) {
        self.session.exec(&format!("alter system set {setting} = {value}"));
        self.session.exec("select pg_reload_conf()");
    }

    fn wait_for_number(&mut self, tickers: usize) {
        wait_until(&format!("{tickers} tickers"), || self.attended().len() == tickers);
    }
}

fn attended(session: &mut Session) -> BTreeSet<String> {
    let tickers = "select datname::text from pg_stat_activity
                    where backend_type = 'pgq ticker' and datname is not null";
    session.column(tickers, &[]).into_iter().collect()
}

/// Counts the tickers again and again, until it is told to stop; the most that there were at once.
fn watch(session: Session, stop: &Arc<AtomicBool>) -> Background<i64> {
    let stop = Arc::clone(stop);
    session.spawn(move |session| {
        let count = "select count(*) from pg_stat_activity where backend_type = 'pgq ticker'";
        let mut most = 0;
        while !stop.load(Ordering::Relaxed) {
            most = most.max(session.one(count, &[]));
            std::thread::sleep(Duration::from_millis(2));
        }
        most
    })
}

/// The consumer's next event.
fn receive(session: &mut Session, name: &str) -> String {
    let mut got = Vec::new();
    wait_until(&format!("an event in {name}"), || {
        got.extend(consumer().drain_all(session).unwrap());
        !got.is_empty()
    });
    assert_eq!(got.len(), 1, "{name}: {got:?}");
    got[0].data.clone().unwrap()
}

#[track_caller]
fn takes_no_longer(session: &mut Session, command: &str) {
    let began = Instant::now();
    session.exec(command);
    assert!(began.elapsed() < AT_ONCE, "{command}: {:?}", began.elapsed());
}

#[test]
fn a_hundred_databases_share_four_tickers() {
    let mut crowd = crowded(100);
    let stop = Arc::new(AtomicBool::new(false));
    let watch = watch(crowd.cluster.connect("postgres"), &stop);

    // Nobody waits for these: the next visits find them.
    for name in &crowd.names {
        queue::insert(&mut crowd.cluster.connect(name), "q", "kind", name).unwrap();
    }
    for name in &crowd.names {
        assert_eq!(&receive(&mut crowd.cluster.connect(name), name), name);
    }

    // From now on nothing but a consumer that waits brings a ticker.
    crowd.set("pgq.ticker_period", "'1h'");
    crowd.set("pgq.retry_period", "'1h'");
    crowd.set("pgq.maint_period", "'1h'");
    for round in 0..8 {
        let name = crowd.unattended();
        let mut session = crowd.cluster.connect(&name);
        assert!(consumer().next_batch(&mut session).unwrap().is_none(), "{name}");
        let sent = format!("{name} {round}");
        queue::insert(&mut session, "q", "kind", &sent).unwrap();
        assert_eq!(receive(&mut session, &name), sent);
    }

    // Also where there is no ticker, and is about to be one.
    let resting = crowd.unattended();
    let served = crowd.attended().into_iter().find(|name| crowd.names.contains(name)).unwrap();
    let wanted = [resting, served].map(|name| {
        takes_no_longer(&mut crowd.session, &format!("create database copy_of_{name} template {name}"));
        takes_no_longer(&mut crowd.session, &format!("alter database {name} rename to new_{name}"));
        let mut session = crowd.cluster.connect(&format!("new_{name}"));
        assert!(consumer().next_batch(&mut session).unwrap().is_none(), "{name}");
        queue::insert(&mut session, "q", "kind", "after the rename").unwrap();
        (name, session)
    });
    for (name, mut session) in wanted {
        assert_eq!(receive(&mut session, &name), "after the rename");
        drop(session);
        takes_no_longer(&mut crowd.session, &format!("drop database new_{name}"));
    }

    stop.store(true, Ordering::Relaxed);
    assert_eq!(watch.join().1, PLACES);
    let log = crowd.cluster.log();
    assert!(!log.contains("no background worker is free"), "{log}");
}

#[test]
fn the_number_of_tickers_follows_its_setting() {
    let mut crowd = crowded(6);
    crowd.wait_for_number(4);
    crowd.set("pgq.max_workers", "2");
    crowd.wait_for_number(2);
    crowd.set("pgq.max_workers", "5");
    crowd.wait_for_number(5);
    // The launcher, a launcher of the server's own, and six more would fit into the eight that there are.
    crowd.set("pgq.max_workers", "1024");
    crowd.wait_for_number(6);
    let processes = |session: &mut Session| -> Vec<i32> {
        session.column("select pid from pg_stat_activity where backend_type = 'pgq ticker' order by pid", &[])
    };
    // With a place for each, each keeps its own.
    let before = processes(&mut crowd.session);
    crowd.set("pgq.check_period", "'1s'");
    crowd.set("pgq.retry_period", "'1s'");
    for _ in 0..100 {
        let now = processes(&mut crowd.session);
        assert!(before.iter().all(|pid| now.contains(pid)), "{before:?}, then {now:?}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn a_server_with_little_room_serves_all() {
    // The launcher, the server's own, and one ticker.
    let cluster = builder().conf("max_worker_processes", "3").conf("pgq.ticker_period", "100ms").start();
    for name in ["one", "two", "three"] {
        cluster.create_database(name);
        let mut session = cluster.connect(name);
        session.exec("create extension pgq");
        queue::create(&mut session, "q").unwrap();
        consumer().register(&mut session).unwrap();
    }
    for name in ["one", "two", "three", "one"] {
        let mut session = cluster.connect(name);
        queue::insert(&mut session, "q", "kind", name).unwrap();
        assert_eq!(receive(&mut session, name), name);
    }
    cluster.wait_for_log("raise max_worker_processes");
}

#[test]
fn only_the_databases_on_the_list_are_served() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    let names = ["postgres", "two", "The \"third\", at last"];
    for name in &names[1..] {
        cluster.create_database(name);
    }
    for name in names {
        cluster.connect(name).exec("create extension pgq");
    }
    let all: BTreeSet<String> = names.map(str::to_owned).into();
    wait_until("tickers everywhere", || attended(&mut session) == all);
    let mut list = |list: &str, expected: &[&str]| {
        session.exec(&format!("alter system set pgq.databases = {list}"));
        session.exec("select pg_reload_conf()");
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        wait_until(&format!("tickers in {list}"), || attended(&mut session) == expected);
    };
    list("'TWO'", &["two"]);
    list("nosuch", &[]);
    cluster.wait_for_log("pgq.databases: there is no database \"nosuch\"");
    list(r#"'"The ""third"", at last", nosuch'"#, &names[2..]);
    list("postgres, two", &names[..2]);
    list("''", &names);
    for broken in ["'a b'", "'a,'", "'\"'"] {
        let error = session.error(&format!("alter system set pgq.databases = {broken}"));
        assert_eq!(error.code, "22023", "{broken}: {error:?}");
    }
}
