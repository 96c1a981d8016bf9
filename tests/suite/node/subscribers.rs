//! The provider's side: subscribers, and the pseudo-consumers that stand for them.

use crate::node::{Node, on_both};

const POSITIONS: &str = "select consumer_name, last_tick from pgq.get_consumer_info('q')";

/// A root with the ticks 1 to 4, whose global watermark is 2, and with the location `b`.
fn root_at_two(node: &mut Node) {
    node.become_root();
    node.tick("q", 3);
    node.exec(
        "select pgq_node.register_location('q', 'b', 'dbname=b', false);
         select pgq.register_consumer_at('q', '.global_watermark', 2)",
    );
}

#[test]
fn a_subscriber_begins_at_the_global_watermark() {
    on_both(|node| {
        root_at_two(node);
        node.expect("register_subscriber('q', 'b', 'b_worker', null)", "200 global_watermark=2");
        assert_eq!(node.see(POSITIONS), ["(.b.watermark,2)", "(.global_watermark,2)", "(b_worker,2)"]);
        assert_eq!(node.see("table pgq_node.subscriber_info"), ["(q,b,b_worker,.b.watermark)"]);
        node.expect("get_subscriber_info('q')", "node_name=b worker_name=b_worker node_watermark=2");
    });
}

#[test]
fn a_worker_may_begin_elsewhere_but_its_watermark_does_not() {
    on_both(|node| {
        root_at_two(node);
        node.expect("register_subscriber('q', 'b', 'b_worker', 3)", "200 global_watermark=2");
        assert_eq!(node.see(POSITIONS), ["(.b.watermark,2)", "(.global_watermark,2)", "(b_worker,3)"]);
    });
    on_both(|node| {
        root_at_two(node);
        node.expect("register_subscriber('q', 'b', 'b_worker', 1)", "200 global_watermark=2");
    });
}

#[test]
fn a_branch_has_subscribers_too_and_a_leaf_none() {
    on_both(|node| {
        node.become_branch(7);
        node.exec("select pgq_node.register_location('q', 'c', 'dbname=c', false)");
        node.expect("register_subscriber('q', 'c', 'c_worker', null)", "200 global_watermark=7");
    });
    on_both(|node| {
        node.become_leaf();
        node.exec("select pgq_node.register_location('q', 'c', 'dbname=c', false)");
        let before = node.state();
        node.expect("register_subscriber('q', 'c', 'c_worker', null)", "401");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn what_subscribing_refuses() {
    on_both(|node| {
        node.expect("register_subscriber('q', 'b', 'b_worker', null)", "404");
        root_at_two(node);
        let before = node.state();
        node.expect("register_subscriber('nosuch', 'b', 'b_worker', null)", "404");
        node.expect("register_subscriber(null, 'b', 'b_worker', null)", "404");
        node.expect("register_subscriber('q', 'b', 'b_worker', 99)", "P0001");
        node.expect("register_subscriber('q', 'nosuch', 'b_worker', null)", "23503");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn the_same_node_subscribes_once() {
    on_both(|node| {
        root_at_two(node);
        node.exec("select pgq_node.register_subscriber('q', 'b', 'b_worker', 3)");
        node.exec("select pgq_node.set_subscriber_watermark('q', 'b', 3)");
        let before = node.state();
        node.expect("register_subscriber('q', 'b', 'b_worker', null)", "23505");
        node.expect("register_subscriber('q', 'b', 'another', 4)", "23505");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_worker_that_reads_already_moves() {
    on_both(|node| {
        root_at_two(node);
        node.exec("select pgq.register_consumer('q', 'b_worker')");
        node.expect("register_subscriber('q', 'b', 'b_worker', 3)", "200 global_watermark=2");
        node.see(POSITIONS);
    });
}

#[test]
fn a_subscriber_leaves_with_both_its_consumers() {
    on_both(|node| {
        root_at_two(node);
        node.exec("select pgq_node.register_subscriber('q', 'b', 'b_worker', 3)");
        node.expect("unregister_subscriber('q', 'b')", "200");
        assert_eq!(node.see(POSITIONS), ["(.global_watermark,2)"]);
        assert_eq!(node.see("table pgq_node.subscriber_info"), [""; 0]);
        assert_eq!(node.see("select co_name from pgq.consumer"), ["(.global_watermark)"]);
        node.expect("unregister_subscriber('q', 'b')", "304");
        node.expect("unregister_subscriber('nosuch', 'b')", "304");
        node.expect("unregister_subscriber(null, null)", "304");
    });
}

#[test]
fn subscribers_of_several_queues_share_names() {
    on_both(|node| {
        root_at_two(node);
        node.exec(
            "select pgq_node.register_location('r', 'a', 'dbname=a', false);
             select pgq_node.register_location('r', 'b', 'dbname=b', false);
             select pgq_node.create_node('r', 'root', 'a', 'a_worker', null, null, null);
             select pgq_node.register_subscriber('q', 'b', 'b_worker', null);
             select pgq_node.register_subscriber('r', 'b', 'b_worker', null)",
        );
        node.state();
        node.expect("unregister_subscriber('q', 'b')", "200");
        node.expect("get_subscriber_info('q')", "");
        node.expect("get_subscriber_info('r')", "node_name=b worker_name=b_worker node_watermark=1");
    });
}

#[test]
fn subscribers_are_listed_by_node() {
    on_both(|node| {
        root_at_two(node);
        for name in ["z", "c", "A"] {
            node.exec(&format!(
                "select pgq_node.register_location('q', '{name}', 'dbname={name}', false);
                 select pgq_node.register_subscriber('q', '{name}', '{name}_worker', null)"
            ));
        }
        node.expect(
            "get_subscriber_info('q')",
            "node_name=A worker_name=A_worker node_watermark=2; node_name=c worker_name=c_worker node_watermark=2; \
             node_name=z worker_name=z_worker node_watermark=2",
        );
        node.expect("get_subscriber_info('nosuch')", "");
        node.expect("get_subscriber_info(null)", "");
    });
}

#[test]
fn a_watermark_goes_forward_only() {
    on_both(|node| {
        root_at_two(node);
        node.exec("select pgq_node.register_subscriber('q', 'b', 'b_worker', 3)");
        node.expect("set_subscriber_watermark('q', 'b', 4)", "200");
        assert_eq!(node.see(POSITIONS), ["(.b.watermark,4)", "(.global_watermark,2)", "(b_worker,3)"]);
        node.expect("set_subscriber_watermark('q', 'b', 4)", "100");
        let before = node.state();
        node.expect("set_subscriber_watermark('q', 'b', 3)", "405");
        node.expect("set_subscriber_watermark('q', 'b', 5)", "P0001");
        node.expect("set_subscriber_watermark('q', 'nosuch', 4)", "404");
        node.expect("set_subscriber_watermark('nosuch', 'b', 4)", "404");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_leaf_and_nobody_have_no_subscribers_to_watch() {
    on_both(|node| {
        node.expect("set_subscriber_watermark('q', 'b', 4)", "404");
        node.become_leaf();
        node.expect("set_subscriber_watermark('q', 'b', 4)", "404");
        node.expect("unregister_subscriber('q', 'b')", "304");
    });
}
