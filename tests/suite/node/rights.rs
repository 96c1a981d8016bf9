//! Rights: who may do what to a node, and that nobody's search_path changes what it means.

use crate::members::Members;
use crate::node::{Node, on_both};
use crate::rights::EVIL;
use pgq_tests::shared::Database;

/// A root, with members of all roles.
fn members() -> Members {
    let database = Database::fresh("node_rights");
    database.create_extensions(&["pgq_node"]);
    database.connect().exec(
        "select pgq_node.register_location('q', 'a', 'dbname=a', false);
         select pgq_node.create_node('q', 'root', 'a', 'a_worker', null, null, null)",
    );
    Members::of(database)
}

#[test]
fn functions_are_for_those_whose_job_they_do() {
    let mut members = members();
    let mut check = |entitled: &[&str], calls: &[&str]| {
        for call in calls {
            let name = call.split('(').next().unwrap();
            let denied = format!("permission denied for function {name}");
            members.only(entitled, &format!("select pgq_node.{call}"), &denied);
        }
    };
    check(&["nobody", "reader", "writer", "admin"], &["version()"]);
    // Anybody may ask, but it is the table that answers.
    check(&["nobody", "reader", "writer", "admin"], &["is_root_node('q')", "is_leaf_node('q')"]);
    check(
        &["reader", "writer", "admin"],
        &[
            "get_consumer_info('q')",
            "get_consumer_state('q', 'a_worker')",
            "get_node_info('q')",
            "get_queue_locations('q')",
            "get_subscriber_info('q')",
            "register_subscriber('q', 'a', 'worker', null)",
            "set_subscriber_watermark('q', 'a', 1)",
            "unregister_subscriber('q', 'a')",
        ],
    );
    check(
        &["writer", "admin"],
        &[
            "change_consumer_provider('q', 'a_worker', 'a')",
            "register_consumer('q', 'reader', 'a', 1)",
            "set_consumer_completed('q', 'a_worker', 1)",
            "set_consumer_completed('q', 'a_worker', 2, 1)",
            "set_consumer_error('q', 'a_worker', 'oops')",
            "set_consumer_paused('q', 'a_worker', true)",
            "set_consumer_uptodate('q', 'a_worker', true)",
            "unregister_consumer('q', 'a_worker')",
        ],
    );
    check(
        &["admin"],
        &[
            "_local_watermark('q')",
            "_newest_tick('q')",
            "_position('q', 'a_worker')",
            "create_node('r', 'root', 'a', 'a_worker', null, null, null)",
            "demote_root('q', 1, 'a')",
            "drop_node('q', 'a')",
            "get_worker_state('q')",
            "maint_watermark('q')",
            "promote_branch('q')",
            "register_location('q', 'b', 'dbname=b', false)",
            "set_global_watermark('q', null)",
            "set_node_attrs('q', 'a=1')",
            "set_partition_watermark('q', 'r', 1)",
            "unregister_location('q', 'b')",
            "upgrade_schema()",
        ],
    );
}

#[test]
fn tables_are_seen_by_readers_and_writers_and_changed_by_admins() {
    let mut members = members();
    for table in ["node_location", "node_info", "local_state", "subscriber_info"] {
        let denied = format!("permission denied for table {table}");
        let select = format!("select from pgq_node.{table}");
        members.only(&["reader", "writer", "admin"], &select, &denied);
        for change in [
            format!("delete from pgq_node.{table} where false"),
            format!("update pgq_node.{table} set queue_name = 'q' where false"),
            format!("insert into pgq_node.{table} select * from pgq_node.{table} where false"),
        ] {
            members.only(&["admin"], &change, &denied);
        }
        members.only(&[], &format!("truncate pgq_node.{table}"), &denied);
        members.only(&[], &format!("alter table pgq_node.{table} add more int"), "must be owner");
    }
}

/// What a member of each role gets, who has no other right than his role's.
#[test]
fn the_roles_suffice_for_their_jobs() {
    on_both(|node| {
        node.become_root();
        node.tick("q", 2);
        node.exec("select pgq_node.register_location('q', 'b', 'dbname=b', false)");
        node.act_as("pgq_reader");
        node.expect("register_subscriber('q', 'b', 'b_worker', 2)", "200 global_watermark=1");
        node.expect("set_subscriber_watermark('q', 'b', 2)", "200");
        node.expect("unregister_subscriber('q', 'b')", "200");
        node.expect("is_root_node('q')", "t");
        node.act_as("pgq_writer");
        node.expect("register_consumer('q', 'reader', 'a', 1)", "200");
        node.expect("set_consumer_completed('q', 'reader', 2)", "100");
        node.expect("unregister_consumer('q', 'reader')", "200");
        node.act_as("pgq_admin");
        node.expect("maint_watermark('q')", "0");
        node.expect("set_global_watermark('q', null)", "200");
        for step in 1..=3 {
            node.ask(&format!("demote_root('q', {step}, 'b')"));
        }
        node.expect("promote_branch('q')", "200");
        node.expect("drop_node('q', 'a')", "200");
        node.expect("register_location('q', 'b', 'dbname=b', false)", "200");
        node.expect("create_node('q', 'root', 'b', 'b_worker', null, null, null)", "200");
        node.exec("reset role");
    });
}

/// Doubles of our tables, and of what EVIL does not double yet.
const NODE_EVIL: &str = "
    create table evil.node_location as select * from pgq_node.node_location;
    create table evil.node_info as select * from pgq_node.node_info;
    create table evil.local_state as select * from pgq_node.local_state;
    create table evil.subscriber_info as select * from pgq_node.subscriber_info;";

#[test]
fn a_hostile_search_path_changes_nothing() {
    let mut node = Node::ours();
    node.exec(EVIL);
    node.exec(NODE_EVIL);
    for table in ["node_location", "node_info", "local_state", "subscriber_info"] {
        node.exec(&format!("create temp table {table} as select * from pgq_node.{table}"));
    }
    node.exec("set search_path = evil, pg_temp, pg_catalog");
    assert_eq!(node.session.error("select 1 >= 1").code, "P0001", "the trap works");

    let mut calls = |calls: &[(&str, &str)]| {
        for (call, answer) in calls {
            let got = node.ask(call);
            assert!(got.starts_with(answer), "{call}: {got}");
        }
    };
    calls(&[
        ("register_location('q', 'a', 'dbname=a', false)", "200"),
        ("register_location('q', 'b', 'dbname=b', false)", "200"),
        ("create_node('q', 'root', 'a', 'a_worker', null, null, null)", "200"),
        ("register_location('q', 'c', 'dbname=c', false)", "200"),
        ("register_subscriber('q', 'b', 'b_worker', null)", "200"),
        ("register_subscriber('q', 'c', 'c_worker', 1)", "200"),
        ("get_subscriber_info('q')", "node_name=b"),
        ("set_subscriber_watermark('q', 'b', 1)", "100"),
        ("set_subscriber_watermark('q', 'b', 2)", "P0001"),
        ("set_global_watermark('q', null)", "200"),
        ("maint_watermark('q')", "0"),
        ("register_consumer('q', 'reader', 'b', 1)", "200"),
        ("register_consumer('q', 'reader', 'a', 1)", "201"),
        ("set_consumer_completed('q', 'reader', 1)", "100"),
        ("set_consumer_completed('q', 'reader', 1, 1)", "100"),
        ("set_consumer_error('q', 'reader', 'oops')", "100"),
        ("set_consumer_paused('q', 'reader', true)", "200"),
        ("set_consumer_uptodate('q', 'reader', true)", "200"),
        ("change_consumer_provider('q', 'reader', 'b')", "200"),
        ("get_consumer_state('q', 'reader')", "100"),
        ("get_consumer_info('q')", "consumer_name=a_worker"),
        ("unregister_consumer('q', 'reader')", "200"),
        ("get_node_info('q')", "100"),
        ("get_worker_state('q')", "100"),
        ("set_node_attrs('q', 'a=1')", "200"),
        ("is_root_node('q')", "t"),
        ("is_leaf_node('q')", "f"),
        ("demote_root('q', 1, 'b')", "200"),
        ("demote_root('q', 2, 'b')", "200"),
        ("demote_root('q', 3, 'b')", "200"),
        ("set_global_watermark('q', 1)", "200"),
        ("promote_branch('q')", "200"),
        ("unregister_subscriber('q', 'b')", "200"),
        ("unregister_location('q', 'c')", "200"),
        ("get_queue_locations('q')", "node_name="),
        ("drop_node('q', 'a')", "200"),
        ("register_location('all', 'm', 'dbname=m', false)", "200"),
        ("create_node('all', 'branch', 'm', 'm_worker', 'm', 5, null)", "200"),
        ("register_location('part', 'm', 'dbname=m', false)", "200"),
        ("create_node('part', 'leaf', 'm', 'm_worker', 'm', 5, 'all')", "200"),
        ("set_partition_watermark('all', 'part', 7)", "200"),
        ("get_node_info('part')", "100"),
        ("get_worker_state('all')", "100"),
        ("upgrade_schema()", "0"),
        ("version()", ""),
    ]);
    node.exec("reset search_path");
    for table in ["node_location", "node_info", "local_state", "subscriber_info"] {
        for schema in ["evil", "pg_temp"] {
            let rows: i64 = node.session.one(&format!("select count(*) from {schema}.{table}"), &[]);
            assert_eq!(rows, 0, "{schema}.{table}");
        }
    }
}
