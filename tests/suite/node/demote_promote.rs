//! The root becomes a branch in three steps, and a branch becomes the root in one.

use crate::node::{NODES, Node, on_both};
use crate::ticker::FEW_SECONDS;
use pgq_tests::client::{blocked, wait_until, wait_until_blocked};
use pgq_tests::queue::{self, Consumer, Reading};
use postgres::fallible_iterator::FallibleIterator;

const TOO_LATE: &str = "select pgq.insert_event('q', 'kind', 'too late')";
const FLAGS: &str = "select queue_external_ticker, queue_disable_insert from pgq.queue";

/// A root with the ticks 1 to 3, and with the location `b`.
fn root(node: &mut Node) {
    node.become_root();
    node.exec("select pgq_node.register_location('q', 'b', 'dbname=b', false)");
    node.tick("q", 2);
}

#[test]
fn the_three_steps() {
    on_both(|node| {
        root(node);
        node.exec("update pgq_node.local_state set uptodate = true");
        node.expect("demote_root('q', 1, 'b')", "200");
        assert_eq!(node.see(FLAGS), ["(t,t)"]);
        node.expect("demote_root('q', 2, 'b')", "200 last_tick=4");
        node.expect(
            "get_node_info('q')",
            "100 node_type=root node_name=a global_watermark=1 local_watermark=4 provider_node=a \
             provider_location=dbname=a worker_name=a_worker worker_paused=f worker_uptodate=t worker_last_tick=4",
        );
        node.expect("demote_root('q', 3, 'b')", "200 last_tick=4");
        assert_eq!(node.see(NODES), ["(q,branch,a,a_worker,,)"]);
        assert_eq!(node.see("table pgq_node.local_state"), ["(q,a_worker,b,4,,f,f)"]);
        assert_eq!(node.see(FLAGS), ["(t,t)"]);
    });
}

#[test]
fn only_the_last_step_looks_at_the_provider() {
    on_both(|node| {
        root(node);
        node.expect("demote_root('q', 1, null)", "200");
        node.expect("demote_root('q', 2, 'nosuch')", "200 last_tick=4");
        let before = node.state();
        node.expect("demote_root('q', 3, 'nosuch')", "23503");
        node.expect("demote_root('q', 3, null)", "23502");
        assert_eq!(node.state(), before);
        node.expect("demote_root('q', 3, 'b')", "200 last_tick=4");
    });
}

/// A demotion may stop before its last step, but not begin with another one than the first.
#[test]
fn no_node_becomes_its_own_provider() {
    let mut node = Node::ours();
    root(&mut node);
    node.expect("demote_root('q', 1, 'a')", "200");
    node.expect("demote_root('q', 2, 'a')", "200 last_tick=4");
    node.expect("demote_root('q', 3, 'a')", "401 last_tick=4");
    node.expect("demote_root('q', 3, 'b')", "200 last_tick=4");
}

#[test]
fn no_step_comes_before_the_first() {
    on_both(|node| {
        root(node);
        let before = node.state();
        for step in ["2", "3", "4", "0", "-1", "null"] {
            node.expect(&format!("demote_root('q', {step}, 'b')"), "P0001");
            assert_eq!(node.state(), before, "step {step}");
        }
    });
}

#[test]
fn every_wrong_order_of_the_steps_is_refused() {
    let orders = [[1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for order in orders {
        let mut node = Node::ours();
        root(&mut node);
        let mut done = 0;
        for step in order {
            let before = node.state();
            let answer = node.ask(&format!("demote_root('q', {step}, 'b')"));
            if step == done + 1 {
                assert!(answer.starts_with("200"), "{order:?}, step {step}: {answer}");
                done = step;
            } else {
                assert_eq!(answer, "P0001", "{order:?}, step {step}");
                assert_eq!(node.state(), before, "{order:?}, step {step}");
            }
        }
        // A refusal is not the end.
        for step in done + 1..=3 {
            let answer = node.ask(&format!("demote_root('q', {step}, 'b')"));
            assert!(answer.starts_with("200"), "{order:?}, then {step}: {answer}");
        }
        assert_eq!(node.see(NODES), ["(q,branch,a,a_worker,,)"]);
    }
}

#[test]
fn a_demotion_that_was_given_up_begins_anew() {
    let mut node = Node::ours();
    root(&mut node);
    for step in [1, 2] {
        node.ask(&format!("demote_root('q', {step}, 'b')"));
    }
    node.exec(
        "select pgq.set_queue_config('q', 'disable_insert', 'false'),
                pgq.set_queue_config('q', 'external_ticker', 'false')",
    );
    node.expect("demote_root('q', 3, 'b')", "P0001");
    queue::insert(&mut node.session, "q", "kind", "behind the final tick").unwrap();
    node.expect("demote_root('q', 3, 'b')", "P0001");
    node.expect("demote_root('q', 1, 'b')", "200");
    node.expect("demote_root('q', 3, 'b')", "P0001");
    node.expect("demote_root('q', 2, 'b')", "200 last_tick=5");
    node.expect("demote_root('q', 3, 'b')", "200 last_tick=5");
}

#[test]
fn between_the_steps_any_other_number_is_refused() {
    on_both(|node| {
        root(node);
        for step in [1, 2] {
            node.ask(&format!("demote_root('q', {step}, 'b')"));
            let before = node.state();
            for wrong in ["0", "4", "-1", "null"] {
                node.expect(&format!("demote_root('q', {wrong}, 'b')"), "P0001");
                assert_eq!(node.state(), before);
            }
        }
    });
}

#[test]
fn one_flag_is_not_the_first_step() {
    on_both(|node| {
        root(node);
        for (external, disabled) in [(true, false), (false, true)] {
            node.exec(&format!(
                "update pgq.queue set queue_external_ticker = {external}, queue_disable_insert = {disabled}"
            ));
            node.expect("demote_root('q', 2, 'b')", "P0001");
            node.expect("demote_root('q', 3, 'b')", "P0001");
        }
    });
}

#[test]
fn the_first_step_may_be_repeated_and_the_second_adds_a_tick_each_time() {
    on_both(|node| {
        root(node);
        for _ in 0..2 {
            node.expect("demote_root('q', 1, 'b')", "200");
        }
        for _ in 0..3 {
            node.ask("demote_root('q', 2, 'b')");
        }
        assert_eq!(node.see("select max(tick_id) from pgq.tick"), ["(6)"]);
        node.expect("demote_root('q', 1, 'b')", "200");
        node.expect("demote_root('q', 3, 'b')", "200 last_tick=6");
        assert_eq!(node.see("select last_tick_id from pgq_node.local_state"), ["(6)"]);
    });
}

#[test]
fn only_a_root_is_demoted() {
    const STEPS: [&str; 6] = ["1", "2", "3", "4", "0", "null"];
    on_both(|node| {
        for step in STEPS {
            node.expect(&format!("demote_root('q', {step}, 'a')"), "404");
        }
        node.expect("demote_root(null, 1, 'a')", "404");
        node.become_branch(7);
        let before = node.state();
        for step in STEPS {
            node.expect(&format!("demote_root('q', {step}, 'a')"), "301");
        }
        assert_eq!(node.state(), before);
    });
    on_both(|node| {
        node.become_leaf();
        let before = node.state();
        for step in STEPS {
            node.expect(&format!("demote_root('q', {step}, 'a')"), "301");
        }
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_branch_becomes_the_root() {
    on_both(|node| {
        node.become_branch(7);
        node.copy_tick(8);
        node.exec("update pgq_node.local_state set uptodate = true");
        node.exec("select setval('pgq.event_1_tick_seq', 2)");
        node.expect("promote_branch('q')", "200");
        assert_eq!(node.see(NODES), ["(q,root,b,b_worker,,)"]);
        assert_eq!(node.see("table pgq_node.local_state"), ["(q,b_worker,b,8,,f,f)"]);
        assert_eq!(node.see(FLAGS), ["(f,f)"]);
        node.tick("q", 1);
        assert_eq!(node.see("select tick_id from pgq.tick order by 1"), ["(1)", "(7)", "(8)", "(9)"]);
    });
}

#[test]
fn only_a_branch_is_promoted() {
    on_both(|node| {
        node.expect("promote_branch('q')", "404");
        node.expect("promote_branch(null)", "404");
        root(node);
        let before = node.state();
        node.expect("promote_branch('q')", "301");
        assert_eq!(node.state(), before);
        node.expect("demote_root('q', 1, 'b')", "200");
        let before = node.state();
        node.expect("promote_branch('q')", "301");
        assert_eq!(node.state(), before, "an unfinished demotion is not taken back by a promotion");
    });
    on_both(|node| {
        node.become_leaf();
        node.expect("promote_branch('q')", "301");
    });
}

#[test]
fn forth_and_back() {
    on_both(|node| {
        root(node);
        for step in 1..=3 {
            node.ask(&format!("demote_root('q', {step}, 'b')"));
        }
        node.expect("promote_branch('q')", "200");
        assert_eq!(node.see("table pgq_node.local_state"), ["(q,a_worker,a,4,,f,f)"]);
        node.tick("q", 1);
        for step in 1..=3 {
            node.ask(&format!("demote_root('q', {step}, 'b')"));
        }
    });
}

#[test]
fn after_the_first_step_nobody_writes() {
    on_both(|node| {
        root(node);
        queue::insert(&mut node.session, "q", "kind", "in time").unwrap();
        node.expect("demote_root('q', 1, 'b')", "200");
        // The codes of the two differ.
        let error = node.session.error(TOO_LATE);
        assert!(error.message.contains("disallowed"), "{error:?}");
        assert_eq!(node.session.error("select pgq.current_event_table('q')").code, "P0001");
    });
}

/// The last tick is the end of everything that was ever written: it waits for open writers, and readers go on.
#[test]
fn the_last_tick_waits_for_those_who_write() {
    on_both(|node| {
        root(node);
        let consumer = Consumer::new("q", "reader");
        consumer.register(&mut node.session).unwrap();
        queue::insert(&mut node.session, "q", "kind", "committed").unwrap();
        node.tick("q", 1);
        let mut writers = [node.database.connect(), node.database.connect()];
        for (number, writer) in writers.iter_mut().enumerate() {
            writer.exec("begin");
            queue::insert(writer, "q", "kind", &format!("open {number}")).unwrap();
        }
        node.expect("demote_root('q', 1, 'b')", "200");
        let stepping = node.database.connect().spawn(|session| {
            session.one::<i64>("select last_tick from pgq_node.demote_root('q', 2, 'b')", &[])
        });
        wait_until_blocked(&mut node.session, stepping.pid());
        let batch = consumer.next_batch(&mut node.session).unwrap().unwrap();
        for reading in [Reading::Events, Reading::Sql, Reading::Cursor(1)] {
            assert_eq!(batch.read(&mut node.session, reading).unwrap().len(), 1, "readers go on");
        }
        batch.finish(&mut node.session).unwrap();
        assert!(!stepping.is_finished());
        let [mut first, mut second] = writers;
        first.exec("commit");
        wait_until_blocked(&mut node.session, stepping.pid());
        second.exec("commit");
        let (_, last_tick) = stepping.join();
        let batch = consumer.next_batch(&mut node.session).unwrap().unwrap();
        assert_eq!(batch.tick, last_tick, "no tick but the last");
        let mut data: Vec<_> =
            batch.events(&mut node.session).unwrap().into_iter().filter_map(|event| event.data).collect();
        data.sort();
        assert_eq!(data, ["open 0", "open 1"]);
    });
}

/// A ticker that saw the queue before it was closed has the right to its tick; an id that was drawn before that tick's
/// would name a later snapshot.
#[test]
fn the_last_tick_comes_after_that_of_a_ticker_at_work() {
    let mut node = Node::ours();
    root(&mut node);
    let mut blocker = node.database.connect();
    node.exec("select pgq.force_tick('q')");
    blocker.exec("begin; alter sequence pgq.event_1_tick_seq cache 1");
    let ticker = node.database.connect().spawn(|session| session.one::<i64>("select pgq.ticker('q')", &[]));
    wait_until_blocked(&mut node.session, ticker.pid());
    node.expect("demote_root('q', 1, 'b')", "200");
    let last = "select last_tick from pgq_node.demote_root('q', 2, 'b')";
    let demoting = node.database.connect().spawn(|session| session.one::<i64>(last, &[]));
    wait_until_blocked(&mut node.session, demoting.pid());
    let waits_for: Vec<String> = node
        .session
        .column("select locktype from pg_locks where pid = $1 and not granted", &[&demoting.pid()]);
    assert_eq!(waits_for, ["object"], "the ticker, not the sequence");
    blocker.exec("rollback");
    let (of_ticker, of_demotion) = (ticker.join().1, demoting.join().1);
    assert_eq!(of_demotion, of_ticker + 1);
    node.expect("demote_root('q', 3, 'b')", &format!("200 last_tick={of_demotion}"));
}

/// The workers of other nodes need not look for it.
#[test]
fn who_listens_is_told_of_the_last_tick() {
    let mut node = Node::ours();
    root(&mut node);
    let mut worker = node.database.connect();
    let listen: String = worker.one("select format('listen %I', pgq.queue_channel('q'))", &[]);
    worker.exec(&listen);
    node.expect("demote_root('q', 1, 'b')", "200");
    node.expect("demote_root('q', 2, 'b')", "200 last_tick=4");
    let told = worker.notifications().timeout_iter(FEW_SECONDS).next().unwrap();
    assert_eq!(told.expect("a notification").payload(), "4");
}

#[test]
fn the_last_tick_counts_one_event() {
    on_both(|node| {
        root(node);
        let sequence = "select last_value from pgq.event_1_id_seq";
        queue::insert(&mut node.session, "q", "kind", "data").unwrap();
        node.expect("demote_root('q', 1, 'b')", "200");
        let before: i64 = node.session.one(sequence, &[]);
        node.expect("demote_root('q', 2, 'b')", "200 last_tick=4");
        assert_eq!(node.session.one::<i64>(sequence, &[]), before + 1);
        let tick: i64 =
            node.session.one("select tick_event_seq from pgq.tick order by tick_id desc limit 1", &[]);
        assert_eq!(tick, before + 1);
    });
}

/// Who comes while the last tick is taken may be refused at once or after it; nothing gets behind it.
#[test]
fn while_the_last_tick_is_taken_writers_are_refused() {
    on_both(|node| {
        root(node);
        node.expect("demote_root('q', 1, 'b')", "200");
        node.exec("begin");
        node.expect("demote_root('q', 2, 'b')", "200 last_tick=4");
        let writer = node.database.connect().spawn(|session| session.error(TOO_LATE).message);
        let mut monitor = node.database.connect();
        wait_until("the writer to be refused, or to wait", || {
            writer.is_finished() || blocked(&mut monitor, writer.pid())
        });
        node.exec("commit");
        let (_, message) = writer.join();
        assert!(message.contains("disallowed"), "{message}");
        let role: String = node.session.one("select current_setting('session_replication_role')", &[]);
        assert_eq!(role, "origin", "whatever it was within the transaction");
    });
}

#[test]
fn all_data_tables_are_locked() {
    on_both(|node| {
        root(node);
        node.expect("demote_root('q', 1, 'b')", "200");
        node.exec("begin");
        node.expect("demote_root('q', 2, 'b')", "200 last_tick=4");
        let locks = node.see(
            "select relation::regclass from pg_locks
              where pid = pg_backend_pid() and mode = 'ExclusiveLock' and locktype = 'relation' and granted
                and relation::regclass::text like 'pgq.event%' order by relation::regclass::text",
        );
        assert_eq!(locks, ["(pgq.event_1)", "(pgq.event_1_0)", "(pgq.event_1_1)", "(pgq.event_1_2)"]);
        node.exec("rollback");
    });
}
