//! Where most stories begin: a queue `q`, and its consumer `c`.

use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Consumer};
use pgq_tests::shared::Database;
use std::io::Write;
use std::process::Stdio;

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

/// What `pg_dump` says of a database.
pub fn dump(database: &Database) -> String {
    let output = database.client_program("pg_dump").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A database made from a dump.
pub fn restored(dump: &str) -> Database {
    let database = Database::fresh("restored");
    database.connect().exec("drop extension pgq");
    let mut psql = database.client_program("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = psql.spawn().unwrap();
    child.stdin.take().unwrap().write_all(dump.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    database
}
