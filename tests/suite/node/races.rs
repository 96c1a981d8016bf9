//! Two at once: what comes of it is what comes of one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::node::Node;
use pgq_tests::client::{Session, blocked, wait_until};

/// How a call ends: its row, or the SQLSTATE.
fn outcome(session: &mut Session, call: &str) -> String {
    match session.query_one(&format!("select f::text from pgq_node.{call} f"), &[]) {
        Ok(row) => row.get(0),
        Err(error) => error.code().unwrap_or_else(|| panic!("{call}: {error:?}")).code().to_owned(),
    }
}

/// A database as if it were fresh, and then set up.
fn prepare(node: &mut Node, setup: fn(&mut Node)) {
    node.exec(
        "delete from pgq_node.subscriber_info; delete from pgq_node.local_state;
         delete from pgq_node.node_info; delete from pgq_node.node_location;
         select pgq.drop_queue(queue_name, true) from pgq.queue",
    );
    setup(node);
}

fn after(node: &mut Node, setup: fn(&mut Node), calls: &[&str]) -> Vec<String> {
    prepare(node, setup);
    for call in calls {
        outcome(&mut node.session, call);
    }
    node.state()
}

/// Both calls in transactions that overlap, the first one ending by this command; and what the second one came to.
#[track_caller]
fn overlapping(
    node: &mut Node,
    setup: fn(&mut Node),
    first: &str,
    end: &str,
    second: &str,
) -> (Vec<String>, String) {
    prepare(node, setup);
    node.exec("begin");
    outcome(&mut node.session, first);
    let call = second.to_owned();
    let mut session = node.database.connect();
    session.exec("set deadlock_timeout = '10 ms'");
    let other = session.spawn(move |session| outcome(session, &call));
    let mut monitor = node.database.connect();
    wait_until("the second to end, or to wait for the first", || {
        other.is_finished() || blocked(&mut monitor, other.pid())
    });
    // A first one that failed is rolled back by COMMIT, too.
    node.exec(end);
    let (_, came_to) = other.join();
    (node.state(), came_to)
}

/// Whoever comes first: the state is as after some order, or the second one is refused by an error and changes nothing.
/// Nobody is the victim of a deadlock.
#[track_caller]
fn one_after_the_other(node: &mut Node, setup: fn(&mut Node), one: &str, other: &str) {
    let orders = [after(node, setup, &[one, other]), after(node, setup, &[other, one])];
    for (first, second) in [(one, other), (other, one)] {
        let (state, came_to) = overlapping(node, setup, first, "commit", second);
        assert_ne!(came_to, "40P01", "{first}; {second}");
        let is_refused = came_to.len() == 5 && state == after(node, setup, &[first]);
        assert!(
            is_refused || orders.contains(&state),
            "{first}; {second} -> {came_to}\n is   {state:#?}\n, not {:#?}\n",
            orders[0]
        );
    }
}

/// What was undone has not been: the other one finds everything as it was.
#[track_caller]
fn also_undone(node: &mut Node, setup: fn(&mut Node), one: &str, other: &str) {
    one_after_the_other(node, setup, one, other);
    for (first, second) in [(one, other), (other, one)] {
        let (state, came_to) = overlapping(node, setup, first, "rollback", second);
        assert_eq!(state, after(node, setup, &[second]), "{first}, undone; {second} -> {came_to}");
    }
}

fn locations(node: &mut Node) {
    node.exec(
        "select pgq_node.register_location('q', 'a', 'dbname=a', false);
         select pgq_node.register_location('q', 'b', 'dbname=b', false);
         select pgq_node.register_location('q', 'c', 'dbname=c', false)",
    );
}

/// A root with four ticks and the locations `b` and `c`.
fn root(node: &mut Node) {
    locations(node);
    node.exec("select pgq_node.create_node('q', 'root', 'a', 'a_worker', null, null, null)");
    node.tick("q", 3);
}

fn root_with_subscriber(node: &mut Node) {
    root(node);
    node.exec("select pgq_node.register_subscriber('q', 'b', 'b_worker', null)");
}

fn branch(node: &mut Node) {
    node.become_branch(7);
    node.exec("select pgq_node.register_location('q', 'c', 'dbname=c', false)");
}

fn closed(node: &mut Node) {
    root(node);
    node.exec("select pgq_node.demote_root('q', 1, 'b')");
}

fn finished(node: &mut Node) {
    closed(node);
    node.exec("select pgq_node.demote_root('q', 2, 'b')");
}

const CREATE_ROOT: &str = "create_node('q', 'root', 'a', 'a_worker', null, null, null)";
const SUBSCRIBE: &str = "register_subscriber('q', 'b', 'b_worker', null)";

#[test]
fn two_make_the_node() {
    let node = &mut Node::ours();
    also_undone(node, locations, CREATE_ROOT, CREATE_ROOT);
    also_undone(node, locations, CREATE_ROOT, "create_node('q', 'branch', 'b', 'b_worker', 'a', 5, null)");
    also_undone(node, locations, CREATE_ROOT, "create_node('q', 'leaf', 'b', 'b_worker', 'a', 5, null)");
}

#[test]
fn making_and_listing_at_once() {
    let node = &mut Node::ours();
    also_undone(node, locations, CREATE_ROOT, "unregister_location('q', 'b')");
    also_undone(node, locations, CREATE_ROOT, "unregister_location('q', 'a')");
    also_undone(node, locations, CREATE_ROOT, "register_location('q', 'a', 'dbname=new', false)");
    also_undone(node, locations, CREATE_ROOT, "drop_node('q', 'a')");
}

#[test]
fn two_subscribe() {
    let node = &mut Node::ours();
    also_undone(node, root, SUBSCRIBE, SUBSCRIBE);
    also_undone(node, root, SUBSCRIBE, "register_subscriber('q', 'b', 'another', 3)");
    also_undone(node, root, SUBSCRIBE, "register_subscriber('q', 'c', 'b_worker', 3)");
    also_undone(node, root, SUBSCRIBE, "register_subscriber('q', 'c', 'c_worker', 3)");
}

#[test]
fn subscribing_while_somebody_leaves() {
    let node = &mut Node::ours();
    also_undone(node, root, SUBSCRIBE, "unregister_location('q', 'b')");
    also_undone(node, root, SUBSCRIBE, "set_global_watermark('q', null)");
    also_undone(node, root_with_subscriber, SUBSCRIBE, "unregister_subscriber('q', 'b')");
    also_undone(
        node,
        root_with_subscriber,
        "unregister_subscriber('q', 'b')",
        "unregister_subscriber('q', 'b')",
    );
    also_undone(
        node,
        root_with_subscriber,
        "unregister_subscriber('q', 'b')",
        "set_subscriber_watermark('q', 'b', 2)",
    );
}

#[test]
fn dropping_a_node_that_somebody_uses() {
    let node = &mut Node::ours();
    const DROP: &str = "drop_node('q', 'a')";
    also_undone(node, root, DROP, SUBSCRIBE);
    also_undone(node, root, DROP, DROP);
    also_undone(node, root, DROP, "register_consumer('q', 'reader', 'a', 1)");
    also_undone(node, root, DROP, "set_consumer_completed('q', 'a_worker', 2)");
    also_undone(node, root, DROP, "set_global_watermark('q', null)");
    also_undone(node, root, DROP, "demote_root('q', 1, 'b')");
    also_undone(node, root_with_subscriber, DROP, "unregister_subscriber('q', 'b')");
    also_undone(node, root_with_subscriber, DROP, "set_subscriber_watermark('q', 'b', 2)");
    also_undone(node, branch, "drop_node('q', 'b')", "promote_branch('q')");
}

#[test]
fn two_demote() {
    let node = &mut Node::ours();
    also_undone(node, root, "demote_root('q', 1, 'b')", "demote_root('q', 1, 'b')");
    // The number of a tick that is undone is not used again, so these are not undone.
    one_after_the_other(node, closed, "demote_root('q', 2, 'b')", "demote_root('q', 2, 'b')");
    one_after_the_other(node, root, "demote_root('q', 1, 'b')", "demote_root('q', 2, 'b')");
    one_after_the_other(node, closed, "demote_root('q', 2, 'b')", "demote_root('q', 3, 'b')");
    one_after_the_other(node, finished, "demote_root('q', 2, 'b')", "demote_root('q', 3, 'b')");
    also_undone(node, finished, "demote_root('q', 3, 'b')", "demote_root('q', 3, 'c')");
}

#[test]
fn promoting_against_promoting_and_demoting() {
    let node = &mut Node::ours();
    also_undone(node, branch, "promote_branch('q')", "promote_branch('q')");
    also_undone(node, branch, "promote_branch('q')", "demote_root('q', 1, 'a')");
    also_undone(node, branch, "promote_branch('q')", "set_global_watermark('q', 7)");
    also_undone(node, finished, "demote_root('q', 3, 'b')", "promote_branch('q')");
}

#[test]
fn closing_against_what_announces() {
    let node = &mut Node::ours();
    const CLOSE: &str = "demote_root('q', 1, 'b')";
    also_undone(node, root, CLOSE, "set_global_watermark('q', null)");
    also_undone(node, root, CLOSE, "register_location('q', 'd', 'dbname=d', false)");
    also_undone(node, root, CLOSE, "unregister_location('q', 'c')");
    also_undone(node, closed, "demote_root('q', 2, 'b')", "register_location('q', 'd', 'dbname=d', false)");
    one_after_the_other(node, closed, "demote_root('q', 2, 'b')", SUBSCRIBE);
}

#[test]
fn watermarks_do_not_fall_back() {
    let node = &mut Node::ours();
    also_undone(
        node,
        root_with_subscriber,
        "set_subscriber_watermark('q', 'b', 2)",
        "set_subscriber_watermark('q', 'b', 3)",
    );
    also_undone(node, root, "set_global_watermark('q', 2)", "set_global_watermark('q', 3)");
}

#[test]
fn two_write_the_state_of_one_consumer() {
    let node = &mut Node::ours();
    also_undone(
        node,
        branch,
        "register_consumer('q', 'reader', 'a', 1)",
        "register_consumer('q', 'reader', 'c', 2)",
    );
    also_undone(
        node,
        branch,
        "set_consumer_completed('q', 'b_worker', 8)",
        "change_consumer_provider('q', 'b_worker', 'c')",
    );
    also_undone(
        node,
        branch,
        "set_consumer_paused('q', 'b_worker', true)",
        "set_consumer_uptodate('q', 'b_worker', true)",
    );
    also_undone(
        node,
        branch,
        "set_consumer_paused('q', 'b_worker', true)",
        "set_consumer_paused('q', 'b_worker', true)",
    );
    also_undone(
        node,
        branch,
        "change_consumer_provider('q', 'b_worker', 'c')",
        "unregister_location('q', 'c')",
    );
}

/// Two processes of one worker have applied the same batch, in transactions that overlap.
#[test]
fn of_two_workers_one_completes_the_batch() {
    let node = &mut Node::ours();
    const COMPLETE: &str = "set_consumer_completed('q', 'b_worker', 8, 7)";
    also_undone(node, branch, COMPLETE, COMPLETE);
    let (_, second) = overlapping(node, branch, COMPLETE, "commit", COMPLETE);
    assert!(second.starts_with("(409,"), "{second}");
    let (_, second) = overlapping(node, branch, COMPLETE, "rollback", COMPLETE);
    assert!(second.starts_with("(100,"), "{second}");
    // As the original's workers do it: they end where one of them would.
    const ANYWAY: &str = "set_consumer_completed('q', 'b_worker', 8)";
    also_undone(node, branch, ANYWAY, ANYWAY);
}

/// Administrators who know nothing of each other: no deadlock, nothing that has no meaning to the server, and in the end
/// everything that is there is there as a whole.
#[test]
fn many_do_anything() {
    const CALLS: [&str; 20] = [
        "pgq_node.register_location('q', 'a', 'dbname=a', false)",
        "pgq_node.register_location('q', 'b', 'dbname=b', false)",
        "pgq_node.create_node('q', 'root', 'a', 'a_worker', null, null, null)",
        "pgq_node.create_node('q', 'branch', 'a', 'a_worker', 'b', 3, null)",
        "pgq_node.register_subscriber('q', 'b', 'b_worker', null)",
        "pgq_node.unregister_subscriber('q', 'b')",
        "pgq_node.set_subscriber_watermark('q', 'b', 2)",
        "pgq_node.set_global_watermark('q', null)",
        "pgq_node.maint_watermark('q')",
        "pgq_node.unregister_location('q', 'b')",
        "pgq_node.demote_root('q', 1, 'b')",
        "pgq_node.demote_root('q', 2, 'b')",
        "pgq_node.demote_root('q', 3, 'b')",
        "pgq_node.promote_branch('q')",
        "pgq_node.register_consumer('q', 'reader', 'a', 1)",
        "pgq_node.set_consumer_completed('q', 'reader', 2)",
        "pgq_node.drop_node('q', 'b')",
        "pgq_node.get_worker_state('q')",
        "pgq.insert_event('q', 'kind', 'data')",
        "pgq_node.drop_node('q', 'a')",
    ];
    let mut node = Node::ours();
    let end = Arc::new(AtomicBool::new(false));
    let sessions: Vec<_> = (0..4)
        .map(|_| {
            let end = Arc::clone(&end);
            node.database.connect().spawn(move |session| {
                let mut done = 0;
                while !end.load(Ordering::Relaxed) {
                    // The node's end comes rarely enough for it to have had a life.
                    let number = fastrand::usize(..CALLS.len() * 3) % (CALLS.len() - 1);
                    let number = if fastrand::u8(..40) == 0 { CALLS.len() - 1 } else { number };
                    match session.batch_execute(&format!("select * from {}", CALLS[number])) {
                        Ok(()) => done += 1,
                        Err(error) => {
                            let code = error.code().unwrap_or_else(|| panic!("{error:?}")).code();
                            assert!(
                                !code.starts_with("XX") && code != "40P01",
                                "{}: {error:?}",
                                CALLS[number]
                            );
                        }
                    }
                }
                done
            })
        })
        .collect();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) && !sessions.iter().any(|session| session.is_finished()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    end.store(true, Ordering::Relaxed);
    let done: usize = sessions.into_iter().map(|session| session.join().1).sum();
    assert!(done > 100, "{done}");
    whole(&mut node);
    node.ask("drop_node('q', 'a')");
    node.ask("drop_node('q', 'b')");
    let left =
        "select (select count(*) from pgq_node.node_info) + (select count(*) from pgq_node.local_state)
                     + (select count(*) from pgq_node.subscriber_info) + (select count(*) from pgq.queue)
                     + (select count(*) from pgq.consumer) + (select count(*) from pgq_node.node_location)";
    assert_eq!(node.session.one::<i64>(left, &[]), 0);
}

/// A node has its queue, its worker and its watermark; a subscriber has both its consumers.
fn whole(node: &mut Node) {
    let halves = node.see(
        "select n.node_type from pgq_node.node_info n
           left join pgq_node.local_state s on s.queue_name = n.queue_name and s.consumer_name = n.worker_name
           left join pgq.get_consumer_info(n.queue_name, '.global_watermark') w on true
           left join pgq.queue q on q.queue_name = n.queue_name
          where s.consumer_name is null or w.last_tick is null or q.queue_id is null",
    );
    assert_eq!(halves, [""; 0], "half a node");
    let halves = node.see(
        "select s.subscriber_node from pgq_node.subscriber_info s
           left join pgq.get_consumer_info(s.queue_name, s.worker_name) w on true
           left join pgq.get_consumer_info(s.queue_name, s.watermark_name) m on true
          where w.last_tick is null or m.last_tick is null",
    );
    assert_eq!(halves, [""; 0], "half a subscriber");
    let strays = node.see(
        "select c.consumer_name from pgq.get_consumer_info('q') c
          where c.consumer_name <> '.global_watermark'
            and not exists (select from pgq_node.subscriber_info s
                             where s.queue_name = 'q' and c.consumer_name in (s.worker_name, s.watermark_name))",
    );
    assert_eq!(strays, [""; 0], "consumers of nobody");
}
