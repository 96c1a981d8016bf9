//! The extensions together: made, dropped, dumped and restored.

use crate::scene::{dump, restored};
use crate::surface::{EXTENSIONS, with_all};
use pgq_tests::client::Session;
use pgq_tests::queue;
use pgq_tests::shared::Database;

/// Those that are there.
fn installed(session: &mut Session) -> Vec<String> {
    session.column("select extname::text from pg_extension where extname like 'pgq%' order by 1", &[])
}

#[test]
fn each_brings_pgq_along_if_told_so() {
    for extension in &EXTENSIONS[1..] {
        let database = Database::fresh("family");
        let mut session = database.connect();
        session.exec("drop extension pgq");
        assert_eq!(session.error(&format!("create extension {extension}")).code, "42704");
        session.exec(&format!("create extension {extension} cascade"));
        assert_eq!(installed(&mut session), ["pgq", extension]);
    }
}

#[test]
fn pgq_is_not_dropped_from_under_the_others_unless_told_so() {
    let database = with_all("family");
    let mut session = database.connect();
    assert_eq!(session.error("drop extension pgq").code, "2BP01");
    queue::create(&mut session, "q").unwrap();
    session.exec("select pgq_coop.register_subconsumer('q', 'm', 'a')");
    session.exec("drop extension pgq cascade");
    assert_eq!(installed(&mut session), [""; 0]);
    let schemas: i64 = session.one("select count(*) from pg_namespace where nspname like 'pgq%'", &[]);
    assert_eq!(schemas, 0);
    session.exec("create extension pgq");
    database.create_extensions(&EXTENSIONS[1..]);
    assert_eq!(installed(&mut session).len(), EXTENSIONS.len());
}

/// What a dump says, but for the key that differs from dump to dump.
fn said(database: &Database) -> Vec<String> {
    let dump = dump(database);
    dump.lines().filter(|line| !line.contains("restrict ")).map(str::to_owned).collect()
}

#[test]
fn a_database_with_all_of_them_is_restored_as_it_was() {
    let database = with_all("family");
    let mut session = database.connect();
    session.exec(
        "select pgq_node.register_location('q', node, 'dbname=' || node, false) from unnest('{n,o}'::text[]) node;
         select pgq_node.create_node('q', 'root', 'n', 'worker', null, null, null);
         select pgq_node.register_subscriber('q', 'o', 'other_worker', null);
         select pgq_node.register_consumer('q', 'c', 'n', 1);
         set pgq.coop_watch_processes = on",
    );
    for _ in 0..2 {
        queue::insert(&mut session, "q", "kind", "data").unwrap();
        queue::tick_now(&mut session, "q").unwrap();
    }
    session.exec("select pgq.register_consumer_at('q', 'm', 1)");
    for name in ["a", "b"] {
        let batch: i64 = session.one("select pgq_coop.next_batch('q', 'm', $1)", &[&name]);
        session.exec(&format!(
            "select pgq.event_retry({batch}, ev_id, 100) from pgq.get_batch_events({batch}) limit 1;
             select pgq_ext.set_batch_done('q', 'm', '{name}', {batch}), pgq_ext.set_last_tick('m', {batch}),
                    pgq_ext.set_event_done('q', 'm', '{name}', {batch}, 1)"
        ));
    }
    let again = restored(&dump(&database));
    assert_eq!(said(&again), said(&database));
}
