//! pgq_node: sessions that meet. None is the victim of a deadlock, none believes what is not so any more.

use pgq_tests::client::{Background, Session, blocked, wait_until, wait_until_blocked};
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

#[test]
fn who_changes_the_nodes_of_a_queue_waits_for_whoever_does() {
    let (database, mut monitor) = root();
    let mut first = database.connect();
    first.exec("begin; select pgq_node._lock('q')");
    let calls = [
        "register_location('q', 'c', 'dbname=c', false)",
        "create_node('q', 'root', 'a', 'a_worker', null, null, null)",
        "register_subscriber('q', 'c', 'c_worker', null)",
        "register_consumer('q', 'reader', 'c', 1)",
        "change_consumer_provider('q', 'reader', 'b')",
        "set_global_watermark('q', null)",
        "promote_branch('q')",
        "demote_root('q', 2, 'b')",
        "unregister_subscriber('q', 'c')",
        "unregister_location('q', 'c')",
        "drop_node('q', 'a')",
    ];
    let waiting = calls.map(|call| {
        let session = database.connect().spawn(move |session| answer(session, call));
        wait_until(call, || session.is_finished() || blocked(&mut monitor, session.pid()));
        assert!(!session.is_finished(), "{call}");
        session
    });
    monitor.exec("set lock_timeout = '5s'");
    assert_eq!(answer(&mut monitor, "register_location('another', 'a', 'dbname=a', false)"), "200");
    first.exec("commit");
    let said = waiting.map(|session| session.join().1);
    assert_eq!(said, ["200", "401", "200", "200", "200", "200", "301", "P0001", "200", "200", "200"]);
}

/// It comes back, and so soon.
#[test]
fn maintenance_leaves_a_queue_that_is_locked_to_the_next_time() {
    let (database, mut session) = root();
    session.exec(
        "select pgq_node.set_subscriber_watermark('q', 'b', 2), pgq.register_consumer_at('q', 'b_worker', 2);
         update pgq.tick set tick_time = now() - interval '1 hour'",
    );
    let mut first = database.connect();
    first.exec("begin; select pgq_node._lock('q')");
    let maintain = "select pgq_node.maint_watermark('q')";
    let watermark = "select last_tick from pgq.get_consumer_info('q', '.global_watermark')";
    for (end, position) in [("select 1", 1), ("commit", 2)] {
        first.exec(end);
        assert_eq!(session.one::<i32>(maintain, &[]), 0);
        assert_eq!(session.one::<i64>(watermark, &[]), position);
    }
}

const THE_QUEUE: &str = "pgq.queue where queue_name = 'q'";

#[test]
fn removing_a_queue_and_moving_its_watermarks_wait_for_each_other_in_one_order() {
    for (call, then) in [
        ("set_subscriber_watermark('q', 'b', 2)", "404"),
        ("set_global_watermark('q', 2)", "404"),
        ("register_subscriber('q', 'b', 'b_worker', null)", "404"),
        ("drop_node('q', 'a')", "200"),
    ] {
        let (database, mut session) = root();
        let said =
            meeting(&database, &mut session, THE_QUEUE, drop_queue, move |session| answer(session, call));
        assert_eq!(said, ["dropped", then], "{call}");
    }
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

/// The consumers of a node have the same names in all queues.
#[test]
fn a_node_leaves_one_queue_while_it_subscribes_to_another() {
    let (database, mut session) = root();
    session.exec(
        "select pgq_node.register_location('r', name, 'dbname=' || name, false) from unnest('{a,b}'::text[]) name;
         select pgq_node.create_node('r', 'root', 'a', 'a_worker', null, null, null)",
    );
    let said = meeting(
        &database,
        &mut session,
        "pgq.consumer where co_name = 'b_worker'",
        |session| answer(session, "unregister_subscriber('q', 'b')"),
        |session| answer(session, "register_subscriber('r', 'b', 'b_worker', null)"),
    );
    assert_eq!(said, ["200", "200"]);
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
fn what_is_told_of_a_consumer_is_what_the_one_before_left() {
    for (before, call, told) in [
        (
            "set_consumer_paused('q', 'b_worker', true)",
            "set_consumer_paused('q', 'b_worker', true)",
            "was paused before",
        ),
        (
            "set_consumer_completed('q', 'b_worker', 9)",
            "register_consumer('q', 'b_worker', 'a', 5)",
            "from tick 9 ",
        ),
    ] {
        let (database, mut monitor) = branch();
        let mut first = database.connect();
        first.exec(&format!("begin; select pgq_node.{before}"));
        let note = format!("select ret_note from pgq_node.{call}");
        let second = database.connect().spawn(move |session| session.one::<String>(&note, &[]));
        wait_until_blocked(&mut monitor, second.pid());
        first.exec("commit");
        let note = second.join().1;
        assert!(note.contains(told), "{note}");
    }
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

#[test]
fn nor_one_from_which_others_are_just_to_read() {
    for call in ["register_consumer('q', 'other', 'c', 1)", "change_consumer_provider('q', 'b_worker', 'c')"]
    {
        let (database, mut session) = branch();
        session.exec("select from pgq_node.register_location('q', 'c', 'dbname=c', false)");
        let mut first = database.connect();
        first.exec("begin");
        assert_eq!(answer(&mut first, call), "200");
        let worker = database.connect().spawn(|worker| {
            worker.exec("set session_replication_role = replica");
            answer(worker, "unregister_location('q', 'c')")
        });
        wait_until_blocked(&mut session, worker.pid());
        first.exec("commit");
        let refused = if call.starts_with("register") { "23503" } else { "403" };
        assert_eq!(worker.join().1, refused, "{call}");
    }
}
