//! What a node says about itself and its worker.

use crate::node::{Node, on_both};

#[test]
fn a_root() {
    on_both(|node| {
        node.become_root();
        node.expect(
            "get_node_info('q')",
            "100 node_type=root node_name=a global_watermark=1 local_watermark=1 provider_node=a \
             provider_location=dbname=a worker_name=a_worker worker_paused=f worker_uptodate=f worker_last_tick=1",
        );
        node.expect(
            "get_worker_state('q')",
            "100 node_type=root node_name=a completed_tick=1 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=a_worker global_watermark=1 local_watermark=1 local_queue_top=1",
        );
        node.tick("q", 3);
        node.expect(
            "get_node_info('q')",
            "100 node_type=root node_name=a global_watermark=1 local_watermark=4 provider_node=a \
             provider_location=dbname=a worker_name=a_worker worker_paused=f worker_uptodate=f worker_last_tick=4",
        );
        node.expect(
            "get_worker_state('q')",
            "100 node_type=root node_name=a completed_tick=1 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=a_worker global_watermark=1 local_watermark=4 local_queue_top=4",
        );
    });
}

#[test]
fn a_branch() {
    on_both(|node| {
        node.become_branch(7);
        node.expect(
            "get_node_info('q')",
            "100 node_type=branch node_name=b global_watermark=7 local_watermark=7 provider_node=a \
             provider_location=dbname=a worker_name=b_worker worker_paused=f worker_uptodate=f worker_last_tick=7",
        );
        node.expect(
            "get_worker_state('q')",
            "100 node_type=branch node_name=b completed_tick=7 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=b_worker global_watermark=7 local_watermark=7 local_queue_top=7",
        );
        node.copy_tick(8);
        node.copy_tick(9);
        node.expect(
            "get_node_info('q')",
            "100 node_type=branch node_name=b global_watermark=7 local_watermark=9 provider_node=a \
             provider_location=dbname=a worker_name=b_worker worker_paused=f worker_uptodate=f worker_last_tick=7",
        );
        node.expect(
            "get_worker_state('q')",
            "100 node_type=branch node_name=b completed_tick=7 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=b_worker global_watermark=7 local_watermark=9 local_queue_top=9",
        );
    });
}

#[test]
fn a_leaf() {
    on_both(|node| {
        node.become_leaf();
        node.expect(
            "get_node_info('q')",
            "100 node_type=leaf node_name=l local_watermark=1 provider_node=a provider_location=dbname=a \
             worker_name=l_worker worker_paused=f worker_uptodate=f worker_last_tick=1",
        );
        node.expect(
            "get_worker_state('q')",
            "100 node_type=leaf node_name=l completed_tick=1 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=l_worker local_watermark=1",
        );
    });
}

#[test]
fn what_a_worker_has_been_told_shows() {
    on_both(|node| {
        node.become_branch(7);
        node.exec(
            "select pgq_node.set_node_attrs('q', 'sync_watermark=b%2Cc');
             select pgq_node.set_consumer_error('q', 'b_worker', 'disk full');
             select pgq_node.set_consumer_paused('q', 'b_worker', true);
             select pgq_node.set_consumer_uptodate('q', 'b_worker', true)",
        );
        node.expect(
            "get_node_info('q')",
            "100 node_type=branch node_name=b global_watermark=7 local_watermark=7 provider_node=a \
             provider_location=dbname=a worker_name=b_worker worker_paused=t worker_uptodate=t worker_last_tick=7 \
             node_attrs=sync_watermark=b%2Cc",
        );
        node.expect(
            "get_worker_state('q')",
            "100 node_type=branch node_name=b completed_tick=7 provider_node=a provider_location=dbname=a paused=t \
             uptodate=t cur_error=disk full worker_name=b_worker global_watermark=7 local_watermark=7 \
             local_queue_top=7",
        );
    });
}

#[test]
fn the_local_watermark_is_the_lowest_position_but_the_global_ones() {
    on_both(|node| {
        node.become_root();
        node.tick("q", 4);
        node.exec("select pgq.register_consumer_at('q', 'plain', 4)");
        node.expect(
            "get_node_info('q')",
            "100 node_type=root node_name=a global_watermark=1 local_watermark=4 provider_node=a \
             provider_location=dbname=a worker_name=a_worker worker_paused=f worker_uptodate=f worker_last_tick=5",
        );
        node.exec(
            "select pgq_node.register_location('q', 'b', 'dbname=b', false);
             select pgq_node.register_subscriber('q', 'b', 'b_worker', 3);
             select pgq_node.set_subscriber_watermark('q', 'b', 2)",
        );
        node.expect(
            "get_node_info('q')",
            "100 node_type=root node_name=a global_watermark=1 local_watermark=2 provider_node=a \
             provider_location=dbname=a worker_name=a_worker worker_paused=f worker_uptodate=f worker_last_tick=5",
        );
        node.exec("select pgq_node.set_subscriber_watermark('q', 'b', 5)");
        node.expect(
            "get_worker_state('q')",
            "100 node_type=root node_name=a completed_tick=1 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=a_worker global_watermark=1 local_watermark=3 local_queue_top=5",
        );
    });
}

#[test]
fn a_root_without_ticks() {
    on_both(|node| {
        node.become_root();
        node.exec("delete from pgq.subscription; delete from pgq.tick");
        node.expect(
            "get_node_info('q')",
            "100 node_type=root node_name=a provider_node=a provider_location=dbname=a worker_name=a_worker \
             worker_paused=f worker_uptodate=f",
        );
        node.expect(
            "get_worker_state('q')",
            "100 node_type=root node_name=a completed_tick=1 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=a_worker",
        );
        node.expect("register_subscriber('q', 'a', 'w', null)", "P0001");
    });
}

#[test]
fn who_is_not_there_is_not_found() {
    on_both(|node| {
        for call in [
            "get_node_info('nosuch')",
            "get_node_info(null)",
            "get_worker_state('nosuch')",
            "get_worker_state(null)",
        ] {
            node.expect(call, "404");
        }
        for call in
            ["is_root_node('nosuch')", "is_root_node(null)", "is_leaf_node('nosuch')", "is_leaf_node(null)"]
        {
            node.expect(call, "P0001");
        }
    });
}

#[test]
fn a_worker_whose_row_is_gone() {
    on_both(|node| {
        node.become_branch(7);
        node.exec("select pgq_node.unregister_consumer('q', 'b_worker')");
        node.expect("get_worker_state('q')", "404 node_type=branch node_name=b worker_name=b_worker");
        node.expect(
            "get_node_info('q')",
            "100 node_type=branch node_name=b global_watermark=7 local_watermark=7 worker_name=b_worker",
        );
    });
}

#[test]
fn the_kinds_of_nodes() {
    on_both(|node| {
        node.become_root();
        node.expect("is_root_node('q')", "t");
        node.expect("is_leaf_node('q')", "f");
    });
    on_both(|node| {
        node.become_branch(7);
        node.expect("is_root_node('q')", "f");
        node.expect("is_leaf_node('q')", "f");
    });
    on_both(|node| {
        node.become_leaf();
        node.expect("is_root_node('q')", "f");
        node.expect("is_leaf_node('q')", "t");
    });
}

#[test]
fn attributes_are_stored_as_they_come() {
    on_both(|node| {
        node.expect("set_node_attrs('q', 'a=1')", "404");
        node.become_branch(7);
        node.expect("set_node_attrs('q', 'a=1&b=%20')", "200");
        assert_eq!(node.see("select node_attrs from pgq_node.node_info"), ["(a=1&b=%20)"]);
        node.expect("set_node_attrs('q', null)", "200");
        assert_eq!(node.see("select node_attrs from pgq_node.node_info"), ["()"]);
        node.expect("set_node_attrs('nosuch', 'a=1')", "404");
        node.expect("set_node_attrs(null, 'a=1')", "404");
    });
}

/// The leaves `part2` and `part1`, which feed the queue `all`; this is a node of that kind, if it is a node.
fn merging(node: &mut Node, combined: Option<&str>) {
    match combined {
        Some("root") => node.exec(
            "select pgq_node.register_location('all', 'a', 'dbname=a', false);
             select pgq_node.create_node('all', 'root', 'a', 'all_worker', null, null, null)",
        ),
        Some(kind) => node.exec(&format!(
            "select pgq_node.register_location('all', 'a', 'dbname=a', false);
             select pgq_node.register_location('all', 'b', 'dbname=b', false);
             select pgq_node.create_node('all', '{kind}', 'b', 'all_worker', 'a', 1, null)"
        )),
        None => node.exec("select pgq.create_queue('all')"),
    }
    for part in ["part2", "part1"] {
        node.exec(&format!(
            "select pgq_node.register_location('{part}', 'p', 'dbname=p', false);
             select pgq_node.register_location('{part}', 'm', 'dbname=m', false);
             select pgq_node.create_node('{part}', 'leaf', 'm', '{part}_worker', 'p', 3, 'all')"
        ));
    }
}

#[test]
fn a_merge_leaf_names_its_combined_queue_and_that_its_parts() {
    on_both(|node| {
        merging(node, Some("root"));
        node.expect(
            "get_node_info('part1')",
            "100 node_type=leaf node_name=m local_watermark=3 provider_node=p provider_location=dbname=p \
             combined_queue=all combined_type=root worker_name=part1_worker worker_paused=f worker_uptodate=f \
             worker_last_tick=3",
        );
        node.expect(
            "get_worker_state('part1')",
            "100 node_type=leaf node_name=m completed_tick=3 provider_node=p provider_location=dbname=p paused=f \
             uptodate=f worker_name=part1_worker local_watermark=3 combined_queue=all combined_type=root",
        );
        node.expect(
            "get_node_info('all')",
            "100 node_type=root node_name=a global_watermark=1 local_watermark=1 provider_node=a \
             provider_location=dbname=a worker_name=all_worker worker_paused=f worker_uptodate=f worker_last_tick=1 \
             target_for={part1,part2}",
        );
        node.expect(
            "get_worker_state('all')",
            "100 node_type=root node_name=a completed_tick=1 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=all_worker global_watermark=1 local_watermark=1 local_queue_top=1",
        );
    });
    on_both(|node| {
        merging(node, Some("branch"));
        node.expect(
            "get_node_info('part1')",
            "100 node_type=leaf node_name=m local_watermark=3 provider_node=p provider_location=dbname=p \
             combined_queue=all combined_type=branch worker_name=part1_worker worker_paused=f worker_uptodate=f \
             worker_last_tick=3",
        );
        node.expect(
            "get_worker_state('part1')",
            "100 node_type=leaf node_name=m completed_tick=3 provider_node=p provider_location=dbname=p paused=f \
             uptodate=f worker_name=part1_worker local_watermark=3 combined_queue=all combined_type=branch",
        );
        node.expect(
            "get_node_info('all')",
            "100 node_type=branch node_name=b global_watermark=1 local_watermark=1 provider_node=a \
             provider_location=dbname=a worker_name=all_worker worker_paused=f worker_uptodate=f worker_last_tick=1 \
             target_for={part1,part2}",
        );
        node.expect(
            "get_worker_state('all')",
            "100 node_type=branch node_name=b completed_tick=1 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f worker_name=all_worker global_watermark=1 local_watermark=1 local_queue_top=1",
        );
    });
}

#[test]
fn the_parts_of_a_combined_branch_move_by_what_comes_through_it() {
    const PARTS: &str =
        "select queue_name, last_tick_id from pgq_node.local_state where queue_name like 'part%' order by 1";
    on_both(|node| {
        merging(node, Some("branch"));
        node.exec("update pgq_node.local_state set uptodate = true, cur_error = 'oops'");
        node.expect("set_partition_watermark('all', 'part1', 8)", "200");
        assert_eq!(node.see(PARTS), ["(part1,8)", "(part2,3)"]);
        node.expect("set_partition_watermark('all', 'part1', 8)", "200");
        node.expect("set_partition_watermark('all', 'part1', 4)", "200");
        assert_eq!(node.see(PARTS), ["(part1,4)", "(part2,3)"]);
        let before = node.state();
        node.expect("set_partition_watermark('all', 'nosuch', 8)", "201");
        node.expect("set_partition_watermark('all', null, 8)", "201");
        node.expect("set_partition_watermark('nosuch', 'part1', 8)", "201");
        node.expect("set_partition_watermark(null, 'part1', 8)", "201");
        node.expect("set_partition_watermark('all', 'all', 8)", "201");
        assert_eq!(node.state(), before);
        node.expect("set_partition_watermark('all', 'part1', null)", "23502");
        node.exec("delete from pgq_node.local_state where queue_name = 'part1'");
        node.expect("set_partition_watermark('all', 'part1', 8)", "401");
    });
}

#[test]
fn elsewhere_the_parts_are_left_alone() {
    on_both(|node| {
        merging(node, Some("root"));
        let before = node.state();
        node.expect("set_partition_watermark('all', 'part1', 8)", "201");
        assert_eq!(node.state(), before);
    });
    on_both(|node| {
        merging(node, None);
        node.expect("set_partition_watermark('all', 'part1', 8)", "201");
    });
    on_both(|node| {
        node.become_leaf();
        node.expect("set_partition_watermark('all', 'q', 8)", "201");
    });
}

#[test]
fn a_merge_leaf_without_a_node_of_its_combined_queue_has_no_work() {
    let mut node = Node::ours();
    merging(&mut node, None);
    let answer = node.ask("get_worker_state('part1')");
    assert!(answer.starts_with("404 ") && answer.contains(" combined_queue=all"), "{answer}");
}
