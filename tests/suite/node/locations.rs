//! The member list of a queue: what register_location and unregister_location make of it.

use crate::node::{Node, on_both};

#[test]
fn locations_are_known_before_the_node_is() {
    on_both(|node| {
        node.expect("register_location('q', 'b', 'dbname=b', false)", "200");
        node.expect("register_location('q', 'a', 'dbname=a', true)", "200");
        node.expect("register_location('other', 'a', 'dbname=other', false)", "200");
        node.expect(
            "get_queue_locations('q') order by node_name",
            "node_name=a node_location=dbname=a dead=t; node_name=b node_location=dbname=b dead=f",
        );
        node.expect("get_queue_locations('other')", "node_name=a node_location=dbname=other dead=f");
        node.expect("get_queue_locations('nosuch')", "");
        node.expect("get_queue_locations(null)", "");
    });
}

#[test]
fn a_location_is_updated_and_null_keeps_the_old_one() {
    on_both(|node| {
        node.exec("select pgq_node.register_location('q', 'a', 'dbname=a', false)");
        node.expect("register_location('q', 'a', null, true)", "200");
        node.expect("get_queue_locations('q')", "node_name=a node_location=dbname=a dead=t");
        node.expect("register_location('q', 'a', 'dbname=new', false)", "200");
        node.expect("get_queue_locations('q')", "node_name=a node_location=dbname=new dead=f");
        node.expect("register_location('q', 'unknown', null, false)", "200");
        node.expect("register_location('q', 'unknown', null, null)", "200");
        node.expect("get_queue_locations('q')", "node_name=a node_location=dbname=new dead=f");
    });
}

#[test]
fn a_location_needs_names_and_a_state() {
    on_both(|node| {
        node.expect("register_location('q', 'a', 'dbname=a', null)", "23502");
        node.expect("register_location(null, 'a', 'dbname=a', false)", "23502");
        node.expect("register_location('q', null, 'dbname=a', false)", "23502");
        node.exec("select pgq_node.register_location('q', 'a', 'dbname=a', false)");
        node.expect("register_location('q', 'a', 'dbname=a', null)", "23502");
        node.expect("register_location('q', 'a', null, null)", "23502");
    });
}

#[test]
fn the_root_announces_what_it_registers_as_it_was_told() {
    on_both(|node| {
        node.become_root();
        assert_eq!(node.events(), [""; 0], "what came before the node");
        node.exec(
            "select pgq_node.register_location('q', 'b', 'dbname=b', false);
             select pgq_node.register_location('q', 'b', null, true);
             select pgq_node.register_location('q', 'b', 'dbname=new', false);
             select pgq_node.register_location('q', 'unknown', null, false)",
        );
        assert_eq!(
            node.events(),
            [
                "(q,pgq.location-info,b,q,dbname=b,false,)",
                "(q,pgq.location-info,b,q,,true,)",
                "(q,pgq.location-info,b,q,dbname=new,false,)",
                "(q,pgq.location-info,unknown,q,,false,)",
            ]
        );
    });
}

#[test]
fn the_root_announces_what_it_forgets() {
    on_both(|node| {
        node.become_root();
        node.exec("select pgq_node.register_location('q', 'b', 'dbname=b', false)");
        node.expect("unregister_location('q', 'b')", "200");
        node.expect("unregister_location('q', 'b')", "301");
        node.expect("get_queue_locations('q')", "node_name=a node_location=dbname=a dead=f");
        node.events();
    });
}

#[test]
fn a_branch_and_a_leaf_announce_nothing() {
    on_both(|node| {
        node.become_branch(1);
        node.expect("register_location('q', 'c', 'dbname=c', false)", "200");
        node.expect("unregister_location('q', 'c')", "200");
        node.expect("unregister_location('q', 'c')", "301");
        assert_eq!(node.events(), [""; 0]);
    });
    on_both(|node| {
        node.become_leaf();
        node.expect("register_location('q', 'c', 'dbname=c', false)", "200");
        node.expect("unregister_location('q', 'c')", "200");
    });
}

#[test]
fn neither_the_own_location_nor_the_providers_can_go() {
    on_both(|node| {
        node.become_branch(1);
        for name in ["a", "b"] {
            let before = node.state();
            node.expect(&format!("unregister_location('q', '{name}')"), "403");
            assert_eq!(node.state(), before);
        }
    });
    on_both(|node| {
        node.become_root();
        node.expect("unregister_location('q', 'a')", "403");
    });
}

#[test]
fn a_location_that_another_consumer_reads_from_stays() {
    on_both(|node| {
        node.become_branch(1);
        node.exec(
            "select pgq_node.register_location('q', 'c', 'dbname=c', false);
             select pgq_node.register_consumer('q', 'reader', 'c', 1)",
        );
        let before = node.state();
        node.expect("unregister_location('q', 'c')", "23503");
        node.expect("drop_node('q', 'c')", "23503");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn with_its_location_a_subscriber_goes() {
    on_both(|node| {
        node.become_root();
        node.exec(
            "select pgq_node.register_location('q', 'b', 'dbname=b', false);
             select pgq_node.register_subscriber('q', 'b', 'b_worker', null)",
        );
        node.expect("unregister_location('q', 'b')", "200");
        node.expect("get_subscriber_info('q')", "");
        let positions = node.see("select consumer_name, last_tick from pgq.get_consumer_info()");
        assert_eq!(positions, ["(.global_watermark,1)"]);
    });
}

#[test]
fn unknown_locations_are_told_apart() {
    on_both(|node| {
        node.expect("unregister_location('nosuch', 'a')", "301");
        node.expect("unregister_location(null, 'a')", "301");
        node.expect("unregister_location('q', null)", "301");
    });
}

#[test]
fn a_root_tells_nothing_of_a_node_without_a_name() {
    let mut node = Node::ours();
    node.become_root();
    node.expect("unregister_location('q', null)", "301");
    assert_eq!(node.events(), [""; 0]);
}
