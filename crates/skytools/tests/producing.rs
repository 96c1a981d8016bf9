//! Producers, on our server and on the original's.

use std::sync::mpsc::Sender;
use std::time::Duration;

use pgq_tests::client::wait_until;
use pgq_tests::queue::{Consumer, create, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::consumer::{Batch, Event, Handler, Verdict};
use skytools::db::{Connection, Options};
use skytools::script::Script;
use skytools::{NewEvent, Producer, Result};

use crate::kit::{Worker, config, conninfo};

const QUEUE: &str = "orders";

/// Our server, and the original's where it is.
fn databases() -> Vec<Database> {
    let peer = Server::peer();
    if peer.is_none() {
        eprintln!("skipped for the original: PGQ_PEER names none");
    }
    let mut databases = vec![Database::fresh("producing")];
    databases.extend(peer.map(|peer| Database::fresh_on(&peer, "producing")));
    databases
}

/// What a consumer reads of what `work` produces.
fn produced(
    database: &Database,
    work: impl AsyncFnOnce(&Connection, &Producer) -> Result<()>,
) -> Vec<String> {
    let mut session = database.connect();
    create(&mut session, QUEUE).unwrap();
    let consumer = Consumer::new(QUEUE, "reader");
    consumer.register(&mut session).unwrap();
    run(database, Options::default(), async |connection, producer| {
        work(connection, producer).await.unwrap();
        connection.commit().await.unwrap();
    });
    tick_now(&mut session, QUEUE).unwrap();
    let batch = consumer.next_batch(&mut session).unwrap().expect("a batch");
    session.column(
        &format!(
            "select concat_ws('|', ev_type, coalesce(ev_data, '-'), coalesce(ev_extra1, '-'), coalesce(ev_extra4, '-')) \
             from pgq.get_batch_events({}) order by ev_id",
            batch.id
        ),
        &[],
    )
}

fn run<T>(database: &Database, options: Options, work: impl AsyncFnOnce(&Connection, &Producer) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = Connection::open("db", &conninfo(database), options).await.unwrap();
        work(&connection, &Producer::new(&connection, QUEUE)).await
    })
}

#[test]
fn one_event_gets_a_number() {
    for database in databases() {
        let read = produced(&database, async |_, producer| {
            let first = producer.insert(&NewEvent::new("new", "Ärger\t\\N").extra(1, "")).await?;
            let second = producer.insert(&NewEvent::default()).await?;
            assert!(second > first);
            Ok(())
        });
        assert_eq!(read, ["new|Ärger\t\\N||-", "-|-|-"], "on {}", database.name());
    }
}

#[test]
fn many_events_keep_their_order_and_texts() {
    for database in databases() {
        let read = produced(&database, async |_, producer| {
            let events = (0..2500).map(|n| NewEvent::new("many", format!("{n}\n\\.")).extra(4, "x"));
            assert_eq!(producer.insert_all(events).await?, 2500);
            assert_eq!(producer.insert_all([]).await?, 0);
            assert_eq!(producer.insert_all([NewEvent::default()]).await?, 1);
            Ok(())
        });
        let mut expected: Vec<String> = (0..2500).map(|n| format!("many|{n}\n\\.|-|x")).collect();
        expected.push("-|-|-".to_owned());
        assert_eq!(read, expected);
    }
}

#[test]
fn numbers_and_times_of_their_own_are_kept() {
    for database in databases() {
        let read = produced(&database, async |connection, producer| {
            let time = "2001-02-03T04:05:06.789012Z".parse().unwrap();
            let mut named = NewEvent::default();
            named.set("ev_id", Some("100002")).unwrap();
            named.set("type", Some("named")).unwrap();
            named.set("ev_data", None::<&str>).unwrap();
            assert!(
                named.set("ev_owner", Some("1")).unwrap_err().to_string().contains("no field \"ev_owner\"")
            );
            assert!(named.set("id", Some("x")).unwrap_err().to_string().contains("cannot be \"x\""));
            let events =
                [NewEvent::new("first", "a").id(100_001).time(time), named, NewEvent::new("last", "b")];
            assert_eq!(producer.insert_all(events).await?, 3);
            let found =
                connection.query("select ev_id from pgq.event_template where ev_time = $1", &[&time]).await?;
            assert_eq!(found.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [100_001]);
            Ok(())
        });
        assert_eq!(read, ["last|b|-|-", "first|a|-|-", "named|-|-|-"]);
    }
}

/// Writes down what it gets, each field as text.
struct Fields(Sender<Vec<String>>);

impl Handler for Fields {
    async fn event(&mut self, event: &Event, _batch: &mut Batch) -> Result<Verdict> {
        let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let extras = [event.extra1(), event.extra2(), event.extra3(), event.extra4()].map(text);
        let retry = event.retry().map_or_else(|| "-".to_owned(), |retry| retry.to_string());
        let rest = [text(event.kind()), text(event.data()), event.txid().to_string(), retry];
        let first = [event.queue().to_owned(), event.id().to_string(), event.time().to_string()];
        self.0.send(first.into_iter().chain(rest).chain(extras).collect()).unwrap();
        Ok(if event.retry().is_none() { Verdict::Retry(Duration::ZERO) } else { Verdict::Done })
    }
}

#[test]
fn each_field_arrives_as_it_was_written() {
    for database in databases() {
        let mut session = database.connect();
        create(&mut session, QUEUE).unwrap();
        Consumer::new(QUEUE, "worker").register(&mut session).unwrap();
        let time = "2001-02-03T04:05:06.789012Z";
        let mut event = NewEvent::default();
        let texts = ["type", "data", "ev_extra1", "extra2", "ev_extra3", "extra4"];
        for (field, value) in
            texts.map(|field| (field, field)).into_iter().chain([("ev_id", "7"), ("time", time)])
        {
            event.set(field, Some(value)).unwrap();
        }
        let txid = run(&database, Options::default(), async |connection, producer| {
            producer.copy([event]).await.unwrap();
            let row = connection.query_one("select txid_current()::text", &[]).await.unwrap();
            connection.commit().await.unwrap();
            row.get::<_, String>(0)
        });
        let (sender, received) = std::sync::mpsc::channel();
        let config = config(&conninfo(&database), &[("queue_name", QUEUE)]);
        let _worker = Worker::start(config, |script: &mut Script| {
            skytools::consumer::Consumer::new(script, "src_db", Fields(sender))
        });
        for retry in ["-", "1"] {
            let mut found = None;
            wait_until("the event", || {
                session.exec("select pgq.maint_retry_events()");
                tick_now(&mut session, QUEUE).unwrap();
                found = received.try_recv().ok();
                found.is_some()
            });
            let found = found.unwrap();
            // Who brings it back inserts it anew.
            let txid = if retry == "-" { &txid } else { &found[5] };
            let [_, _, extras @ ..] = texts;
            assert_eq!(found, [&[QUEUE, "7", time, "type", "data", txid, retry][..], &extras].concat());
        }
    }
}

#[test]
fn what_the_queue_refuses_is_refused() {
    for database in databases() {
        let mut session = database.connect();
        create(&mut session, QUEUE).unwrap();
        let all = |n: i32| (0..n).map(|n| NewEvent::new("n", n.to_string()));
        // By hand: the original's set_queue_config takes other names.
        session.exec("update pgq.queue set queue_per_tx_limit = 10");
        for (count, copied) in [(11, false), (11, true)] {
            let refused = run(&database, Options::default(), async |_, producer| {
                if copied { producer.copy(all(count)).await } else { producer.insert_all(all(count)).await }
            });
            let told = refused.unwrap_err().to_string();
            assert!(told.contains("10"), "{told}");
        }
        assert_eq!(
            run(&database, Options::default(), async |_, producer| producer.copy(all(10)).await).unwrap(),
            10
        );
        session.exec("update pgq.queue set queue_disable_insert = true");
        for copied in [false, true] {
            run(&database, Options::default(), async |_, producer| {
                let tried =
                    if copied { producer.copy(all(1)).await } else { producer.insert_all(all(1)).await };
                tried.unwrap_err();
            });
        }
        let left: i64 = session.one("select count(*) from pgq.event_template", &[]);
        assert_eq!(left, 0, "nothing was committed");
    }
}

#[test]
fn copying_wants_a_transaction() {
    let database = Database::fresh("producing");
    create(&mut database.connect(), QUEUE).unwrap();
    let refused = run(&database, Options::autocommit(), async |_, producer| {
        producer.copy([NewEvent::new("a", "b")]).await.unwrap_err()
    });
    assert!(matches!(refused, skytools::Error::Usage(_)), "{refused}");
}
