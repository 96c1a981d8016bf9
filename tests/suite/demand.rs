//! Ticks on demand: where a consumer has asked and got nothing, a commit brings a tick at once, and a NOTIFY with it.
//!
//! The queues' own rule would let everybody wait for an hour. What wakes the ticker anyway once a second is left on,
//! but for the hunt for a lost wake-up.

use std::io::Write;
use std::time::{Duration, Instant};

use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::{Builder, Cluster};
use pgq_tests::queue::{self, Consumer};
use postgres::fallible_iterator::FallibleIterator;

/// Far above what a busy machine needs, far below the hour and the minute after which somebody would look anyway.
const AT_ONCE: Duration = Duration::from_secs(20);

fn builder() -> Builder {
    Cluster::builder()
        .conf("autovacuum", "off")
        .conf("shared_preload_libraries", "pgq")
        .conf("pgq.retry_period", "1s")
        .conf("pgq.maint_period", "1h")
}

fn with_extension(builder: Builder) -> (Cluster, Session) {
    let cluster = builder.start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    (cluster, session)
}

/// A queue that is ticked once an hour, if nobody waits.
fn create_queue(session: &mut Session, name: &str) {
    queue::create(session, name).unwrap();
    for setting in ["ticker_max_lag", "ticker_idle_period"] {
        session.one::<i32>("select pgq.set_queue_config($1, $2, '1 hour')", &[&name, &setting]);
    }
}

/// A consumer at the end of its queue, in a session that listens to it.
struct Listener {
    session: Session,
    consumer: Consumer,
    channel: String,
}

impl Listener {
    fn new(cluster: &Cluster, queue: &str) -> Self {
        let mut session = cluster.connect("postgres");
        let consumer = Consumer::new(queue, "c");
        consumer.register(&mut session).unwrap();
        let channel: String = session.one("select pgq.queue_channel($1)", &[&queue]);
        let listen: String = session.one("select format('listen %I', $1::text)", &[&channel]);
        session.exec(&listen);
        let mut listener = Self { session, consumer, channel };
        // Whatever is still to come since the queue was made comes before this.
        let (mut got, mut told) = (listener.drain(), 0);
        insert(&mut listener.session, queue, "first");
        while !got.contains(&"first".to_owned()) || told < listener.newest_tick() {
            told = listener.hear();
            got.extend(listener.drain());
        }
        listener
    }

    /// What there is; then it waits for more.
    fn drain(&mut self) -> Vec<String> {
        let events = self.consumer.drain_all(&mut self.session).unwrap();
        events.into_iter().map(|event| event.data.unwrap()).collect()
    }

    /// The next tick that it is told of.
    #[track_caller]
    fn hear(&mut self) -> i64 {
        let told = self.session.notifications().timeout_iter(AT_ONCE).next().unwrap();
        let told = told.unwrap_or_else(|| panic!("{}: no NOTIFY within {AT_ONCE:?}", self.channel));
        assert_eq!(told.channel(), self.channel);
        told.payload().parse().unwrap()
    }

    fn newest_tick(&mut self) -> i64 {
        self.session.one(
            "select max(tick_id) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = $1",
            &[&self.consumer.queue],
        )
    }

    /// It gets this, and is told once of each tick. There may be another tick after that, which tells nothing: an event
    /// is visible an instant before it is known to be new.
    #[track_caller]
    fn gets_at_once(&mut self, expected: &[&str]) {
        let before = self.newest_tick();
        let mut got = Vec::new();
        let mut told = Vec::new();
        while got.len() < expected.len() {
            told.push(self.hear());
            got.extend(self.drain());
        }
        assert_eq!(got, expected);
        let ticks = self.session.column::<i64>(
            "select tick_id from pgq.tick join pgq.queue on queue_id = tick_queue
              where queue_name = $1 and tick_id > $2 order by tick_id",
            &[&self.consumer.queue, &before.min(told[0] - 1)],
        );
        assert!(ticks.starts_with(&told), "told of {told:?}, of {ticks:?}");
    }
}

/// Two queues with consumers that wait. What comes to the second shows that the ticker has had its chance.
fn with_listeners(builder: Builder) -> (Cluster, Session, Listener, Listener) {
    let (cluster, mut session) = with_extension(builder);
    let [first, second] = ["q", "second"].map(|name| {
        create_queue(&mut session, name);
        Listener::new(&cluster, name)
    });
    (cluster, session, first, second)
}

fn insert(session: &mut Session, queue: &str, data: &str) {
    queue::insert(session, queue, "t", data).unwrap();
}

#[test]
fn whatever_way_a_transaction_ends_its_events_come_at_once() {
    let (cluster, mut producer, mut listener, _) = with_listeners(builder());
    producer.exec(
        "create table big as select n from generate_series(1, 100000) n; analyze big;
         set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0",
    );
    let mut case = |what: &str, sql: &str, expected: &[&str]| {
        eprintln!("{what}");
        producer.exec(sql);
        listener.gets_at_once(expected);
    };
    let in_transaction = |steps: &str| {
        let steps = steps.split("; ").map(|step| match step.strip_prefix('+') {
            Some(data) => format!("select pgq.insert_event('q', 't', '{data}')"),
            None => step.to_owned(),
        });
        format!("begin; {}; commit", steps.collect::<Vec<_>>().join("; "))
    };
    case("alone", "select pgq.insert_event('q', 't', 'a')", &["a"]);
    case("in a block", &in_transaction("+a; +b"), &["a", "b"]);
    case("many", "select pgq.insert_events('q', '{t,t}', '{a,b}')", &["a", "b"]);
    case("released", &in_transaction("savepoint s; +a; release s"), &["a"]);
    case("rolled back after", &in_transaction("+a; savepoint s; +lost; rollback to s"), &["a"]);
    case("rolled back before", &in_transaction("savepoint s; +lost; rollback to s; +a"), &["a"]);
    case("nested", &in_transaction("savepoint s; savepoint t; +a; release t; +b; release s"), &["a", "b"]);
    case(
        "a caught error",
        "do $$ begin
           perform pgq.insert_event('q', 't', 'a');
           begin perform pgq.insert_event('q', 't', 'lost'); raise 'oops'; exception when others then null; end;
         end $$",
        &["a"],
    );
    case("asynchronous", &in_transaction("set local synchronous_commit = off; +a"), &["a"]);
    case("serializable", &in_transaction("set transaction isolation level serializable; +a"), &["a"]);
    case("around a parallel query", &in_transaction("+a; select sum(n) from big; +b"), &["a", "b"]);
    let plan: Vec<String> = producer.column("explain (analyze) select sum(n) from big", &[]);
    assert!(
        !plan.concat().contains("Workers Launched: 0") && plan.concat().contains("Workers Launched"),
        "{plan:?}"
    );

    eprintln!("by COPY");
    let mut transaction = producer.transaction().unwrap();
    let table: String = transaction.query_one("select pgq.current_event_table('q')", &[]).unwrap().get(0);
    let mut copy =
        transaction.copy_in(&format!("copy {table} (ev_time, ev_type, ev_data) from stdin")).unwrap();
    copy.write_all(b"now\tt\tcopied\nnow\tt\ttwice\n").unwrap();
    copy.finish().unwrap();
    transaction.commit().unwrap();
    listener.gets_at_once(&["copied", "twice"]);

    eprintln!("again after a retry, with their old ids");
    insert(&mut producer, "q", "retried");
    listener.hear();
    let batch = listener.consumer.next_batch(&mut listener.session).unwrap().unwrap();
    let event = batch.events(&mut listener.session).unwrap()[0].id;
    listener.session.exec(&format!("select pgq.event_retry({}, {event}, 0)", batch.id));
    batch.finish(&mut listener.session).unwrap();
    assert!(listener.drain().is_empty());
    listener.gets_at_once(&["retried"]);
    drop(cluster);
}

#[test]
fn what_is_rolled_back_brings_no_tick() {
    let (_cluster, mut producer, mut listener, mut second) = with_listeners(builder());
    let mut the_ticker_goes_round_twice = |producer: &mut Session| {
        for data in ["once", "twice"] {
            insert(producer, "second", data);
            second.gets_at_once(&[data]);
        }
    };
    the_ticker_goes_round_twice(&mut producer);
    assert!(listener.drain().is_empty());
    let before = listener.newest_tick();

    producer.exec("begin; select pgq.insert_event('q', 't', 'lost'); rollback");
    producer.exec("begin; select pgq.insert_event('q', 't', 'lost'); prepare transaction 'lost'");
    producer.exec("rollback prepared 'lost'");
    the_ticker_goes_round_twice(&mut producer);
    assert_eq!(listener.newest_tick(), before);
}

#[test]
fn prepared_transactions_count_when_they_are_committed() {
    let (mut cluster, mut producer, mut listener, mut second) = with_listeners(builder());
    producer.exec("begin; select pgq.insert_event('q', 't', 'a'); prepare transaction 'a'");
    producer.exec("begin; select pgq.insert_event('q', 't', 'b'); prepare transaction 'b'");
    insert(&mut producer, "second", "meanwhile");
    second.gets_at_once(&["meanwhile"]);
    assert!(listener.drain().is_empty(), "not yet");
    cluster.connect("postgres").exec("commit prepared 'a'");
    listener.gets_at_once(&["a"]);

    cluster.restart();
    let mut listener = Listener::new(&cluster, "q");
    cluster.connect("postgres").exec("commit prepared 'b'");
    listener.gets_at_once(&["b"]);
}

#[test]
fn each_queue_of_a_transaction_is_ticked_and_none_where_nobody_waits() {
    let (cluster, mut producer, mut first, mut second) = with_listeners(builder());
    create_queue(&mut producer, "lonely");
    let consumer = Consumer::new("lonely", "who never asked");
    consumer.register(&mut producer).unwrap();
    let ticks =
        "select count(*) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = 'lonely'";
    let before: i64 = producer.one(ticks, &[]);
    for round in ["1", "2", "3"] {
        producer.exec(&format!(
            "select pgq.insert_event(name, 't', '{round}') from unnest('{{q,second,lonely}}'::text[]) name"
        ));
        first.gets_at_once(&[round]);
        second.gets_at_once(&[round]);
    }
    assert_eq!(producer.one::<i64>(ticks, &[]), before, "batches grow where nobody is in a hurry");
    assert_eq!(poll(&mut cluster.connect("postgres"), &consumer, 3), ["1", "2", "3"], "once it asks");
}

/// As old programs do: ask, sleep, ask again.
fn poll(session: &mut Session, consumer: &Consumer, count: usize) -> Vec<String> {
    let began = Instant::now();
    let mut got = Vec::new();
    wait_until("the events", || {
        let events = consumer.drain_all(session).unwrap();
        got.extend(events.into_iter().map(|event| event.data.unwrap()));
        got.len() >= count
    });
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    got
}

#[test]
fn who_wishes_for_big_batches_is_in_no_hurry() {
    let (_cluster, mut producer, mut listener, mut second) = with_listeners(builder());
    // What it has finished may bring one more tick.
    insert(&mut producer, "q", "one");
    listener.gets_at_once(&["one"]);
    let wishes = "select batch_id from pgq.next_batch_custom('q', 'c', null, 1000, null)";
    wait_until("nothing of that size", || {
        listener.drain();
        listener.session.one::<Option<i64>>(wishes, &[]).is_none()
    });
    insert(&mut producer, "q", "after the last batch was finished");
    wait_until("the tick for that", || {
        listener.session.one::<i64>("select count(*) from pgq.tick where tick_event_seq >= 3", &[]) > 0
    });
    let before = listener.newest_tick();
    for _ in 0..20 {
        insert(&mut producer, "q", "more");
        assert!(listener.session.one::<Option<i64>>(wishes, &[]).is_none());
    }
    insert(&mut producer, "second", "now");
    second.gets_at_once(&["now"]);
    assert_eq!(listener.newest_tick(), before);
}

#[test]
fn who_polls_profits_too() {
    let (cluster, mut producer) = with_extension(builder());
    create_queue(&mut producer, "q");
    let consumer = Consumer::new("q", "c");
    let mut session = cluster.connect("postgres");
    consumer.register(&mut session).unwrap();
    for data in ["a", "b", "c"] {
        assert!(consumer.drain_all(&mut session).unwrap().is_empty());
        insert(&mut producer, "q", data);
        assert_eq!(poll(&mut session, &consumer, 1), [data]);
    }
}

#[test]
fn an_event_that_took_its_id_before_the_newest_tick_comes_at_once() {
    let (cluster, mut producer, mut listener, _) = with_listeners(builder());
    let mut slow = cluster.connect("postgres");
    slow.exec("begin; select pgq.insert_event('q', 't', 'early')");
    insert(&mut producer, "q", "later");
    listener.gets_at_once(&["later"]);
    slow.exec("commit");
    listener.gets_at_once(&["early"]);
}

#[test]
fn commits_while_no_ticker_is_there_are_not_forgotten() {
    let (cluster, mut producer, mut listener, _) = with_listeners(builder());
    producer.exec("alter system set pgq.ticker = off");
    producer.exec("select pg_reload_conf()");
    let ticker = "select count(*) from pg_stat_activity where backend_type = 'pgq ticker'";
    wait_until("the ticker to leave", || producer.one::<i64>(ticker, &[]) == 0);
    insert(&mut producer, "q", "in the night");
    producer.exec("alter system set pgq.ticker = on");
    producer.exec("select pg_reload_conf()");
    listener.gets_at_once(&["in the night"]);

    // The ticker has taken note of the event and is ended before its tick is made.
    let mut locker = cluster.connect("postgres");
    locker.exec("begin; lock table pgq.tick in share mode");
    insert(&mut producer, "q", "in between");
    let blocked =
        "select pid from pg_stat_activity where backend_type = 'pgq ticker' and wait_event_type = 'Lock'";
    wait_until("the ticker to be in the midst", || !producer.column::<i32>(blocked, &[]).is_empty());
    producer.exec("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'pgq ticker'");
    wait_until("another ticker", || producer.column::<i32>(blocked, &[]).is_empty());
    locker.exec("commit");
    listener.gets_at_once(&["in between"]);

    // By a way that tells nobody: it is found by a look at the tables, as every ticker begins with one.
    let table: String = producer.one("select pgq.current_event_table('q')", &[]);
    producer
        .exec(&format!("insert into {table} (ev_time, ev_type, ev_data) values (now(), 't', 'secretly')"));
    producer.exec("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'pgq ticker'");
    listener.gets_at_once(&["secretly"]);
}

#[test]
fn who_waits_for_a_locked_queue_gets_the_tick_after_all() {
    let (cluster, mut producer, mut listener, _) = with_listeners(builder());
    let mut locker = cluster.connect("postgres");
    locker.exec("begin; lock table pgq.tick in share mode");
    insert(&mut producer, "q", "patience");
    // It goes on asking: an empty tick may have come since it did, and then nobody waits.
    wait_until("the tick to fail", || {
        assert_eq!(listener.drain(), [""; 0]);
        cluster.log().contains("tick of queue \"q\" failed")
    });
    locker.exec("commit");
    listener.gets_at_once(&["patience"]);
}

#[test]
fn a_crash_forgets_nobody_who_asks_again() {
    let (cluster, mut producer, mut listener, _) = with_listeners(builder());
    let mut locker = cluster.connect("postgres");
    locker.exec("begin; lock table pgq.tick in share mode");
    insert(&mut producer, "q", "before the crash");
    let began = Instant::now();
    let victim = nix::unistd::Pid::from_raw(locker.pid());
    nix::sys::signal::kill(victim, nix::sys::signal::Signal::SIGKILL).unwrap();
    wait_until("the server to notice", || {
        listener.session.is_closed() || listener.session.simple_query("").is_err()
    });
    wait_until("the server to recover", || cluster.try_connect("postgres").is_ok());
    let mut session = cluster.connect("postgres");
    assert_eq!(poll(&mut session, &listener.consumer, 1), ["before the crash"]);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[test]
fn every_name_has_a_channel() {
    let (cluster, mut producer) = with_extension(builder());
    let names = [
        String::new(),
        "Mixed Case".to_owned(),
        "it's a \"name\"; -- $1 %I \\".to_owned(),
        "žluťoučký kůň 馬".to_owned(),
        "x".repeat(59),
        "x".repeat(60),
        "x".repeat(63),
        "x".repeat(64),
        "馬".repeat(40),
        format!("{}y", "x".repeat(199)),
        format!("{}z", "x".repeat(199)),
    ];
    let mut listeners: Vec<Listener> = Vec::new();
    for name in &names {
        create_queue(&mut producer, name);
        listeners.push(Listener::new(&cluster, name));
    }
    for (name, listener) in names.iter().zip(&mut listeners) {
        assert!(listener.channel.len() <= 63, "{}", listener.channel);
        insert(&mut producer, name, name);
        listener.gets_at_once(&[name]);
    }
    let mut channels: Vec<_> = listeners.iter().map(|listener| &listener.channel).collect();
    channels.sort_unstable();
    channels.dedup();
    assert_eq!(channels.len(), names.len());
}

#[test]
fn queues_that_share_a_mark_are_both_ticked() {
    let (cluster, mut producer) = with_extension(builder());
    create_queue(&mut producer, "q");
    producer.exec("select setval('pgq.queue_queue_id_seq', 1024 + queue_id - 1) from pgq.queue");
    create_queue(&mut producer, "twin");
    let marks = producer.column::<i32>("select distinct queue_id % 1024 from pgq.queue", &[]);
    assert_eq!(marks, [1]);
    let mut listeners = ["q", "twin"].map(|name| Listener::new(&cluster, name));
    for (name, listener) in ["q", "twin"].iter().zip(&mut listeners) {
        // The other one may get a tick too, so only what is received counts.
        insert(&mut producer, name, "a");
        let mut got = Vec::new();
        while got.is_empty() {
            listener.hear();
            got.extend(listener.drain());
        }
        assert_eq!(got, ["a"]);
    }
}

#[test]
fn a_dropped_database_takes_nobodys_place_along() {
    let (cluster, mut session) = with_extension(builder());
    // They would sit at the same place in shared memory, so the second sits beside it.
    session.exec("create database other oid 30000");
    session.exec("create database postgres2 oid 30256");
    for name in ["other", "postgres2"] {
        cluster.connect(name).exec("create extension pgq; select pgq.create_queue('q')");
    }
    let mut producer = cluster.connect("postgres2");
    create_queue(&mut producer, "q");
    session.exec("drop database other");
    cluster.create_database("next");
    cluster.connect("next").exec("create extension pgq");
    let served =
        "select count(*) from pg_stat_activity where backend_type = 'pgq ticker' and datname = 'next'";
    wait_until("the launcher to have looked at the databases", || session.one::<i64>(served, &[]) == 1);

    let consumer = Consumer::new("q", "c");
    let mut newcomer = cluster.connect("postgres2");
    consumer.register(&mut newcomer).unwrap();
    consumer.drain_all(&mut newcomer).unwrap();
    insert(&mut producer, "q", "a");
    assert_eq!(poll(&mut newcomer, &consumer, 1), ["a"]);
}

#[test]
fn no_wake_up_is_ever_lost() {
    const EVENTS: usize = 20_000;
    // Nothing comes to the rescue: everybody's next look is an hour away.
    let quiet = builder()
        .conf("synchronous_commit", "off")
        .conf("pgq.ticker_period", "1h")
        .conf("pgq.retry_period", "1h");
    let (cluster, mut session) = with_extension(quiet);
    create_queue(&mut session, "q");
    let mut listener = Listener::new(&cluster, "q");
    let producer = cluster.connect("postgres").spawn(|session| {
        let insert = session.prepare("select pgq.insert_event('q', 't', $1)").unwrap();
        for number in 0..EVENTS {
            session.execute(&insert, &[&number.to_string()]).unwrap();
            // The end of a burst is where a wake-up would be missed.
            if number % 10 == 0 {
                std::thread::sleep(Duration::from_micros(fastrand::u64(..1500)));
            }
        }
    });
    let mut got = Vec::new();
    while got.len() < EVENTS {
        listener.hear();
        got.extend(listener.drain());
    }
    producer.join();
    assert!(got.iter().map(|data| data.parse::<usize>().unwrap()).eq(0..EVENTS), "each once, in order");
}

#[test]
fn a_full_queue_of_notifications_stops_no_tick() {
    if pgq_tests::server::Server::ours().major() < 17 {
        eprintln!("skipped: before PostgreSQL 17 it takes 8 GB to fill it");
        return;
    }
    let (cluster, mut session) = with_extension(builder().conf("max_notify_queue_pages", "64"));
    create_queue(&mut session, "q");
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    assert!(consumer.drain_all(&mut session).unwrap().is_empty());
    let mut sleeper = cluster.connect("postgres");
    sleeper.exec("listen anything");
    sleeper.exec("begin");
    let flood = "select pg_notify('anything', repeat('x', 7000) || n) from generate_series(1, 10) n";
    while session.batch_execute(flood).is_ok() {}
    while session.batch_execute("notify anything, 'a little'").is_ok() {}

    insert(&mut session, "q", "a");
    assert_eq!(poll(&mut session, &consumer, 1), ["a"]);
    insert(&mut session, "q", "b");
    session.exec("select pgq.force_tick('q'), pgq.ticker('q')");
    assert_eq!(poll(&mut session, &consumer, 1), ["b"]);
    assert!(!cluster.log().contains("pgq ticker postgres: "), "{}", cluster.log());
    sleeper.exec("commit");
    let mut listener = Listener::new(&cluster, "q");
    insert(&mut session, "q", "c");
    listener.gets_at_once(&["c"]);
}

#[test]
fn a_notification_that_waits_for_a_standby_fails_no_tick() {
    let (cluster, mut session) = with_extension(
        builder()
            .conf("wal_level", "replica")
            .conf("max_wal_senders", "2")
            .conf("synchronous_commit", "local")
            .conf("synchronous_standby_names", "nobody"),
    );
    create_queue(&mut session, "q");
    let before: i64 = session.one("select max(tick_id) from pgq.tick", &[]);
    // Holds the server's lock on notifications until it is cancelled.
    let stuck = cluster.connect("postgres");
    let stuck = stuck
        .spawn(|session| session.exec("set synchronous_commit = on; create table t (); notify somebody"));
    wait_until("the notification waits", || {
        session.one("select count(*) > 0 from pg_stat_activity where wait_event = 'SyncRep'", &[])
    });
    session.exec("select pgq.force_tick('q')");
    wait_until("the tick waits for longer than for a lock on the queue", || {
        session.one(
            "select count(*) > 0 from pg_stat_activity
              where backend_type = 'pgq ticker' and wait_event_type = 'Lock'
                and xact_start < clock_timestamp() - interval '1 second'",
            &[],
        )
    });
    session.one::<bool>("select pg_cancel_backend($1)", &[&stuck.pid()]);
    stuck.join();
    wait_until("the tick is taken", || session.one::<i64>("select max(tick_id) from pgq.tick", &[]) > before);
    assert_eq!(session.one::<i64>("select errors from pgq.stat_queues", &[]), 0);
}
