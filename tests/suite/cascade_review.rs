//! pgq_node: sessions that meet. None is the victim of a deadlock, none believes what is not so any more.

use pgq_tests::client::{Background, Session, wait_until_blocked};
use pgq_tests::queue;
use pgq_tests::shared::Database;

/// What a call answered: its code, or the SQLSTATE of its error.
fn answer(session: &mut Session, call: &str) -> String {
    match session.query_one(&format!("select ret_code::text from pgq_node.{call}"), &[]) {
        Ok(row) => row.get(0),
        Err(error) => error.code().unwrap().code().to_owned(),
    }
}

fn drop_queue(session: &mut Session) -> String {
    match session.query_one("select pgq.drop_queue('q', true)", &[]) {
        Ok(_) => "dropped".to_owned(),
        Err(error) => error.code().unwrap().code().to_owned(),
    }
}

fn with_node(create: &str) -> (Database, Session) {
    let database = Database::fresh("cascade");
    database.create_extensions(&["pgq_node"]);
    let mut session = database.connect();
    for node in ["a", "b"] {
        assert_eq!(
            answer(&mut session, &format!("register_location('q', '{node}', 'dbname={node}', false)")),
            "200"
        );
    }
    assert_eq!(answer(&mut session, create), "200");
    (database, session)
}

/// A root to which node `b` is subscribed at tick 1; the newest is 2.
fn root() -> (Database, Session) {
    let (database, mut session) = with_node("create_node('q', 'root', 'a', 'a_worker', null, null, null)");
    assert_eq!(answer(&mut session, "register_subscriber('q', 'b', 'b_worker', null)"), "200");
    assert_eq!(queue::tick_now(&mut session, "q").unwrap(), 2);
    (database, session)
}

fn branch() -> (Database, Session) {
    with_node("create_node('q', 'branch', 'b', 'b_worker', 'a', 1, null)")
}

/// Two calls that come, one after the other, while somebody has a row locked; what they answer when it is free again.
fn meeting(
    database: &Database,
    monitor: &mut Session,
    row: &str,
    first: impl FnOnce(&mut Session) -> String + Send + 'static,
    second: impl FnOnce(&mut Session) -> String + Send + 'static,
) -> [String; 2] {
    let mut holder = database.connect();
    holder.exec(&format!("begin; select from {row} for update"));
    let waiting = |monitor: &mut Session, call: Background<String>| {
        wait_until_blocked(monitor, call.pid());
        call
    };
    let first = waiting(monitor, database.connect().spawn(first));
    let second = waiting(monitor, database.connect().spawn(second));
    holder.exec("commit");
    [first.join().1, second.join().1]
}

const THE_QUEUE: &str = "pgq.queue where queue_name = 'q'";

#[test]
fn removing_a_queue_and_moving_its_watermarks_wait_for_each_other_in_one_order() {
    for (call, then) in [
        ("set_subscriber_watermark('q', 'b', 2)", "404"),
        ("set_global_watermark('q', 2)", "P0001"),
        ("drop_node('q', 'a')", "P0001"),
    ] {
        let (database, mut session) = root();
        let said =
            meeting(&database, &mut session, THE_QUEUE, drop_queue, move |session| answer(session, call));
        assert_eq!(said, ["dropped", then], "{call}");
    }
}

#[test]
fn removing_a_location_tells_the_others_before_it_is_removed() {
    let (database, mut session) = root();
    let said = meeting(
        &database,
        &mut session,
        "pgq_node.node_location where node_name = 'b'",
        |session| answer(session, "unregister_location('q', 'b')"),
        drop_queue,
    );
    assert_eq!(said, ["200", "dropped"]);
}

#[test]
fn a_node_that_subscribes_while_its_subscription_ends_is_subscribed_anew() {
    let (database, mut session) = root();
    let said = meeting(
        &database,
        &mut session,
        "pgq.consumer where co_name = 'b_worker'",
        |session| answer(session, "unregister_subscriber('q', 'b')"),
        |session| answer(session, "register_subscriber('q', 'b', 'b_worker', null)"),
    );
    assert_eq!(said, ["200", "200"]);
    let subscribed = "select consumer_name from pgq.get_consumer_info('q') order by 1";
    assert_eq!(session.column::<String>(subscribed, &[]), [".b.watermark", ".global_watermark", "b_worker"]);
}

#[test]
fn dropping_a_branch_lets_its_worker_finish_the_batch() {
    let (database, mut monitor) = branch();
    let mut worker = database.connect();
    worker.exec("set session_replication_role = replica; begin");
    worker
        .exec("insert into pgq.event_1_0 (ev_id, ev_time) select 7, now() from pgq.current_event_table('q')");
    let dropping = database.connect().spawn(|session| answer(session, "drop_node('q', 'b')"));
    wait_until_blocked(&mut monitor, dropping.pid());
    assert_eq!(answer(&mut worker, "set_consumer_completed('q', 'b_worker', 2, 1)"), "100");
    worker.exec("commit");
    assert_eq!(dropping.join().1, "200");
}

#[test]
fn a_worker_that_changes_its_provider_while_its_node_is_dropped_is_told_that_it_is_gone() {
    let (database, mut session) = branch();
    let said = meeting(
        &database,
        &mut session,
        "pgq_node.local_state where consumer_name = 'b_worker'",
        |session| answer(session, "drop_node('q', 'b')"),
        |session| answer(session, "change_consumer_provider('q', 'b_worker', 'a')"),
    );
    assert_eq!(said, ["200", "404"]);
}

#[test]
fn a_branch_whose_worker_is_just_copying_a_batch_is_not_promoted() {
    let (database, mut monitor) = branch();
    let mut worker = database.connect();
    worker.exec("begin");
    assert_eq!(answer(&mut worker, "set_consumer_completed('q', 'b_worker', 2, 1)"), "100");
    let promoting = database.connect().spawn(|session| answer(session, "promote_branch('q')"));
    wait_until_blocked(&mut monitor, promoting.pid());
    worker.exec("commit");
    assert_eq!(promoting.join().1, "409");
    let state = "select node_type || ' ' || completed_tick from pgq_node.get_worker_state('q')";
    assert_eq!(monitor.one::<String>(state, &[]), "branch 2");
}

#[test]
fn no_old_snapshot_moves_the_global_watermark_past_a_new_subscriber() {
    for isolation in ["repeatable read", "serializable"] {
        let (database, mut session) =
            with_node("create_node('q', 'root', 'a', 'a_worker', null, null, null)");
        queue::tick_now(&mut session, "q").unwrap();
        let mut old = database.connect();
        old.exec(&format!("begin isolation level {isolation}; select from pgq.tick"));
        assert_eq!(answer(&mut session, "register_subscriber('q', 'b', 'b_worker', null)"), "200");
        assert_eq!(answer(&mut old, "set_global_watermark('q', null)"), "40001", "{isolation}");
    }
}

#[test]
fn watermarks_cannot_be_taken_for_workers_or_unregistered() {
    let (_database, mut session) = root();
    for name in [".global_watermark", ".b.watermark", ".c.watermark", "."] {
        assert_eq!(
            answer(&mut session, &format!("register_subscriber('q', 'c', '{name}', null)")),
            "401",
            "{name}"
        );
    }
    let error = session.error("select pgq.unregister_consumer('q', '.global_watermark')");
    assert_eq!((error.code.as_str(), error.message.contains("\"a\"")), ("55006", true), "{}", error.message);
    assert_eq!(answer(&mut session, "drop_node('q', 'a')"), "200");
}

#[test]
fn a_batch_without_its_start_is_not_completed() {
    let (_database, mut session) = branch();
    assert_eq!(answer(&mut session, "set_consumer_completed('q', 'b_worker', 2, null)"), "409");
    assert_eq!(answer(&mut session, "set_consumer_completed('q', 'nobody', 2, null)"), "404");
}

#[test]
fn a_worker_in_replica_role_removes_no_location_from_which_others_read() {
    let (_database, mut session) = branch();
    session.exec(
        "select from pgq_node.register_location('q', 'c', 'dbname=c', false);
         select from pgq_node.register_consumer('q', 'other', 'c', 1);
         set session_replication_role = replica",
    );
    let error = session.error("select pgq_node.unregister_location('q', 'c')");
    assert_eq!(
        (error.code.as_str(), error.message.contains("\"other\"")),
        ("23503", true),
        "{}",
        error.message
    );
}
