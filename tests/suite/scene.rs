//! Where most stories begin: a queue `q`, and its consumer `c`.

use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Consumer};
use pgq_tests::shared::Database;

/// A database with the queue.
pub fn with_queue(label: &str) -> (Database, Session) {
    let database = Database::fresh(label);
    let mut session = database.connect();
    queue::create(&mut session, "q").unwrap();
    (database, session)
}

/// A database with the queue, read by the consumer from here on.
pub fn with_consumer(label: &str) -> (Database, Session, Consumer) {
    let (database, mut session) = with_queue(label);
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    (database, session, consumer)
}

/// A cluster of its own with the queue, which may rotate at any time: rotation depends on all open transactions of a
/// cluster.
pub fn rotating() -> (Cluster, Session) {
    let cluster = Cluster::builder().conf("autovacuum", "off").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    queue::create(&mut session, "q").unwrap();
    session.exec("select pgq.set_queue_config('q', 'rotation_period', '0')");
    (cluster, session)
}
