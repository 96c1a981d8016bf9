//! What one node needs, all keep; what nobody needs, all forget.

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue;

use super::stage::{Cascade, good};

fn position(session: &mut Session, consumer: &str) -> i64 {
    session.one("select last_tick from pgq.get_consumer_info('q', $1)", &[&consumer])
}

fn global(session: &mut Session) -> i64 {
    position(session, ".global_watermark")
}

#[test]
fn a_leaf_that_stands_still_holds_back_rotation_everywhere_until_it_goes_on() {
    let cascade = Cascade::chain();
    let [mut root, mut branch] = ["a", "b"].map(|node| cascade.connect(node));
    for session in [&mut root, &mut branch] {
        session.exec("select pgq.set_queue_config('q', 'rotation_period', '0')");
    }
    let _workers = ["a", "b"].map(|node| cascade.start(node));
    let start = global(&mut root);
    cascade.insert("a", "q", "needed by the leaf");
    let mut rotations = 0;
    for _ in 0..4 {
        cascade.settle("a", &["b"]);
        for session in [&mut root, &mut branch] {
            rotations += i32::from(queue::rotate(session, "q").unwrap());
        }
    }
    assert_eq!([global(&mut root), global(&mut branch)], [start; 2]);
    let told = "select count(*) from pgq.event_template where ev_type = 'pgq.global-watermark'";
    assert_eq!(root.one::<i64>(told, &[]), 0, "who stands still is not told of again and again");
    assert!(rotations <= 2, "the table that is written may change once on each");

    let _leaf = cascade.start("c");
    let top = cascade.settle("a", &["b", "c"]);
    wait_until("the watermark to come up to the root", || global(&mut root) >= top);
    // Each tick may bring more news, and so on.
    wait_until("it to come down to the branch", || {
        cascade.settle("a", &["b", "c"]);
        global(&mut branch) >= top
    });
    let mut turned = [false; 2];
    wait_until("both to rotate again", || {
        cascade.settle("a", &["b", "c"]);
        for (session, turned) in [&mut root, &mut branch].into_iter().zip(&mut turned) {
            *turned |= queue::rotate(session, "q").unwrap();
        }
        turned == [true; 2]
    });
}

#[test]
fn a_node_that_is_new_below_a_branch_does_not_stop_its_reports() {
    let cascade = Cascade::of(&["a", "b", "c"]);
    cascade.root("a", "q");
    cascade.subscribe("b", "branch", "a", "q", None);
    let _worker = cascade.start("b");
    let top = cascade.settle("a", &["b"]);
    let mut root = cascade.connect("a");
    wait_until("the branch to report", || position(&mut root, ".b.watermark") >= top);
    // It begins at the global watermark, which is lower.
    let begins = cascade.subscribe("c", "leaf", "b", "q", None);
    assert!(begins < top);
    cascade.settle("a", &["b"]);
    let _leaf = cascade.start("c");
    let top = cascade.settle("a", &["b", "c"]);
    wait_until("the branch to report again", || position(&mut root, ".b.watermark") >= top);
    assert_eq!(cascade.error("b", "q"), None);
}

#[test]
fn a_group_keeps_what_its_members_need_and_nobody_above_does() {
    let cascade = Cascade::of(&["a", "b", "c", "d"]);
    cascade.root("a", "q");
    cascade.subscribe("b", "branch", "a", "q", None);
    cascade.subscribe("d", "branch", "a", "q", None);
    cascade.subscribe("c", "leaf", "d", "q", None);
    let [mut root, mut branch, mut other] = ["a", "b", "d"].map(|node| cascade.connect(node));
    for session in [&mut branch, &mut other] {
        good(session, "set_node_attrs('q', 'sync_watermark=b%2cd')");
    }
    let start = global(&mut branch);
    // The leaf below `d` stands still, so `d` needs old events, and `b` keeps them for it.
    let _workers = ["a", "b", "d"].map(|node| cascade.start(node));
    let top = cascade.settle("a", &["b", "d"]);
    wait_until("the root to be told that nobody needs them there", || {
        position(&mut root, ".b.watermark") >= top && position(&mut root, ".d.watermark") >= top
    });
    wait_until("the root's watermark to move", || global(&mut root) >= top);
    cascade.settle("a", &["b", "d"]);
    let last = cascade.settle("a", &["b", "d"]);
    assert_eq!([global(&mut branch), global(&mut other)], [start; 2]);
    let told: Vec<String> = cascade
        .history("b", start, last)
        .iter()
        .flat_map(|chapter| &chapter.events)
        .filter(|event| event.kind.as_deref() == Some("pgq.global-watermark"))
        .map(|event| event.data.clone().unwrap())
        .collect();
    assert!(!told.is_empty(), "{told:?}");
    assert!(told.iter().all(|tick| *tick == start.to_string()), "the group's own goes on down: {told:?}");

    let _leaf = cascade.start("c");
    wait_until("the group's watermark to move", || {
        cascade.settle("a", &["b", "d", "c"]);
        global(&mut branch) >= top && global(&mut other) >= top
    });
}

#[test]
fn a_member_that_is_not_there_yet_stops_the_groups_watermark_and_a_dead_one_does_not() {
    let cascade = Cascade::of(&["a", "b"]);
    cascade.root("a", "q");
    cascade.subscribe("b", "branch", "a", "q", None);
    let [mut root, mut branch] = ["a", "b"].map(|node| cascade.connect(node));
    good(&mut branch, "set_node_attrs('q', 'sync_watermark=b,later')");
    let start = global(&mut branch);
    let _workers = ["a", "b"].map(|node| cascade.start(node));
    let top = cascade.settle("a", &["b"]);
    wait_until("the root's watermark to move", || global(&mut root) >= top);
    for _ in 0..3 {
        cascade.settle("a", &["b"]);
    }
    assert_eq!(global(&mut branch), start);
    good(&mut root, "register_location('q', 'later', 'host=/nowhere', true)");
    wait_until("the group's watermark to move", || {
        cascade.settle("a", &["b"]);
        global(&mut branch) >= top
    });
    assert_eq!(cascade.error("b", "q"), None);
}

#[test]
fn a_group_does_not_forget_what_the_root_keeps_for_others() {
    let cascade = Cascade::of(&["a", "b", "c"]);
    cascade.root("a", "q");
    cascade.subscribe("b", "branch", "a", "q", None);
    cascade.subscribe("c", "leaf", "a", "q", None);
    let [mut root, mut branch] = ["a", "b"].map(|node| cascade.connect(node));
    // Of the dead member nothing is asked.
    good(&mut root, "register_location('q', 'd', 'host=/nowhere', true)");
    good(&mut branch, "register_location('q', 'd', 'host=/nowhere', true)");
    good(&mut branch, "set_node_attrs('q', 'sync_watermark=b%2cd')");
    let _workers = ["a", "b"].map(|node| cascade.start(node));
    {
        let _leaf = cascade.start("c");
        let top = cascade.settle("a", &["b", "c"]);
        wait_until("the group to be told of the root's watermark", || {
            cascade.settle("a", &["b", "c"]);
            global(&mut branch) >= top
        });
    }
    let needed = cascade.completed("c", "q");
    for _ in 0..5 {
        cascade.settle("a", &["b"]);
    }
    assert!(position(&mut root, ".b.watermark") > needed, "the group needs nothing of that");
    assert!(global(&mut branch) <= needed && global(&mut root) <= needed);
}

#[test]
fn watermarks_are_told_no_more_often_than_the_keys_say() {
    let cascade = Cascade::of(&["a", "b", "d"]);
    cascade.root("a", "q");
    for node in ["b", "d"] {
        cascade.subscribe(node, "branch", "a", "q", None);
    }
    let seldom = [("local_wm_publish_period", "1000"), ("global_wm_publish_period", "1000")];
    let mut root = cascade.connect("a");
    let start = global(&mut root);
    let rounds = "select count(*) from applied where queue = 'standby'";
    let _root = cascade.start_with("a", "q", &seldom);
    wait_until("a first round", || root.one::<i64>(rounds, &[]) > 0);
    let _branches = [cascade.start_with("b", "q", &seldom), cascade.start("d")];
    cascade.wait_for(&["b"], "q", start);
    cascade.settle("a", &["b", "d"]);
    let top = cascade.settle("a", &["b", "d"]);
    wait_until("the one to report", || position(&mut root, ".d.watermark") >= top);
    assert!(position(&mut root, ".b.watermark") < top, "the other has reported at its start");
    good(&mut root, &format!("set_subscriber_watermark('q', 'b', {top})"));
    let before: i64 = root.one(rounds, &[]);
    wait_until("two rounds more", || root.one::<i64>(rounds, &[]) > before + 1);
    assert_eq!(global(&mut root), start);
}
