//! The loop around a consumer: its registration, its configuration, its statistics, its end.

use std::time::Duration;

use nix::sys::signal::Signal;
use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{create, insert, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::Result;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};
use skytools::script::{Script, Stop};

use super::{Copier, Sees, insert_many, scene, see, wait_until_at_top, worker};
use crate::kit::{Worker, config, conninfo, servers};

#[test]
fn switches_register_and_unregister() {
    for server in servers() {
        let database = Database::fresh_on(&server, "switches");
        let mut session = database.connect();
        create(&mut session, "orders").unwrap();
        let copier = Copier::simple(&database);
        copier.set("select 1", "");
        let mut run = |switch: &str| {
            let (succeeded, said) = copier.ask(switch);
            assert!(succeeded, "{said}");
            let names = session.column::<String>("select consumer_name from pgq.get_consumer_info()", &[]);
            (names, said)
        };
        for said in ["worker is registered on orders", "worker was registered on orders already"] {
            let (names, stderr) = run("--register");
            assert_eq!(names, ["worker"]);
            assert!(stderr.contains(said), "{stderr}");
        }
        for said in ["worker is no longer registered on orders", "worker was not registered on orders"] {
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
fn a_program_nobody_has_registered_names_its_switch() {
    for server in servers() {
        let (database, mut session) = scene(&server, "hint");
        worker().unregister(&mut session).unwrap();
        let copier = Copier::simple(&database);
        copier.set("select 1", "");
        copier.start().wait_for("HINT: --register registers it, if there is such a queue");
        assert!(copier.ask("--register").0);
        // Any other error is told as it is.
        session.exec("drop extension pgq cascade");
        let program = copier.start();
        program.wait_for("does not exist");
        assert!(!program.said().contains("--register"), "{}", program.said());
    }
}

#[test]
fn keys_are_read_again_and_a_filter_can_go() {
    let (database, mut session) = scene(&Server::ours(), "reload");
    session.exec("create table result (data text)");
    let copier = Copier::simple(&database);
    let ini = |more: &str| copier.set("insert into result values (%%(pgq.ev_data)s)", more);
    ini("table_filter = a");
    let program = copier.start();
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
    program.signal(Signal::SIGHUP);
    program.wait_for("Config reloaded");
    assert_eq!(round("2"), ["2a", "2b"]);
}

#[test]
fn a_line_of_statistics_tells_of_events_and_of_silence() {
    let (database, mut session) = scene(&Server::ours(), "stats");
    let copier = Copier::simple(&database);
    copier.set("select 1", "keepalive_stats = 0.1");
    let program = copier.start();
    program.wait_for("{idle: 0.1");
    insert_many(&mut session, &["a", "b"]);
    program.wait_for("{count: 2, duration: 0.");
    program.wait_for(", idle: ");
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
    let copier = Copier::simple(&database);
    copier.set("insert into result select %%(pgq.ev_data)s::text from pg_sleep(0.2)", "");
    let data: Vec<String> = (0..15).map(|number| number.to_string()).collect();
    for (id, data) in data.iter().enumerate() {
        insert(&mut session, "orders", "I:id", data).unwrap();
        assert!(id < 15);
    }
    let first = tick_now(&mut session, "orders").unwrap();
    let count = |session: &mut Session| session.one::<i64>("select count(*) from result", &[]);
    let start = |session: &mut Session| {
        let program = copier.start();
        wait_until("the first result", || count(session) > 0);
        program.signal(Signal::SIGINT);
        program.wait_for("ending after this round");
        program
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
