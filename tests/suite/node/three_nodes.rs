//! Root, branch and leaf under load: the same ticks and the same events everywhere, whoever reads from whom.

use std::time::Instant;

use crate::node::cascade::{
    Cascade, Load, Pass, Worker, Workers, completed, good, next_chapter, register_at, servers,
};
use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{self, Consumer};

/// Transactions of producers, enough for many batches.
const MANY: usize = 150;

/// Root `a`, branch `b` below it, leaf `c` below that.
fn chain(cascade: Cascade) -> Cascade {
    cascade.root("a");
    // So that nobody's position is the first tick by chance.
    queue::tick_now(&mut cascade.connect("a"), "q").unwrap();
    cascade.subscribe("b", "branch", "a", "a");
    cascade.subscribe("c", "leaf", "b", "a");
    cascade
}

const NODES: [&str; 3] = ["a", "b", "c"];

/// The branch has the batches of the root, and the leaf has applied just their events.
#[track_caller]
fn all_alike(cascade: &Cascade, nodes: [&str; 2], from: i64, to: i64, sent: &[String]) {
    let [root, branch] = nodes.map(|node| cascade.history(node, from, to));
    assert!(root.len() > 1, "{} batches", root.len());
    for (root, branch) in root.iter().zip(&branch) {
        assert_eq!(root, branch);
    }
    assert_eq!(root.len(), branch.len());
    let mut events: Vec<_> = root
        .iter()
        .flat_map(|chapter| &chapter.events)
        .filter(|event| event.kind.as_deref() == Some("kind"))
        .map(|event| event.data.clone().unwrap())
        .collect();
    events.sort();
    assert_eq!(events, sent);
    assert_eq!(cascade.applied("c"), sent, "the leaf");
}

#[test]
fn under_load_all_have_the_same() {
    let cascade = chain(Cascade::ticking(&NODES));
    let workers = Workers::start(&cascade, &NODES);
    let load = Load::start(&cascade, &["a"], 3);
    load.go_on(MANY);
    let sent = load.stop();
    let top = cascade.settle("a", &["b", "c"]);
    all_alike(&cascade, ["a", "b"], 1, top, &sent);
    assert_eq!(cascade.applied("b"), sent);
    workers.stop();
}

#[test]
fn a_reader_goes_on_at_another_node_at_any_tick() {
    let cascade = chain(Cascade::ticking(&NODES));
    let workers = Workers::start(&cascade, &NODES);
    let load = Load::start(&cascade, &["a"], 2);
    load.go_on(MANY);
    load.stop();
    let top = cascade.settle("a", &["b"]);
    workers.stop();
    let history = cascade.history("a", 1, top);
    let mut sessions = ["a", "b"].map(|node| cascade.connect(node));
    let wanderer = Consumer::new("q", "wanderer");
    let mut stands = 1;
    for chapter in &history {
        let session = &mut sessions[fastrand::usize(..2)];
        register_at(session, "wanderer", stands).unwrap();
        assert_eq!(next_chapter(session, &wanderer).as_ref(), Some(chapter));
        stands = chapter.tick.0;
    }
    assert_eq!(stands, top);
}

/// Moves the worker of a node to another provider, as the administrator's program does.
fn change_provider(cascade: &Cascade, node: &str, old: &str, new: &str) {
    let worker = format!("{node}_worker");
    let mut here = cascade.connect(node);
    pause(&mut here, &worker, true);
    let stands = completed(&mut here, node);
    let mut there = cascade.connect(new);
    good(&mut there, &format!("register_location('q', '{node}', 'dbname={node}', false)"));
    let subscribe = format!("select pgq_node.register_subscriber('q', '{node}', '{worker}', {stands})");
    // A branch may not have come so far.
    wait_until("the new provider to have the tick", || there.batch_execute(&subscribe).is_ok());
    good(&mut here, &format!("change_consumer_provider('q', '{worker}', '{new}')"));
    pause(&mut here, &worker, false);
    good(&mut cascade.connect(old), &format!("unregister_subscriber('q', '{node}')"));
}

/// Pauses or resumes a worker, and waits until it has seen that.
fn pause(session: &mut Session, worker: &str, paused: bool) {
    good(session, &format!("set_consumer_paused('q', '{worker}', {paused})"));
    let seen = "select uptodate from pgq_node.get_consumer_state('q', $1)";
    wait_until(&format!("{worker} to see that it is told to stop or go on"), || {
        session.one(seen, &[&worker])
    });
}

#[test]
fn a_leaf_changes_its_provider_forth_and_back_under_load() {
    let cascade = chain(Cascade::ticking(&NODES));
    let workers = Workers::start(&cascade, &NODES);
    let load = Load::start(&cascade, &["a"], 2);
    for _ in 0..3 {
        change_provider(&cascade, "c", "b", "a");
        change_provider(&cascade, "c", "a", "b");
    }
    let sent = load.stop();
    let top = cascade.settle("a", &["b", "c"]);
    all_alike(&cascade, ["a", "b"], 1, top, &sent);
    workers.stop();
}

#[test]
fn watermarks_hold_back_rotation_and_release_it() {
    for server in servers() {
        let cascade = chain(Cascade::on(&server, &NODES));
        let [mut root, mut branch] = ["a", "b"].map(|node| cascade.connect(node));
        for session in [&mut root, &mut branch] {
            session.exec("select pgq.set_queue_config('q', 'rotation_period', '0')");
        }
        let global = |session: &mut Session| -> i64 {
            session.one("select last_tick from pgq.get_consumer_info('q', '.global_watermark')", &[])
        };
        let mut workers = ["a", "b", "c"].map(|node| Worker::of(node, &cascade.way()).reporting());
        let start = global(&mut root);
        queue::insert(&mut root, "q", "kind", "needed by the leaf").unwrap();

        // The leaf stands still; the branch has everything, and the root many ticks more.
        for _ in 0..4 {
            queue::tick_now(&mut root, "q").unwrap();
            workers[1].catch_up();
            workers[0].pass().unwrap();
        }
        assert_eq!(global(&mut root), start);
        assert_eq!(global(&mut branch), start);
        // The table that is written may change once, as the next is free; not again.
        for session in [&mut root, &mut branch] {
            let rotations = (0..4).filter(|_| queue::rotate(session, "q").unwrap()).count();
            assert!(rotations <= 1, "{rotations} rotations");
        }
        for node in ["a", "b"] {
            let top: i64 = cascade.connect(node).one("select max(tick_id) from pgq.tick", &[]);
            let kept = cascade.history(node, start, top);
            let kept = kept.iter().flat_map(|chapter| &chapter.events);
            assert_eq!(kept.filter(|event| event.data.as_deref() == Some("needed by the leaf")).count(), 1);
        }

        // It goes on: its watermark goes up to the branch, from there to the root, and comes down as an event.
        assert_eq!(workers[2].pass().unwrap(), Pass::Did(start + 1));
        workers[2].catch_up();
        workers[1].catch_up();
        let heard: i64 = root.one("select last_tick from pgq.get_consumer_info('q', '.b.watermark')", &[]);
        workers[0].pass().unwrap();
        assert!(heard > start);
        assert_eq!(global(&mut root), heard);
        assert_eq!(global(&mut branch), start, "it has not heard yet");
        queue::tick_now(&mut root, "q").unwrap();
        workers[1].catch_up();
        assert_eq!(global(&mut branch), heard);
        for _ in 0..3 {
            queue::tick_now(&mut root, "q").unwrap();
            for _ in 0..2 {
                workers.iter_mut().rev().for_each(Worker::catch_up);
            }
        }
        for session in [&mut root, &mut branch] {
            assert!(queue::rotate(session, "q").unwrap(), "what nobody needs goes");
        }
    }
}

/// The roles of two nodes change, as the administrator's program does it.
fn switch_over(cascade: &Cascade, old: &str, new: &str) {
    let [old_worker, new_worker] = [old, new].map(|node| format!("{node}_worker"));
    let [mut from, mut to] = [old, new].map(|node| cascade.connect(node));
    pause(&mut from, &old_worker, true);
    good(&mut from, &format!("demote_root('q', 1, '{new}')"));
    let step = format!("select last_tick from pgq_node.demote_root('q', 2, '{new}')");
    let last: i64 = from.one(&step, &[]);
    cascade.wait_for(&[new], last);
    pause(&mut to, &new_worker, true);
    assert_eq!(completed(&mut to, new), last, "the last tick is the last");
    // The worker makes its tick after it has completed the batch; a paused one has made it, or it never does.
    let top: i64 = to.one("select max(tick_id) from pgq.tick", &[]);
    assert_eq!(top, last);
    good(&mut to, "promote_branch('q')");
    good(&mut to, &format!("register_subscriber('q', '{old}', '{old_worker}', {last})"));
    good(&mut from, &format!("unregister_subscriber('q', '{new}')"));
    pause(&mut to, &new_worker, false);
    good(&mut from, &format!("demote_root('q', 3, '{new}')"));
    pause(&mut from, &old_worker, false);
}

#[test]
fn the_root_moves_forth_and_back_under_load() {
    let cascade = chain(Cascade::ticking(&NODES));
    let workers = Workers::start(&cascade, &NODES);
    let load = Load::start(&cascade, &["a", "b"], 3);
    for _ in 0..2 {
        switch_over(&cascade, "a", "b");
        load.go_on(MANY / 4);
        switch_over(&cascade, "b", "a");
        load.go_on(MANY / 4);
    }
    let sent = load.stop();
    let top = cascade.settle("a", &["b", "c"]);
    all_alike(&cascade, ["a", "b"], 1, top, &sent);
    workers.stop();
    // Both had their time as root and as branch.
    let here = |node: &str| cascade.applied(node).len();
    assert!(here("a") > 0 && here("b") > 0 && here("a") < sent.len() && here("b") < sent.len());
}

/// The root `a` is dead. Of its branches `b` and `c`, `c` has come further, and `b` is to be root.
#[test]
fn a_branch_takes_over_from_a_dead_root() {
    for server in servers() {
        let cascade = Cascade::on(&server, &NODES);
        cascade.root("a");
        cascade.subscribe("b", "branch", "a", "a");
        cascade.subscribe("c", "branch", "a", "a");
        let mut root = cascade.connect("a");
        let mut write = |data: &str| {
            queue::insert(&mut root, "q", "kind", data).unwrap();
            queue::tick_now(&mut root, "q").unwrap();
        };
        let [mut b, mut c] = ["b", "c"].map(|node| Worker::of(node, &cascade.way()));
        write("everywhere");
        b.catch_up();
        c.catch_up();
        write("at c only");
        c.catch_up();
        write("nowhere but at a");

        // Nobody reaches `a` from here on.
        let [mut b_session, mut c_session] = ["b", "c"].map(|node| cascade.connect(node));
        for session in [&mut b_session, &mut c_session] {
            good(session, "register_location('q', 'a', null, true)");
        }
        let [b_stands, last] = [completed(&mut b_session, "b"), completed(&mut c_session, "c")];
        assert!(b_stands < last);
        good(&mut c_session, &format!("register_subscriber('q', 'b', 'b_worker', {b_stands})"));
        good(&mut b_session, "change_consumer_provider('q', 'b_worker', 'c')");
        b.catch_up();
        assert_eq!(completed(&mut b_session, "b"), last);

        good(&mut b_session, "promote_branch('q')");
        good(&mut b_session, &format!("register_subscriber('q', 'a', 'a.gravestone', {last})"));
        good(&mut b_session, &format!("register_subscriber('q', 'c', 'c_worker', {last})"));
        good(&mut c_session, "change_consumer_provider('q', 'c_worker', 'b')");
        good(&mut c_session, "unregister_subscriber('q', 'b')");

        queue::insert(&mut b_session, "q", "kind", "of the new root").unwrap();
        let top = queue::tick_now(&mut b_session, "q").unwrap();
        c.catch_up();
        assert_eq!(completed(&mut c_session, "c"), top);
        let start = 1;
        assert_eq!(cascade.history("b", start, top), cascade.history("c", start, top));
        assert_eq!(cascade.applied("c"), ["at c only", "everywhere", "of the new root"]);
        assert_eq!(cascade.applied("b"), ["at c only", "everywhere"]);

        // What comes after the gravestone is kept for the dead.
        for _ in 0..3 {
            queue::tick_now(&mut b_session, "q").unwrap();
            c.catch_up();
        }
        good(&mut b_session, "set_global_watermark('q', null)");
        let kept: i64 =
            b_session.one("select last_tick from pgq.get_consumer_info('q', 'a.gravestone')", &[]);
        assert_eq!(kept, last);
        let local: i64 = b_session.one("select local_watermark from pgq_node.get_node_info('q')", &[]);
        assert!(local <= last);
        good(&mut b_session, "drop_node('q', 'a')");
        let local: i64 = b_session.one("select local_watermark from pgq_node.get_node_info('q')", &[]);
        assert!(local >= start);
    }
}

/// Nobody calls anything: the ticker in the server moves the watermark that lags.
#[test]
fn our_ticker_keeps_the_global_watermark_up() {
    let cluster = crate::ticker::builder().conf("pgq.maint_period", "1s").start();
    let mut session = cluster.connect("postgres");
    session.exec(
        "create extension pgq; create extension pgq_node;
         select pgq_node.register_location('q', 'a', 'dbname=a', false);
         select pgq_node.create_node('q', 'root', 'a', 'a_worker', null, null, null)",
    );
    let position = "select last_tick from pgq.get_consumer_info('q', '.global_watermark')";
    queue::tick_now(&mut session, "q").unwrap();
    let before: i64 = session.one(position, &[]);
    let told = "select count(*) from pgq.event_template where ev_type = 'pgq.global-watermark'";
    assert_eq!(session.one::<i64>(told, &[]), 0);
    let began = Instant::now();
    session.exec("update pgq.tick set tick_time = tick_time - interval '6 minutes'");
    wait_until("the watermark to move", || session.one::<i64>(position, &[]) > before);
    wait_until("the others to be told", || session.one::<i64>(told, &[]) > 0);
    assert!(began.elapsed() < crate::ticker::FEW_SECONDS, "{:?}", began.elapsed());
}
