//! Ticks without anybody's doing: the ticker in the server, what it survives, and the original's daemon in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::{Builder, Cluster};
use pgq_tests::pgqd::Pgqd;
use pgq_tests::queue::{self, Batch, Consumer};

const LAUNCHER: &str = "pgq launcher";
pub const TICKER: &str = "pgq ticker";

/// Above what a healthy server needs on a busy machine, below `pgq.check_period`.
pub const FEW_SECONDS: Duration = Duration::from_secs(15);

pub fn builder() -> Builder {
    Cluster::builder()
        .conf("autovacuum", "off")
        .conf("shared_preload_libraries", "pgq")
        .conf("pgq.ticker_period", "50ms")
        .conf("pgq.maint_period", "1s")
        .conf("pgq.retry_period", "1s")
}

/// The extension, and these queues, which are ticked several times a second.
pub fn set_up(session: &mut Session, queues: &[&str]) {
    session.exec("create extension if not exists pgq");
    for name in queues {
        queue::create(session, name).unwrap();
        set(session, name, "ticker_max_lag", "20 milliseconds");
        set(session, name, "ticker_idle_period", "200 milliseconds");
    }
}

fn set(session: &mut Session, queue: &str, name: &str, value: &str) {
    session.exec(&format!("select pgq.set_queue_config('{queue}', '{name}', '{value}')"));
}

/// The newest tick; 0 if there is none.
fn newest(session: &mut Session, queue: &str) -> i64 {
    session.one(
        "select coalesce(max(t.tick_id), 0) from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
          where q.queue_name = $1",
        &[&queue],
    )
}

/// A queue without events rests, so each tick takes one.
pub fn wait_for_ticks(session: &mut Session, queue: &str) {
    for _ in 0..2 {
        let before = newest(session, queue);
        queue::insert(session, queue, "kind", "to be ticked").unwrap();
        wait_until(&format!("a tick of {queue}"), || newest(session, queue) > before);
    }
}

/// The processes of this kind, in this database or, for NULL, in none.
pub fn processes(session: &mut Session, kind: &str, database: Option<&str>) -> Vec<i32> {
    session.column(
        "select pid from pg_stat_activity where backend_type = $1 and datname is not distinct from $2",
        &[&kind, &database],
    )
}

/// Watches that a condition goes on to hold for a while.
#[track_caller]
fn stays(what: &str, how_long: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while began.elapsed() < how_long {
        assert!(condition(), "{what}, until {:?} had passed", began.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The next so many events of a consumer, batch by batch; whatever else its batches bring, too.
fn receive(session: &mut Session, consumer: &Consumer, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    wait_until(&format!("{count} events for {}", consumer.name), || {
        let events = consumer.drain_all(session).unwrap();
        got.extend(events.into_iter().map(|event| event.data.unwrap()));
        got.len() >= count
    });
    got
}

fn insert_numbers(session: &mut Session, numbers: std::ops::Range<i32>) -> Vec<String> {
    numbers
        .map(|n| {
            queue::insert(session, "q", "kind", &n.to_string()).unwrap();
            n.to_string()
        })
        .collect()
}

fn switched(session: &mut Session, queue: &str) -> String {
    session.one("select queue_switch_time::text from pgq.queue where queue_name = $1", &[&queue])
}

pub fn wait_for_rotations(session: &mut Session, queue: &str) {
    for _ in 0..2 {
        let before = switched(session, queue);
        // Empty tables do not rotate.
        queue::insert(session, queue, "kind", "in the way").unwrap();
        wait_until(&format!("{queue} to rotate"), || switched(session, queue) != before);
    }
}

#[test]
fn events_retries_and_rotation_come_by_themselves() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    set(&mut session, "q", "rotation_period", "0");
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    let sent = insert_numbers(&mut session, 0..10);

    let mut batches: Vec<Batch> = Vec::new();
    let mut got = Vec::new();
    wait_until("the events", || {
        if let Some(batch) = consumer.next_batch(&mut session).unwrap() {
            for event in batch.events(&mut session).unwrap() {
                if event.data.as_deref() == Some("3") {
                    let retry = "select pgq.event_retry($1, $2, 0)";
                    assert_eq!(session.one::<i32>(retry, &[&batch.id, &event.id]), 1);
                }
                got.push(event.data.unwrap());
            }
            batch.finish(&mut session).unwrap();
            batches.push(batch);
        }
        got.len() >= 10
    });
    assert_eq!(got[..10], sent);
    let mut again = Vec::new();
    wait_until("the retried event", || {
        again.extend(consumer.drain_all(&mut session).unwrap());
        !again.is_empty()
    });
    assert_eq!((again[0].data.as_deref(), again[0].retry), (Some("3"), Some(1)));
    assert!(batches.windows(2).all(|pair| pair[0].tick == pair[1].prev_tick));

    for _ in 0..2 {
        let before = switched(&mut session, "q");
        wait_until("a rotation", || {
            consumer.drain_all(&mut session).unwrap();
            switched(&mut session, "q") != before
        });
    }
}

#[test]
fn databases_come_and_go() {
    let cluster = builder().start();
    let mut monitor = cluster.connect("postgres");
    for name in ["one", "two"] {
        cluster.create_database(name);
        let mut session = cluster.connect(name);
        let began = Instant::now();
        set_up(&mut session, &["q"]);
        wait_for_ticks(&mut session, "q");
        assert!(began.elapsed() < FEW_SECONDS, "{name}: {:?}", began.elapsed());
    }
    let mut one = cluster.connect("one");

    one.exec("drop extension pgq cascade");
    wait_until("the ticker to leave", || processes(&mut monitor, TICKER, Some("one")).is_empty());
    let began = Instant::now();
    set_up(&mut one, &["q"]);
    wait_for_ticks(&mut one, "q");
    assert!(began.elapsed() < FEW_SECONDS, "{:?}", began.elapsed());
    // At once, under the ticker's feet.
    one.exec("drop extension pgq cascade");
    set_up(&mut one, &["q", "other"]);
    wait_for_ticks(&mut one, "other");

    assert_eq!(processes(&mut monitor, TICKER, Some("two")).len(), 1);
    monitor.exec("drop database two");
    wait_for_ticks(&mut one, "q");
    assert_eq!(processes(&mut monitor, TICKER, Some("one")).len(), 1);
}

#[test]
fn only_the_owner_of_a_database_sends_its_ticker_away_and_it_leaves_quietly() {
    let cluster = builder().start();
    cluster.create_database("other");
    let mut session = cluster.connect("other");
    set_up(&mut session, &["q"]);
    wait_for_ticks(&mut session, "q");
    drop(session);
    let mut monitor = cluster.connect("postgres");
    monitor.exec("create role stranger login createdb");
    let before = processes(&mut monitor, TICKER, Some("other"));
    let mut stranger = cluster.connect_as("postgres", "stranger");
    for command in [
        "drop database other",
        "alter database other rename to mine",
        "alter database other set tablespace pg_default",
        "create database mine template other",
    ] {
        assert_eq!(stranger.error(command).code, "42501", "{command}");
    }
    assert_eq!(processes(&mut monitor, TICKER, Some("other")), before);
    monitor.exec("drop database other");
    let log = cluster.log();
    assert!(!log.contains("terminating background worker"), "{log}");
}

#[test]
fn terminated_processes_come_back() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    wait_for_ticks(&mut session, "q");
    for (kind, database) in [(TICKER, Some("postgres")), (LAUNCHER, None)] {
        let before = processes(&mut session, kind, database);
        assert_eq!(before.len(), 1, "{kind}");
        assert!(session.one::<bool>("select pg_terminate_backend($1)", &[&before[0]]));
        wait_until(&format!("another {kind}"), || {
            let now = processes(&mut session, kind, database);
            now.len() == 1 && now != before
        });
        wait_until("its ticker", || processes(&mut session, TICKER, Some("postgres")).len() == 1);
        wait_for_ticks(&mut session, "q");
    }
}

#[test]
fn a_broken_queue_or_function_stops_nothing_else() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["a", "b", "c"]);
    session.exec("alter sequence pgq.event_2_tick_seq rename to lost");
    queue::insert(&mut session, "b", "kind", "waits").unwrap();
    cluster.wait_for_log("tick of queue \"b\" failed");
    let broken = newest(&mut session, "b");
    for name in ["a", "c"] {
        wait_for_ticks(&mut session, name);
    }
    assert_eq!(newest(&mut session, "b"), broken);

    session.exec(
        "create table seen (who text, outcome text); grant insert on seen to pgq_admin;
         create function bad(text) returns int language plpgsql as $$begin raise 'on purpose'; end$$;
         create function spy(text) returns int language plpgsql as $$
           declare outcome text := 'got out';
           begin
             begin
               reset role;
             exception when others then
               outcome := sqlstate;
             end;
             insert into public.seen values (current_user, outcome);
             return 0;
           end$$;
         update pgq.queue set queue_rotation_period = '0', queue_extra_maint = '{public.bad,public.spy}'
          where queue_name in ('a', 'c')",
    );
    cluster.wait_for_log("on purpose");
    for name in ["a", "c"] {
        wait_for_rotations(&mut session, name);
    }
    let seen = "select distinct who || ' ' || outcome from seen";
    wait_until("the second function", || !session.column::<String>(seen, &[]).is_empty());
    // 42501: insufficient_privilege, "cannot set parameter "role" within security-restricted operation".
    assert_eq!(session.column::<String>(seen, &[]), ["pgq_admin 42501"]);
}

#[test]
fn a_session_that_sleeps_in_its_transaction_stops_no_other_queue() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["a", "b"]);
    session.exec(
        "create extension pgq_node;
         select pgq_node.register_location('a', 'here', 'dbname=here', false),
                pgq_node.register_location('a', 'there', 'dbname=there', false),
                pgq_node.create_node('a', 'root', 'here', 'here_worker', null, null, null),
                pgq.register_consumer('a', 'c')",
    );
    wait_for_ticks(&mut session, "a");
    let watermark_is_old =
        "update pgq.tick t set tick_time = now() - interval '1 hour' from pgq.subscription s
                             where t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick";
    let event_comes_back = "insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner)
                            select now(), sub_queue, 1, now(), sub_id from pgq.subscription
                             where sub_consumer = (select co_id from pgq.consumer where co_name = 'c')";
    for (before, sleeper) in [
        (watermark_is_old, "select pgq_node.register_subscriber('a', 'there', 'there_worker', null)"),
        (event_comes_back, "lock table pgq.event_1 in exclusive mode"),
        ("", "select pgq_node.drop_node('a', 'here')"),
    ] {
        let mut other = cluster.connect("postgres");
        other.exec(&format!("begin; {sleeper}"));
        session.exec(before);
        let mut rounds = || -> i64 { session.one("select maint_rounds from pgq.stat_tickers", &[]) };
        let before = rounds();
        wait_until(&format!("maintenance in spite of {sleeper}"), || rounds() > before + 2);
        wait_for_ticks(&mut session, "b");
    }
    wait_for_ticks(&mut session, "a");
}

#[test]
fn a_role_that_cannot_do_the_chores_stops_no_tick() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    session.exec("create role powerless");
    for (role, complaint) in
        [("nosuch", "pgq.role: role \"nosuch\" does not exist"), ("powerless", "permission denied")]
    {
        session.exec(&format!("alter system set pgq.role = {role}"));
        session.exec("select pg_reload_conf()");
        cluster.wait_for_log(complaint);
        wait_for_ticks(&mut session, "q");
    }
    session.exec("alter system reset pgq.role");
    session.exec("select pg_reload_conf()");
    cluster.wait_for_log("pgq.maint_retry_events() works again");
}

#[test]
fn switched_off_and_on() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    wait_for_ticks(&mut session, "q");
    session.exec("alter system set pgq.ticker = off");
    session.exec("select pg_reload_conf()");
    wait_until("the ticker to leave", || processes(&mut session, TICKER, Some("postgres")).is_empty());
    let last = newest(&mut session, "q");
    queue::insert(&mut session, "q", "kind", "waits").unwrap();
    stays("no tick", Duration::from_millis(2500), || newest(&mut session, "q") == last);
    session.exec("alter system set pgq.ticker = on");
    session.exec("select pg_reload_conf()");
    wait_for_ticks(&mut session, "q");
}

#[test]
fn a_crash_under_load_loses_no_committed_event() {
    let mut cluster = builder().durable().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..4)
        .map(|producer| {
            let end = Arc::clone(&end);
            cluster.connect("postgres").spawn(move |session| {
                let mut committed = Vec::new();
                while !end.load(Ordering::Relaxed) {
                    let name = format!("{producer}:{}", committed.len());
                    if queue::insert(session, "q", "kind", &name).is_err() {
                        break;
                    }
                    committed.push(name);
                }
                committed
            })
        })
        .collect();
    let mut got = receive(&mut session, &consumer, 500);
    cluster.kill9();
    end.store(true, Ordering::Relaxed);
    let committed: Vec<String> = producers.into_iter().flat_map(|producer| producer.join().1).collect();

    cluster.start_again();
    let mut session = cluster.connect("postgres");
    queue::insert(&mut session, "q", "kind", "last").unwrap();
    while got.last().is_none_or(|last| last != "last") {
        got.extend(receive(&mut session, &consumer, 1));
    }
    let count = got.len();
    got.sort_unstable();
    got.dedup();
    assert_eq!(got.len(), count, "each event once");
    let lost: Vec<_> = committed.iter().filter(|name| got.binary_search(name).is_err()).collect();
    assert!(lost.is_empty(), "of {}: {lost:?}", committed.len());
    // An insert whose answer was lost may have committed: one a producer at most.
    assert!(got.len() <= committed.len() + 1 + 4);
}

#[test]
fn ticks_and_batch_ids_survive_where_other_commits_may_not() {
    let mut cluster = builder()
        .conf("pgq.ticker", "off")
        .conf("synchronous_commit", "off")
        .conf("wal_writer_delay", "10s")
        .start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    let [first, second] = ["first", "second"].map(|name| Consumer::new("q", name));
    first.register(&mut session).unwrap();
    second.register(&mut session).unwrap();
    insert_numbers(&mut session, 0..3);
    let tick = queue::tick_now(&mut session, "q").unwrap();
    let row = format!("select tick_snapshot::text || ' ' || tick_time from pgq.tick where tick_id = {tick}");
    let stored: String = session.one(&row, &[]);
    // Somebody who stores results under this id must never see it again with other contents.
    let batch = first.next_batch(&mut session).unwrap().unwrap();
    cluster.kill9();

    cluster.start_again();
    let mut session = cluster.connect("postgres");
    assert_eq!(session.column::<String>(&row, &[]), [stored]);
    assert_eq!(newest(&mut session, "q"), tick);
    insert_numbers(&mut session, 3..6);
    assert!(queue::tick_now(&mut session, "q").unwrap() > tick);
    let others = second.next_batch(&mut session).unwrap().unwrap();
    assert!(others.id > batch.id, "{others:?} after {batch:?}");
    let again = first.next_batch(&mut session).unwrap().unwrap();
    assert!(again == batch || again.id > batch.id, "{again:?} after {batch:?}");
    let data = first.drain_all(&mut session).unwrap().into_iter().map(|event| event.data.unwrap());
    assert_eq!(data.collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_standby_is_quiet_and_ticks_once_it_is_promoted() {
    let cluster = builder().start();
    let mut primary = cluster.connect("postgres");
    set_up(&mut primary, &["q"]);
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut primary).unwrap();
    insert_numbers(&mut primary, 0..1);
    wait_for_ticks(&mut primary, "q");

    let standby = cluster.standby();
    let mut session = standby.connect("postgres");
    for kind in [LAUNCHER, TICKER] {
        let count: i64 =
            session.one("select count(*) from pg_stat_activity where backend_type = $1", &[&kind]);
        assert_eq!(count, 0, "{kind}");
    }
    let queues = session.column::<String>("select queue_name from pgq.get_queue_info()", &[]);
    assert_eq!(queues, ["q"]);
    let consumers = session.column::<String>("select consumer_name from pgq.get_consumer_info()", &[]);
    assert_eq!(consumers, ["c"]);
    assert_eq!(session.error("select pgq.insert_event('q', 'kind', 'refused')").code, "25006");
    assert!(!standby.log().contains("PANIC") && !standby.log().contains(TICKER), "{}", standby.log());

    let postmaster = standby.postmaster();
    standby.promote();
    wait_for_ticks(&mut session, "q");
    insert_numbers(&mut session, 1..2);
    let got = receive(&mut session, &consumer, 6);
    assert_eq!((got[0].as_str(), got[5].as_str()), ("0", "1"), "{got:?}");
    assert_eq!(standby.postmaster(), postmaster);
}

#[test]
fn an_idle_database_stays_idle() {
    // Autovacuum off would mean that maintenance vacuums; so it is on, and never comes.
    let cluster = builder().conf("autovacuum", "on").conf("autovacuum_naptime", "1d").start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["paused", "calm"]);
    set(&mut session, "paused", "ticker_paused", "true");
    let consumer = Consumer::new("calm", "c");
    consumer.register(&mut session).unwrap();
    queue::insert(&mut session, "calm", "kind", "the last").unwrap();
    receive(&mut session, &consumer, 1);
    let next_xid = |session: &mut Session| -> String {
        session.one("select pg_snapshot_xmax(pg_current_snapshot())::text", &[])
    };
    // Whatever was under way has ended when the transaction ids have stood still for a round of maintenance.
    let (mut seen, mut since) = (next_xid(&mut session), Instant::now());
    wait_until("a moment of rest", || {
        let now = next_xid(&mut session);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(1200)
    });

    let (mut looks, mut busy) = (0, 0);
    stays("no transaction id is used", Duration::from_secs(2), || {
        assert!(consumer.next_batch(&mut session).unwrap().is_none());
        looks += 1;
        busy += session.one::<i64>(
            "select count(*) from pg_stat_activity
              where backend_type like 'pgq %' and (backend_xmin is not null or backend_xid is not null)",
            &[],
        );
        next_xid(&mut session) == seen
    });
    assert_eq!(processes(&mut session, TICKER, Some("postgres")).len(), 1);
    // It holds a snapshot only while it looks.
    assert!(busy * 4 < looks, "{busy} of {looks} looks found a snapshot held");
}

/// The daemon, in as much of a hurry as our ticker is here.
fn pgqd(cluster: &Cluster) -> Option<Pgqd> {
    Pgqd::start(cluster, "ticker_period = 0.05\ncheck_period = 1\nretry_period = 1\nmaint_period = 1")
}

/// A consumer gets 300 events in order, one of them again after a retry, and the queue rotates meanwhile.
fn events_flow(session: &mut Session) {
    let consumer = Consumer::new("q", "c");
    set(session, "q", "rotation_period", "0");
    consumer.register(session).unwrap();
    let sent = insert_numbers(session, 0..300);
    assert_eq!(receive(session, &consumer, 300), sent);

    queue::insert(session, "q", "kind", "again").unwrap();
    let mut open = None;
    wait_until("the event to put off", || {
        open = consumer.next_batch(session).unwrap();
        let Some(batch) = open else { return false };
        let events = batch.events(session).unwrap();
        for event in &events {
            session.exec(&format!("select pgq.event_retry({}, {}, 0)", batch.id, event.id));
        }
        batch.finish(session).unwrap();
        !events.is_empty()
    });
    assert_eq!(receive(session, &consumer, 1), ["again"]);

    let before = switched(session, "q");
    wait_until("a rotation", || {
        assert!(consumer.drain_all(session).unwrap().is_empty(), "each event once");
        switched(session, "q") != before
    });
}

#[test]
fn the_originals_daemon_serves_a_server_without_ours() {
    let cluster = Cluster::builder().conf("autovacuum", "off").start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    let Some(_daemon) = pgqd(&cluster) else { return };
    events_flow(&mut session);
    assert!(processes(&mut session, TICKER, Some("postgres")).is_empty());
}

#[test]
fn the_originals_daemon_beside_our_ticker_does_no_harm() {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    set_up(&mut session, &["q"]);
    let Some(_daemon) = pgqd(&cluster) else { return };
    // Its sessions are ordinary ones.
    wait_until("both to be there", || {
        let daemons: i64 = session.one(
            "select count(*) from pg_stat_activity
              where backend_type = 'client backend' and pid <> pg_backend_pid() and datname = 'postgres'",
            &[],
        );
        daemons > 0 && processes(&mut session, TICKER, Some("postgres")).len() == 1
    });
    events_flow(&mut session);
    let failures: Vec<String> =
        cluster.log().lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
