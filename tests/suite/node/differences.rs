//! What ours does otherwise than the original, on purpose: each scenario is told to both.

use crate::node::{NODES, Node};
use pgq_tests::client::{blocked, wait_until};
use pgq_tests::queue::{self, Consumer};
use pgq_tests::server::Server;

/// What the scenario comes to, here and there.
#[track_caller]
fn differ(scenario: fn(&mut Node) -> String, original: &str, ours: &str) {
    assert_eq!(scenario(&mut Node::ours()), ours, "ours");
    match Server::peer() {
        Some(peer) => assert_eq!(scenario(&mut Node::on(&peer)), original, "the original"),
        None => eprintln!("not compared with the original: PGQ_PEER is not set"),
    }
}

/// A root with the subscriber `b`.
fn with_subscriber(node: &mut Node) {
    node.become_root();
    node.exec(
        "select pgq_node.register_location('q', 'b', 'dbname=b', false);
         select pgq_node.register_subscriber('q', 'b', 'b_worker', null)",
    );
}

/// How a statement ends: its SQLSTATE, or "done".
fn outcome(node: &mut Node, statement: &str) -> String {
    match node.session.batch_execute(statement) {
        Ok(()) => "done".to_owned(),
        Err(error) => error.code().unwrap().code().to_owned(),
    }
}

#[test]
fn a_queue_with_subscribers_can_be_dropped_by_force() {
    differ(
        |node| {
            with_subscriber(node);
            let gentle = outcome(node, "select pgq.drop_queue('q')");
            let forced = outcome(node, "select pgq.drop_queue('q', true)");
            let left = "select (select count(*) from pgq.queue) + (select count(*) from pgq.consumer)
                             + (select count(*) from pgq_node.subscriber_info)
                             + (select count(*) from pgq_node.local_state)
                             + (select count(*) from pgq_node.node_info)";
            format!("{gentle}, {forced}, {}", node.session.one::<i64>(left, &[]))
        },
        "P0001, 23503, 7",
        "P0001, done, 0",
    );
}

#[test]
fn dropping_one_queue_leaves_the_subscribers_of_others() {
    let mut node = Node::ours();
    with_subscriber(&mut node);
    node.exec(
        "select pgq_node.register_location('r', 'a', 'dbname=a', false);
         select pgq_node.register_location('r', 'b', 'dbname=b', false);
         select pgq_node.create_node('r', 'root', 'a', 'a_worker', null, null, null);
         select pgq_node.register_subscriber('r', 'b', 'b_worker', null);
         select pgq.drop_queue('q', true)",
    );
    node.expect("get_subscriber_info('q')", "");
    node.expect("get_subscriber_info('r')", "node_name=b worker_name=b_worker node_watermark=1");
    assert_eq!(node.see(NODES), ["(r,root,a,a_worker,,)"]);
}

#[test]
fn a_branch_cannot_be_opened_by_hand() {
    differ(
        |node| {
            node.become_branch(7);
            let open = outcome(node, "update pgq.queue set queue_ticker_max_count = 7");
            let settings = [("external_ticker", "off"), ("ticker_max_count", "9"), ("external_ticker", "on")];
            let set = settings.map(|(name, value)| {
                outcome(node, &format!("select pgq.set_queue_config('q', '{name}', '{value}')"))
            });
            format!("{open}; {}", set.join(", "))
        },
        "done; done, done, done",
        "done; 55000, done, done",
    );
    let mut node = Node::ours();
    node.become_branch(7);
    let error = node.session.error("select pgq.set_queue_config('q', 'disable_insert', 'false')");
    assert_eq!((error.code.as_str(), error.hint.unwrap().contains("promote_branch")), ("55000", true));
    assert_eq!(node.see("select queue_external_ticker, queue_disable_insert from pgq.queue"), ["(t,t)"]);
    node.expect("promote_branch('q')", "200");
}

#[test]
fn a_node_that_is_not_listed_is_refused_with_advice() {
    let mut node = Node::ours();
    node.become_root();
    for role in ["origin", "replica"] {
        node.exec(&format!("set session_replication_role = {role}"));
        for call in [
            "register_subscriber('q', 'nowhere', 'worker', null)",
            "register_consumer('q', 'reader', 'nowhere', 1)",
            "create_node('other', 'root', 'nowhere', 'worker', null, null, null)",
        ] {
            let error = node.session.error(&format!("select pgq_node.{call}"));
            assert_eq!(error.code, "23503", "{call}");
            assert!(error.message.contains("\"nowhere\""), "{error:?}");
            assert!(error.hint.unwrap().contains("pgq_node.register_location"), "{call}");
        }
    }
}

#[test]
fn the_consumers_of_a_subscriber_are_refused_with_a_way_out() {
    differ(
        |node| {
            with_subscriber(node);
            let worker = outcome(node, "select pgq.unregister_consumer('q', 'b_worker')");
            let watermark = outcome(node, "select pgq.unregister_consumer('q', '.b.watermark')");
            format!("{worker}, {watermark}")
        },
        "23503, 23503",
        "55006, 55006",
    );
    let mut node = Node::ours();
    with_subscriber(&mut node);
    for consumer in ["b_worker", ".b.watermark"] {
        let error = node.session.error(&format!("select pgq.unregister_consumer('q', '{consumer}')"));
        for name in ["\"q\"", "\"b\"", &format!("\"{consumer}\"")] {
            assert!(error.message.contains(name), "{error:?}");
        }
        assert!(error.hint.as_ref().unwrap().contains("pgq_node.unregister_subscriber"), "{error:?}");
    }
    node.expect("get_subscriber_info('q')", "node_name=b worker_name=b_worker node_watermark=1");
    node.expect("unregister_subscriber('q', 'b')", "200");
}

#[test]
fn a_worker_of_one_queue_leaves_another_where_it_only_reads() {
    let mut node = Node::ours();
    with_subscriber(&mut node);
    node.exec("select pgq.create_queue('plain'), pgq.register_consumer('plain', 'b_worker')");
    assert_eq!(node.session.one::<i32>("select pgq.unregister_consumer('plain', 'b_worker')", &[]), 1);
}

/// A branch whose consumer `reader` has put off an event, and another queue's consumer too; both are due.
fn with_retries(node: &mut Node) {
    node.become_branch(1);
    node.exec(
        "select pgq.register_consumer('q', 'reader'), pgq.register_consumer('q', 'subscriber');
         begin;
         set local session_replication_role = replica;
         select pgq.insert_event_raw('q', 100, now(), null, null, 'kind', 'copied', null, null, null, null);
         commit;
         select pgq.ticker('q', 2, now(), 100);
         select pgq.create_queue('other'), pgq.register_consumer('other', 'reader')",
    );
    // In a transaction of its own: the original may miss what follows a tick in the same one.
    node.exec("select pgq.insert_event('other', 'kind', 'local')");
    node.tick("other", 1);
    for queue in ["q", "other"] {
        let batch = Consumer::new(queue, "reader").next_batch(&mut node.session).unwrap().unwrap();
        for event in batch.events(&mut node.session).unwrap() {
            node.exec(&format!("select pgq.event_retry({}, {}, -60)", batch.id, event.id));
        }
        batch.finish(&mut node.session).unwrap();
    }
}

#[test]
fn retries_on_a_branch_go_back_and_stop_nobody() {
    differ(
        |node| {
            with_retries(node);
            let maintenance = outcome(node, "select pgq.maint_retry_events()");
            let waiting: i64 = node.session.one("select count(*) from pgq.retry_queue", &[]);
            format!("{maintenance}, {waiting} waiting")
        },
        "XX000, 2 waiting",
        "done, 0 waiting",
    );
    let mut node = Node::ours();
    with_retries(&mut node);
    assert_eq!(node.session.one::<i32>("select pgq.maint_retry_events()", &[]), 2);
    let mut comes_back = |queue: &str, consumer: &str| -> Vec<String> {
        let events = Consumer::new(queue, consumer).drain_all(&mut node.session).unwrap();
        events.into_iter().map(|event| format!("{} {:?}", event.data.unwrap(), event.retry)).collect()
    };
    assert_eq!(comes_back("q", "reader"), [""; 0], "no tick of our own making");
    assert_eq!(comes_back("q", "subscriber"), ["copied None"]);
    node.copy_tick(3);
    queue::tick_now(&mut node.session, "other").unwrap();
    let mut comes_back = |queue: &str, consumer: &str| -> Vec<String> {
        let events = Consumer::new(queue, consumer).drain_all(&mut node.session).unwrap();
        events.into_iter().map(|event| format!("{} {:?}", event.data.unwrap(), event.retry)).collect()
    };
    assert_eq!(comes_back("q", "reader"), ["copied Some(1)"]);
    assert_eq!(comes_back("q", "subscriber"), [""; 0], "who copies to other nodes does not get it");
    assert_eq!(comes_back("other", "reader"), ["local Some(1)"]);
}

#[test]
fn what_is_no_type_of_node_is_told() {
    differ(
        |node| {
            node.exec("select pgq_node.register_location('q', 'a', 'dbname=a', false)");
            ["'twig'", "''", "'Root'", "null"]
                .map(|kind| node.ask(&format!("create_node('q', {kind}, 'a', 'a_worker', 'a', 1, null)")))
                .join(", ")
        },
        "23514, 23514, 23514, 23502",
        "401, 401, 401, 401",
    );
}

#[test]
fn what_does_not_fit_the_type_is_told() {
    differ(
        |node| {
            node.exec(
                "select pgq_node.register_location('q', 'a', 'dbname=a', false);
                 select pgq_node.register_location('q', 'b', 'dbname=b', false);
                 select pgq.create_queue('all')",
            );
            let before = node.state();
            let answers = [
                "create_node('q', 'root', 'a', null, null, null, null)",
                "create_node('q', 'branch', 'b', null, 'a', 1, null)",
                "create_node('q', 'leaf', 'b', null, 'a', 1, null)",
                "create_node('q', 'branch', 'b', 'b_worker', 'a', 1, 'all')",
                "create_node('q', 'leaf', 'b', 'b_worker', null, 1, null)",
                "create_node('q', 'leaf', 'b', 'b_worker', 'a', null, null)",
            ]
            .map(|call| node.ask(call));
            assert_eq!(node.state(), before);
            answers.join(", ")
        },
        "23514, 23514, 23514, 23514, 23502, 23502",
        "401, 401, 401, 401, 401, 401",
    );
}

#[test]
fn a_branch_is_made_of_no_queue_that_is_there() {
    differ(
        |node| {
            let answers = [2, 7, 9].map(|newest| {
                let queue = format!("q{newest}");
                node.exec(&format!(
                    "select pgq_node.register_location('{queue}', 'a', 'dbname=a', false);
                     select pgq_node.register_location('{queue}', 'b', 'dbname=b', false);
                     select pgq.create_queue('{queue}')"
                ));
                node.tick(&queue, newest - 1);
                let before = node.state();
                let answer =
                    node.ask(&format!("create_node('{queue}', 'branch', 'b', 'b_worker', 'a', 7, null)"));
                assert!(answer == "200" || node.state() == before, "{newest}");
                answer
            });
            answers.join(", ")
        },
        "200, 23505, 23505",
        "401, 401, 401",
    );
}

/// The worker died after it had copied a batch and before it made its tick.
#[test]
fn a_branch_that_lacks_a_tick_is_not_promoted() {
    differ(
        |node| {
            node.become_branch(7);
            node.exec("select pgq_node.set_consumer_completed('q', 'b_worker', 8)");
            let before = node.state();
            let early = node.ask("promote_branch('q')");
            assert!(early == "200" || node.state() == before);
            let kind = "select node_type from pgq_node.node_info";
            if node.session.one::<String>(kind, &[]) == "branch" {
                node.copy_tick(8);
            }
            format!("{early}, {}", node.ask("promote_branch('q')"))
        },
        "200, 301",
        "409, 200",
    );
}

#[test]
fn a_consumer_that_is_moved_has_news() {
    differ(
        |node| {
            node.become_branch(7);
            node.exec(
                "select pgq_node.register_consumer('q', 'reader', 'a', 5);
                 select pgq_node.set_consumer_uptodate('q', 'reader', true);
                 select pgq_node.register_consumer('q', 'reader', 'a', 3)",
            );
            let uptodate = "select uptodate from pgq_node.local_state where consumer_name = 'reader'";
            node.session.one::<bool>(uptodate, &[]).to_string()
        },
        "true",
        "false",
    );
}

#[test]
fn whose_worker_a_consumer_is_is_told() {
    differ(
        |node| {
            with_subscriber(node);
            node.exec("select pgq_node.register_location('q', 'c', 'dbname=c', false)");
            let second = node.ask("register_subscriber('q', 'c', 'b_worker', null)");
            let unregistered = node.ask("unregister_subscriber('q', 'b')");
            format!("{second}, {unregistered}")
        },
        "200 global_watermark=1, 23503",
        "401, 200",
    );
}

#[test]
fn a_node_that_is_none_keeps_others_queues() {
    differ(
        |node| {
            node.exec("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
            let answer = node.ask("drop_node('q', 'a')");
            format!("{answer}, {}", node.session.one::<i64>("select count(*) from pgq.queue", &[]))
        },
        "200, 0",
        "200, 1",
    );
}

#[test]
fn a_leaf_keeps_others_queues() {
    differ(
        |node| {
            node.become_leaf();
            node.exec("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
            let answer = node.ask("drop_node('q', 'l')");
            format!("{answer}, {}", node.session.one::<i64>("select count(*) from pgq.queue", &[]))
        },
        "200, 0",
        "200, 1",
    );
}

#[test]
fn while_a_root_is_demoted_its_watermark_stays() {
    differ(
        |node| {
            node.become_root();
            node.tick("q", 2);
            node.exec("update pgq.tick set tick_time = now() - interval '1 hour'");
            node.exec("select pgq_node.demote_root('q', 1, null)");
            node.ask("maint_watermark('q')")
        },
        "XX000",
        "0",
    );
}

#[test]
fn who_is_none_of_the_subscribers_is_not_found() {
    differ(
        |node| {
            with_subscriber(node);
            let null_node = node.ask("set_subscriber_watermark('q', null, 1)");
            let null_queue = node.ask("set_subscriber_watermark(null, 'b', 1)");
            let null_tick = node.ask("set_subscriber_watermark('q', 'b', null)");
            format!("{null_node}, {null_queue}, {null_tick}")
        },
        "100, 100, 200",
        "404, 404, 100",
    );
}

#[test]
fn a_combined_queue_is_named_though_no_node_is_made_of_it() {
    differ(
        |node| {
            node.exec(
                "select pgq.create_queue('all');
                 select pgq_node.register_location('q', 'a', 'dbname=a', false);
                 select pgq_node.register_location('q', 'l', 'dbname=l', false);
                 select pgq_node.create_node('q', 'leaf', 'l', 'l_worker', 'a', 1, 'all')",
            );
            let combined = "select coalesce(combined_queue, 'NULL') from pgq_node.get_node_info('q')";
            node.session.one(combined, &[])
        },
        "NULL",
        "all",
    );
}

#[test]
fn a_watermark_that_stands_still_is_told_once() {
    differ(
        |node| {
            node.become_root();
            node.exec("select pgq.register_consumer('q', 'stuck')");
            node.tick("q", 2);
            node.exec("update pgq.tick set tick_time = now() - interval '10 minutes'");
            for _ in 0..2 {
                node.ask("maint_watermark('q')");
            }
            node.events().len().to_string()
        },
        "2",
        "0",
    );
}

#[test]
fn a_demotion_does_not_leave_out_the_last_tick() {
    differ(
        |node| {
            node.become_root();
            node.exec("select pgq_node.register_location('q', 'b', 'dbname=b', false)");
            let mut writer = node.database.connect();
            writer.exec("begin; select pgq.insert_event('q', 'kind', 'open')");
            let first = node.ask("demote_root('q', 1, 'b')");
            let third = node.ask("demote_root('q', 3, 'b')");
            format!("{first}, {third}")
        },
        "200, 200 last_tick=1",
        "200, P0001",
    );
}

/// Who has asked for the table to write into is a writer, though he has written nothing yet.
#[test]
fn the_last_tick_waits_for_bulk_writers_too() {
    differ(
        |node| {
            node.become_root();
            let mut writer = node.database.connect();
            writer.exec("begin");
            let table: String = writer.one("select pgq.current_event_table('q')", &[]);
            node.ask("demote_root('q', 1, 'b')");
            let stepping = node
                .database
                .connect()
                .spawn(|session| session.exec("select pgq_node.demote_root('q', 2, 'b')"));
            wait_until("the last tick, or that it waits", || {
                stepping.is_finished() || blocked(&mut node.session, stepping.pid())
            });
            writer.exec(&format!("insert into {table} (ev_time, ev_data) values (now(), 'bulk'); commit"));
            stepping.join();
            let is_covered: bool = node.session.one(
                "select txid_visible_in_snapshot(ev_txid, tick_snapshot)
                   from pgq.event_template, pgq.tick order by tick_id desc limit 1",
                &[],
            );
            is_covered.to_string()
        },
        "false",
        "true",
    );
}

#[test]
fn a_consumer_that_goes_back_is_warned_about() {
    let mut node = Node::ours();
    node.become_branch(7);
    let _ = node.session.take_notices();
    node.expect("set_consumer_completed('q', 'b_worker', 8)", "100");
    node.expect("set_consumer_completed('q', 'b_worker', 8)", "100");
    assert_eq!(node.session.take_notices(), []);
    node.expect("set_consumer_completed('q', 'b_worker', 6)", "100");
    let warnings = node.session.take_notices();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, "WARNING");
    for name in ["\"q\"", "\"b_worker\"", "8", "6"] {
        assert!(warnings[0].message.contains(name), "{warnings:?}");
    }
}

#[test]
fn a_batch_can_be_completed_from_where_it_begins_only() {
    let mut node = Node::ours();
    node.become_branch(7);
    let before = node.state();
    node.expect("set_consumer_completed('q', 'b_worker', 9, 8)", "409");
    node.expect("set_consumer_completed('q', 'nosuch', 9, 7)", "404");
    node.expect("set_consumer_completed('nosuch', 'b_worker', 9, 7)", "404");
    node.expect("set_consumer_completed('q', 'b_worker', null, 7)", "23502");
    assert_eq!(node.state(), before);
    node.exec("update pgq_node.local_state set cur_error = 'oops'");
    node.expect("set_consumer_completed('q', 'b_worker', 9, 7)", "100");
    let completed = node.see("select last_tick_id, cur_error from pgq_node.local_state");
    assert_eq!(completed, ["(9,)"]);
    node.expect("set_consumer_completed('q', 'b_worker', 9, 7)", "409");
    node.expect("set_consumer_completed('q', 'b_worker', 10, null)", "23502");
}
