//! pg_dump takes a node along.

use crate::node::NODES;
use crate::queue::copy;
use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;

/// All rows of the module's tables, and the positions that they speak of.
fn rows(session: &mut Session) -> Vec<String> {
    let mut rows = Vec::new();
    for query in [
        "select * from pgq_node.node_location order by 1, 2",
        &format!("{NODES} order by 1"),
        "select queue_name, final_tick from pgq_node.node_info order by 1",
        "select * from pgq_node.local_state order by 1, 2",
        "select * from pgq_node.subscriber_info order by 1, 2",
        "select queue_name, consumer_name, last_tick from pgq.get_consumer_info()",
    ] {
        rows.extend(session.column::<String>(&format!("select t::text from ({query}) t"), &[]));
    }
    rows
}

#[test]
fn a_dump_carries_the_node() {
    let source = Cluster::builder().conf("autovacuum", "off").start();
    let mut session = source.connect("postgres");
    session.exec(
        "create extension pgq; create extension pgq_node;
         select pgq_node.register_location('q', 'a', 'dbname=a', false);
         select pgq_node.register_location('q', 'b', 'dbname=b', true);
         select pgq_node.create_node('q', 'root', 'a', 'a_worker', null, null, null);
         select pgq_node.set_node_attrs('q', 'a=1&b=2');
         select pgq_node.register_subscriber('q', 'b', 'b_worker', null);
         select pgq_node.register_consumer('q', 'reader', 'b', 7);
         select pgq_node.set_consumer_error('q', 'reader', 'disk full');
         select pgq_node.set_consumer_paused('q', 'a_worker', true);
         select pgq_node.register_location('r', 'l', 'dbname=l', false);
         select pgq_node.register_location('r', 'x', 'dbname=x', false);
         select pgq_node.create_node('r', 'leaf', 'l', 'l_worker', 'x', 5, 'q')",
    );
    for step in 1..=2 {
        session.exec(&format!("select pgq_node.demote_root('q', {step}, 'b')"));
    }
    let before = rows(&mut session);
    assert!(before.len() > 10);

    source.create_database("restored");
    copy(&source, &source, "restored");
    let mut restored = source.connect("restored");
    assert_eq!(rows(&mut restored), before);
    // It goes on where it was.
    let code: i32 = restored.one("select ret_code from pgq_node.demote_root('q', 3, 'b')", &[]);
    assert_eq!(code, 200);
    let code: i32 = restored.one("select ret_code from pgq_node.unregister_subscriber('q', 'b')", &[]);
    assert_eq!(code, 200);
    let code: i32 = restored.one("select ret_code from pgq_node.drop_node('q', 'a')", &[]);
    assert_eq!(code, 200);
}
