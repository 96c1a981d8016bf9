//! Maintenance: under which conditions a table is rotated, what a rotation takes away, and what is to be done when.

use crate::scene::rotating;
use pgq_tests::client::Session;
use pgq_tests::queue::{self, Consumer};
use pgq_tests::shared::Database;

fn current_table(session: &mut Session) -> i32 {
    session.one("select queue_cur_table from pgq.queue where queue_name = 'q'", &[])
}

fn operations(session: &mut Session) -> Vec<String> {
    session.column("select concat_ws(' ', func_name, func_arg) from pgq.maint_operations()", &[])
}

#[test]
fn a_rotation_back_to_a_table_takes_its_events_and_the_ticks_before() {
    let (_cluster, mut session) = rotating();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    let in_table_0 =
        |session: &mut Session| -> i64 { session.one("select count(*) from pgq.event_1_0", &[]) };
    for left in [1, 1] {
        queue::insert(&mut session, "q", "t", "d").unwrap();
        queue::tick_now(&mut session, "q").unwrap();
        consumer.drain_all(&mut session).unwrap();
        assert!(queue::rotate(&mut session, "q").unwrap());
        assert_eq!(in_table_0(&mut session), left, "not emptied before its turn");
    }
    let step2: i64 = session.one("select queue_switch_step2 from pgq.queue", &[]);
    let after = [queue::tick_now(&mut session, "q").unwrap(), queue::tick_now(&mut session, "q").unwrap()];
    consumer.drain_all(&mut session).unwrap();
    let old_ticks = "select count(*) from pgq.tick where txid_snapshot_xmin(tick_snapshot) < $1";
    assert!(session.one::<i64>(old_ticks, &[&step2]) > 0);

    assert!(queue::rotate(&mut session, "q").unwrap());
    assert_eq!(current_table(&mut session), 0);
    assert_eq!(in_table_0(&mut session), 0);
    // A consumer may be moved back to the ticks that are left, so they are not more than the data allow, and not less.
    assert_eq!(session.one::<i64>(old_ticks, &[&step2]), 0);
    assert_eq!(session.column::<i64>("select tick_id from pgq.tick order by tick_id", &[]), after);
}

#[test]
fn no_rotation_before_its_period_is_over() {
    let (_cluster, mut session) = rotating();
    queue::tick_now(&mut session, "q").unwrap();
    session.exec("select pgq.set_queue_config('q', 'rotation_period', '2 hours')");
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current_table(&mut session), 0);
    assert!(!operations(&mut session).iter().any(|operation| operation.contains("rotate")));
    // Nothing else was in the way.
    session.exec("update pgq.queue set queue_switch_time = queue_switch_time - interval '2 hours'");
    assert_eq!(operations(&mut session)[0], "pgq.maint_rotate_tables_step1 q");
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current_table(&mut session), 1);
}

#[test]
fn a_transaction_counter_behind_the_last_rotation_is_an_error() {
    let (_cluster, mut session) = rotating();
    queue::tick_now(&mut session, "q").unwrap();
    session.exec("update pgq.queue set queue_switch_step1 = 1000000000000");
    session.exec("begin");
    let own: i64 = session.one("select txid_current()", &[]);
    let error = session.error("select pgq.maint_rotate_tables_step1('q')");
    session.exec("rollback");
    assert_eq!(error.code, "P0001");
    assert!(error.message.contains("\"q\""), "{error:?}");
    // Nobody else is in this cluster, so the transaction after ours is the next.
    let numbers = error.detail.unwrap_or_default();
    let next = (own + 1).to_string();
    assert!(numbers.contains("1000000000000") && numbers.contains(&next), "{next}: {numbers}");
    assert_eq!(current_table(&mut session), 0);
}

#[test]
fn a_consumer_at_a_tick_that_does_not_exist_is_an_error_of_rotation() {
    let (_cluster, mut session) = rotating();
    Consumer::new("q", "c").register(&mut session).unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    session.exec("update pgq.subscription set sub_last_tick = 999");
    let error = session.error("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(error.code, "P0001");
    assert!(error.message.contains("\"q\"") && error.message.contains("999"), "{error:?}");
    assert_eq!(current_table(&mut session), 0);
}

#[test]
fn an_idle_sub_consumer_does_not_hold_up_rotation() {
    let (_cluster, mut session) = rotating();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    session.exec("insert into pgq.consumer (co_name) values ('c.sub')");
    session.exec("insert into pgq.subscription (sub_id, sub_queue, sub_consumer) values (1, 1, 2)");
    queue::tick_now(&mut session, "q").unwrap();
    consumer.drain_all(&mut session).unwrap();
    assert!(queue::rotate(&mut session, "q").unwrap());
}

#[test]
fn step_1_notes_its_time_and_transaction_and_step_2_does_nothing_in_the_same() {
    let (_cluster, mut session) = rotating();
    queue::tick_now(&mut session, "q").unwrap();
    session.exec("begin");
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    session.exec("select pgq.maint_rotate_tables_step2()");
    let noted = session.rows(
        "select queue_cur_table, queue_switch_step1 = txid_current(), queue_switch_step2, queue_switch_time = now()
           from pgq.queue",
        &[],
    );
    session.exec("commit");
    assert_eq!((noted[0].get::<_, i32>(0), noted[0].get::<_, bool>(1)), (1, true));
    assert_eq!((noted[0].get::<_, Option<i64>>(2), noted[0].get::<_, bool>(3)), (None, true));
    // What is half done is not due, but to be completed.
    assert_eq!(operations(&mut session)[0], "pgq.maint_rotate_tables_step2");
    session.exec("select pgq.maint_rotate_tables_step2()");
    let behind: bool = session.one("select queue_switch_step2 > queue_switch_step1 from pgq.queue", &[]);
    assert!(behind);
}

#[test]
fn queues_due_are_listed_by_name_and_others_are_not() {
    let database = Database::fresh("maintenance");
    let mut session = database.connect();
    session.exec("select pgq.create_queue('b'), pgq.create_queue('a'), pgq.create_queue('later')");
    session.exec("update pgq.queue set queue_rotation_period = '0' where queue_name in ('a', 'b')");
    session.exec("update pgq.queue set queue_extra_maint = '{late.y, late.x}' where queue_name = 'later'");
    session.exec("update pgq.queue set queue_extra_maint = '{early.z}' where queue_name = 'a'");
    assert_eq!(
        operations(&mut session)[..6],
        [
            "pgq.maint_rotate_tables_step1 a",
            "pgq.maint_rotate_tables_step1 b",
            "pgq.maint_rotate_tables_step2",
            "early.z a",
            "late.y later",
            "late.x later",
        ]
    );
}

#[test]
fn other_modules_have_their_items_at_the_end_of_the_list() {
    let database = Database::fresh("maintenance");
    let mut session = database.connect();
    session.exec("select pgq.create_queue('q')");
    let alone = operations(&mut session);
    assert!(alone.iter().all(|operation| operation.starts_with("vacuum pgq.")), "{alone:?}");

    // The tables without the functions: an older version of the module.
    session.exec(
        "create schema pgq_node; create table pgq_node.node_info (queue_name text, node_type text);
         create schema londiste; create table londiste.seq_info (queue_name text, local boolean)",
    );
    session.exec(
        "insert into pgq_node.node_info values ('r', 'root'), ('b', 'branch'), ('o', 'root'), ('l', 'leaf')",
    );
    session.exec("insert into londiste.seq_info values ('r', true), ('r', true), ('b', true), ('o', false)");
    let with = |session: &mut Session, items: &[&str]| {
        let vacuum = std::iter::once("vacuum londiste.seq_info");
        let expected: Vec<&str> =
            alone.iter().map(String::as_str).chain(vacuum).chain(items.iter().copied()).collect();
        assert_eq!(operations(session), expected);
    };
    with(&mut session, &[]);

    session.exec("create function londiste.periodic_maintenance() returns int language sql as 'select 0'");
    with(&mut session, &["londiste.periodic_maintenance"]);
    session.exec("create function londiste.root_check_seqs(text) returns int language sql as 'select 0'");
    with(&mut session, &["londiste.root_check_seqs r", "londiste.periodic_maintenance"]);
    session.exec("create function pgq_node.maint_watermark(text) returns int language sql as 'select 0'");
    with(
        &mut session,
        &[
            "pgq_node.maint_watermark o",
            "pgq_node.maint_watermark r",
            "londiste.root_check_seqs r",
            "londiste.periodic_maintenance",
        ],
    );
}

#[test]
fn tables_of_other_modules_are_vacuumed_too() {
    // The server's autovacuum is off here.
    let database = Database::fresh("maintenance");
    let mut session = database.connect();
    let others = [
        "pgq_ext.completed_tick",
        "pgq_ext.completed_batch",
        "pgq_ext.completed_event",
        "pgq_ext.partial_batch",
        "pgq_node.local_state",
        "londiste.seq_info",
        "txid.epoch",
        "londiste.completed",
    ];
    let own =
        ["subscription", "consumer", "queue", "tick", "retry_queue"].map(|table| format!("pgq.{table}"));
    let listed = |session: &mut Session| -> Vec<String> {
        session.column("select * from pgq.maint_tables_to_vacuum()", &[])
    };
    assert_eq!(listed(&mut session), own);
    session.exec("create schema pgq_ext; create schema pgq_node; create schema londiste; create schema txid");
    // Made in the opposite order, so that the list's order is the list's.
    others.iter().rev().for_each(|table| session.exec(&format!("create table {table} (n int)")));
    let all: Vec<&str> = own.iter().map(String::as_str).chain(others).collect();
    assert_eq!(listed(&mut session), all);
    session.exec("drop table pgq_ext.completed_event, txid.epoch");
    assert_eq!(listed(&mut session).len(), all.len() - 2);
}

#[test]
fn storage_options_are_set_again_by_the_owner() {
    let database = Database::fresh("maintenance");
    let mut session = database.connect();
    session.exec("select pgq.create_queue('q')");
    let tuned = |session: &mut Session| -> i64 {
        session.one(
            "select count(*)
               from pg_class c join pg_class t on t.oid = c.reltoastrelid
              where c.relname like 'event\\_1\\__' and c.reloptions @> '{fillfactor=100,autovacuum_enabled=off}'
                and t.reloptions = '{autovacuum_enabled=off}'",
            &[],
        )
    };
    assert_eq!(tuned(&mut session), 3);
    session.exec(
        "alter table pgq.event_1_1 reset (fillfactor, autovacuum_enabled, toast.autovacuum_enabled);
         alter table pgq.event_1_2 set (fillfactor = 50)",
    );
    assert_eq!(tuned(&mut session), 1);
    assert_eq!(session.one::<i32>("select pgq.tune_storage('q')", &[]), 1);
    assert_eq!(tuned(&mut session), 3);
    assert_eq!(session.one::<i32>("select pgq.tune_storage('nosuch')", &[]), 0);
    assert_eq!(session.one::<Option<i32>>("select pgq.tune_storage(null)", &[]), None, "strict");

    let role = format!("{}_admin", database.name());
    session.exec(&format!("create role {role} in role pgq_admin; set role {role}"));
    assert_eq!(session.error("select pgq.tune_storage('q')").code, "42501");
    session.exec(&format!("reset role; drop role {role}"));
}
