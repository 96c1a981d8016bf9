//! The ticker in the server among hostile neighbours: settings, locks, terminations, other tickers, other versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::ticker::{FEW_SECONDS, TICKER, builder, processes, set_up, wait_for_rotations, wait_for_ticks};
use pgq_tests::client::{Background, Session, wait_until};
use pgq_tests::cluster::{Cluster, Stop};
use pgq_tests::pgqd::Pgqd;
use pgq_tests::queue::{self, Consumer};

/// Producers that insert numbered events, one a transaction, until they are told to end.
struct Load {
    end: Arc<AtomicBool>,
    producers: Vec<Background<Vec<String>>>,
}

impl Load {
    fn start(cluster: &Cluster, producers: usize) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let producers = (0..producers).map(|producer| {
            let end = Arc::clone(&end);
            cluster.connect("postgres").spawn(move |session| {
                let mut sent = Vec::new();
                while !end.load(Ordering::Relaxed) {
                    let name = format!("{producer}:{}", sent.len());
                    queue::insert(session, "q", "kind", &name).unwrap();
                    sent.push(name);
                }
                sent
            })
        });
        Self { producers: producers.collect(), end }
    }

    /// All that was sent, in no order.
    fn stop(self) -> Vec<String> {
        self.end.store(true, Ordering::Relaxed);
        self.producers.into_iter().flat_map(|producer| producer.join().1).collect()
    }
}

fn drain(session: &mut Session, consumer: &Consumer) -> Vec<String> {
    let events = consumer.drain_all(session).unwrap();
    events.into_iter().map(|event| event.data.unwrap()).collect()
}

/// Reads on until everything that was sent is there; each event once.
#[track_caller]
fn all_arrive_once(session: &mut Session, consumer: &Consumer, mut got: Vec<String>, mut sent: Vec<String>) {
    wait_until("all events", || {
        got.extend(drain(session, consumer));
        got.len() >= sent.len()
    });
    got.sort_unstable();
    sent.sort_unstable();
    assert!(got == sent, "{} got, {} sent", got.len(), sent.len());
}

/// A cluster with the queue `q`, read by `c`.
fn with_consumer() -> (Cluster, Session, Consumer) {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    wait_for_ticks(&mut session, "q");
    consumer.drain_all(&mut session).unwrap();
    (cluster, session, consumer)
}

#[test]
fn terminated_again_and_again_it_loses_and_doubles_nothing() {
    let (cluster, mut session, consumer) = with_consumer();
    let load = Load::start(&cluster, 2);
    let mut killer = cluster.connect("postgres");
    let (mut got, mut ended) = (Vec::new(), 0);
    wait_until("five tickers to have been terminated", || {
        for pid in processes(&mut killer, TICKER, Some("postgres")) {
            // Some at once, some after a while of work.
            std::thread::sleep(Duration::from_millis(fastrand::u64(..50)));
            ended += i32::from(killer.one::<bool>("select pg_terminate_backend($1)", &[&pid]));
        }
        got.extend(drain(&mut session, &consumer));
        ended >= 5
    });
    all_arrive_once(&mut session, &consumer, got, load.stop());
}

#[test]
fn it_is_back_soon_after_a_backend_was_killed() {
    let (cluster, mut session, _) = with_consumer();
    let before = processes(&mut session, TICKER, Some("postgres"));
    let victim = cluster.connect("postgres");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim.pid()), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    wait_until("the server to go down", || session.simple_query("").is_err());
    wait_until("the server to recover", || cluster.try_connect("postgres").is_ok());
    let recovered = Instant::now();
    let mut session = cluster.connect("postgres");
    wait_for_ticks(&mut session, "q");
    assert!(recovered.elapsed() < FEW_SECONDS, "{:?}", recovered.elapsed());
    assert_ne!(processes(&mut session, TICKER, Some("postgres")), before);
}

#[test]
fn the_extension_comes_and_goes_under_load() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    let end = Arc::new(AtomicBool::new(false));
    let working = |work: fn(&mut Session) -> Result<(), postgres::Error>| {
        let end = Arc::clone(&end);
        cluster.connect("postgres").spawn(move |session| {
            while !end.load(Ordering::Relaxed) {
                if let Err(error) = work(session) {
                    // Refusals are right while there is no extension; a deadlock is for one side to give way.
                    let code = error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned();
                    assert!(!code.starts_with("XX"), "{error:?}");
                }
            }
        })
    };
    let consume = |session: &mut Session| {
        let consumer = Consumer::new("q", "c");
        consumer.register(session)?;
        consumer.drain_all(session).map(drop)
    };
    let load = [
        working(|session| queue::insert(session, "q", "kind", "data").map(drop)),
        working(|session| queue::insert(session, "q", "kind", "data").map(drop)),
        working(consume),
    ];
    session.exec("set lock_timeout = '30 s'");
    for _ in 0..6 {
        for command in [
            "alter extension pgq update",
            "drop extension pgq cascade",
            "create extension pgq",
            "select pgq.create_queue('q')",
        ] {
            wait_until(command, || match session.batch_execute(command) {
                Ok(()) => true,
                Err(error) => {
                    assert_eq!(error.code().unwrap().code(), "40P01", "{command}: {error:?}");
                    false
                }
            });
        }
    }
    end.store(true, Ordering::Relaxed);
    load.into_iter().for_each(|load| drop(load.join()));
    let began = Instant::now();
    wait_for_ticks(&mut session, "q");
    assert!(began.elapsed() < FEW_SECONDS, "{:?}", began.elapsed());
    assert!(
        !cluster.log().contains("PANIC") && !cluster.log().contains("terminated by signal"),
        "{}",
        cluster.log()
    );
}

#[test]
fn another_version_is_left_alone_until_it_fits() {
    let cluster = builder().conf("pgq.check_period", "1s").start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    wait_for_ticks(&mut session, "q");
    let ours: String = session.one("select extversion from pg_extension where extname = 'pgq'", &[]);
    let ticks = "select count(*) from pgq.tick";
    for (round, foreign) in ["3.5", "99.0"].iter().enumerate() {
        session.exec(&format!("update pg_extension set extversion = '{foreign}' where extname = 'pgq'"));
        cluster.wait_for_log(&format!("extension pgq {foreign} is not served"));
        let before: i64 = session.one(ticks, &[]);
        queue::insert(&mut session, "q", "kind", "waits").unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(session.one::<i64>(ticks, &[]), before);
        session.exec(&format!("update pg_extension set extversion = '{ours}' where extname = 'pgq'"));
        wait_for_ticks(&mut session, "q");
        assert_eq!(cluster.log().matches("is not served").count(), round + 1, "{}", cluster.log());
    }
}

#[test]
fn nonsense_in_one_queue_is_its_own_trouble() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["future", "endless", "tableless", "countless", "good"]);
    wait_for_ticks(&mut session, "good");
    let of = |name: &str| format!("(select queue_id from pgq.queue where queue_name = '{name}')");
    let newest = |name: &str| {
        format!(
            "tick_queue = {0} and tick_id = (select max(tick_id) from pgq.tick where tick_queue = {0})",
            of(name)
        )
    };
    session.exec(&format!(
        "update pgq.tick set tick_snapshot = '900000000:900000000:' where {};
         update pgq.tick set tick_event_seq = 9000000000 where {};
         update pgq.queue set queue_ticker_max_lag = '178000000 years', queue_ticker_idle_period = '-178000000 years'
          where queue_name = 'endless';
         update pgq.queue set queue_cur_table = 17 where queue_name = 'tableless'",
        newest("future"),
        newest("countless"),
    ));
    queue::insert(&mut session, "future", "kind", "waits").unwrap();
    cluster.wait_for_log("tick of queue \"future\" failed");
    for name in ["good", "countless"] {
        wait_for_ticks(&mut session, name);
    }
    queue::insert(&mut session, "endless", "kind", "waits").unwrap();
    wait_for_rotations_of(&mut session, "good");
}

fn wait_for_rotations_of(session: &mut Session, queue: &str) {
    session.exec(&format!("select pgq.set_queue_config('{queue}', 'rotation_period', '0')"));
    wait_for_rotations(session, queue);
}

#[test]
fn the_clock_on_the_wall_may_jump() {
    let (_cluster, mut session, consumer) = with_consumer();
    for jump in ["1 hour", "-1 hour", "100 years", "-100 years", "infinity", "-infinity"] {
        let time = match jump.contains("infinity") {
            true => format!("'{jump}'"),
            false => format!("tick_time + '{jump}'"),
        };
        session.exec(&format!("update pgq.tick set tick_time = {time}"));
        wait_for_ticks(&mut session, "q");
        assert!(!drain(&mut session, &consumer).is_empty(), "{jump}");
    }
}

#[test]
fn waiting_for_a_lock_it_does_not_hold_up_a_shutdown() {
    // Event tables are not among these: waits for them end by themselves after a moment.
    for lock in ["pgq.tick", "pgq.queue"] {
        let (mut cluster, mut session, _) = with_consumer();
        let mut locker = cluster.connect("postgres");
        queue::insert(&mut session, "q", "kind", "to be ticked").unwrap();
        locker.exec(&format!("begin; lock table {lock}"));
        let blocked =
            "select count(*) from pg_stat_activity where backend_type = $1 and wait_event_type = 'Lock'";
        wait_until("the ticker to wait", || session.one::<i64>(blocked, &[&TICKER]) > 0);
        let began = Instant::now();
        cluster.stop(Stop::Fast);
        assert!(began.elapsed() < FEW_SECONDS, "{lock}: {:?}", began.elapsed());
    }
}

#[test]
fn at_work_it_keeps_nobody_from_dropping_databases() {
    let (cluster, mut session, _) = with_consumer();
    session.exec(
        "create function slow(text) returns int language plpgsql as $$begin perform pg_sleep(3600); return 0; end$$;
         update pgq.queue set queue_extra_maint = '{public.slow}'",
    );
    let sleeps = "select count(*) from pg_stat_activity where backend_type = $1 and wait_event = 'PgSleep'";
    wait_until("the ticker to be at it", || session.one::<i64>(sleeps, &[&TICKER]) > 0);
    let began = Instant::now();
    cluster.create_database("elsewhere");
    session.exec("drop database elsewhere");
    assert!(began.elapsed() < FEW_SECONDS, "{:?}", began.elapsed());
    assert_eq!(session.one::<i64>(sleeps, &[&TICKER]), 1, "it still is");
}

#[test]
fn settings_of_databases_and_roles_do_not_reach_it() {
    let (_cluster, mut session, consumer) = with_consumer();
    session.exec(
        "create schema evil;
         create function evil.now() returns timestamptz language plpgsql as $$begin raise 'caught'; end$$;
         create function evil.max(bigint) returns bigint language plpgsql as $$begin raise 'caught'; end$$;
         create table evil.pg_extension (extname text, extversion text)",
    );
    for target in ["database postgres", "role postgres"] {
        for setting in [
            "default_transaction_isolation = serializable",
            "default_transaction_read_only = on",
            "default_transaction_deferrable = on",
            "search_path = evil, pg_catalog",
            "lock_timeout = 1",
            "statement_timeout = 1",
            "synchronous_commit = off",
            "session_replication_role = replica",
            "datestyle = 'sql, dmy'",
            "intervalstyle = iso_8601",
            "exit_on_error = on",
            "row_security = off",
            "quote_all_identifiers = on",
            "client_min_messages = error",
        ] {
            session.exec(&format!("alter {target} set {setting}"));
        }
    }
    let before = processes(&mut session, TICKER, Some("postgres"));
    session.exec(&format!("select pg_terminate_backend({})", before[0]));
    wait_until("another ticker", || {
        let now = processes(&mut session, TICKER, Some("postgres"));
        !now.is_empty() && now != before
    });
    wait_for_ticks(&mut session, "q");
    let sent: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    // What was inserted for the ticks is not among it.
    queue::tick_now(&mut session, "q").unwrap();
    drain(&mut session, &consumer);
    for data in &sent {
        queue::insert(&mut session, "q", "kind", data).unwrap();
    }
    all_arrive_once(&mut session, &consumer, Vec::new(), sent);
    consumer.unregister(&mut session).unwrap();
    wait_for_rotations_of(&mut session, "q");
}

#[test]
fn a_server_without_room_serves_what_it_can_and_the_others_later() {
    // The launcher and one ticker.
    let cluster =
        builder().conf("max_worker_processes", "2").conf("max_logical_replication_workers", "0").start();
    let mut first = cluster.connect("postgres");
    set_up(&mut first, &["q"]);
    wait_for_ticks(&mut first, "q");
    cluster.create_database("other");
    let mut other = cluster.connect("other");
    set_up(&mut other, &["q"]);
    cluster.wait_for_log("max_worker_processes");
    wait_for_ticks(&mut first, "q");
    assert!(processes(&mut first, TICKER, Some("other")).is_empty());
    first.exec("drop extension pgq cascade");
    wait_for_ticks(&mut other, "q");
}

#[test]
fn three_kinds_of_tickers_at_once_keep_the_order_of_snapshots() {
    const TICKS: i64 = 2000;
    let (cluster, mut session, consumer) = with_consumer();
    session.exec("update pgq.queue set queue_ticker_max_count = 1, queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'");
    let daemon = Pgqd::start(&cluster, "ticker_period = 0.01");
    let load = Load::start(&cluster, 2);
    let end = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = ["select pgq.ticker()", "select pgq.ticker()", "select pgq.ticker('q')"]
        .map(|call| {
            let end = Arc::clone(&end);
            cluster.connect("postgres").spawn(move |session| {
                while !end.load(Ordering::Relaxed) {
                    session.execute(call, &[]).unwrap();
                }
            })
        })
        .into();
    let mut got = Vec::new();
    wait_until("many ticks", || {
        // One at a time: there is no end of them.
        if let Some(batch) = consumer.next_batch(&mut session).unwrap() {
            got.extend(batch.events(&mut session).unwrap().into_iter().map(|event| event.data.unwrap()));
            batch.finish(&mut session).unwrap();
        }
        session.one::<i64>("select count(*) from pgq.tick", &[]) >= TICKS
    });
    end.store(true, Ordering::Relaxed);
    callers.into_iter().for_each(|caller| drop(caller.join()));
    all_arrive_once(&mut session, &consumer, got, load.stop());
    drop(daemon);
    // What a tick's snapshot calls running must not have been finished for the tick before it.
    let disorder: Vec<i64> = session.column(
        "select tick_id from (
             select tick_id, tick_snapshot as now, lag(tick_snapshot) over (order by tick_id) as before from pgq.tick) t
          where txid_snapshot_xmax(now) < txid_snapshot_xmax(before)
             or exists (select from txid_snapshot_xip(now) running where txid_visible_in_snapshot(running, before))",
        &[],
    );
    assert!(disorder.is_empty(), "{disorder:?}");
}

#[test]
fn it_vacuums_its_tables_where_autovacuum_does_not() {
    let (cluster, mut session, consumer) = with_consumer();
    let counts = "select count(*) from pg_stat_user_tables
                   where schemaname = 'pgq' and relname in ('tick', 'subscription', 'queue', 'retry_queue', 'consumer')
                     and vacuum_count > 1";
    let listed: Vec<String> =
        session.column("select func_arg from pgq.maint_operations() where func_name = 'vacuum'", &[]);
    for table in ["pgq.tick", "pgq.subscription"] {
        assert!(listed.iter().any(|listed| listed == table), "{listed:?}");
    }
    wait_until("all to be vacuumed twice", || session.one::<i64>(counts, &[]) >= listed.len() as i64);
    let dead =
        "select n_dead_tup from pg_stat_user_tables where schemaname = 'pgq' and relname = 'subscription'";
    for _ in 0..50 {
        queue::tick_now(&mut session, "q").unwrap();
        drain(&mut session, &consumer);
    }
    wait_until("dead rows to go", || session.one::<i64>(dead, &[]) < 50);

    let mut locker = cluster.connect("postgres");
    locker.exec("begin; lock table pgq.retry_queue in share mode");
    cluster.wait_for_log("skipping vacuum of \"retry_queue\"");
    wait_for_ticks(&mut session, "q");
}
