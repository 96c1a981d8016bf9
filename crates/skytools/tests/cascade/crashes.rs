//! Whatever can die: at each step, and whole servers.

use std::time::Duration;

use pgq_tests::client::wait_until;
use skytools::cascade::CascadedWorker;
use skytools::script::Script;
use tokio::time::timeout;

use super::stage::{Applies, Cascade, Load, completed, config_at, good, start_worker, worker_name};
use crate::kit::{Break, Breaker, Proxy, Side, Workplace, wait};

const EVENTS_OF_A_BATCH: usize = 3;

/// Runs a batch for each step that the worker of a node takes to do one, and breaks that step on whichever way it is
/// taken. What was sent, and the tick behind it.
pub fn break_each_step(
    cascade: &Cascade,
    queue: &str,
    [root, provider, node]: [&str; 3],
) -> (Vec<String>, i64) {
    let (workplace, breaker) = (Workplace::new(), Breaker::default());
    let proxies = [provider, node].map(|name| {
        let proxy = Proxy::to(cascade.database(name), &workplace.path(name), &breaker);
        proxy.conninfo()
    });
    let (mut here, mut above) = (cascade.connect(node), cascade.connect(provider));
    good(&mut here, &format!("register_location('{queue}', '{provider}', '{}', false)", proxies[0]));
    let worker = worker_name(node, queue);
    let finished = "select last_tick from pgq.get_consumer_info($1, $2)";
    let (mut sent, mut tick) = (Vec::new(), 0);
    for side in [Side::Before, Side::After] {
        let mut step = 0;
        loop {
            step += 1;
            for event in 0..EVENTS_OF_A_BATCH {
                let data = format!("{side:?} {step:04} {event}");
                cascade.insert(root, queue, &data);
                sent.push(data);
            }
            tick = cascade.tick(root, queue);
            if provider != root {
                cascade.wait_for(&[provider], queue, tick);
            }
            breaker.arm(step, side, Break::Cut);
            let config = config_at(&proxies[1], &worker, queue, &[("pgq_lazy_fetch", "2")]);
            let _worker = start_worker(config);
            wait_until(&format!("{side:?} step {step}: the batch to be done and finished"), || {
                completed(&mut here, &worker, queue) == tick
                    && above.one::<i64>(finished, &[&queue, &worker]) == tick
            });
            if breaker.disarm() {
                break;
            }
        }
        assert!(step > 15, "a batch has more than {step} steps");
    }
    sent.sort();
    (sent, tick)
}

#[test]
fn each_step_of_a_branchs_worker_may_break() {
    let cascade = Cascade::chain();
    let (sent, tick) = break_each_step(&cascade, "q", ["a", "a", "b"]);
    cascade.all_alike("a", "b", tick, &["b"], &sent);
}

#[test]
fn each_step_of_a_leafs_worker_may_break() {
    let cascade = Cascade::chain();
    let _above = cascade.start("b");
    let (sent, _) = break_each_step(&cascade, "q", ["a", "b", "c"]);
    assert_eq!(cascade.applied("c", "q"), sent);
}

#[test]
fn workers_are_dropped_at_any_time() {
    let cascade = Cascade::chain();
    let load = Load::start(&cascade, "a");
    for round in 0..100 {
        let node = ["b", "c"][usize::from(round % 2 == 1)];
        let mut script = Script::new(cascade.config(node, "q", &[]));
        let mut worker = CascadedWorker::on_node(&script, "db", Applies).unwrap();
        let life = Duration::from_millis(5 + round % 37);
        assert!(wait(async { timeout(life, script.run(&mut worker)).await }).is_err(), "it was dropped");
    }
    let sent = load.stop();
    let _workers = ["b", "c"].map(|node| cascade.start(node));
    let top = cascade.settle("a", &["b", "c"]);
    cascade.all_alike("a", "b", top, &["b", "c"], &sent);
}

/// Lets the branch `b` have completed a batch without having its tick; the batch's begin and end.
pub fn torn(cascade: &Cascade) -> (i64, i64) {
    let start = {
        let _worker = cascade.start("b");
        cascade.settle("a", &["b"])
    };
    let end = cascade.tick("a", "q");
    let worker = worker_name("b", "q");
    good(&mut cascade.connect("b"), &format!("set_consumer_completed('q', '{worker}', {end})"));
    (start, end)
}

fn ticks(cascade: &Cascade) -> Vec<i64> {
    cascade.connect("b").column("select tick_id from pgq.tick order by tick_id", &[])
}

#[test]
fn a_missing_tick_is_made_before_a_pause_is_confirmed() {
    let cascade = Cascade::chain();
    let (_, end) = torn(&cascade);
    let worker = worker_name("b", "q");
    let mut branch = cascade.connect("b");
    good(&mut branch, &format!("set_consumer_paused('q', '{worker}', true)"));
    cascade.tick("a", "q");
    let _worker = cascade.start("b");
    let seen = "select uptodate from pgq_node.get_consumer_state('q', $1)";
    wait_until("the pause to be confirmed", || branch.one(seen, &[&worker]));
    assert_eq!(ticks(&cascade).last(), Some(&end));
    assert_eq!(cascade.completed("b", "q"), end, "paused");
}

#[test]
fn a_branch_with_ticks_that_do_not_fit_is_told() {
    let cascade = Cascade::chain();
    let (start, middle) = torn(&cascade);
    let end = cascade.tick("a", "q");
    let worker = worker_name("b", "q");
    good(&mut cascade.connect("b"), &format!("set_consumer_completed('q', '{worker}', {end})"));
    let move_to = "select pgq.register_consumer_at('q', $1, $2)";
    cascade.connect("a").execute(move_to, &[&worker, &middle]).unwrap();
    let _worker = cascade.start("b");
    let told = format!("is_batch_done: last branch tick = {start}, expected {middle} or {end}");
    cascade.wait_for_error("b", "q", &told);
}

#[test]
fn servers_are_killed_under_load() {
    let mut cascade = Cascade::chain_on_servers_of_its_own();
    let workers = ["a", "b", "c"].map(|node| cascade.start(node));
    let load = Load::start(&cascade, "a");
    for round in 0..4_u64 {
        std::thread::sleep(Duration::from_millis(150 + 40 * round));
        let server = cascade.server(if round % 2 == 0 { "b" } else { "c" });
        server.kill9();
        server.start_again();
    }
    let sent = load.stop();
    let tick = cascade.tick("a", "q");
    let root = cascade.server("a");
    root.kill9();
    root.start_again();
    cascade.wait_for(&["b", "c"], "q", tick);
    cascade.all_alike("a", "b", tick, &["b", "c"], &sent);
    drop(workers);
}
