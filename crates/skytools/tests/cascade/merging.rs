//! Several queues become one: on the root of the combined queue, and behind a branch of it.

use std::time::Duration;

use pgq_tests::client::wait_until;
use pgq_tests::queue;

use super::crashes::break_each_step;
use super::stage::{Cascade, good};
use crate::kit::Worker;

/// Queues `p1` at `x` and `p2` at `y`; the combined queue `q` with its root at `m` and a branch at `n`, and leaves of both
/// parts at either.
pub struct Merge {
    pub cascade: Cascade,
}

const PARTS: [(&str, &str); 2] = [("p1", "x"), ("p2", "y")];

impl Merge {
    pub fn new() -> Self {
        let cascade = Cascade::of(&["x", "y", "m", "n"]);
        cascade.root("m", "q");
        cascade.tick("m", "q");
        cascade.subscribe("n", "branch", "m", "q", None);
        for (part, root) in PARTS {
            cascade.root(root, part);
            for node in ["m", "n"] {
                cascade.subscribe(node, "leaf", root, part, Some("q"));
            }
        }
        Self { cascade }
    }

    /// All workers of a node.
    pub fn start(&self, node: &str) -> [Worker; 3] {
        ["q", "p1", "p2"].map(|queue| self.cascade.start_with(node, queue, &[]))
    }

    pub fn produce(&self, numbers: std::ops::Range<i32>) -> Vec<String> {
        let mut sent = Vec::new();
        for number in numbers {
            for (part, root) in PARTS {
                let data = format!("{part} {number:04}");
                self.cascade.insert(root, part, &data);
                self.cascade.tick(root, part);
                sent.push(data);
            }
        }
        sent.sort();
        sent
    }

    /// Waits until all is everywhere; the newest tick of the combined queue.
    pub fn settle(&self, combined_root: &str, nodes: &[&str]) -> i64 {
        for (part, root) in PARTS {
            let tick = self.cascade.tick(root, part);
            self.cascade.wait_for(&[combined_root], part, tick);
        }
        let top = self.cascade.tick(combined_root, "q");
        self.cascade.wait_for(nodes, "q", top);
        top
    }

    /// The types and data in the combined queue of a node, beside `pgq.*`.
    pub fn combined(&self, node: &str, to: i64) -> Vec<String> {
        let history = self.cascade.history(node, 2, to);
        let events = history.iter().flat_map(|chapter| &chapter.events);
        let data = events
            .filter(|event| event.kind.as_ref().is_some_and(|kind| !kind.starts_with("pgq.")))
            .map(|event| event.data.clone().unwrap());
        let mut data: Vec<String> = data.collect();
        data.sort();
        data
    }
}

#[test]
fn parts_become_one_queue_with_a_branch() {
    let merge = Merge::new();
    let _workers = ["m", "n"].map(|node| merge.start(node));
    let sent = merge.produce(0..10);
    queue::insert(&mut merge.cascade.connect("x"), "p1", "my.own", "system").unwrap();
    let top = merge.settle("m", &["n"]);
    assert_eq!(merge.combined("m", top), sent);
    merge.cascade.all_alike("m", "n", top, &["n"], &sent);
    for (part, _) in PARTS {
        let mut own: Vec<String> = sent.iter().filter(|data| data.starts_with(part)).cloned().collect();
        if part == "p1" {
            own.push("system".to_owned());
        }
        own.sort();
        assert_eq!(merge.cascade.applied("m", part), own, "its own events are applied, too");
        let completed = merge.cascade.completed("m", part);
        merge.cascade.wait_for(&["n"], part, completed);
        let root = if part == "p1" { "x" } else { "y" };
        let finished = "select last_tick from pgq.get_consumer_info($1, $2)";
        let worker = super::stage::worker_name("n", part);
        wait_until("the leaf behind the branch to finish what came", || {
            merge.cascade.connect(root).one::<i64>(finished, &[&part, &worker]) == completed
        });
    }
    let behind = ["p1", "p2"].map(|part| merge.cascade.applied("n", part));
    assert_eq!(behind, [vec!["system".to_owned()], vec![]], "data comes by way of the combined queue only");
}

#[test]
fn each_event_is_merged_once_whatever_is_terminated() {
    let merge = Merge::new();
    let _workers = ["m", "n"].map(|node| merge.start(node));
    let mut sent = Vec::new();
    for round in 0..12 {
        sent.extend(merge.produce(round * 3..round * 3 + 3));
        for node in ["m", "n", "x"] {
            merge.cascade.connect(node).exec(
                "select pg_terminate_backend(pid) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()
                    and backend_type = 'client backend' and random() < 0.7",
            );
        }
    }
    sent.sort();
    let top = merge.settle("m", &["n"]);
    assert_eq!(merge.combined("m", top), sent);
    merge.cascade.all_alike("m", "n", top, &["n"], &sent);
}

#[test]
fn each_step_of_a_merging_worker_may_break() {
    let merge = Merge::new();
    let (sent, _) = break_each_step(&merge.cascade, "p1", ["x", "x", "m"]);
    let top = merge.cascade.tick("m", "q");
    assert_eq!([merge.combined("m", top), merge.cascade.applied("m", "p1")], [sent.clone(), sent]);
}

#[test]
fn behind_a_branch_a_leaf_waits_for_the_combined_queue() {
    let merge = Merge::new();
    let _leaf = merge.cascade.start_with("n", "p1", &[]);
    let before = merge.cascade.completed("n", "p1");
    merge.produce(0..2);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(merge.cascade.completed("n", "p1"), before);
    assert!(merge.cascade.applied("n", "p1").is_empty());
    assert_eq!(merge.cascade.error("n", "p1"), None);
}

#[test]
fn when_the_branch_is_promoted_its_leaves_skip_what_came_and_go_on() {
    let merge = Merge::new();
    let (old, queue_at_new) = (merge.start("m"), merge.cascade.start_with("n", "q", &[]));
    // The leaves at the new root are far behind.
    let mut sent = merge.produce(0..5);
    merge.settle("m", &["n"]);
    drop((old, queue_at_new));
    good(&mut merge.cascade.connect("n"), "promote_branch('q')");
    let _workers = merge.start("n");
    sent.extend(merge.produce(5..8));
    sent.sort();
    let top = merge.settle("n", &[]);
    assert_eq!(merge.combined("n", top), sent, "nothing lost, nothing twice");
}
