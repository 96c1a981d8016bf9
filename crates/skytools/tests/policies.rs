//! What becomes of events that cannot be handled.

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{self, create, insert, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::Result;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};

use crate::kit::{Break, Breaker, Proxy, Side, Worker, Workplace, config, conninfo, servers};

fn worker() -> queue::Consumer {
    queue::Consumer::new("orders", "worker")
}

/// A database with a queue, its consumer, and a table for results that takes numbers above zero.
fn scene(server: &Server) -> (Database, Session) {
    let database = Database::fresh_on(server, "policies");
    let mut session = database.connect();
    create(&mut session, "orders").unwrap();
    worker().register(&mut session).unwrap();
    session.exec("create table result (number integer check (number > 0))");
    (database, session)
}

/// Writes two rows for each event, through the transaction of the batch; the second fails where the number is not
/// above zero.
struct Writes;

impl Handler for Writes {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        let source = batch.source()?;
        source.execute("insert into result values (1000)", &[]).await?;
        source.execute("insert into result values ($1::text::integer)", &[&event.data()]).await?;
        Ok(Verdict::Done)
    }
}

fn write(source: &str, pairs: &[(&str, &str)]) -> Worker {
    let pairs: Vec<_> = pairs.iter().copied().chain([("queue_name", "orders")]).collect();
    Worker::start(config(source, &pairs), |script| Consumer::new(script, "src_db", Writes))
}

fn insert_batch(session: &mut Session, numbers: &[&str]) {
    numbers.iter().for_each(|number| _ = insert(session, "orders", "number", number).unwrap());
    tick_now(session, "orders").unwrap();
}

fn is_at_top(session: &mut Session) -> bool {
    let top: i64 = session.one("select max(tick_id) from pgq.tick", &[]);
    worker().position(session).unwrap() == top
}

/// The numbers of the results; each came with its companion.
fn results(session: &mut Session) -> Vec<i32> {
    let numbers = session.column::<i32>("select number from result where number < 1000 order by 1", &[]);
    let companions: i64 = session.one("select count(*) from result where number = 1000", &[]);
    assert_eq!(companions, numbers.len() as i64, "half an event took effect");
    numbers
}

#[test]
fn a_failing_event_blocks_its_batch_by_default() {
    for server in servers() {
        let (database, mut session) = scene(&server);
        insert_batch(&mut session, &["1", "0", "2"]);
        let _worker = write(&conninfo(&database), &[]);
        wait_until("a batch that is tried", || {
            session.one("select exists (select from pgq.subscription where sub_batch is not null)", &[])
        });
        session.exec("alter table result drop constraint result_number_check");
        wait_until("the end of the batch", || is_at_top(&mut session));
        assert_eq!(results(&mut session), [0, 1, 2]);
    }
}

#[test]
fn a_failing_event_is_parked_with_its_cause_and_takes_nothing_along() {
    for server in servers() {
        let (database, mut session) = scene(&server);
        insert_batch(&mut session, &["1", "0", "2", "x", "3"]);
        let _worker = write(&conninfo(&database), &[("event_policy", "park"), ("pgq_lazy_fetch", "2")]);
        wait_until("the end of the batch", || is_at_top(&mut session));
        assert_eq!(results(&mut session), [1, 2, 3]);
        let letters: Vec<(String, String, i32, String)> = session
            .rows(
                "select ev_data, sqlstate, attempts, queue_name || '/' || consumer_name \
                 from pgq_consumer.dead_letter order by letter_id",
                &[],
            )
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
            .collect();
        let letter = |data: &str, state: &str| (data.into(), state.into(), 1, "orders/worker".into());
        assert_eq!(letters, [letter("0", "23514"), letter("x", "22P02")]);
        let cause: String =
            session.one("select cause from pgq_consumer.dead_letter where ev_data = '0'", &[]);
        assert!(cause.contains("violates check constraint \"result_number_check\""), "{cause}");
    }
}

#[test]
fn an_event_comes_again_until_it_succeeds_or_has_had_its_chances() {
    for server in servers() {
        let (database, mut session) = scene(&server);
        insert_batch(&mut session, &["1", "x", "0", "2"]);
        let keys = [("event_policy", "retry"), ("retry_delay", "0"), ("retry_limit", "2")];
        let _worker = write(&conninfo(&database), &keys);
        wait_until("the end of the batch", || is_at_top(&mut session));
        assert_eq!(results(&mut session), [1, 2]);
        session.exec("alter table result drop constraint result_number_check");
        wait_until("the end of all chances", || {
            if is_at_top(&mut session) {
                session.exec("select pgq.maint_retry_events()");
                tick_now(&mut session, "orders").unwrap();
            }
            session.one("select exists (select from pgq_consumer.dead_letter)", &[])
        });
        assert_eq!(results(&mut session), [0, 1, 2]);
        let attempts =
            session.one::<i32>("select attempts from pgq_consumer.dead_letter where ev_data = 'x'", &[]);
        assert_eq!(attempts, 3);
    }
}

#[test]
fn an_event_is_parked_once_or_comes_again_whichever_step_is_lost() {
    for side in [Side::Before, Side::After] {
        let (database, mut session) = scene(&Server::ours());
        let (workplace, breaker) = (Workplace::new(), Breaker::default());
        let proxy = Proxy::to(&database, &workplace.path("way"), &breaker);
        let mut expected = Vec::new();
        for step in 1.. {
            insert_batch(&mut session, &["1", "0"]);
            expected.push(1);
            breaker.arm(step, side, Break::Cut);
            let worker = write(&proxy.conninfo(), &[("event_policy", "park")]);
            wait_until("the end of the batch", || is_at_top(&mut session));
            let is_last = breaker.disarm();
            drop(worker);
            assert_eq!(results(&mut session), expected, "{step} {side:?}");
            let parked: i64 = session.one("select count(*) from pgq_consumer.dead_letter", &[]);
            assert_eq!(parked, expected.len() as i64, "{step} {side:?}");
            if is_last {
                assert!(step > 10, "only {step} steps");
                break;
            }
        }
    }
}

#[test]
fn dead_letters_are_shown_replayed_and_dropped() {
    for server in servers() {
        let (database, mut session) = scene(&server);
        let workplace = Workplace::new();
        let source = conninfo(&database);
        workplace.write(
            "copier.ini",
            &format!(
                "[simple_consumer]\nsrc_db = {source}\ndst_db = {source}\nqueue_name = orders\n\
                 consumer_name = worker\nloop_delay = 0.02\nevent_policy = park\n\
                 dst_query = insert into result values (1000), (%%(pgq.ev_data)s::text::integer)\n"
            ),
        );
        let program = env!("CARGO_BIN_EXE_simple_consumer");
        let run = |switches: &[&str]| {
            let output = workplace.run(program, &[&["copier.ini"], switches].concat());
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        assert_eq!(run(&["--dead-letters"]), (Some(0), String::new()));

        for data in ["0", "-1", "-2"] {
            insert(&mut session, "orders", "I:", data).unwrap();
        }
        tick_now(&mut session, "orders").unwrap();
        let copier = workplace.start("copier", program, &["copier.ini"]);
        wait_until("the end of the batch", || is_at_top(&mut session));
        drop(copier);

        let (code, list) = run(&["--dead-letters"]);
        assert_eq!((code, list.lines().count()), (Some(0), 3), "{list}");
        assert!(list.lines().all(|line| line.contains("violates check constraint")), "{list}");
        let (code, letter) = run(&["--show-dead-letter", "2"]);
        assert_eq!(code, Some(0));
        for line in ["letter: 2", "attempts: 1", "sqlstate: 23514", "ev_type: I:", "ev_data: -1"] {
            assert!(letter.lines().any(|shown| shown == line), "{line} not in {letter}");
        }
        assert_eq!(run(&["--drop-dead-letter", "2"]).0, Some(0));
        assert_eq!(run(&["--drop-dead-letter", "2"]).0, Some(1));

        session.exec("alter table result drop constraint result_number_check");
        assert_eq!(run(&["--replay-dead-letter", "all"]).0, Some(0));
        assert_eq!(run(&["--dead-letters"]), (Some(0), String::new()));
        // To this consumer, and to no other.
        let other = queue::Consumer::new("orders", "other");
        other.register(&mut session).unwrap();
        session.exec("select pgq.maint_retry_events()");
        tick_now(&mut session, "orders").unwrap();
        let _copier = workplace.start("copier", program, &["copier.ini"]);
        wait_until("the end of the batch", || is_at_top(&mut session));
        assert_eq!(results(&mut session), [-2, 0]);
    }
}

/// Sends all back, and looks how many of them are written down before the batch is at its end.
struct SendsAllBack(std::sync::mpsc::Sender<i64>);

impl Handler for SendsAllBack {
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        while let Some(event) = batch.next().await? {
            batch.settle(&event, Err(skytools::Error::bad("later"))).await?;
        }
        let written = batch.source()?.query_one("select count(*) from pgq.retry_queue", &[]).await?.get(0);
        let _ = self.0.send(written);
        Ok(())
    }
}

#[test]
fn very_many_events_that_come_again_are_not_all_kept_in_memory() {
    let (database, mut session) = scene(&Server::ours());
    session.exec("select pgq.insert_event('orders', 'new', '') from generate_series(1, 2500)");
    tick_now(&mut session, "orders").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let pairs = [("queue_name", "orders"), ("event_policy", "retry"), ("retry_delay", "3600")];
    let _worker = Worker::start(config(&conninfo(&database), &pairs), |script| {
        Consumer::new(script, "src_db", SendsAllBack(tell))
    });
    assert_eq!(told.recv().unwrap(), 2000);
    wait_until("the end of the batch", || is_at_top(&mut session));
    assert_eq!(session.one::<i64>("select count(*) from pgq.retry_queue", &[]), 2500);
}

/// Parks each event when it has seen the next, as one that compares two would.
#[derive(Default)]
struct ParksLate;

impl Handler for ParksLate {
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        while let Some(event) = batch.next().await? {
            batch.protect().await?;
            batch.source()?.execute("insert into result values (1)", &[]).await?;
            let _ = batch.next().await?;
            batch.settle(&event, Ok(Verdict::Park("late".into()))).await?;
        }
        Ok(())
    }
}

#[test]
fn what_is_taken_back_for_an_event_takes_no_dead_letter_along() {
    let (database, mut session) = scene(&Server::ours());
    session.exec("select pgq.insert_event('orders', 'new', '') from generate_series(1, 2000)");
    tick_now(&mut session, "orders").unwrap();
    let pairs = [("queue_name", "orders"), ("event_savepoint", "1")];
    let _worker = Worker::start(config(&conninfo(&database), &pairs), |script| {
        Consumer::new(script, "src_db", ParksLate)
    });
    wait_until("the end of the batch", || is_at_top(&mut session));
    assert_eq!(session.one::<i64>("select count(*) from pgq_consumer.dead_letter", &[]), 1000);
    assert_eq!(session.one::<i64>("select count(*) from result", &[]), 0);
}

/// Parks so many, while what it has written for an event before them may still be taken back, that they are due to be
/// written down.
struct ParksMeanwhile;

impl Handler for ParksMeanwhile {
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        let Some(first) = batch.next().await? else { return Ok(()) };
        batch.protect().await?;
        batch.source()?.execute("insert into result values (1)", &[]).await?;
        while let Some(event) = batch.next().await? {
            batch.tag(&event, Verdict::Park("meanwhile".into()))?;
        }
        batch.settle(&first, Ok(Verdict::Park("late".into()))).await
    }
}

#[test]
fn no_dead_letter_is_written_where_it_could_be_taken_back() {
    let (database, mut session) = scene(&Server::ours());
    session.exec("select pgq.insert_event('orders', 'new', '') from generate_series(1, 1000)");
    tick_now(&mut session, "orders").unwrap();
    let pairs = [("queue_name", "orders"), ("event_savepoint", "1")];
    let _worker = Worker::start(config(&conninfo(&database), &pairs), |script| {
        Consumer::new(script, "src_db", ParksMeanwhile)
    });
    wait_until("the end of the batch", || is_at_top(&mut session));
    assert_eq!(session.one::<i64>("select count(*) from pgq_consumer.dead_letter", &[]), 1000);
    assert_eq!(session.one::<i64>("select count(*) from result", &[]), 0);
}

/// Parks all.
struct ParksAll;

impl Handler for ParksAll {
    async fn event(&mut self, _event: &Event, _batch: &mut Batch) -> Result<Verdict> {
        Ok(Verdict::Park("as it does\twith all\nof them".into()))
    }
}

#[test]
fn very_many_dead_letters_are_listed_replayed_and_dropped_and_others_stay() {
    let (database, mut session) = scene(&Server::ours());
    let source = conninfo(&database);
    session.exec("select pgq.insert_event('orders', E'a\tb\nc', '') from generate_series(1, 1500)");
    tick_now(&mut session, "orders").unwrap();
    let worker = Worker::start(config(&source, &[("queue_name", "orders")]), |script| {
        Consumer::new(script, "src_db", ParksAll)
    });
    wait_until("the end of the batch", || is_at_top(&mut session));
    drop(worker);
    // Those of another consumer lie among them.
    session.exec("update pgq_consumer.dead_letter set consumer_name = 'other' where letter_id % 2 = 0");
    let workplace = Workplace::new();
    workplace.write(
        "copier.ini",
        &format!(
            "[simple_consumer]\nsrc_db = {source}\ndst_db = {source}\nqueue_name = orders\n\
             consumer_name = worker\ndst_query = select 1\n"
        ),
    );
    let run = |switches: &[&str]| {
        let output =
            workplace.run(env!("CARGO_BIN_EXE_simple_consumer"), &[&["copier.ini"], switches].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = run(&["--dead-letters"]);
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split('\t').collect()).collect();
    let numbers: Vec<i64> = lines.iter().map(|line| line[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=1500).step_by(2).collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line[3..] == ["a\u{fffd}b\u{fffd}c", "as it does\u{fffd}with all"]));

    run(&["--replay-dead-letter", "all"]);
    assert_eq!(session.one::<i64>("select count(*) from pgq.retry_queue", &[]), 750);
    session.exec("update pgq_consumer.dead_letter set consumer_name = 'worker' where letter_id % 4 = 0");
    run(&["--drop-dead-letter", "all"]);
    let left = "select array_agg(distinct consumer_name || letter_id % 4) from pgq_consumer.dead_letter";
    assert_eq!(session.one::<Vec<String>>(left, &[]), ["other2"]);
}

/// Takes the first event only.
struct TakesOne;

impl Handler for TakesOne {
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        if let Some(event) = batch.next().await? {
            batch.tag(&event, Verdict::Done)?;
        }
        Ok(())
    }
}

#[test]
fn a_strict_consumer_has_to_ask_for_all_events() {
    for (strict, is_done) in [("1", false), ("0", true)] {
        let (database, mut session) = scene(&Server::ours());
        insert_batch(&mut session, &["1", "2"]);
        let pairs = [("queue_name", "orders"), ("strict_tags", strict), ("loop_delay", "-1")];
        let worker = Worker::start(config(&conninfo(&database), &pairs), |script| {
            Consumer::new(script, "src_db", TakesOne)
        });
        assert_eq!(worker.end().unwrap() == 0, is_done);
        assert_eq!(is_at_top(&mut session), is_done);
    }
}
