//! The example of the documentation: it is there in full, and it works.

#[allow(dead_code)] // its main is for those who build it
#[path = "../examples/heartbeat.rs"]
mod example;

use pgq_tests::shared::Database;
use skytools::script::{Config, Job, Next, Script};

use crate::kit::conninfo;

#[test]
fn the_documentation_shows_the_example_as_it_is() {
    let file =
        |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let shown = file("../../docs/scripts.md");
    let block = shown.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(block, file("examples/heartbeat.rs"));
}

#[test]
fn a_round_of_it_writes_a_row() {
    let database = Database::fresh("heartbeat");
    let mut session = database.connect();
    session.exec("create table heartbeat (beat text, at timestamptz)");
    let pairs = [("db", conninfo(&database)), ("beat", "100%%".to_owned())];
    let config = Config::from_pairs(
        "heartbeat",
        &[example::KEYS],
        pairs.iter().map(|(key, text)| (*key, text.as_str())),
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let next = runtime.block_on(example::Heartbeat.work(&mut Script::new(config))).unwrap();
    assert_eq!(next, Next::Idle);
    assert_eq!(session.column::<String>("select beat from heartbeat", &[]), ["100%"]);
}
