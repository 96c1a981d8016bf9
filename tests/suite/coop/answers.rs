//! What each function answers, refuses and writes.

use super::{drain, finish, names, next, positions, read, supply, with_group};
use crate::members::Members;
use crate::rights::EVIL;
use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;
use pgq_tests::queue;

fn code(session: &mut Session, call: &str) -> String {
    session.error(&format!("select pgq_coop.{call}")).code
}

#[test]
fn registering_adds_the_consumer_and_the_sub_consumer() {
    let (_database, mut session) = with_group("coop");
    let register = |session: &mut Session, consumer: &str, name: &str| -> i32 {
        session.one("select pgq_coop.register_subconsumer('q', $1, $2)", &[&consumer, &name])
    };
    assert_eq!(register(&mut session, "new", "a"), 1);
    assert_eq!(register(&mut session, "new", "b"), 1);
    assert_eq!(register(&mut session, "new", "a"), 0);
    assert_eq!(register(&mut session, "m", "a"), 1);
    let newest: i64 = session.one("select max(tick_id) from pgq.tick", &[]);
    let idle = |name: &str| (name.to_owned(), None, None, None);
    let main = |name: &str| (name.to_owned(), Some(newest), None, None);
    let expected = [main("m"), idle("m.a"), main("new"), idle("new.a"), idle("new.b")];
    assert_eq!(positions(&mut session), expected);
    let owners: Vec<i64> =
        session.column("select count(*) from pgq.subscription group by sub_id order by 1", &[]);
    assert_eq!(owners, [2, 3], "a group shares its number");
}

#[test]
fn an_unknown_consumer_is_registered_by_asking_but_no_queue_is() {
    let (_database, mut session) = with_group("coop");
    let asked: Option<i64> = session.one("select pgq_coop.next_batch('q', 'new', 'a')", &[]);
    assert_eq!(asked, None);
    assert_eq!(names(&mut session), ["m", "new", "new.a"]);
    for call in ["next_batch('nosuch', 'm', 'a')", "register_subconsumer('nosuch', 'm', 'a')"] {
        let error = session.error(&format!("select pgq_coop.{call}"));
        assert_eq!(error.code, "P0001", "{call}");
        assert!(error.message.contains("nosuch"), "{error:?}");
    }
    assert_eq!(session.one::<i32>("select pgq_coop.unregister_subconsumer('nosuch', 'm', 'a', 0)", &[]), 0);
    session.exec("select pgq.create_queue('bare'); delete from pgq.tick where tick_queue = 2");
    assert_eq!(code(&mut session, "next_batch('bare', 'm', 'a')"), "P0001");
    assert_eq!(names(&mut session), ["m", "new", "new.a"]);
}

#[test]
fn names_are_not_null() {
    let (_database, mut session) = with_group("coop");
    for function in [
        "register_subconsumer(%)",
        "next_batch(%)",
        "next_batch(%, '1 s')",
        "next_batch_custom(%, null, null, null)",
        "next_batch_custom(%, null, null, null, '1 s')",
        "unregister_subconsumer(%, 1)",
    ] {
        for (arguments, missing) in
            [("null, 'm', 'a'", "queue"), ("'q', null, 'a'", "consumer"), ("'q', 'm', null", "sub-consumer")]
        {
            let error = session.error(&format!("select pgq_coop.{}", function.replace('%', arguments)));
            assert_eq!((error.code.as_str(), error.message), ("22004", format!("{missing} name is NULL")));
        }
    }
}

#[test]
fn each_batch_goes_to_one_and_is_the_same_until_it_is_finished() {
    let (_database, mut session) = with_group("coop");
    supply(&mut session, &["1", "2", "3"]);
    let [a, b] = ["a", "b"].map(|name| next(&mut session, name).unwrap());
    assert_ne!(a, b);
    let expected = [
        ("m".to_owned(), Some(3), None, None),
        ("m.a".to_owned(), Some(1), Some(2), Some(a)),
        ("m.b".to_owned(), Some(2), Some(3), Some(b)),
    ];
    assert_eq!(positions(&mut session), expected);
    assert_eq!((read(&mut session, a), read(&mut session, b)), (vec!["1".to_owned()], vec!["2".to_owned()]));

    let seen = "select sub_active from pgq.subscription join pgq.consumer on co_id = sub_consumer where co_name = 'm.a'";
    let before: std::time::SystemTime = session.one(seen, &[]);
    assert_eq!(next(&mut session, "a"), Some(a));
    assert!(session.one::<std::time::SystemTime>(seen, &[]) > before, "it is seen to be alive");

    assert_eq!(finish(&mut session, a), 1);
    assert_eq!(positions(&mut session)[1], ("m.a".to_owned(), None, None, None));
    drop(session.take_notices());
    assert_eq!(finish(&mut session, a), 0);
    let warning = &session.take_notices()[0];
    assert_eq!((warning.severity.as_str(), warning.code.as_str()), ("WARNING", "01000"));
    assert!(warning.message.contains(&a.to_string()), "{warning:?}");
    assert_eq!(session.one::<i32>("select pgq_coop.finish_batch(null)", &[]), 0);

    assert_eq!(drain(&mut session, "a"), ["3"]);
    assert_eq!(next(&mut session, "a"), None);
    assert_eq!(next(&mut session, "b"), Some(b));
}

#[test]
fn a_batch_is_as_big_as_wished() {
    let (_database, mut session) = with_group("coop");
    session.exec("update pgq.queue set queue_ticker_max_count = 1");
    for _ in 0..6 {
        for _ in 0..10 {
            queue::insert(&mut session, "q", "kind", "data").unwrap();
        }
        session.exec("select pgq.ticker('q')");
    }
    let mut sizes = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let batch: Option<i64> =
            session.one("select pgq_coop.next_batch_custom('q', 'm', $1, null, 15, null)", &[&name]);
        sizes.push(batch.map(|batch| read(&mut session, batch).len()));
    }
    assert_eq!(sizes, [Some(20), Some(20), Some(20), None]);
    supply(&mut session, &["young"]);
    for call in [
        "next_batch_custom('q', 'm', 'd', '1 hour', null, null)",
        "next_batch_custom('q', 'm', 'd', null, null, '1 hour', '1 hour')",
    ] {
        assert_eq!(session.one::<Option<i64>>(&format!("select pgq_coop.{call}"), &[]), None, "{call}");
    }
    assert_eq!(drain(&mut session, "d"), ["young"]);
}

#[test]
fn asking_where_there_is_nothing_writes_nothing() {
    let (_database, mut session) = with_group("coop");
    supply(&mut session, &["1", "2"]);
    // A sibling is at work, and there are ticks, but not enough for what is wished.
    let busy = next(&mut session, "busy").unwrap();
    next(&mut session, "a").map(|batch| finish(&mut session, batch));
    supply(&mut session, &["3"]);
    session.exec("select pgq_coop.register_subconsumer('q', 'm', 'b')");
    session.exec("set pgq.coop_watch_processes = on");
    session.exec("begin");
    for call in [
        "next_batch_custom('q', 'm', 'a', null, 1000000, null)",
        "next_batch_custom('q', 'm', 'a', '1 hour', null, null, '1 hour')",
        "register_subconsumer('q', 'm', 'a')",
        "unregister_subconsumer('q', 'm', 'nosuch', 1)",
    ] {
        let answer: Option<i64> = session.one(&format!("select pgq_coop.{call}::bigint"), &[]);
        assert_eq!(answer.unwrap_or(0), 0, "{call}");
        assert!(session.one::<bool>("select txid_current_if_assigned() is null", &[]), "{call}");
    }
    session.exec("commit");
    drain(&mut session, "a");
    session.exec("begin");
    for call in ["next_batch('q', 'm', 'a')", "next_batch('q', 'm', 'b', '1 hour')"] {
        assert_eq!(session.one::<Option<i64>>(&format!("select pgq_coop.{call}"), &[]), None, "{call}");
        assert!(session.one::<bool>("select txid_current_if_assigned() is null", &[]), "{call}");
    }
    session.exec("commit");
    assert_eq!(finish(&mut session, busy), 1);
}

#[test]
fn unregistering_an_active_one_takes_a_word() {
    let (_database, mut session) = with_group("coop");
    supply(&mut session, &["skipped", "kept"]);
    let batch = next(&mut session, "a").unwrap();
    for handling in ["0", "2", "null"] {
        let error =
            session.error(&format!("select pgq_coop.unregister_subconsumer('q', 'm', 'a', {handling})"));
        assert_eq!(error.code, "P0001");
        assert!(error.message.contains(&batch.to_string()), "{error:?}");
        assert!(error.hint.unwrap().contains('1'));
    }
    let unregister = |session: &mut Session, name: &str, handling: i32| -> i32 {
        session.one("select pgq_coop.unregister_subconsumer('q', 'm', $1, $2)", &[&name, &handling])
    };
    assert_eq!(unregister(&mut session, "a", 1), 1);
    assert_eq!(unregister(&mut session, "a", 1), 0);
    assert_eq!(names(&mut session), ["m"]);
    assert_eq!(finish(&mut session, batch), 0);
    assert_eq!(drain(&mut session, "b"), ["kept"], "what was dropped does not come again");
    assert_eq!(unregister(&mut session, "b", 0), 1);
    assert_eq!(names(&mut session), ["m"]);
}

#[test]
fn a_name_stays_where_it_is_used() {
    let (_database, mut session) = with_group("coop");
    queue::create(&mut session, "other").unwrap();
    session.exec(
        "select pgq_coop.register_subconsumer(q, 'm', s) from unnest('{q,other}'::text[]) q, unnest('{a,b}'::text[]) s;
         create table node (name text references pgq.consumer (co_name)); insert into node values ('m.b')",
    );
    for queue in ["q", "other"] {
        for name in ["a", "b"] {
            let ended: i32 =
                session.one("select pgq_coop.unregister_subconsumer($1, 'm', $2, 0)", &[&queue, &name]);
            assert_eq!(ended, 1);
            let a_is_used = (queue, name) == ("q", "a") || (queue, name) == ("q", "b");
            assert_eq!(names(&mut session).contains(&"m.a".to_owned()), a_is_used, "{queue} {name}");
        }
    }
    assert_eq!(names(&mut session), ["m", "m.b"], "another extension refers to it");
}

#[test]
fn who_opens_the_main_consumers_batch_himself_is_not_robbed_of_it() {
    let (_database, mut session) = with_group("coop");
    supply(&mut session, &["1", "2"]);
    let (own, a) = (session.one::<i64>("select pgq.next_batch('q', 'm')", &[]), "next_batch('q', 'm', 'a')");
    let before = positions(&mut session);
    let error = session.error(&format!("select pgq_coop.{a}"));
    assert_eq!(error.code, "P0001");
    assert!(error.hint.unwrap().contains("pgq.finish_batch"));
    assert_eq!(positions(&mut session), before);
    assert_eq!(finish(&mut session, own), 1);
    assert_eq!(drain(&mut session, "a"), ["2"]);
}

#[test]
fn names_that_would_be_the_same_are_refused() {
    let (_database, mut session) = with_group("coop");
    session.exec("select pgq_coop.register_subconsumer('q', 'a', 'b.c'), pgq.register_consumer('q', 'a.b')");
    let before = positions(&mut session);
    for call in [
        "register_subconsumer('q', 'a.b', 'c')",
        "next_batch('q', 'a.b', 'c')",
        "unregister_subconsumer('q', 'a.b', 'c', 1)",
        "register_subconsumer('q', 'a', 'b')",
        "next_batch('q', 'a', 'b')",
        "unregister_subconsumer('q', 'a', 'b', 1)",
        // Not there is not of this group, either.
        "next_batch('q', '', 'c')",
    ] {
        if call.contains("'', 'c'") {
            session.exec("select pgq.register_consumer('q', '.c')");
        }
        let error = session.error(&format!("select pgq_coop.{call}"));
        assert_eq!(error.code, "42710", "{call}: {error:?}");
        assert!(error.hint.is_some());
    }
    session.exec("select pgq.unregister_consumer('q', '.c')");
    assert_eq!(positions(&mut session), before);
}

#[test]
fn a_sub_consumer_has_no_sub_consumers() {
    let (_database, mut session) = with_group("coop");
    supply(&mut session, &["1", "2"]);
    session.exec("select pgq_coop.register_subconsumer('q', 'm', s) from unnest('{a,a.x}'::text[]) s");
    for state in ["idle", "active"] {
        for name in ["x", "y"] {
            for call in [
                format!("register_subconsumer('q', 'm.a', '{name}')"),
                format!("next_batch('q', 'm.a', '{name}', '0')"),
                format!("unregister_subconsumer('q', 'm.a', '{name}', 1)"),
            ] {
                assert_eq!(code(&mut session, &call), "42809", "{state}: {call}");
            }
        }
        next(&mut session, "a").unwrap();
    }
    let error = session.error("select pgq.next_batch('q', 'm.a.x')");
    assert!(error.message.contains("corrupt"), "{error:?}");
}

#[test]
fn functions_are_for_readers_and_their_parts_for_nobody() {
    let mut members = Members::of(with_group("coop").0);
    for call in [
        "register_subconsumer('q', 'm', 'a')",
        "next_batch('q', 'm', 'a')",
        "next_batch('q', 'm', 'a', '1 s')",
        "next_batch_custom('q', 'm', 'a', null, null, null)",
        "next_batch_custom('q', 'm', 'a', null, null, null, null)",
        "finish_batch(0)",
        "unregister_subconsumer('q', 'm', 'a', 0)",
    ] {
        let denied = format!("permission denied for function {}", call.split('(').next().unwrap());
        members.only(&["reader", "admin"], &format!("select pgq_coop.{call}"), &denied);
    }
    for call in [
        "_forget_name(1)",
        "_group('q', 'm', 'a')",
        "_hand_out(1, 1, 1, 1, 1)",
        "_lock_group('q', 'm', 'a')",
        "_open_batch(1, 1, 1)",
        "_remember_process(1, 1)",
        "_take_over(1, 1, 'm', 1, '0')",
    ] {
        let denied = format!("permission denied for function {}", call.split('(').next().unwrap());
        members.only(&[], &format!("select pgq_coop.{call}"), &denied);
    }
    let all = ["nobody", "reader", "writer", "admin"];
    members.only(&all, "select pgq_coop.version()", "permission denied");
    members.only(&all, "select from pgq_coop.process", "permission denied for table");
    members.only(&[], "delete from pgq_coop.process", "permission denied for table");
    members.only(&all, "set pgq.coop_watch_processes = on", "permission denied to set");
}

#[test]
fn a_hostile_search_path_changes_nothing() {
    let cluster = Cluster::builder().conf("autovacuum", "off").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq; create extension pgq_coop");
    session.exec(EVIL);
    session.exec("create table evil.process as select * from pgq_coop.process");
    session.exec("set search_path = evil, pg_catalog");
    session.exec("set pgq.coop_watch_processes = on");
    session.exec("select pgq.create_queue('q'), pgq.register_consumer('q', 'm')");
    for _ in 0..3 {
        session.exec("select pgq.insert_event('q', 't', 'd'), pgq.force_tick('q'), pgq.ticker('q')");
    }
    let [a, _] = ["a", "b"].map(|name| next(&mut session, name).unwrap());
    assert_eq!(finish(&mut session, a), 1);
    session.exec("select pgq_coop.next_batch('q', 'm', 'c', '0'::pg_catalog.interval)");
    session.exec("update pgq_coop.process set pid = 0");
    session.exec("select pgq_coop.next_batch('q', 'm', 'd')");
    session.exec("select pgq_coop.next_batch_custom('q', 'm', 'a', '0', 1, '0')");
    session.exec("set pgq.coop_watch_processes = off");
    session.exec("select pgq_coop.next_batch_custom('q', 'm', 'd', null, null, null, null)");
    session.exec("select pgq_coop.register_subconsumer('q', 'm', 'e'), pgq_coop.version()");
    session.exec("select pgq_coop.unregister_subconsumer('q', 'm', 'd', 1)");
    assert_eq!(session.one::<i32>("select pgq.unregister_consumer('q', 'm')", &[]), 3);
}
