//! The example of the documentation: it is there in full, and it works.

#[allow(dead_code)] // its main is for those who build it
#[path = "../examples/first_consumer.rs"]
mod example;

use pgq_tests::client::wait_until;
use pgq_tests::queue::{Consumer as Registered, create, tick_now};
use pgq_tests::shared::Database;
use skytools::consumer::{CONSUMER_KEYS, Consumer, FAILED_EVENT_KEYS};
use skytools::script::Config;
use skytools::testing::Queue;

use crate::kit::{Worker, conninfo, wait};

fn file(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_documentation_shows_the_example_as_it_is() {
    let shown = file("../../docs/consumers.md");
    let block = shown.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(block, file("examples/first_consumer.rs"));
}

#[test]
fn it_adds_up_what_a_trigger_writes() {
    let database = Database::fresh("totals");
    let mut session = database.connect();
    create(&mut session, "orders").unwrap();
    Registered::new("orders", "totals").register(&mut session).unwrap();
    session.exec(
        "create table orders (id bigint primary key, customer bigint, amount bigint, note text);
         create table total (customer bigint primary key, amount bigint);
         create trigger to_queue after insert or update or delete on orders
             for each row execute function pgq.logutriga('orders');
         insert into orders values (1, 7, 10, null), (2, 7, 5, 'fast'), (3, 8, 1, null), (4, 8, 99, 'draft');
         delete from orders where id = 1",
    );
    tick_now(&mut session, "orders").unwrap();
    let source = conninfo(&database);
    let pairs = [
        ("db", source.as_str()),
        ("queue_name", "orders"),
        ("consumer_name", "totals"),
        ("loop_delay", "0.02"),
    ];
    let config =
        Config::from_pairs("totals", &[CONSUMER_KEYS, FAILED_EVENT_KEYS, example::KEYS], pairs).unwrap();
    let _worker = Worker::start(config, |script| Consumer::new(script, "db", example::Totals));
    wait_until("the totals", || {
        let totals = session.rows("select customer, amount from total order by 1", &[]);
        totals.iter().map(|row| (row.get(0), row.get(1))).eq([(7_i64, 15_i64), (8, 1)])
    });
    let parked = session.column::<String>("select cause from pgq_consumer.dead_letter", &[]);
    assert_eq!(parked, ["a draft is no order"]);
}

#[test]
fn it_is_tested_without_a_server() {
    let mut queue = Queue::new("orders");
    let draft = queue.insert("I:id", "id=1&customer=7&amount=10&note=draft");
    let gone = queue.insert("D:id", "id=1&customer=7&amount=10&note");
    let delivery = wait(queue.deliver(&mut example::Totals)).unwrap();
    assert_eq!(delivery.done, [gone]);
    assert_eq!(delivery.parked[&draft].message, "a draft is no order");
}
