//! The global watermark: who may move it, and where.

use crate::node::{Node, on_both};

const GLOBAL: &str = "select last_tick from pgq.get_consumer_info('q', '.global_watermark')";

/// A root with the ticks 1 to 5, whose subscriber `b` stands at 3.
fn root_at_three(node: &mut Node) {
    node.become_root();
    node.tick("q", 4);
    node.exec(
        "select pgq_node.register_location('q', 'b', 'dbname=b', false);
         select pgq_node.register_subscriber('q', 'b', 'b_worker', 4);
         select pgq_node.set_subscriber_watermark('q', 'b', 3)",
    );
}

#[test]
fn the_root_takes_its_local_watermark_and_tells_all() {
    on_both(|node| {
        root_at_three(node);
        node.exec("select pgq_node.register_consumer('q', 'reader', 'b', 1)");
        node.expect("set_global_watermark('q', null)", "200");
        assert_eq!(node.see(GLOBAL), ["(3)"]);
        let positions = "select consumer_name, last_tick_id from pgq_node.local_state order by 1";
        assert_eq!(node.see(positions), ["(a_worker,3)", "(reader,1)"]);
        assert_eq!(node.events().last().unwrap(), "(q,pgq.global-watermark,3,q,,,)");
        node.expect("set_global_watermark('q', null)", "200");
        node.events();
    });
}

#[test]
fn a_root_nobody_reads_follows_its_newest_tick() {
    on_both(|node| {
        node.become_root();
        node.tick("q", 4);
        node.expect("set_global_watermark('q', null)", "200");
        assert_eq!(node.see(GLOBAL), ["(5)"]);
    });
}

#[test]
fn the_root_goes_where_it_is_told_to() {
    on_both(|node| {
        root_at_three(node);
        for tick in [5, 2] {
            node.expect(&format!("set_global_watermark('q', {tick})"), "200");
            assert_eq!(node.see(GLOBAL), [format!("({tick})")]);
            assert_eq!(node.see("select last_tick_id from pgq_node.local_state"), [format!("({tick})")]);
        }
        let before = node.state();
        node.expect("set_global_watermark('q', 6)", "P0001");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_branch_follows_as_far_as_it_has_the_tick() {
    on_both(|node| {
        node.become_branch(7);
        node.exec("update pgq_node.local_state set uptodate = true");
        node.copy_tick(8);
        node.expect("set_global_watermark('q', 8)", "200");
        assert_eq!(node.see(GLOBAL), ["(8)"]);
        assert_eq!(node.see("select last_tick_id, uptodate from pgq_node.local_state"), ["(7,t)"]);
        assert_eq!(node.events(), [""; 0]);
        let before = node.state();
        node.expect("set_global_watermark('q', 9)", "200");
        node.expect("set_global_watermark('q', null)", "500");
        assert_eq!(node.state(), before);
        node.expect("set_global_watermark('q', 7)", "200");
        node.see(GLOBAL);
    });
}

#[test]
fn a_leaf_does_not_care() {
    on_both(|node| {
        node.become_leaf();
        let before = node.state();
        node.expect("set_global_watermark('q', 8)", "100");
        node.expect("set_global_watermark('q', null)", "100");
        assert_eq!(node.state(), before);
        node.expect("set_global_watermark('nosuch', 8)", "404");
        node.expect("set_global_watermark(null, 8)", "404");
    });
}

/// Makes the position of the global watermark so old.
fn lag(node: &mut Node, age: &str) {
    node.exec(&format!(
        "update pgq.tick set tick_time = now() - interval '{age}'
          where tick_id = (select last_tick from pgq.get_consumer_info('q', '.global_watermark'))"
    ));
}

#[test]
fn maintenance_moves_what_lags_by_five_minutes() {
    on_both(|node| {
        root_at_three(node);
        lag(node, "4 minutes 30 seconds");
        let before = node.state();
        node.expect("maint_watermark('q')", "0");
        assert_eq!(node.state(), before);
        lag(node, "5 minutes");
        node.expect("maint_watermark('q')", "0");
        assert_eq!(node.see(GLOBAL), ["(3)"]);
        assert_eq!(node.events().last().unwrap(), "(q,pgq.global-watermark,3,q,,,)");
    });
}

#[test]
fn maintenance_is_the_roots() {
    on_both(|node| {
        node.become_branch(7);
        node.copy_tick(8);
        lag(node, "1 hour");
        let before = node.state();
        node.expect("maint_watermark('q')", "0");
        assert_eq!(node.state(), before);
    });
    on_both(|node| {
        node.become_leaf();
        node.expect("maint_watermark('q')", "0");
    });
    on_both(|node| {
        node.expect("maint_watermark('nosuch')", "0");
        node.exec("select pgq.create_queue('q')");
        node.expect("maint_watermark('q')", "0");
        node.expect("maint_watermark(null)", "0");
    });
}

#[test]
fn maintenance_lists_the_roots() {
    on_both(|node| {
        node.become_root();
        let operations =
            "select func_name, func_arg from pgq.maint_operations() where func_name ~ 'watermark'";
        assert_eq!(node.see(operations), ["(pgq_node.maint_watermark,q)"]);
        node.exec("update pgq_node.node_info set node_type = 'branch'");
        assert_eq!(node.see(operations), [""; 0]);
    });
}

#[test]
fn the_schema_needs_no_upgrade() {
    on_both(|node| {
        node.expect("upgrade_schema()", "0");
    });
}

#[test]
fn older_tables_get_the_columns_that_they_lack() {
    let mut node = Node::ours();
    root_at_three(&mut node);
    for (older, changes) in [("drop final_tick, drop node_attrs", "2"), ("drop final_tick", "1")] {
        node.exec(&format!("alter table pgq_node.node_info {older}"));
        node.expect("upgrade_schema()", changes);
        node.expect("upgrade_schema()", "0");
    }
    node.expect("set_node_attrs('q', 'a=1')", "200");
    for (step, answer) in [(1, "200"), (2, "200 last_tick=6"), (3, "200 last_tick=6")] {
        node.expect(&format!("demote_root('q', {step}, 'b')"), answer);
    }
}
