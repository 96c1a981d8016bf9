//! A group among the rest of PgQ: rotation, retries, the ticker, the functions that know nothing of groups.

use super::{drain, finish, next, positions, read, supply, with_group};
use crate::scene::{dump, restored, rotating};
use crate::ticker;
use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{self, Consumer};
use std::time::{Duration, Instant};

#[test]
fn the_plain_functions_work_with_the_batch_of_a_sub_consumer() {
    let (_database, mut session) = with_group("company");
    supply(&mut session, &["1"]);
    let batch = next(&mut session, "a").unwrap();
    let info = session.rows(
        "select queue_name, consumer_name, prev_tick_id, tick_id from pgq.get_batch_info($1)",
        &[&batch],
    );
    assert_eq!((info[0].get::<_, &str>(0), info[0].get::<_, &str>(1)), ("q", "m.a"));
    assert_eq!((info[0].get::<_, i64>(2), info[0].get::<_, i64>(3)), (1, 2));
    let text: String = session.one("select pgq.batch_event_sql($1)", &[&batch]);
    assert_eq!(session.rows(&text, &[]).len(), 1);
    session.exec("begin");
    let cursor = "select ev_data from pgq.get_batch_cursor($1, 'c', 10)";
    assert_eq!(session.column::<String>(cursor, &[&batch]), ["1"]);
    session.exec("commit");

    let rows: Vec<String> = session.column(
        "select concat_ws(' ', consumer_name, last_tick, current_batch, next_tick, lag >= '0')
           from pgq.get_consumer_info('q')",
        &[],
    );
    assert_eq!(rows, ["m 2 t".to_owned(), format!("m.a 1 {batch} 2 t")]);
    assert_eq!(finish(&mut session, batch), 1);
    let idle = "select lag is null and last_tick is null and current_batch is null
                  from pgq.get_consumer_info('q', 'm.a')";
    assert!(session.one::<bool>(idle, &[]));
}

#[test]
fn each_function_finishes_both_kinds_of_batches() {
    let (_database, mut session) = with_group("company");
    session.exec("select pgq.register_consumer('q', 'plain')");
    supply(&mut session, &["1", "2"]);
    let batch = next(&mut session, "a").unwrap();
    assert_eq!(session.one::<i32>("select pgq.finish_batch($1)", &[&batch]), 1);
    let plain: i64 = session.one("select pgq.next_batch('q', 'plain')", &[]);
    assert_eq!(finish(&mut session, plain), 1);
    let expected = [
        ("m".to_owned(), Some(2), None, None),
        ("m.a".to_owned(), None, None, None),
        ("plain".to_owned(), Some(2), None, None),
    ];
    assert_eq!(positions(&mut session), expected);
    assert_eq!(Consumer::new("q", "plain").drain_all(&mut session).unwrap().len(), 1);
    assert_eq!(drain(&mut session, "a"), ["2"]);
}

#[test]
fn unregistering_by_the_plain_function() {
    let (_database, mut session) = with_group("company");
    supply(&mut session, &["1", "2"]);
    for name in ["a", "b"] {
        next(&mut session, name).unwrap();
    }
    next(&mut session, "c");
    let unregister = |session: &mut Session, name: &str| -> i32 {
        session.one("select pgq.unregister_consumer('q', $1)", &[&name])
    };
    assert_eq!(unregister(&mut session, "m.a"), 1);
    assert_eq!(unregister(&mut session, "m"), 3);
    assert_eq!(positions(&mut session), []);
    assert_eq!(session.one::<i64>("select count(*) from pgq.consumer", &[]), 0);
}

#[test]
fn a_queue_with_groups_can_be_dropped() {
    let (_database, mut session) = with_group("company");
    supply(&mut session, &["1"]);
    session.exec("set pgq.coop_watch_processes = on");
    next(&mut session, "a").unwrap();
    assert_eq!(session.error("select pgq.drop_queue('q')").code, "P0001");
    assert_eq!(session.one::<i32>("select pgq.drop_queue('q', true)", &[]), 1);
    assert_eq!(session.one::<i64>("select count(*) from pgq_coop.process", &[]), 0);
    assert_eq!(session.error("drop extension pgq").code, "2BP01");
    session.exec("drop extension pgq_coop");
}

#[test]
fn a_retried_event_comes_back_to_the_group_alone() {
    let (_database, mut session) = with_group("company");
    session.exec("select pgq.register_consumer('q', 'plain')");
    supply(&mut session, &["again", "other"]);
    let batch = next(&mut session, "a").unwrap();
    let retry = "select pgq.event_retry($1, ev_id, 0) from pgq.get_batch_events($1)";
    assert_eq!(session.one::<i32>(retry, &[&batch]), 1);
    assert_eq!(finish(&mut session, batch), 1);
    // Even when the one who wanted it again has gone.
    assert_eq!(session.one::<i32>("select pgq_coop.unregister_subconsumer('q', 'm', 'a', 0)", &[]), 1);
    assert_eq!(session.one::<i32>("select pgq.maint_retry_events()", &[]), 1);
    queue::tick_now(&mut session, "q").unwrap();
    assert_eq!(drain(&mut session, "b"), ["other", "again"]);
    let plain = Consumer::new("q", "plain").drain_all(&mut session).unwrap();
    assert_eq!(plain.len(), 2);
}

#[test]
fn an_active_sub_consumer_holds_back_rotation_and_an_idle_one_does_not() {
    let (_cluster, mut session) = rotating();
    session.exec("create extension pgq_coop; select pgq.register_consumer('q', 'm')");
    supply(&mut session, &["kept"]);
    let batch = next(&mut session, "slow").unwrap();
    let rotations = |session: &mut Session| {
        (0..6)
            .filter(|_| {
                supply(session, &["x"]);
                drain(session, "quick");
                queue::rotate(session, "q").unwrap()
            })
            .count()
    };
    assert!(rotations(&mut session) < 3);
    assert_eq!(read(&mut session, batch), ["kept"]);
    assert_eq!(finish(&mut session, batch), 1);
    assert!(rotations(&mut session) > 3);
}

#[test]
fn who_finishes_asks_for_a_tick_only_when_the_group_has_read_all() {
    let cluster = ticker::builder().start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq; create extension pgq_coop");
    queue::create(&mut session, "q").unwrap();
    session.exec("select pgq.register_consumer('q', 'm')");
    // It has made itself known, and then lets the marks be.
    let is_waited_for = "select bool_or(consumer_waits) from pgq.stat_queues";
    wait_until("the ticker", || session.one::<Option<bool>>(is_waited_for, &[]).is_some());
    session.exec("alter system set pgq.ticker = off");
    session.exec("select pg_reload_conf()");
    wait_until("the ticker to leave", || {
        ticker::processes(&mut session, ticker::TICKER, Some("postgres")).is_empty()
    });
    supply(&mut session, &["1", "2"]);
    let [a, b] = ["a", "b"].map(|name| next(&mut session, name).unwrap());
    supply(&mut session, &["3"]);
    assert_eq!(finish(&mut session, a), 1);
    assert!(!session.one::<bool>(is_waited_for, &[]), "there is more");
    let a = next(&mut session, "a").unwrap();
    assert_eq!(finish(&mut session, b), 1);
    assert!(session.one::<bool>(is_waited_for, &[]), "all is in somebody's hands");
    assert_eq!(finish(&mut session, a), 1);
}

#[test]
fn a_commit_wakes_a_waiting_group_at_once() {
    let cluster = ticker::builder().start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq; create extension pgq_coop");
    queue::create(&mut session, "q").unwrap();
    for setting in ["ticker_max_lag", "ticker_idle_period"] {
        session.exec(&format!("select pgq.set_queue_config('q', '{setting}', '1 hour')"));
    }
    let mut workers = ["a", "b", "c"].map(|name| (name, cluster.connect("postgres")));
    session.exec("select pgq.register_consumer('q', 'm')");
    for round in 0..5 {
        for (name, worker) in &mut workers {
            drain(worker, name);
        }
        let began = Instant::now();
        let sent = round.to_string();
        queue::insert(&mut session, "q", "kind", &sent).unwrap();
        let mut got = Vec::new();
        wait_until("the event", || {
            got.extend(workers.iter_mut().flat_map(|(name, worker)| drain(worker, name)));
            !got.is_empty()
        });
        assert_eq!(got, [sent]);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}

#[test]
fn a_dump_takes_groups_along_and_no_processes() {
    let (database, mut session) = with_group("company");
    session.exec("set pgq.coop_watch_processes = on");
    supply(&mut session, &["1"]);
    next(&mut session, "a").unwrap();
    let dump = dump(&database);
    assert!(!dump.contains("pgq_coop.process"), "processes are of this server");
    let restored = restored(&dump);
    assert_eq!(positions(&mut restored.connect()), positions(&mut session));
}
