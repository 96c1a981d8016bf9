//! Several ticks in a batch: for those only whose ticks nobody looks for.

use std::sync::mpsc::{Sender, channel};

use pgq_tests::client::wait_until;
use skytools::Result;
use skytools::cascade::CascadedWorker;
use skytools::consumer::{Batch, Handler};

use super::merging::Merge;
use super::stage::{Cascade, good};
use crate::kit::Worker;

/// Tells the bounds of its batches.
struct Bounds(Sender<(i64, i64)>);

impl Handler for Bounds {
    async fn batch(&mut self, batch: &mut Batch) -> Result<()> {
        self.0.send((batch.info().prev_tick_id, batch.info().tick_id)).unwrap();
        Ok(())
    }
}

/// How many events there are between two ticks of a queue: numbers that were left out count.
fn events(cascade: &Cascade, node: &str, queue: &str, [from, to]: [i64; 2]) -> i64 {
    let events = "select max(tick_event_seq) - min(tick_event_seq)
                    from pgq.tick join pgq.queue on queue_id = tick_queue
                   where queue_name = $1 and tick_id in ($2, $3)";
    cascade.connect(node).one(events, &[&queue, &from, &to])
}

/// The batches of a node's worker that shall collect so many events.
fn batches(cascade: &Cascade, node: &str, events: i64, [from, to]: [i64; 2]) -> Vec<(i64, i64)> {
    let (tell, told) = channel();
    let config = cascade.config(node, "q", &[("pgq_batch_collect_events", &events.to_string())]);
    let worker =
        Worker::start(config, move |script| CascadedWorker::on_node(script, "db", Bounds(tell.clone())));
    let mut bounds = Vec::new();
    wait_until(&format!("{node} to come to tick {to}"), || {
        bounds.extend(told.try_iter());
        bounds.last().is_some_and(|(_, end)| *end >= to)
    });
    cascade.wait_for(&[node], "q", to);
    drop(worker);
    bounds.retain(|(_, end)| *end > from);
    bounds
}

#[test]
fn a_branch_goes_tick_by_tick_and_a_leaf_collects() {
    let cascade = Cascade::chain();
    let from = {
        let _workers = ["b", "c"].map(|node| cascade.start(node));
        cascade.settle("a", &["b", "c"])
    };
    for number in 0..8 {
        cascade.insert("a", "q", &number.to_string());
        cascade.tick("a", "q");
    }
    let to = from + 8;
    let single: Vec<(i64, i64)> = (from..to).map(|tick| (tick, tick + 1)).collect();
    let half = events(&cascade, "a", "q", [from, to]) / 2;
    assert_eq!(batches(&cascade, "b", half, [from, to]), single);
    cascade.all_alike("a", "b", to, &[], &[]);
    let collected = batches(&cascade, "c", half, [from, to]);
    assert!(collected.len() <= 2, "{collected:?}");
}

#[test]
fn behind_a_branch_a_leaf_that_shall_collect_is_never_beyond_what_came() {
    let merge = Merge::new();
    let cascade = &merge.cascade;
    let queue_at_new = cascade.start_with("n", "q", &[]);
    let mut sent = {
        let _old = merge.start("m");
        let sent = merge.produce(0..2);
        merge.settle("m", &["n"]);
        sent
    };
    // Of this the combined queue hears nothing from the old root.
    sent.extend(merge.produce(2..8));
    sent.sort();
    let newest =
        "select max(tick_id) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = 'p1'";
    let newest: i64 = cascade.connect("x").one(newest, &[]);
    // With those that have not come, there are so many.
    let four_ticks = events(cascade, "x", "p1", [newest - 4, newest]).to_string();
    let collects = [("pgq_batch_collect_events", &*four_ticks)];
    {
        let _leaves = ["p1", "p2"].map(|part| cascade.start_with("n", part, &collects));
        for (part, root) in [("p1", "x"), ("p2", "y")] {
            let came = cascade.completed("n", part);
            let position = "select last_tick from pgq.get_consumer_info($1, $2)";
            let worker = super::stage::worker_name("n", part);
            wait_until("the leaf to finish what came", || {
                cascade.connect(root).one::<i64>(position, &[&part, &worker]) == came
            });
            // And the batch behind that is open, whatever it is.
            let open = "select next_tick is not null from pgq.get_consumer_info($1, $2)";
            wait_until("the leaf to look further", || cascade.connect(root).one(open, &[&part, &worker]));
        }
    }
    drop(queue_at_new);
    good(&mut cascade.connect("n"), "promote_branch('q')");
    let _workers = ["q", "p1", "p2"].map(|queue| cascade.start_with("n", queue, &collects));
    let top = merge.settle("n", &[]);
    assert_eq!(merge.combined("n", top), sent);
}
