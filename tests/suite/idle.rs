//! An idle queue costs nothing: no ticks, no WAL, no looks; and what it was given before is still tidied up.

use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::{Builder, Cluster};
use pgq_tests::queue::{self, Consumer};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn builder() -> Builder {
    Cluster::builder()
        .conf("shared_preload_libraries", "pgq")
        .conf("pgq.ticker_period", "20ms")
        .conf("pgq.maint_period", "1s")
        // On, so that maintenance does not vacuum, and never coming.
        .conf("autovacuum_naptime", "1d")
}

/// A queue with impatient settings: by the classic rule an idle tick every 40 milliseconds.
fn impatient(session: &mut Session, queue: &str) {
    queue::create(session, queue).unwrap();
    for (name, value) in [("ticker_max_lag", "20 ms"), ("ticker_idle_period", "40 ms")] {
        session.exec(&format!("select pgq.set_queue_config('{queue}', '{name}', '{value}')"));
    }
}

fn start() -> (Cluster, Session) {
    let cluster = builder().start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    impatient(&mut session, "q");
    (cluster, session)
}

fn ticks(session: &mut Session, queue: &str) -> i64 {
    session.one(
        "select count(*) from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue where q.queue_name = $1",
        &[&queue],
    )
}

/// Waits until no tick has come for two rounds of maintenance.
fn wait_for_rest(session: &mut Session, queue: &str) -> i64 {
    let (mut seen, mut since) = (ticks(session, queue), Instant::now());
    wait_until("rest", || {
        let now = ticks(session, queue);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(2500)
    });
    seen
}

fn receive(session: &mut Session, consumer: &Consumer) -> Vec<String> {
    let mut events = Vec::new();
    wait_until("events", || {
        events.extend(consumer.drain_all(session).unwrap());
        !events.is_empty()
    });
    events.into_iter().map(|event| event.data.unwrap()).collect()
}

#[test]
fn a_queue_whose_consumers_are_done_gets_no_ticks() {
    let (_cluster, mut session) = start();
    let (quick, slow) = (Consumer::new("q", "quick"), Consumer::new("q", "slow"));
    quick.register(&mut session).unwrap();
    slow.register(&mut session).unwrap();
    queue::insert(&mut session, "q", "kind", "one").unwrap();
    assert_eq!(receive(&mut session, &quick), ["one"]);
    // The other one is behind: the classic rule holds.
    let before = ticks(&mut session, "q");
    wait_until("idle ticks", || ticks(&mut session, "q") > before + 3);
    assert_eq!(receive(&mut session, &slow), ["one"]);
    wait_until("all to be done", || {
        quick.drain_all(&mut session).unwrap();
        slow.drain_all(&mut session).unwrap();
        let newest: i64 = session.one("select max(tick_id) from pgq.tick", &[]);
        quick.position(&mut session).unwrap() == newest && slow.position(&mut session).unwrap() == newest
    });
    wait_for_rest(&mut session, "q");
    // It wakes.
    queue::insert(&mut session, "q", "kind", "two").unwrap();
    assert_eq!(receive(&mut session, &slow), ["two"]);
}

#[test]
fn an_event_that_was_committed_late_wakes_a_queue_at_rest() {
    let (cluster, mut session) = start();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    let mut long = cluster.connect("postgres");
    long.exec("begin; select pgq.insert_event('q', 'kind', 'late')");
    queue::insert(&mut session, "q", "kind", "early").unwrap();
    assert_eq!(receive(&mut session, &consumer), ["early"]);
    wait_for_rest(&mut session, "q");
    // Its id was drawn before the newest tick: the sequence of ids says nothing of it.
    long.exec("commit");
    assert_eq!(receive(&mut session, &consumer), ["late"]);
}

#[test]
fn rotation_empties_the_tables_and_then_rests() {
    let (_cluster, mut session) = start();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    session.exec("select pgq.set_queue_config('q', 'rotation_period', '0')");
    queue::insert(&mut session, "q", "kind", "data").unwrap();
    receive(&mut session, &consumer);
    let pages = "select sum(pg_relation_size(inhrelid))::bigint from pg_inherits
                  where inhparent = 'pgq.event_1'::regclass";
    wait_until("empty tables", || {
        consumer.drain_all(&mut session).unwrap();
        session.one::<i64>(pages, &[]) == 0
    });
    wait_until("the consumer to be done", || {
        consumer.drain_all(&mut session).unwrap();
        consumer.position(&mut session).unwrap()
            == session.one::<i64>("select max(tick_id) from pgq.tick", &[])
    });
    wait_for_rest(&mut session, "q");
    let switched = "select queue_switch_time::text from pgq.queue";
    let before: String = session.one(switched, &[]);
    std::thread::sleep(Duration::from_millis(2500)); // two rounds of maintenance
    assert_eq!(session.one::<String>(switched, &[]), before, "there is nothing to rotate");
}

#[test]
fn a_queue_of_a_cascade_goes_on_ticking() {
    let (_cluster, mut session) = start();
    session.exec(
        "create schema pgq_node;
         create table pgq_node.node_info (queue_name text, node_type text);
         insert into pgq_node.node_info values ('q', 'branch')",
    );
    impatient(&mut session, "alone");
    wait_for_rest(&mut session, "alone");
    let before = ticks(&mut session, "q");
    wait_until("idle ticks", || ticks(&mut session, "q") > before + 3);
}

#[test]
fn a_stranger_who_plays_pgq_node_is_not_listened_to() {
    let (cluster, mut session) = start();
    session.exec(
        "create role stranger login; grant create on database postgres to stranger;
         create table public.caught (who text); grant insert on public.caught to public",
    );
    let mut stranger = cluster.connect_as("postgres", "stranger");
    stranger.exec(
        "create schema pgq_node;
         create function pgq_node.trap() returns text language plpgsql as
           $$ begin insert into public.caught values (current_user); return 'q'; end $$;
         create function pgq_node.maint_watermark(text) returns text language sql as 'select pgq_node.trap()';
         create view pgq_node.node_info as select pgq_node.trap() as queue_name, 'root'::text as node_type;
         grant usage on schema pgq_node to public; grant select on pgq_node.node_info to public",
    );
    queue::insert(&mut session, "q", "kind", "data").unwrap();
    wait_for_rest(&mut session, "q");
    session.exec("select * from pgq.maint_operations()");
    assert_eq!(session.column::<String>("select distinct who from public.caught", &[]), [""; 0]);
}

/// The resource managers whose records were written in these seconds, as pg_waldump names them.
fn wal_of(cluster: &Cluster, session: &mut Session, what: impl FnOnce(&mut Session)) -> BTreeSet<String> {
    let lsn = "select pg_current_wal_insert_lsn()::text";
    let from: String = session.one(lsn, &[]);
    what(session);
    let end: String = session.one(lsn, &[]);
    if from == end {
        return BTreeSet::new();
    }
    session.exec("select pg_switch_wal()");
    let dump = cluster.pg_waldump(&from, &end);
    let manager = |line: &str| line.strip_prefix("rmgr: ")?.split_whitespace().next().map(str::to_owned);
    dump.lines().filter_map(manager).collect()
}

#[test]
fn idleness_writes_no_wal_of_ours() {
    let (cluster, mut session) = start();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    queue::insert(&mut session, "q", "kind", "data").unwrap();
    receive(&mut session, &consumer);
    wait_for_rest(&mut session, "q");
    let idle = wal_of(&cluster, &mut session, |_| std::thread::sleep(Duration::from_secs(5)));
    // Snapshots of running transactions and checkpoints are the server's.
    assert!(idle.iter().all(|manager| manager == "Standby" || manager == "XLOG"), "{idle:?}");
    let busy = wal_of(&cluster, &mut session, |session| {
        queue::insert(session, "q", "kind", "data").unwrap();
    });
    assert!(busy.contains("Heap"), "{busy:?}");
}
