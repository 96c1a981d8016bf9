//! A node comes and goes: create_node, drop_node and what they refuse.

use crate::node::{NODES, on_both};

const LOCATIONS: &str = "select pgq_node.register_location('q', 'a', 'dbname=a', false);
                         select pgq_node.register_location('q', 'b', 'dbname=b', false)";

#[test]
fn a_root_has_a_queue_and_a_global_watermark() {
    on_both(|node| {
        node.exec(LOCATIONS);
        node.expect("create_node('q', 'root', 'a', 'a_worker', null, null, null)", "200");
        assert_eq!(node.see(NODES), ["(q,root,a,a_worker,,)"]);
        assert_eq!(node.see("table pgq_node.local_state"), ["(q,a_worker,a,1,,f,f)"]);
        let positions = node.see("select queue_name, consumer_name, last_tick from pgq.get_consumer_info()");
        assert_eq!(positions, ["(q,.global_watermark,1)"]);
        let flags = node.see("select queue_external_ticker, queue_disable_insert from pgq.queue");
        assert_eq!(flags, ["(f,f)"]);
    });
}

#[test]
fn a_root_takes_a_queue_that_is_there_as_it_is() {
    on_both(|node| {
        node.exec(LOCATIONS);
        node.exec("select pgq.create_queue('q'), pgq.register_consumer('q', 'old')");
        node.tick("q", 3);
        node.expect("create_node('q', 'root', 'a', 'a_worker', null, null, null)", "200");
        let positions = node.see("select queue_name, consumer_name, last_tick from pgq.get_consumer_info()");
        assert_eq!(positions, ["(q,.global_watermark,4)", "(q,old,1)"]);
        assert_eq!(node.see("table pgq_node.local_state"), ["(q,a_worker,a,4,,f,f)"]);
    });
}

#[test]
fn a_root_wants_neither_provider_nor_watermark_nor_combined_queue() {
    on_both(|node| {
        node.exec(LOCATIONS);
        let before = node.state();
        node.expect("create_node('q', 'root', 'a', 'a_worker', 'b', null, null)", "401");
        node.expect("create_node('q', 'root', 'a', 'a_worker', null, 1, null)", "401");
        node.expect("create_node('q', 'root', 'a', 'a_worker', null, null, 'q')", "401");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_branch_is_ticked_and_filled_from_outside() {
    on_both(|node| {
        node.exec(LOCATIONS);
        node.expect("create_node('q', 'branch', 'b', 'b_worker', 'a', 7, null)", "200");
        assert_eq!(node.see(NODES), ["(q,branch,b,b_worker,,)"]);
        assert_eq!(node.see("table pgq_node.local_state"), ["(q,b_worker,a,7,,f,f)"]);
        let positions = node.see("select queue_name, consumer_name, last_tick from pgq.get_consumer_info()");
        assert_eq!(positions, ["(q,.global_watermark,7)"]);
        let flags = node.see("select queue_external_ticker, queue_disable_insert from pgq.queue");
        assert_eq!(flags, ["(t,t)"]);
        let ticks = node.see("select tick_id from pgq.tick order by 1");
        assert_eq!(ticks, ["(1)", "(7)"]);
        assert_eq!(node.see("select tick_event_seq from pgq.tick where tick_id = 7"), ["(1)"]);
    });
}

#[test]
fn a_branch_that_begins_at_the_first_tick_needs_no_other() {
    on_both(|node| {
        node.exec(LOCATIONS);
        node.expect("create_node('q', 'branch', 'b', 'b_worker', 'a', 1, null)", "200");
        assert_eq!(node.see("select tick_id from pgq.tick"), ["(1)"]);
    });
    on_both(|node| {
        node.exec(LOCATIONS);
        node.expect("create_node('q', 'branch', 'b', 'b_worker', 'a', 2, null)", "200");
        assert_eq!(node.see("select tick_id from pgq.tick order by 1"), ["(1)", "(2)"]);
    });
}

#[test]
fn a_branch_begins_at_a_tick_that_there_can_be() {
    on_both(|node| {
        node.exec(LOCATIONS);
        let before = node.state();
        for watermark in [0, -1] {
            let call = format!("create_node('q', 'branch', 'b', 'b_worker', 'a', {watermark}, null)");
            node.expect(&call, "P0001");
        }
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_branch_needs_provider_and_watermark() {
    on_both(|node| {
        node.exec(LOCATIONS);
        let before = node.state();
        node.expect("create_node('q', 'branch', 'b', 'b_worker', null, 1, null)", "401");
        node.expect("create_node('q', 'branch', 'b', 'b_worker', 'a', null, null)", "401");
        node.expect("create_node('q', 'branch', 'b', 'b_worker', null, null, null)", "401");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_leaf_has_no_queue() {
    on_both(|node| {
        node.exec(LOCATIONS);
        node.expect("create_node('q', 'leaf', 'b', 'b_worker', 'a', 7, null)", "200");
        assert_eq!(node.see(NODES), ["(q,leaf,b,b_worker,,)"]);
        assert_eq!(node.see("table pgq_node.local_state"), ["(q,b_worker,a,7,,f,f)"]);
        assert_eq!(node.see("select from pgq.queue"), [""; 0]);
    });
}

#[test]
fn a_leaf_may_feed_a_combined_queue_that_is_here() {
    on_both(|node| {
        node.exec(LOCATIONS);
        let before = node.state();
        node.expect("create_node('q', 'leaf', 'b', 'b_worker', 'a', 7, 'all')", "401");
        assert_eq!(node.state(), before);
        node.exec("select pgq.create_queue('all')");
        node.expect("create_node('q', 'leaf', 'b', 'b_worker', 'a', 7, 'all')", "200");
        assert_eq!(node.see(NODES), ["(q,leaf,b,b_worker,all,)"]);
    });
}

#[test]
fn a_node_is_made_once() {
    on_both(|node| {
        node.become_root();
        let before = node.state();
        for kind in ["root", "branch", "leaf", "twig"] {
            let call = format!("create_node('q', '{kind}', 'a', 'a_worker', null, null, null)");
            node.expect(&call, "401");
        }
        assert_eq!(node.state(), before);
    });
}

#[test]
fn locations_come_before_the_node() {
    on_both(|node| {
        node.expect("create_node('q', 'root', 'a', 'a_worker', null, null, null)", "23503");
        node.exec("select pgq_node.register_location('q', 'b', 'dbname=b', false)");
        node.expect("create_node('q', 'branch', 'b', 'b_worker', 'a', 1, null)", "23503");
        node.expect("create_node('q', 'leaf', 'b', 'b_worker', 'a', 1, null)", "23503");
        node.expect("create_node('q', 'root', 'a', 'a_worker', null, null, null)", "23503");
        let queues = node.see("select queue_name from pgq.queue");
        assert_eq!(queues, [""; 0], "what failed left no queue behind");
    });
}

#[test]
fn a_node_and_its_queue_have_names() {
    on_both(|node| {
        node.exec(LOCATIONS);
        let before = node.state();
        node.expect("create_node('q', 'root', null, 'a_worker', null, null, null)", "23502");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_node_drops_itself_by_its_own_name() {
    on_both(|node| {
        node.become_root();
        node.exec(
            "select pgq_node.register_location('q', 'b', 'dbname=b', false);
             select pgq_node.register_subscriber('q', 'b', 'b_worker', null);
             select pgq_node.register_consumer('q', 'reader', 'a', 1);
             select pgq.register_consumer('q', 'plain')",
        );
        node.expect("drop_node('q', 'a')", "200");
    });
    on_both(|node| {
        node.become_branch(7);
        node.expect("drop_node('q', 'b')", "200");
    });
    on_both(|node| {
        node.become_leaf();
        node.expect("drop_node('q', 'l')", "200");
    });
}

#[test]
fn the_provider_cannot_be_dropped() {
    on_both(|node| {
        node.become_branch(1);
        let before = node.state();
        node.expect("drop_node('q', 'a')", "405");
        assert_eq!(node.state(), before);
    });
    on_both(|node| {
        node.become_leaf();
        node.expect("drop_node('q', 'a')", "405");
    });
}

#[test]
fn another_member_is_forgotten() {
    on_both(|node| {
        node.become_root();
        node.exec(
            "select pgq_node.register_location('q', 'b', 'dbname=b', false);
             select pgq_node.register_location('q', 'c', 'dbname=c', false);
             select pgq_node.register_subscriber('q', 'b', 'b_worker', null)",
        );
        node.expect("drop_node('q', 'b')", "200");
        node.state();
        node.expect("drop_node('q', 'c')", "200");
        node.state();
        node.expect("drop_node('q', 'nosuch')", "200");
    });
}

#[test]
fn where_no_node_is_the_locations_go() {
    on_both(|node| {
        node.expect("drop_node('q', 'a')", "200");
        node.exec(LOCATIONS);
        node.exec("select pgq_node.register_location('other', 'a', 'dbname=a', false)");
        node.expect("drop_node('q', 'a')", "200");
        assert_eq!(node.see("select queue_name from pgq_node.node_location"), ["(other)"]);
        node.expect("drop_node('nosuch', 'nosuch')", "200");
        node.expect("drop_node(null, null)", "200");
    });
}

#[test]
fn a_dropped_node_can_be_made_again() {
    on_both(|node| {
        node.become_root();
        node.tick("q", 2);
        node.exec("select pgq_node.drop_node('q', 'a')");
        node.become_branch(5);
        node.exec("select pgq_node.drop_node('q', 'b')");
        node.become_leaf();
    });
}

/// Nodes, consumers and locations have the same names in both queues.
#[test]
fn what_is_done_to_one_queue_leaves_the_other_alone() {
    const OTHERS: [&str; 4] = [
        "select * from pgq_node.node_location where queue_name = 'r' order by node_name",
        "select queue_name, node_type, node_attrs from pgq_node.node_info where queue_name = 'r'",
        "select * from pgq_node.local_state where queue_name = 'r' order by consumer_name",
        "select consumer_name, last_tick from pgq.get_consumer_info('r')",
    ];
    on_both(|node| {
        node.exec(
            "select pgq_node.register_location('r', name, 'dbname=r_' || name, false) from unnest('{a,b,c}'::text[]) name;
             select pgq_node.create_node('r', 'branch', 'b', 'b_worker', 'a', 70, null);
             select pgq_node.register_consumer('r', 'reader', 'c', 50);
             select pgq_node.set_consumer_error('r', 'reader', 'oops');
             select pgq_node.set_consumer_uptodate('r', 'b_worker', true)",
        );
        let others = OTHERS.map(|query| node.see(query));
        node.become_branch(7);
        node.expect("register_location('q', 'c', 'dbname=c', false)", "200");
        node.expect("register_location('q', 'c', null, true)", "200");
        node.expect("register_consumer('q', 'reader', 'a', 5)", "200");
        node.expect("register_consumer('q', 'reader', 'a', 6)", "201");
        node.expect(
            "get_consumer_state('q', 'reader')",
            "100 node_type=branch node_name=b completed_tick=6 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f",
        );
        node.expect(
            "get_node_info('q')",
            "100 node_type=branch node_name=b global_watermark=7 local_watermark=7 provider_node=a \
             provider_location=dbname=a worker_name=b_worker worker_paused=f worker_uptodate=f worker_last_tick=7",
        );
        node.expect("set_consumer_error('q', 'reader', 'disk full')", "100");
        node.expect("set_consumer_completed('q', 'reader', 8)", "100");
        node.expect("set_consumer_paused('q', 'reader', true)", "200");
        node.expect("set_consumer_uptodate('q', 'reader', true)", "200");
        node.expect("change_consumer_provider('q', 'reader', 'c')", "200");
        node.expect("unregister_consumer('q', 'reader')", "200");
        node.expect("unregister_location('q', 'c')", "200");
        node.expect("set_node_attrs('q', 'a=1')", "200");
        node.expect("promote_branch('q')", "200");
        node.expect("set_global_watermark('q', 7)", "200");
        for (step, answer) in [(1, "200"), (2, "200 last_tick=8"), (3, "200 last_tick=8")] {
            node.expect(&format!("demote_root('q', {step}, 'a')"), answer);
        }
        node.expect("drop_node('q', 'c')", "200");
        node.expect("drop_node('q', 'b')", "200");
        assert_eq!(OTHERS.map(|query| node.see(query)), others);
    });
}
