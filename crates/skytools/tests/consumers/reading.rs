//! What reaches a handler: which events, how many at a time, in how much memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{insert, tick_now};
use pgq_tests::server::Server;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};
use skytools::script::Script;
use skytools::{Error, Result};

use super::{Copier, Sees, insert_many, scene, see, wait_until_at_top};
use crate::kit::{Worker, config, conninfo, servers};

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

#[test]
fn what_waits_to_be_read_does_not_block_the_handler() {
    let (database, mut session) = scene(&Server::ours(), "ahead");
    session.exec(
        "create table result (ev_id bigint);
         select pgq.insert_event('orders', 'new', repeat('x', 20000)) from generate_series(1, 1000)",
    );
    tick_now(&mut session, "orders").unwrap();
    struct Writes;
    impl Handler for Writes {
        async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
            batch.source()?.execute("insert into result values ($1)", &[&event.id()]).await?;
            Ok(Verdict::Done)
        }
    }
    let _worker = Worker::start(config(&conninfo(&database), &[("queue_name", "orders")]), |script| {
        Consumer::new(script, "src_db", Writes)
    });
    wait_until("all results", || session.one::<i64>("select count(*) from result", &[]) == 1000);
}

#[test]
fn a_cursor_cannot_live_in_autocommit() {
    let pairs = [("queue_name", "orders"), ("pgq_autocommit", "1")];
    let script = Script::new(config("host=nowhere", &pairs));
    let refused = Consumer::new(&script, "src_db", Sees::default()).map(drop).unwrap_err();
    assert!(matches!(refused, Error::Usage(_)));
    assert!(refused.to_string().contains("pgq_lazy_fetch = 0"), "{refused}");
}

/// Lets a program do a batch, and tells how many kilobytes it had at most.
fn most_memory(copier: &Copier, session: &mut Session) -> u32 {
    let program = copier.start();
    wait_until_at_top(session);
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    most.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_big_batch_takes_little_memory() {
    let (database, mut session) = scene(&Server::ours(), "memory");
    // 120 MB.
    session
        .exec("select pgq.insert_event('orders', 'note', repeat('x', 4000)) from generate_series(1, 30000)");
    tick_now(&mut session, "orders").unwrap();
    let copier = Copier::simple(&database);
    copier.set("select 1", "");
    let most = most_memory(&copier, &mut session);
    assert!(most < 50_000, "{most} kB at most");
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
    database.create_extensions(&["pgq_ext"]);
    let copier = Copier::serial(&database);
    copier.set("insert into result values (length(%%(pgq.ev_data)s::text))", "pgq_lazy_fetch = 1");
    let most = most_memory(&copier, &mut session);
    assert_eq!(session.one::<i64>("select sum(length) from result", &[]), 220_000_000);
    assert!(most < 150_000, "{most} kB at most");
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
