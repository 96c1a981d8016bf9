//! Workers as processes of their own, which are killed: nothing of them is left to tidy up.

use std::time::Duration;

use skytools::script::Script;

use super::stage::{Cascade, Load, applies_all, config_at, worker_name};
use crate::kit::{Running, Workplace, wait};

const LOCATION: &str = "CASCADE_TEST_NODE";
const WORKER: &str = "CASCADE_TEST_WORKER";

/// What such a process does: this test binary, asked for this test alone.
#[test]
#[ignore = "a process that other tests start and kill"]
fn process() {
    let [location, worker] = [LOCATION, WORKER].map(|name| std::env::var(name).unwrap_or_default());
    if worker.is_empty() {
        return;
    }
    let mut script = Script::new(config_at(&location, &worker, "q", &[("pgq_lazy_fetch", "2")]));
    let mut job = applies_all(&script).unwrap();
    wait(script.run(&mut job)).unwrap();
}

fn start(workplace: &Workplace, cascade: &Cascade, node: &str) -> Running {
    let me = std::env::current_exe().unwrap();
    let arguments = ["--exact", "cascade::killed::process", "--ignored", "--nocapture"];
    let mut command = workplace.program(me.to_str().unwrap(), &arguments);
    command.env(LOCATION, cascade.location(node)).env(WORKER, worker_name(node, "q"));
    workplace.start_command(node, command)
}

#[test]
fn processes_of_all_nodes_are_killed_again_and_again_under_load() {
    let cascade = Cascade::chain();
    let workplace = Workplace::new();
    let load = Load::start(&cascade, "a");
    let mut processes = ["a", "b", "c"].map(|node| (node, start(&workplace, &cascade, node)));
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..60 {
        std::thread::sleep(Duration::from_millis(random.u64(10..150)));
        // The branch has the most to lose.
        let (node, process) = &mut processes[[1, 2, 1, 0, 1, 2][round % 6]];
        // Dropping one kills it.
        *process = start(&workplace, &cascade, node);
    }
    let sent = load.stop();
    let top = cascade.settle("a", &["b", "c"]);
    assert!(top > 20, "{top} ticks are no load");
    cascade.all_alike("a", "b", top, &["b", "c"], &sent);
}
