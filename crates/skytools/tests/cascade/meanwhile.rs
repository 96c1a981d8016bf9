//! What an administrator does to a node while its worker is in the middle of a batch, or dead.

use std::sync::mpsc::{Receiver, Sender, channel};

use pgq_tests::client::wait_until;
use skytools::Result;
use skytools::cascade::CascadedWorker;
use skytools::consumer::{Batch, Event, Handler, Verdict};
use skytools::script::Script;

use super::crashes::torn;
use super::stage::{Applies, Cascade, good, worker_name};
use crate::kit::Worker;

/// Stands still at each event until it is let go.
struct Waits {
    inner: Applies,
    reached: Sender<()>,
    go: Receiver<()>,
}

impl Handler for Waits {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        let verdict = self.inner.event(event, batch).await?;
        let _ = self.reached.send(());
        let _ = self.go.recv();
        Ok(verdict)
    }

    async fn standby(&mut self, script: &mut Script) -> Result<()> {
        self.inner.standby(script).await
    }
}

/// Lets the worker of `b` begin a batch with one event, does something meanwhile, and lets it go on.
fn meanwhile(cascade: &Cascade, what: impl FnOnce()) -> (Worker, i64) {
    let (reached, is_reached) = channel();
    let (let_go, go) = channel();
    let worker = Worker::start(cascade.config("b", "q", &[]), move |script| {
        CascadedWorker::on_node(script, "db", Waits { inner: Applies, reached, go })
    });
    cascade.settle("a", &["b"]);
    cascade.insert("a", "q", "one");
    let tick = cascade.tick("a", "q");
    is_reached.recv().unwrap();
    what();
    drop(let_go);
    (worker, tick)
}

fn uptodate(cascade: &Cascade) -> bool {
    let seen = "select uptodate from pgq_node.get_consumer_state('q', $1)";
    cascade.connect("b").one(seen, &[&worker_name("b", "q")])
}

fn ticks(cascade: &Cascade) -> Vec<i64> {
    cascade.connect("b").column("select tick_id from pgq.tick order by tick_id", &[])
}

#[test]
fn who_is_paused_in_the_middle_of_a_batch_ends_it_and_confirms_that_then() {
    let cascade = Cascade::chain();
    let worker = worker_name("b", "q");
    let (_worker, tick) = meanwhile(&cascade, || {
        good(&mut cascade.connect("b"), &format!("set_consumer_paused('q', '{worker}', true)"));
        assert!(!uptodate(&cascade));
    });
    wait_until("the pause to be confirmed", || uptodate(&cascade));
    assert_eq!((cascade.completed("b", "q"), ticks(&cascade).last()), (tick, Some(&tick)));
    cascade.insert("a", "q", "two");
    cascade.tick("a", "q");
    assert_eq!(cascade.applied("b", "q"), ["one"]);
}

#[test]
fn a_provider_that_is_changed_in_the_middle_of_a_batch_goes_on_behind_it() {
    let cascade = Cascade::of(&["a", "d", "b"]);
    cascade.root("a", "q");
    cascade.tick("a", "q");
    cascade.subscribe("d", "branch", "a", "q", None);
    cascade.subscribe("b", "branch", "a", "q", None);
    let _other = cascade.start("d");
    let worker = worker_name("b", "q");
    let (_worker, tick) = meanwhile(&cascade, || {
        let stands = cascade.completed("b", "q");
        cascade.register_location("d", "q", "b");
        good(&mut cascade.connect("d"), &format!("register_subscriber('q', 'b', '{worker}', {stands})"));
        good(&mut cascade.connect("b"), &format!("change_consumer_provider('q', '{worker}', 'd')"));
        good(&mut cascade.connect("a"), "unregister_subscriber('q', 'b')");
    });
    cascade.wait_for(&["b"], "q", tick);
    cascade.insert("a", "q", "two");
    let top = cascade.settle("a", &["d", "b"]);
    cascade.all_alike("a", "b", top, &["b"], &["one".to_owned(), "two".to_owned()]);
}

#[test]
fn a_branch_that_is_promoted_in_the_middle_of_a_batch_keeps_nothing_of_it() {
    let cascade = Cascade::chain();
    let (_worker, tick) = meanwhile(&cascade, || good(&mut cascade.connect("b"), "promote_branch('q')"));
    let stood_by = "select count(*) from applied where queue = 'standby'";
    wait_until("it to stand by", || cascade.connect("b").one::<i64>(stood_by, &[]) > 0);
    assert!(cascade.applied("b", "q").is_empty());
    assert!(!ticks(&cascade).contains(&tick));
    let kept: i64 = cascade
        .connect("b")
        .one("select count(*) from pgq.event_template where ev_type = 'kind' and ev_data = 'one'", &[]);
    assert_eq!(kept, 0, "the events of another root");
}

/// Makes `b` read from `d`, which is as far.
fn change_provider(cascade: &Cascade, stands: i64) {
    let worker = worker_name("b", "q");
    cascade.register_location("d", "q", "b");
    cascade.wait_for(&["d"], "q", stands);
    let subscribe = format!("select pgq_node.register_subscriber('q', 'b', '{worker}', {stands})");
    let mut there = cascade.connect("d");
    wait_until("the other provider to have the tick", || there.batch_execute(&subscribe).is_ok());
    good(&mut cascade.connect("b"), &format!("change_consumer_provider('q', '{worker}', 'd')"));
}

fn chain_and_sibling() -> Cascade {
    let cascade = Cascade::of(&["a", "b", "d"]);
    cascade.root("a", "q");
    cascade.tick("a", "q");
    cascade.subscribe("b", "branch", "a", "q", None);
    cascade.subscribe("d", "branch", "a", "q", None);
    cascade
}

#[test]
fn a_missing_tick_is_made_also_by_what_another_provider_tells() {
    let cascade = chain_and_sibling();
    let (_, end) = torn(&cascade);
    let _other = cascade.start("d");
    change_provider(&cascade, end);
    let _worker = cascade.start("b");
    cascade.insert("a", "q", "one");
    let top = cascade.settle("a", &["d", "b"]);
    cascade.all_alike("a", "b", top, &["b"], &["one".to_owned()]);
}

#[test]
fn a_pause_is_confirmed_when_the_provider_that_knows_the_missing_tick_is_down() {
    let cascade = chain_and_sibling();
    let (start, end) = torn(&cascade);
    let worker = worker_name("b", "q");
    let other = cascade.start("d");
    cascade.wait_for(&["d"], "q", end);
    let mut branch = cascade.connect("b");
    good(&mut branch, "register_location('q', 'a', 'host=/nowhere', false)");
    good(&mut branch, &format!("set_consumer_paused('q', '{worker}', true)"));
    let _worker = cascade.start("b");
    wait_until("the pause to be confirmed", || uptodate(&cascade));
    assert_eq!(ticks(&cascade).last(), Some(&start));
    cascade.wait_for_error("b", "q", "provider: ");
    change_provider(&cascade, end);
    cascade.insert("a", "q", "one");
    let tick = cascade.tick("a", "q");
    wait_until("the change to be confirmed, and the tick to be made", || {
        uptodate(&cascade) && ticks(&cascade).last() == Some(&end)
    });
    assert_eq!(cascade.completed("b", "q"), end, "paused");
    good(&mut branch, &format!("set_consumer_paused('q', '{worker}', false)"));
    cascade.wait_for(&["b"], "q", tick);
    cascade.all_alike("a", "b", tick, &["b"], &["one".to_owned()]);
    drop(other);
}
