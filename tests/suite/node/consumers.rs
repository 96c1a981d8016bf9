//! The target's side: what cascaded consumers keep in their node.

use crate::node::{Node, on_both};

/// A branch with the consumer `reader`, who reads from `a` and has finished tick 5; and the location `c`.
fn with_reader(node: &mut Node) {
    node.become_branch(7);
    node.exec(
        "select pgq_node.register_location('q', 'c', 'dbname=c', false);
         select pgq_node.register_consumer('q', 'reader', 'a', 5)",
    );
}

/// So that it shows what a call changes.
const TROUBLED: &str = "update pgq_node.local_state set uptodate = true, cur_error = 'oops'";

/// What is kept of the reader.
const READER: &str =
    "select provider_node, last_tick_id, cur_error, paused, uptodate from pgq_node.local_state
                       where consumer_name = 'reader'";

#[test]
fn a_consumer_registers_and_again_moves() {
    on_both(|node| {
        with_reader(node);
        assert_eq!(node.see(READER), ["(a,5,,f,f)"]);
        node.exec(TROUBLED);
        node.exec("update pgq_node.local_state set paused = true");
        node.expect("register_consumer('q', 'reader', 'c', 3)", "201");
        // Whether it has seen that is another matter.
        node.exec("update pgq_node.local_state set uptodate = false");
        assert_eq!(node.see(READER), ["(c,3,oops,t,f)"]);
    });
}

#[test]
fn what_registering_refuses() {
    on_both(|node| {
        node.expect("register_consumer('q', 'reader', 'a', 5)", "404");
        with_reader(node);
        let before = node.state();
        node.expect("register_consumer('nosuch', 'reader', 'a', 5)", "404");
        node.expect("register_consumer(null, 'reader', 'a', 5)", "404");
        node.expect("register_consumer('q', 'another', 'nosuch', 5)", "23503");
        node.expect("register_consumer('q', 'another', null, 5)", "23502");
        node.expect("register_consumer('q', 'another', 'a', null)", "23502");
        node.expect("register_consumer('q', null, 'a', 5)", "23502");
        node.expect("register_consumer('q', 'reader', 'nosuch', 5)", "23503");
        node.expect("register_consumer('q', 'reader', null, null)", "23502");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_consumer_registers_on_any_node() {
    on_both(|node| {
        node.become_root();
        node.expect("register_consumer('q', 'reader', 'a', 5)", "200");
        node.expect(
            "get_consumer_state('q', 'reader')",
            "100 node_type=root node_name=a completed_tick=5 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f",
        );
    });
    on_both(|node| {
        node.become_leaf();
        node.expect("register_consumer('q', 'reader', 'a', 5)", "200");
        node.expect(
            "get_consumer_state('q', 'reader')",
            "100 node_type=leaf node_name=l completed_tick=5 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f",
        );
    });
}

#[test]
fn a_consumer_leaves_even_if_it_was_never_there() {
    on_both(|node| {
        with_reader(node);
        node.expect("unregister_consumer('q', 'reader')", "200");
        node.expect("unregister_consumer('q', 'reader')", "200");
        node.expect("unregister_consumer('q', null)", "200");
        node.expect("unregister_consumer('nosuch', 'reader')", "404");
        node.expect("unregister_consumer(null, 'reader')", "404");
        node.expect("unregister_consumer('q', 'b_worker')", "200");
    });
}

#[test]
fn consumers_are_listed_by_name() {
    on_both(|node| {
        with_reader(node);
        node.exec("select pgq_node.register_consumer('q', 'A', 'a', 1); select pgq_node.register_consumer('q', 'z', 'a', 1)");
        node.exec(
            "update pgq_node.local_state set cur_error = 'oops', paused = true where consumer_name = 'A'",
        );
        node.expect(
            "get_consumer_info('q')",
            "consumer_name=A provider_node=a last_tick_id=1 paused=t uptodate=f cur_error=oops; \
             consumer_name=b_worker provider_node=a last_tick_id=7 paused=f uptodate=f; consumer_name=reader \
             provider_node=a last_tick_id=5 paused=f uptodate=f; consumer_name=z provider_node=a last_tick_id=1 \
             paused=f uptodate=f",
        );
        node.expect("get_consumer_info('nosuch')", "");
        node.expect("get_consumer_info(null)", "");
    });
}

#[test]
fn the_state_of_a_consumer() {
    on_both(|node| {
        with_reader(node);
        node.expect(
            "get_consumer_state('q', 'reader')",
            "100 node_type=branch node_name=b completed_tick=5 provider_node=a provider_location=dbname=a paused=f \
             uptodate=f",
        );
        node.exec(TROUBLED);
        node.expect(
            "get_consumer_state('q', 'reader')",
            "100 node_type=branch node_name=b completed_tick=5 provider_node=a provider_location=dbname=a paused=f \
             uptodate=t cur_error=oops",
        );
        node.expect(
            "get_consumer_state('q', 'b_worker')",
            "100 node_type=branch node_name=b completed_tick=7 provider_node=a provider_location=dbname=a paused=f \
             uptodate=t cur_error=oops",
        );
        node.expect("get_consumer_state('q', 'nosuch')", "404 node_type=branch node_name=b");
        node.expect("get_consumer_state('q', null)", "404 node_type=branch node_name=b");
        node.expect("get_consumer_state('nosuch', 'reader')", "404");
        node.expect("get_consumer_state(null, 'reader')", "404");
    });
}

#[test]
fn a_provider_that_is_unknown() {
    on_both(|node| {
        with_reader(node);
        node.exec(
            "alter table pgq_node.local_state drop constraint local_state_queue_name_provider_node_fkey;
             update pgq_node.local_state set provider_node = 'gone' where consumer_name = 'reader'",
        );
        node.expect(
            "get_consumer_state('q', 'reader')",
            "404 node_type=branch node_name=b completed_tick=5 provider_node=gone paused=f uptodate=f",
        );
        node.exec("update pgq_node.local_state set provider_node = 'gone' where consumer_name = 'b_worker'");
        node.expect(
            "get_worker_state('q')",
            "404 node_type=branch node_name=b completed_tick=7 provider_node=gone paused=f uptodate=f \
             worker_name=b_worker",
        );
        node.expect(
            "get_node_info('q')",
            "100 node_type=branch node_name=b global_watermark=7 local_watermark=7 provider_node=gone \
             worker_name=b_worker worker_paused=f worker_uptodate=f worker_last_tick=7",
        );
    });
}

#[test]
fn another_provider_is_news() {
    on_both(|node| {
        with_reader(node);
        node.exec(TROUBLED);
        node.expect("change_consumer_provider('q', 'reader', 'c')", "200");
        assert_eq!(node.see(READER), ["(c,5,oops,f,f)"]);
        node.exec(TROUBLED);
        node.expect("change_consumer_provider('q', 'reader', 'c')", "200");
        assert_eq!(node.see(READER), ["(c,5,oops,f,f)"], "the same one, too");
        let before = node.state();
        node.expect("change_consumer_provider('q', 'reader', 'nosuch')", "404");
        node.expect("change_consumer_provider('q', 'reader', null)", "404");
        node.expect("change_consumer_provider('q', 'nosuch', 'c')", "404");
        node.expect("change_consumer_provider('nosuch', 'reader', 'c')", "404");
        node.expect("change_consumer_provider('q', 'nosuch', 'nosuch')", "404");
        node.expect("change_consumer_provider(null, null, 'c')", "404");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_consumer_says_that_it_has_seen_the_news() {
    on_both(|node| {
        with_reader(node);
        node.expect("set_consumer_uptodate('q', 'reader', true)", "200");
        assert_eq!(node.see(READER), ["(a,5,,f,t)"]);
        node.expect("set_consumer_uptodate('q', 'reader', true)", "200");
        node.expect("set_consumer_uptodate('q', 'reader', false)", "200");
        assert_eq!(node.see(READER), ["(a,5,,f,f)"]);
        node.expect("set_consumer_uptodate('q', 'reader', null)", "23502");
        node.expect("set_consumer_uptodate('q', 'nosuch', true)", "404");
        node.expect("set_consumer_uptodate('nosuch', 'reader', true)", "404");
    });
}

#[test]
fn a_pause_is_news_and_so_is_its_end() {
    on_both(|node| {
        with_reader(node);
        node.exec(TROUBLED);
        node.expect("set_consumer_paused('q', 'reader', false)", "201");
        assert_eq!(node.see(READER), ["(a,5,oops,f,t)"]);
        node.expect("set_consumer_paused('q', 'reader', true)", "200");
        assert_eq!(node.see(READER), ["(a,5,oops,t,f)"]);
        node.exec(TROUBLED);
        node.expect("set_consumer_paused('q', 'reader', true)", "201");
        assert_eq!(node.see(READER), ["(a,5,oops,t,t)"]);
        node.expect("set_consumer_paused('q', 'reader', false)", "200");
        assert_eq!(node.see(READER), ["(a,5,oops,f,f)"]);
        let before = node.state();
        node.expect("set_consumer_paused('q', 'reader', null)", "23502");
        node.expect("set_consumer_paused('q', 'nosuch', true)", "404");
        node.expect("set_consumer_paused('nosuch', 'reader', true)", "404");
        assert_eq!(node.state(), before);
    });
}

#[test]
fn a_completed_tick_clears_the_error() {
    on_both(|node| {
        with_reader(node);
        node.exec(TROUBLED);
        node.expect("set_consumer_completed('q', 'reader', 9)", "100");
        assert_eq!(node.see(READER), ["(a,9,,f,t)"]);
        node.expect("set_consumer_completed('q', 'reader', 9)", "100");
        node.expect("set_consumer_completed('q', 'reader', 3)", "100");
        assert_eq!(node.see(READER), ["(a,3,,f,t)"], "backwards, too");
        node.expect("set_consumer_completed('q', 'reader', null)", "23502");
        node.expect("set_consumer_completed('q', 'nosuch', 1)", "404");
        node.expect("set_consumer_completed('nosuch', 'reader', 1)", "404");
    });
}

#[test]
fn an_error_is_kept_until_it_is_taken_back() {
    on_both(|node| {
        with_reader(node);
        node.expect("set_consumer_error('q', 'reader', 'disk full')", "100");
        assert_eq!(node.see(READER), ["(a,5,\"disk full\",f,f)"]);
        node.expect("set_consumer_error('q', 'reader', null)", "100");
        assert_eq!(node.see(READER), ["(a,5,,f,f)"]);
        node.expect("set_consumer_error('q', 'nosuch', 'disk full')", "101");
        node.expect("set_consumer_error('nosuch', 'reader', 'disk full')", "101");
        node.expect("set_consumer_error('q', null, null)", "101");
    });
}
