//! Consumers whose position is the queue's own: what reaches a handler, and what survives a crash at any step.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, create, insert, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};
use skytools::script::{Script, Stop};
use skytools::{Error, Result};

use crate::kit::{Break, Breaker, Proxy, Side, Worker, Workplace, config, conninfo, servers};

/// A database with the queue `orders` and its consumer `worker`.
fn scene(server: &Server, label: &str) -> (Database, Session) {
    let database = Database::fresh_on(server, label);
    let mut session = database.connect();
    create(&mut session, "orders").unwrap();
    worker().register(&mut session).unwrap();
    (database, session)
}

fn worker() -> queue::Consumer {
    queue::Consumer::new("orders", "worker")
}

fn insert_many(session: &mut Session, data: &[&str]) {
    data.iter().for_each(|data| _ = insert(session, "orders", "new", data).unwrap());
    tick_now(session, "orders").unwrap();
}

/// The newest tick.
fn top(session: &mut Session) -> i64 {
    session.one("select max(tick_id) from pgq.tick", &[])
}

fn wait_until_at_top(session: &mut Session) {
    let top = top(session);
    wait_until("the consumer at the newest tick", || worker().position(session).unwrap() == top);
}

/// Remembers what it sees.
#[derive(Clone, Default)]
struct Sees(Arc<Mutex<Vec<String>>>);

impl Sees {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Handler for Sees {
    async fn event(&mut self, event: &Event, _batch: &mut Batch) -> Result<Verdict> {
        self.0.lock().unwrap().push(event.data().unwrap_or("").to_owned());
        Ok(Verdict::Done)
    }
}

fn see(database: &Database, pairs: &[(&str, &str)]) -> (Sees, Worker) {
    see_at(&conninfo(database), pairs)
}

fn see_at(source: &str, pairs: &[(&str, &str)]) -> (Sees, Worker) {
    let sees = Sees::default();
    let handler = sees.clone();
    let config = config(source, pairs);
    (sees, Worker::start(config, |script| Consumer::new(script, "src_db", handler)))
}

#[test]
fn events_come_in_order_however_they_are_read() {
    for server in servers() {
        let (database, mut session) = scene(&server, "order");
        let expected: Vec<String> = (0..25).map(|number| number.to_string()).collect();
        for (lazy, autocommit) in [("1", "0"), ("10", "0"), ("300", "0"), ("0", "0"), ("0", "1")] {
            insert_many(&mut session, &expected.iter().map(String::as_str).collect::<Vec<_>>());
            let keys = [("queue_name", "orders"), ("pgq_lazy_fetch", lazy), ("pgq_autocommit", autocommit)];
            let (sees, _worker) = see(&database, &keys);
            wait_until("all events", || sees.all().len() >= expected.len());
            assert_eq!(sees.all(), expected, "blocks of {lazy}, autocommit {autocommit}");
            wait_until_at_top(&mut session);
        }
    }
}

#[test]
fn batches_without_events_are_finished() {
    for server in servers() {
        let (database, mut session) = scene(&server, "empty");
        (0..3).for_each(|_| _ = tick_now(&mut session, "orders").unwrap());
        let (sees, _worker) = see(&database, &[("queue_name", "orders")]);
        wait_until_at_top(&mut session);
        assert!(sees.all().is_empty());
    }
}

#[test]
fn only_events_of_some_tables_come() {
    for server in servers() {
        let (database, mut session) = scene(&server, "filter");
        for lazy in ["300", "0"] {
            for table in ["public.orders", "orders", "s.it''s", "s.other"] {
                session.exec(&format!(
                    "select pgq.insert_event('orders', 'I', '{table}', '{table}', null, null, null)"
                ));
            }
            tick_now(&mut session, "orders").unwrap();
            let (sees, _worker) = see(
                &database,
                &[("queue_name", "orders"), ("pgq_lazy_fetch", lazy), ("table_filter", "orders, s.it's")],
            );
            wait_until_at_top(&mut session);
            assert_eq!(sees.all(), ["public.orders", "s.it's"]);
        }
    }
}

#[test]
fn small_batches_are_collected() {
    let (database, mut session) = scene(&Server::ours(), "collect");
    session.exec("select pgq.set_queue_config('orders', 'ticker_max_count', '1')");
    for _ in 0..10 {
        // Without force_tick, which draws event numbers.
        (0..2).for_each(|_| _ = insert(&mut session, "orders", "new", "").unwrap());
        assert!(session.one::<Option<i64>>("select pgq.ticker('orders')", &[]).is_some());
    }
    struct Counts(Arc<Mutex<Vec<u64>>>);
    impl Handler for Counts {
        async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
            while batch.next().await?.is_some() {}
            self.0.lock().unwrap().push(batch.count().unwrap());
            Ok(())
        }
    }
    let counts = Arc::new(Mutex::new(Vec::new()));
    let handler = Counts(Arc::clone(&counts));
    let keys = [("queue_name", "orders"), ("pgq_batch_collect_events", "8")];
    let _worker =
        Worker::start(config(&conninfo(&database), &keys), |script| Consumer::new(script, "src_db", handler));
    wait_until("two batches", || counts.lock().unwrap().len() == 2);
    assert!(counts.lock().unwrap().iter().all(|count| *count >= 8), "{counts:?}");
}

/// Goes through a batch twice.
struct Twice(Arc<Mutex<Vec<Option<String>>>>);

impl Handler for Twice {
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        while batch.next().await?.is_some() {}
        let second = batch.next().await;
        self.0.lock().unwrap().push(second.as_ref().err().map(ToString::to_string));
        while batch.next().await?.is_some() {}
        Ok(())
    }
}

#[test]
fn what_a_cursor_reads_can_be_gone_through_once() {
    let (database, mut session) = scene(&Server::ours(), "twice");
    insert_many(&mut session, &["a"]);
    for (lazy, refusal) in [("300", "the events of a batch can be gone through once"), ("0", "")] {
        let seconds = Arc::new(Mutex::new(Vec::new()));
        let handler = Twice(Arc::clone(&seconds));
        let keys = [("queue_name", "orders"), ("pgq_lazy_fetch", lazy)];
        let _worker = Worker::start(config(&conninfo(&database), &keys), |script| {
            Consumer::new(script, "src_db", handler)
        });
        wait_until("a second time", || !seconds.lock().unwrap().is_empty());
        let second = seconds.lock().unwrap()[0].clone().unwrap_or_default();
        assert_eq!(second.is_empty(), refusal.is_empty(), "{second}");
        assert!(second.starts_with(refusal), "{second}");
    }
    wait_until_at_top(&mut session);
}

/// Writes into the queue's own database, in the batch's own transaction; sends what says so back once.
struct Copies;

impl Handler for Copies {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        if event.data() == Some("later") && event.retry().is_none() {
            return Ok(Verdict::Retry(Duration::ZERO));
        }
        batch.source()?.execute("insert into result values ($1)", &[&event.id()]).await?;
        Ok(Verdict::Done)
    }
}

fn copy(source: &str, lazy: &str) -> Worker {
    let keys = [("queue_name", "orders"), ("pgq_lazy_fetch", lazy), ("exception_sleep", "0.01")];
    Worker::start(config(source, &keys), |script| Consumer::new(script, "src_db", Copies))
}

#[test]
fn what_waits_to_be_read_does_not_block_the_handler() {
    let (database, mut session) = scene(&Server::ours(), "ahead");
    session.exec(
        "create table result (ev_id bigint);
         select pgq.insert_event('orders', 'new', repeat('x', 20000)) from generate_series(1, 1000)",
    );
    tick_now(&mut session, "orders").unwrap();
    let _worker = copy(&conninfo(&database), "300");
    wait_until("all results", || session.one::<i64>("select count(*) from result", &[]) == 1000);
}

/// Brings events that wait for a retry back, when the consumer has nothing else to do.
fn bring_retries(session: &mut Session) {
    if worker().position(session).unwrap() == top(session) {
        session.exec("select pgq.maint_retry_events()");
        tick_now(session, "orders").unwrap();
    }
}

/// For each request of a batch: the connection is lost there. Every event takes effect once.
fn cut_at_every_step(server: &Server, side: Side) -> u32 {
    let (database, mut session) = scene(server, "cut");
    session.exec("create table result (ev_id bigint)");
    let (workplace, breaker) = (Workplace::new(), Breaker::default());
    let proxy = Proxy::to(&database, &workplace.path("way"), &breaker);
    let mut inserted: i64 = 0;
    for step in 1.. {
        insert_many(&mut session, &["a", "b", "later", "c", "d"]);
        inserted += 5;
        breaker.arm(step, side, Break::Cut);
        let worker = copy(&proxy.conninfo(), "2");
        wait_until("all results", || {
            bring_retries(&mut session);
            session.one::<i64>("select count(distinct ev_id) from result", &[]) == inserted
        });
        let all_steps_done = breaker.disarm();
        drop(worker);
        let results = session.one::<i64>("select count(*) from result", &[]);
        assert_eq!(results, inserted, "an event took effect twice, step {step} was cut");
        if all_steps_done {
            return step;
        }
    }
    unreachable!("steps come to an end")
}

#[test]
fn each_event_takes_effect_once_whichever_request_is_lost() {
    for server in servers() {
        let steps = cut_at_every_step(&server, Side::Before);
        assert!(steps > 15, "only {steps} steps");
    }
}

#[test]
fn each_event_takes_effect_once_whichever_answer_is_lost() {
    for server in servers() {
        let steps = cut_at_every_step(&server, Side::After);
        assert!(steps > 15, "only {steps} steps");
    }
}

#[test]
fn a_program_that_is_killed_at_any_step_loses_nothing() {
    for server in servers() {
        let (database, mut session) = scene(&server, "kill");
        session.exec("create table result (data text)");
        let (workplace, breaker) = (Workplace::new(), Breaker::default());
        let proxy = Proxy::to(&database, &workplace.path("way"), &breaker);
        let ini = |file: &str, source: &str| {
            let text = format!(
                "[simple_consumer]\nsrc_db = {source}\ndst_db = {}\nqueue_name = orders\nconsumer_name = worker\n\
                 loop_delay = 0.02\npgq_lazy_fetch = 2\ndst_query = insert into result values (%%(pgq.ev_data)s)\n",
                conninfo(&database)
            );
            workplace.write(file, &text);
        };
        ini("broken.ini", &proxy.conninfo());
        ini("well.ini", &conninfo(&database));
        let mut names = BTreeSet::new();
        for (step, side) in (1..).flat_map(|step| [(step, Side::Before), (step, Side::After)]) {
            let new: Vec<String> = (0..5).map(|number| format!("{step}{side:?}{number}")).collect();
            for data in &new {
                insert(&mut session, "orders", "I:id", data).unwrap();
            }
            tick_now(&mut session, "orders").unwrap();
            names.extend(new);
            breaker.arm(step, side, Break::Kill);
            let program = env!("CARGO_BIN_EXE_simple_consumer");
            let mut victim = workplace.start("victim", program, &["broken.ini"]);
            let top = top(&mut session);
            wait_until("the end of the batch, or of the program", || {
                breaker.has_broken() || worker().position(&mut session).unwrap() == top
            });
            let is_last = breaker.disarm();
            victim.signal(Signal::SIGKILL);
            victim.end();
            let _healer = workplace.start("healer", program, &["well.ini"]);
            wait_until_at_top(&mut session);
            let seen = session.column::<String>("select distinct data from result", &[]);
            let seen: BTreeSet<String> = seen.into_iter().collect();
            assert_eq!(seen, names, "killed at step {step}, {side:?}");
            if is_last {
                assert!(step > 5, "only {step} steps");
                break;
            }
        }
    }
}

#[test]
fn a_tick_wakes_a_consumer_that_would_sleep_for_an_hour() {
    let cluster = Cluster::builder().conf("shared_preload_libraries", "pgq").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    create(&mut session, "orders").unwrap();
    worker().register(&mut session).unwrap();
    let keys = [("queue_name", "orders"), ("loop_delay", "3600")];
    let (sees, _worker) = see_at(&cluster.conninfo("postgres"), &keys);
    for number in 1..=5 {
        insert(&mut session, "orders", "new", "").unwrap();
        wait_until("the event", || sees.all().len() == number);
    }
}

#[test]
fn a_consumer_that_would_sleep_for_an_hour_notices_that_it_is_no_longer_told_of_ticks() {
    let mut cluster = Cluster::builder().conf("shared_preload_libraries", "pgq").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    create(&mut session, "orders").unwrap();
    worker().register(&mut session).unwrap();
    let keys = [("queue_name", "orders"), ("loop_delay", "3600")];
    let (sees, _worker) = see_at(&cluster.conninfo("postgres"), &keys);
    let next = |session: &mut Session, number: usize| {
        insert(session, "orders", "new", &number.to_string()).unwrap();
        wait_until(&format!("event {number}"), || sees.all().contains(&number.to_string()));
    };
    next(&mut session, 1);
    session.exec("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test'");
    next(&mut session, 2);
    cluster.kill9();
    cluster.start_again();
    let mut session = cluster.connect("postgres");
    next(&mut session, 3);
    next(&mut session, 4);
}

#[test]
fn a_consumer_listens_on_when_its_connection_was_too_old() {
    let cluster = Cluster::builder().conf("shared_preload_libraries", "pgq").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    create(&mut session, "orders").unwrap();
    worker().register(&mut session).unwrap();
    let keys = [("queue_name", "orders"), ("loop_delay", "3600"), ("connection_lifetime", "0.5")];
    let (sees, _worker) = see_at(&cluster.conninfo("postgres"), &keys);
    for number in 1..=4 {
        insert(&mut session, "orders", "new", "").unwrap();
        wait_until("the event", || sees.all().len() == number);
        std::thread::sleep(Duration::from_millis(600));
    }
}

#[test]
fn switches_register_and_unregister() {
    for server in servers() {
        let database = Database::fresh_on(&server, "switches");
        let mut session = database.connect();
        create(&mut session, "orders").unwrap();
        let workplace = Workplace::new();
        let source = conninfo(&database);
        workplace.write(
            "copier.ini",
            &format!(
                "[simple_consumer]\nsrc_db = {source}\ndst_db = {source}\npgq_queue_name = orders\n\
                 dst_query = select 1\n"
            ),
        );
        let mut run = |switch: &str| {
            let output = workplace.run(env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini", switch]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            let names = session.column::<String>("select consumer_name from pgq.get_consumer_info()", &[]);
            (names, said)
        };
        for said in ["copier is registered on orders", "copier was registered on orders already"] {
            let (names, stderr) = run("--register");
            assert_eq!(names, ["copier"]);
            assert!(stderr.contains(said), "{stderr}");
        }
        for said in ["copier is no longer registered on orders", "copier was not registered on orders"] {
            let (names, stderr) = run("--unregister");
            assert!(names.is_empty());
            assert!(stderr.contains(said), "{stderr}");
        }
    }
}

#[test]
fn a_consumer_nobody_has_registered_waits_for_it_unless_it_may_do_so_itself() {
    for server in servers() {
        let database = Database::fresh_on(&server, "auto");
        let mut session = database.connect();
        create(&mut session, "orders").unwrap();
        let (sees, waiting) = see(&database, &[("queue_name", "orders")]);
        // It goes on asking.
        worker().register(&mut session).unwrap();
        insert_many(&mut session, &["a"]);
        wait_until("the event", || sees.all() == ["a"]);
        drop(waiting);
        worker().unregister(&mut session).unwrap();

        let (sees, _worker) = see(&database, &[("queue_name", "orders"), ("auto_register", "1")]);
        wait_until("the registration", || {
            session.one("select exists (select from pgq.get_consumer_info())", &[])
        });
        insert_many(&mut session, &["b"]);
        wait_until("the event", || sees.all() == ["b"]);
    }
}

#[test]
fn a_cursor_cannot_live_in_autocommit() {
    let pairs = [("queue_name", "orders"), ("pgq_autocommit", "1")];
    let script = Script::new(config("host=nowhere", &pairs));
    let refused = Consumer::new(&script, "src_db", Sees::default()).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Usage(_)));
    assert!(refused.to_string().contains("pgq_lazy_fetch = 0"), "{refused}");
}

#[test]
fn keys_are_read_again_and_a_filter_can_go() {
    let (database, mut session) = scene(&Server::ours(), "reload");
    session.exec("create table result (data text)");
    let workplace = Workplace::new();
    let source = conninfo(&database);
    let ini = |more: &str| {
        let text = format!(
            "[simple_consumer]\nsrc_db = {source}\ndst_db = {source}\nqueue_name = orders\n\
             consumer_name = worker\nloop_delay = 0.02\n\
             dst_query = insert into result values (%%(pgq.ev_data)s)\n{more}\n"
        );
        workplace.write("copier.ini", &text);
    };
    ini("table_filter = a");
    let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    let mut round = |name: &str| {
        for table in ["a", "b"] {
            session.exec(&format!(
                "select pgq.insert_event('orders', 'I:', '{name}{table}', 'public.{table}', null, null, null)"
            ));
        }
        tick_now(&mut session, "orders").unwrap();
        wait_until_at_top(&mut session);
        session.column::<String>("delete from result returning data", &[])
    };
    assert_eq!(round("1"), ["1a"]);
    ini("");
    copier.signal(Signal::SIGHUP);
    copier.wait_for("Config reloaded");
    assert_eq!(round("2"), ["2a", "2b"]);
}

#[test]
fn a_line_of_statistics_tells_of_events_and_of_silence() {
    let (database, mut session) = scene(&Server::ours(), "stats");
    let workplace = Workplace::new();
    let source = conninfo(&database);
    workplace.write(
        "copier.ini",
        &format!(
            "[simple_consumer]\nsrc_db = {source}\ndst_db = {source}\nqueue_name = orders\n\
             consumer_name = worker\nloop_delay = 0.02\nkeepalive_stats = 0.1\ndst_query = select 1\n"
        ),
    );
    let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    copier.wait_for("{idle: 0.1");
    insert_many(&mut session, &["a", "b"]);
    copier.wait_for("{count: 2, duration: 0.");
    copier.wait_for(", idle: ");
}

#[test]
fn a_big_batch_takes_little_memory() {
    let (database, mut session) = scene(&Server::ours(), "memory");
    // 120 MB.
    session
        .exec("select pgq.insert_event('orders', 'note', repeat('x', 4000)) from generate_series(1, 30000)");
    tick_now(&mut session, "orders").unwrap();
    let workplace = Workplace::new();
    let source = conninfo(&database);
    workplace.write(
        "copier.ini",
        &format!(
            "[simple_consumer]\nsrc_db = {source}\ndst_db = {source}\nqueue_name = orders\n\
             consumer_name = worker\nloop_delay = 0.02\ndst_query = select 1\n"
        ),
    );
    let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    wait_until_at_top(&mut session);
    let status = std::fs::read_to_string(format!("/proc/{}/status", copier.pid())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u32 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 50_000, "{kilobytes} kB at most");
}

#[test]
fn big_events_are_read_as_few_at_a_time_as_was_asked_for() {
    let (database, mut session) = scene(&Server::ours(), "big");
    session.exec(
        "create table result (length integer);
         select pgq.insert_event('orders', 'note', repeat('x', 1000000)) from generate_series(1, 200);
         select pgq.insert_event('orders', 'note', repeat('x', 20000000))",
    );
    tick_now(&mut session, "orders").unwrap();
    let workplace = Workplace::new();
    let source = conninfo(&database);
    workplace.write(
        "copier.ini",
        &format!(
            "[simple_serial_consumer]\nsrc_db = {source}\ndst_db = {source}\nqueue_name = orders\n\
             consumer_name = worker\nloop_delay = 0.02\npgq_lazy_fetch = 1\n\
             dst_query = insert into result values (length(%%(pgq.ev_data)s::text))\n"
        ),
    );
    database.create_extensions(&["pgq_ext"]);
    let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_serial_consumer"), &["copier.ini"]);
    wait_until_at_top(&mut session);
    assert_eq!(session.one::<i64>("select sum(length) from result", &[]), 220_000_000);
    let status = std::fs::read_to_string(format!("/proc/{}/status", copier.pid())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u32 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 150_000, "{kilobytes} kB at most");
}

#[test]
fn fields_that_are_null_stay_so() {
    for server in servers() {
        let (database, mut session) = scene(&server, "null");
        session.exec(
            "select pgq.insert_event('orders', null, null, null, '', null, 'four');
             select pgq.insert_event('orders', '', '', 'one', null, 'three', null)",
        );
        tick_now(&mut session, "orders").unwrap();
        struct Fields(Arc<Mutex<Vec<[Option<String>; 6]>>>);
        impl Handler for Fields {
            async fn event(&mut self, event: &Event, _batch: &mut Batch) -> Result<Verdict> {
                let texts = [
                    event.kind(),
                    event.data(),
                    event.extra1(),
                    event.extra2(),
                    event.extra3(),
                    event.extra4(),
                ];
                assert_eq!((event.queue(), event.retry()), ("orders", None));
                self.0.lock().unwrap().push(texts.map(|text| text.map(str::to_owned)));
                Ok(Verdict::Done)
            }
        }
        let fields = Arc::new(Mutex::new(Vec::new()));
        let handler = Fields(Arc::clone(&fields));
        let _worker = Worker::start(config(&conninfo(&database), &[("queue_name", "orders")]), |script| {
            Consumer::new(script, "src_db", handler)
        });
        wait_until_at_top(&mut session);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            *fields.lock().unwrap(),
            [
                [None, None, None, some(""), None, some("four")],
                [some(""), some(""), some("one"), None, some("three"), None]
            ]
        );
    }
}

/// Remembers what each batch covers.
struct Bounds(Arc<Mutex<Vec<(u64, Duration, Duration)>>>);

impl Handler for Bounds {
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        while batch.next().await?.is_some() {}
        let info = batch.info();
        let covered = info.batch_end.duration_since(info.batch_start).unsigned_abs();
        let age = jiff::Timestamp::now().duration_since(info.batch_end).unsigned_abs();
        self.0.lock().unwrap().push((batch.count().unwrap(), covered, age));
        Ok(())
    }
}

#[test]
fn batches_cover_a_time_and_keep_a_distance() {
    for server in servers() {
        let (database, mut session) = scene(&server, "interval");
        let bounds = Arc::new(Mutex::new(Vec::new()));
        let handler = Bounds(Arc::clone(&bounds));
        let keys = [
            ("queue_name", "orders"),
            ("pgq_batch_collect_interval", "0.5 seconds"),
            ("pgq_keep_lag", "0.4 seconds"),
        ];
        let _worker = Worker::start(config(&conninfo(&database), &keys), |script| {
            Consumer::new(script, "src_db", handler)
        });
        wait_until("two batches", || {
            insert_many(&mut session, &["x"]);
            bounds.lock().unwrap().len() >= 2
        });
        for (count, covered, age) in bounds.lock().unwrap().iter() {
            assert!(*covered >= Duration::from_millis(500), "{count} events of {covered:?}");
            assert!(*age >= Duration::from_millis(400), "{count} events, the last {age:?} ago");
        }
    }
}

/// Writes to a database of its own choice, in a transaction, and leaves the commit to others.
struct Elsewhere;

impl Handler for Elsewhere {
    async fn prepare(&mut self, script: &mut Script, batch: &mut Batch) -> Result<()> {
        let source = script.config().text("src_db")?.to_owned();
        batch.set_target(script.connections().get("elsewhere", &source).await?);
        Ok(())
    }

    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        batch.target()?.execute("insert into result values ($1)", &[&event.id()]).await?;
        Ok(Verdict::Done)
    }
}

#[test]
fn the_queue_does_not_move_on_without_the_results() {
    let (database, mut session) = scene(&Server::ours(), "elsewhere");
    session.exec("create table result (ev_id bigint)");
    insert_many(&mut session, &["a", "b"]);
    let _worker = Worker::start(config(&conninfo(&database), &[("queue_name", "orders")]), |script| {
        Consumer::new(script, "src_db", Elsewhere)
    });
    wait_until_at_top(&mut session);
    assert_eq!(session.one::<i64>("select count(*) from result", &[]), 2);
}

#[test]
fn without_a_delay_it_ends_when_nothing_is_left_and_below_zero_after_a_round() {
    let (database, mut session) = scene(&Server::ours(), "delay");
    for (delay, batches) in [("-1", 1), ("0", 3)] {
        let before = worker().position(&mut session).unwrap();
        (0..3).for_each(|_| insert_many(&mut session, &["a"]));
        let (sees, job) = see(&database, &[("queue_name", "orders"), ("loop_delay", delay)]);
        assert_eq!(job.end().unwrap(), 0);
        assert_eq!(sees.all().len(), batches, "loop_delay = {delay}");
        assert!(worker().position(&mut session).unwrap() > before);
        let (_sees, _rest) = see(&database, &[("queue_name", "orders")]);
        wait_until_at_top(&mut session);
    }
}

#[test]
fn an_interrupt_ends_the_batch_another_the_event_and_two_at_once_all() {
    let (database, mut session) = scene(&Server::ours(), "interrupts");
    session.exec("create table result (data text)");
    let workplace = Workplace::new();
    let source = conninfo(&database);
    workplace.write(
        "copier.ini",
        &format!(
            "[simple_consumer]\nsrc_db = {source}\ndst_db = {source}\nqueue_name = orders\n\
             consumer_name = worker\nloop_delay = 0.02\n\
             dst_query = insert into result select %%(pgq.ev_data)s::text from pg_sleep(0.2)\n"
        ),
    );
    let data: Vec<String> = (0..15).map(|number| number.to_string()).collect();
    for (id, data) in data.iter().enumerate() {
        insert(&mut session, "orders", "I:id", data).unwrap();
        assert!(id < 15);
    }
    let first = tick_now(&mut session, "orders").unwrap();
    let count = |session: &mut Session| session.one::<i64>("select count(*) from result", &[]);
    let start = |session: &mut Session| {
        let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
        wait_until("the first result", || count(session) > 0);
        copier.signal(Signal::SIGINT);
        copier.wait_for("ending after this round");
        copier
    };
    let before = worker().position(&mut session).unwrap();

    let mut impatient = start(&mut session);
    impatient.signal(Signal::SIGINT);
    assert_eq!(impatient.exit_code(), 1);
    assert!(count(&mut session) < 5);
    session.exec("truncate result");

    let mut patient = start(&mut session);
    std::thread::sleep(Duration::from_millis(1100));
    patient.signal(Signal::SIGINT);
    assert_eq!(patient.exit_code(), 0);
    patient.wait_for("ending before the next event");
    assert!((4..15).contains(&count(&mut session)), "{}", count(&mut session));
    assert_eq!(worker().position(&mut session).unwrap(), before, "the batch comes again");
    session.exec("truncate result");

    let mut finishing = start(&mut session);
    insert_many(&mut session, &["not for it"]);
    assert_eq!(finishing.exit_code(), 0);
    assert_eq!((count(&mut session), worker().position(&mut session).unwrap()), (15, first));
}

#[test]
fn a_wish_to_stop_is_heard_between_two_events() {
    let (database, mut session) = scene(&Server::ours(), "stop");
    struct Stops(Stop, Sees);
    impl Handler for Stops {
        async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
            self.0.between_events();
            self.1.event(event, batch).await
        }
    }
    insert_many(&mut session, &["a", "b", "c"]);
    let sees = Sees::default();
    let handler = sees.clone();
    let worker = Worker::start(config(&conninfo(&database), &[("queue_name", "orders")]), |script| {
        Consumer::new(script, "src_db", Stops(script.stop(), handler))
    });
    assert_eq!(worker.end().unwrap(), 0);
    assert_eq!(sees.all(), ["a"]);
    let (sees, _worker) = see(&database, &[("queue_name", "orders")]);
    wait_until("all of the batch", || sees.all() == ["a", "b", "c"]);
}
