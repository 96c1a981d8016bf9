//! Notes for people: each names what it is about, so that a line in a log of many queues can be understood.

use crate::node::Node;

/// Calls the function; the code must be this, and the note must name these.
#[track_caller]
fn noted(node: &mut Node, call: &str, code: &str, names: &[&str]) {
    let answer = node.ask(call);
    assert_eq!(answer.split(' ').next(), Some(code), "{call}");
    let note = node.note().unwrap_or_else(|| panic!("{call}: a note"));
    for name in names {
        assert!(note.contains(&format!("\"{name}\"")), "{call}: {note}: names {name:?}");
    }
    assert!(!note.ends_with('.') && note.starts_with(char::is_uppercase), "{call}: {note}");
}

#[test]
fn who_is_not_there_is_named() {
    let mut node = Node::ours();
    node.become_branch(1);
    for call in [
        "get_node_info('The Queue')",
        "get_worker_state('The Queue')",
        "get_consumer_state('The Queue', 'c')",
        "set_node_attrs('The Queue', null)",
        "register_subscriber('The Queue', 'c', 'w', null)",
        "register_consumer('The Queue', 'c', 'a', 1)",
        "unregister_consumer('The Queue', 'c')",
        "set_global_watermark('The Queue', 1)",
        "promote_branch('The Queue')",
        "demote_root('The Queue', 1, 'a')",
    ] {
        noted(&mut node, call, "404", &["The Queue"]);
    }
    for call in [
        "get_consumer_state('q', 'Some Body')",
        "change_consumer_provider('q', 'Some Body', 'a')",
        "set_consumer_uptodate('q', 'Some Body', true)",
        "set_consumer_paused('q', 'Some Body', true)",
        "set_consumer_completed('q', 'Some Body', 1)",
    ] {
        noted(&mut node, call, "404", &["Some Body", "q"]);
    }
    noted(&mut node, "set_consumer_error('q', 'Some Body', 'oops')", "101", &["Some Body", "q"]);
    noted(&mut node, "change_consumer_provider('q', 'b_worker', 'No Where')", "404", &["No Where", "q"]);
    noted(&mut node, "set_subscriber_watermark('q', 'No Where', 1)", "404", &["No Where", "q"]);
    noted(&mut node, "unregister_subscriber('q', 'No Where')", "304", &["No Where", "q"]);
    noted(&mut node, "unregister_location('q', 'No Where')", "301", &["No Where", "q"]);
    noted(&mut node, "set_partition_watermark('all', 'q', 1)", "201", &["all", "q"]);
}

#[test]
fn what_is_refused_is_named() {
    let mut node = Node::ours();
    node.become_branch(1);
    noted(&mut node, "unregister_location('q', 'a')", "403", &["a", "q"]);
    noted(&mut node, "unregister_location('q', 'b')", "403", &["b", "q"]);
    noted(&mut node, "drop_node('q', 'a')", "405", &["a", "q"]);
    noted(&mut node, "demote_root('q', 1, 'a')", "301", &["q"]);
    noted(&mut node, "set_global_watermark('q', null)", "500", &["q"]);
    noted(&mut node, "create_node('q', 'branch', 'b', 'w', 'a', 1, null)", "401", &["q"]);
    noted(&mut node, "create_node('r', 'twig', 'b', 'w', 'a', 1, null)", "401", &["twig"]);
    noted(&mut node, "create_node('r', 'leaf', 'b', 'w', 'a', 1, 'all')", "401", &["all"]);
    node.exec(
        "select pgq_node.register_location('q', 'c', 'dbname=c', false);
         select pgq_node.register_subscriber('q', 'c', 'c_worker', null)",
    );
    node.copy_tick(2);
    node.exec("select pgq_node.set_subscriber_watermark('q', 'c', 2)");
    noted(&mut node, "set_subscriber_watermark('q', 'c', 1)", "405", &["c", "q"]);
    noted(&mut node, "set_subscriber_watermark('q', 'c', 2)", "100", &["c", "q"]);
    node.exec("select pgq_node.promote_branch('q')");
    noted(&mut node, "promote_branch('q')", "301", &["q"]);
}

#[test]
fn what_was_done_is_named() {
    let mut node = Node::ours();
    noted(&mut node, "register_location('q', 'a', 'dbname=a', false)", "200", &["a", "q"]);
    noted(&mut node, "register_location('q', 'b', 'dbname=b', false)", "200", &["b", "q"]);
    noted(&mut node, "create_node('q', 'root', 'a', 'w', null, null, null)", "200", &["a", "q"]);
    noted(&mut node, "set_node_attrs('q', 'a=1')", "200", &["q"]);
    noted(&mut node, "register_subscriber('q', 'b', 'b_worker', null)", "200", &["b", "q"]);
    noted(&mut node, "set_subscriber_watermark('q', 'b', 1)", "100", &["b", "q"]);
    noted(&mut node, "set_global_watermark('q', null)", "200", &["q"]);
    noted(&mut node, "unregister_subscriber('q', 'b')", "200", &["b", "q"]);
    noted(&mut node, "register_consumer('q', 'reader', 'a', 1)", "200", &["reader", "q"]);
    noted(&mut node, "register_consumer('q', 'reader', 'a', 1)", "201", &["reader", "q"]);
    noted(&mut node, "set_consumer_paused('q', 'reader', true)", "200", &["reader", "q"]);
    noted(&mut node, "set_consumer_paused('q', 'reader', true)", "201", &["reader", "q"]);
    noted(&mut node, "set_consumer_uptodate('q', 'reader', true)", "200", &["reader", "q"]);
    noted(&mut node, "set_consumer_completed('q', 'reader', 1)", "100", &["reader", "q"]);
    noted(&mut node, "set_consumer_error('q', 'reader', 'oops')", "100", &["reader", "q"]);
    noted(&mut node, "set_consumer_error('q', 'reader', null)", "100", &["reader", "q"]);
    noted(&mut node, "change_consumer_provider('q', 'reader', 'b')", "200", &["reader", "q", "b"]);
    noted(&mut node, "unregister_consumer('q', 'reader')", "200", &["reader", "q"]);
    noted(&mut node, "unregister_location('q', 'b')", "200", &["b", "q"]);
    for step in 1..=2 {
        noted(&mut node, &format!("demote_root('q', {step}, 'a')"), "200", &["q"]);
    }
    noted(&mut node, "drop_node('q', 'a')", "200", &["a", "q"]);
}

/// NULL is a name that nobody has: the note says so, and is not NULL itself.
#[test]
fn a_note_is_never_null() {
    let mut node = Node::ours();
    node.become_root();
    for call in [
        "register_location('q', null, null, false)",
        "unregister_location(null, null)",
        "get_node_info(null)",
        "get_worker_state(null)",
        "get_consumer_state(null, null)",
        "get_consumer_state('q', null)",
        "set_node_attrs(null, null)",
        "register_subscriber(null, null, null, null)",
        "unregister_subscriber(null, null)",
        "set_subscriber_watermark(null, null, null)",
        "register_consumer(null, null, null, null)",
        "unregister_consumer(null, null)",
        "unregister_consumer('q', null)",
        "change_consumer_provider(null, null, null)",
        "change_consumer_provider('q', 'a_worker', null)",
        "set_consumer_uptodate(null, null, null)",
        "set_consumer_paused(null, null, null)",
        "set_consumer_completed(null, null, null)",
        "set_consumer_error(null, null, null)",
        "set_consumer_error('q', 'a_worker', null)",
        "set_global_watermark(null, null)",
        "set_partition_watermark(null, null, null)",
        "create_node(null, null, null, null, null, null, null)",
        "demote_root(null, null, null)",
        "promote_branch(null)",
        "drop_node(null, null)",
    ] {
        node.ask(call);
        assert!(node.note().is_some_and(|note| !note.is_empty()), "{call}");
    }
}
