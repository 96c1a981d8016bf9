//! Events that the original loses, and ours does not.
//!
//! Each scenario is one function over a server. It returns what the consumer got in the end; one event was
//! committed, so that should be this one. Every scenario has a cluster of its own: what rotation may do depends on all
//! open transactions of the cluster, so a neighbour's would change the story.

use pgq_tests::client::{Session, wait_until_blocked};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Consumer, Event};
use pgq_tests::server::Server;

/// The data of the event that counts.
const EVENT: &str = "the event";

/// A cluster with a queue `q` that may rotate at any time.
struct Stage {
    cluster: Cluster,
    admin: Session,
}

impl Stage {
    fn set(server: &Server) -> Self {
        let mut builder = Cluster::builder_on(server).conf("autovacuum", "off");
        if server.has_ticker() {
            builder = builder.conf("shared_preload_libraries", "pgq").conf("pgq.ticker", "off");
        }
        let cluster = builder.start();
        let mut admin = cluster.connect("postgres");
        admin.exec("create extension pgq");
        queue::create(&mut admin, "q").unwrap();
        admin.exec("select pgq.set_queue_config('q', 'rotation_period', '0')");
        Self { cluster, admin }
    }

    fn connect(&self) -> Session {
        self.cluster.connect("postgres")
    }

    /// A tick, and the consumer moves to it.
    fn tick_and_consume(&mut self, consumer: &Consumer) -> Vec<Event> {
        queue::tick_now(&mut self.admin, "q").unwrap();
        consumer.drain_all(&mut self.admin).unwrap()
    }

    /// Two ticks and all there is to get.
    fn finale(mut self, consumer: &Consumer) -> Vec<String> {
        let mut events = self.tick_and_consume(consumer);
        events.extend(self.tick_and_consume(consumer));
        events.into_iter().filter_map(|event| event.data).collect()
    }
}

fn insert(session: &mut Session) {
    queue::insert(session, "q", "kind", EVENT).unwrap();
}

/// A writer whose snapshot is older than a rotation and whose transaction id is younger.
fn repeatable_read_across_a_rotation(server: &Server) -> Vec<String> {
    let mut stage = Stage::set(server);
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut stage.admin).unwrap();
    stage.tick_and_consume(&consumer);

    let mut writer = stage.connect();
    writer.exec("begin isolation level repeatable read; select 1 from pgq.queue");
    assert!(queue::rotate(&mut stage.admin, "q").unwrap(), "the queue rotates");
    stage.tick_and_consume(&consumer);
    insert(&mut writer);
    writer.exec("commit");
    stage.finale(&consumer)
}

/// The same in READ COMMITTED: the writer has read which table is current, and a rotation comes before it has a
/// transaction id. A SHARE lock on the table holds it in just that window.
fn read_committed_across_a_rotation(server: &Server) -> Vec<String> {
    let mut stage = Stage::set(server);
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut stage.admin).unwrap();
    stage.tick_and_consume(&consumer);
    // The sequence logs its next 32 values at once: after this call the writer's own one writes no WAL, and so
    // assigns no transaction id.
    stage.admin.exec("select nextval(queue_event_seq) from pgq.queue");

    let table: String = stage.admin.one("select pgq.current_event_table('q')", &[]);
    let mut holder = stage.connect();
    holder.exec(&format!("begin; lock table {table} in share mode"));
    let writer = stage.connect().spawn(insert);
    wait_until_blocked(&mut stage.admin, writer.pid());
    assert!(queue::rotate(&mut stage.admin, "q").unwrap(), "the queue rotates");
    stage.tick_and_consume(&consumer);
    holder.exec("commit");
    writer.join();
    stage.finale(&consumer)
}

/// Nobody is registered, and rotation goes over a writer twice; then somebody registers, and the writer commits.
fn nobody_registered(server: &Server, paused: bool) -> Vec<String> {
    let mut stage = Stage::set(server);
    if paused {
        stage.admin.exec("select pgq.set_queue_config('q', 'ticker_paused', '1')");
    }
    let mut writer = stage.connect();
    writer.exec("begin");
    insert(&mut writer);
    for _ in 0..2 {
        // Whether it may rotate is just the question.
        queue::rotate(&mut stage.admin, "q").unwrap();
        if !paused {
            queue::tick_now(&mut stage.admin, "q").unwrap();
        }
    }
    if paused {
        stage.admin.exec("select pgq.set_queue_config('q', 'ticker_paused', '0')");
        // The original's rotation has deleted all ticks, and without any nobody can register.
        queue::tick_now(&mut stage.admin, "q").unwrap();
    }
    let consumer = Consumer::new("q", "late");
    consumer.register(&mut stage.admin).unwrap();
    writer.exec("commit");
    stage.finale(&consumer)
}

/// A pair of tests: ours delivers the event; the original, run to show that the scenario is the right one, loses it.
macro_rules! lost_by_the_original {
    ($($name:ident: $scenario:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn ours_delivers() {
                let scenario: fn(&Server) -> Vec<String> = $scenario;
                assert_eq!(scenario(&Server::ours()), [EVENT]);
            }

            #[test]
            fn the_original_loses() {
                let scenario: fn(&Server) -> Vec<String> = $scenario;
                match Server::peer() {
                    Some(peer) => assert_eq!(scenario(&peer), [""; 0]),
                    None => eprintln!("skipped: PGQ_PEER is not set"),
                }
            }
        }
    )*};
}

lost_by_the_original! {
    a_repeatable_read_writer_across_a_rotation: repeatable_read_across_a_rotation;
    a_read_committed_writer_across_a_rotation: read_committed_across_a_rotation;
    an_open_writer_when_nobody_is_registered: |server| nobody_registered(server, false);
    an_open_writer_when_nobody_is_registered_and_ticks_pause: |server| nobody_registered(server, true);
}
