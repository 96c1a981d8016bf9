//! The example of the documentation: it is there in full, and it works.

#[allow(dead_code)] // its main is for those who build it
#[path = "../../examples/order_worker.rs"]
mod order_worker;

use skytools::cascade::{CascadedWorker, WORKER_KEYS};
use skytools::consumer::CONSUMER_KEYS;
use skytools::script::Config;

use super::stage::{Cascade, worker_name};
use crate::kit::Worker;

#[test]
fn the_documentation_shows_the_example_as_it_is() {
    let file =
        |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let shown = file("../../docs/cascade.md");
    let block = shown.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(block, file("examples/order_worker.rs"));
}

#[test]
fn it_logs_each_order_and_keeps_the_node_up() {
    let cascade = Cascade::chain();
    cascade.connect("b").exec("create table order_log (id bigint, what text)");
    let (db, worker) = (cascade.location("b"), worker_name("b", "q"));
    let pairs = [("db", &*db), ("queue_name", "q"), ("consumer_name", &worker)];
    let config =
        Config::from_pairs("order_worker", &[CONSUMER_KEYS, WORKER_KEYS, order_worker::KEYS], pairs).unwrap();
    let _worker = Worker::start(config, |script| CascadedWorker::on_node(script, "db", order_worker::Orders));
    cascade.insert("a", "q", "a bicycle");
    let top = cascade.settle("a", &["b"]);
    let logged: Vec<String> = cascade.connect("b").column("select what from order_log", &[]);
    assert_eq!(logged, ["a bicycle"]);
    cascade.all_alike("a", "b", top, &[], &[]);
}
