//! Writing events: what is stored, who may, what is refused, and what a transaction may do in between.

use crate::scene::with_queue;
use pgq_tests::client::{Session, wait_until_blocked};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue;
use pgq_tests::shared::Database;

fn insert(session: &mut Session, data: &str) -> i64 {
    queue::insert(session, "q", "kind", data).unwrap()
}

fn data(session: &mut Session) -> Vec<String> {
    session.column("select ev_data from pgq.event_template order by ev_id", &[])
}

#[test]
fn an_event_has_the_transactions_time_and_top_level_id() {
    let (_database, mut session) = with_queue("capture");
    session.exec("begin; select pgq.insert_event('q', 'a', 'one'); savepoint s");
    session.exec("select pgq.insert_event('q', 'b', 'two', '1', null, '3', null)");
    let rows = session.rows(
        "select ev_time = now() and ev_txid = txid_current() and ev_owner is null and ev_retry is null,
                concat_ws(',', ev_id, ev_type, ev_data, coalesce(ev_extra1, '-'), coalesce(ev_extra2, '-'),
                          coalesce(ev_extra3, '-'), coalesce(ev_extra4, '-'))
           from pgq.event_template order by ev_id",
        &[],
    );
    let rows: Vec<(bool, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(true, "1,a,one,-,-,-,-".to_owned()), (true, "2,b,two,1,-,3,-".to_owned())]);
    session.exec("commit");
}

#[test]
fn all_fields_may_be_null_and_any_text_is_kept() {
    let (_database, mut session) = with_queue("capture");
    session.exec("select pgq.insert_event('q', null, null)");
    session.exec("select pgq.insert_event('q', '', E'tab\\t quote'' back\\\\ ü 🐘')");
    assert_eq!(
        session.column::<Option<String>>("select ev_data from pgq.event_template order by ev_id", &[]),
        [None, Some("tab\t quote' back\\ ü 🐘".to_owned())]
    );
}

#[test]
fn the_raw_form_stores_what_it_is_given() {
    let (_database, mut session) = with_queue("capture");
    let insert = "select pgq.insert_event_raw('q', $1::bigint, '2001-02-03 04:05:06+00'::timestamptz, 7, 3,
                                              't', 'd', '1', '2', '3', '4')";
    let given: i64 = session.one(insert, &[&100i64]);
    assert_eq!(given, 100);
    let row: String = session.one(
        "select concat_ws(',', ev_id, ev_time at time zone 'utc', ev_owner, ev_retry, ev_type, ev_data,
                          ev_extra1, ev_extra2, ev_extra3, ev_extra4) from pgq.event_template",
        &[],
    );
    assert_eq!(row, "100,2001-02-03 04:05:06,7,3,t,d,1,2,3,4");
    // The sequence moves even when the id is given, and an id is not checked for uniqueness.
    assert_eq!(session.one::<i64>(insert, &[&100i64]), 100);
    assert_eq!(insert_default(&mut session), 3);
    let now: bool = session.one(
        "select ev_time <= now() and ev_time > now() - interval '1 min' from pgq.event_template where ev_id = 3",
        &[],
    );
    assert!(now, "a missing time is now()");
}

fn insert_default(session: &mut Session) -> i64 {
    session.one(
        "select pgq.insert_event_raw('q', null, null, null, null, 't', 'd', null, null, null, null)",
        &[],
    )
}

#[test]
fn the_bulk_form_is_many_single_ones() {
    let (_database, mut session) = with_queue("capture");
    let ids: Vec<i64> = session.one(
        "select pgq.insert_events('q', array['a', null, 'c'], array['1', '2', null], array['x', 'y', 'z'])",
        &[],
    );
    assert_eq!(ids, [1, 2, 3]);
    let rows: Vec<String> = session.column(
        "select concat_ws(',', ev_id, coalesce(ev_type, '-'), coalesce(ev_data, '-'), ev_extra1, coalesce(ev_extra2, '-'),
                          ev_time = now(), ev_txid > 0) from pgq.event_template order by ev_id",
        &[],
    );
    assert_eq!(rows, ["1,a,1,x,-,f,t", "2,-,2,y,-,f,t", "3,c,-,z,-,f,t"]);
    let none: Vec<i64> = session.one("select pgq.insert_events('q', '{}', '{}')", &[]);
    assert!(none.is_empty());
    let none: Vec<i64> = session.one("select pgq.insert_events('q', null, null)", &[]);
    assert!(none.is_empty());
    let error = session.error("select pgq.insert_events('q', array['a', 'b'], array['1'])");
    assert_eq!(error.code, "2202E");
    assert!(error.detail.unwrap().contains("ev_data has 1"));
}

#[test]
fn the_bulk_form_fills_pages_and_indexes_over_many_chunks() {
    let (_database, mut session) = with_queue("capture");
    session.exec(
        "select pgq.insert_events('q', array_agg('t'::text), array_agg(repeat('x', n % 3000)))
           from generate_series(1, 12345) n",
    );
    let through_table: i64 = session.one("select count(*) from pgq.event_template", &[]);
    session.exec("set enable_seqscan = off");
    let through_index: i64 = session.one("select count(*) from pgq.event_1_0 where ev_txid > 0", &[]);
    assert_eq!((through_table, through_index), (12345, 12345));
    let in_order: bool =
        session.one("select bool_and(length(ev_data) = ev_id % 3000) from pgq.event_template", &[]);
    assert!(in_order);
}

#[test]
fn refusals_name_what_is_wrong() {
    let (_database, mut session) = with_queue("capture");
    let cases = [
        ("select pgq.insert_event('nosuch', 't', 'd')", "42704", "nosuch"),
        ("select pgq.insert_event(null, 't', 'd')", "22004", "NULL"),
        (
            "select pgq.insert_event_raw(null, null, null, null, null, null, null, null, null, null, null)",
            "22004",
            "NULL",
        ),
        ("select pgq.insert_events(null, array['a'], null)", "22004", "NULL"),
        ("select pgq.insert_events('nosuch', array['a'], null)", "42704", "nosuch"),
        ("select pgq.current_event_table('nosuch')", "P0001", "nosuch"),
        ("select pgq.current_event_table(null)", "P0001", "NULL"),
        ("begin read only; select pgq.insert_event('q', 't', 'd')", "25006", "insert_event"),
    ];
    for (sql, code, word) in cases {
        let error = session.error(sql);
        assert_eq!(error.code, code, "{sql}");
        assert!(error.message.contains(word), "{sql}: {}", error.message);
        session.exec("rollback");
    }
    assert!(data(&mut session).is_empty());
}

#[test]
fn a_disabled_queue_takes_events_only_in_replica_role() {
    let (_database, mut session) = with_queue("capture");
    session.exec("update pgq.queue set queue_disable_insert = true");
    for role in ["origin", "local"] {
        session.exec(&format!("set session_replication_role = {role}"));
        assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "55000");
        assert_eq!(session.error("select pgq.insert_events('q', array['t'], null)").code, "55000");
        assert_eq!(session.error("select pgq.current_event_table('q')").code, "P0001");
    }
    session.exec("set session_replication_role = replica");
    insert(&mut session, "replicated");
    assert_eq!(session.one::<String>("select pgq.current_event_table('q')", &[]), "pgq.event_1_0");
    // Open again, in a session that remembers the queue.
    session.exec("reset session_replication_role; update pgq.queue set queue_disable_insert = false");
    insert(&mut session, "open again");
    assert_eq!(data(&mut session), ["replicated", "open again"]);
}

/// Who closes a queue and then locks its tables, as the demotion of a root does, has all writers behind it.
#[test]
fn a_writer_that_gets_its_lock_after_the_queue_was_closed_is_refused() {
    let (database, mut session) = with_queue("capture");
    let mut locker = database.connect();
    for call in ["pgq.insert_event('q', 't', 'd')", "pgq.insert_events('q', array['t'], null)"] {
        locker.exec("begin; lock table pgq.event_1 in share mode");
        // It has seen the queue open, and waits for the table.
        let call = format!("select {call}");
        let writer = database.connect().spawn(move |writer| writer.error(&call).code);
        wait_until_blocked(&mut session, writer.pid());
        session.exec("select pgq.set_queue_config('q', 'disable_insert', 'true')");
        locker.exec("lock table pgq.event_1 in exclusive mode; commit");
        assert_eq!(writer.join().1, "55000");
        session.exec("select pgq.set_queue_config('q', 'disable_insert', 'false')");
    }
}

#[test]
fn a_disabled_queue_uses_up_an_id_with_each_refusal() {
    let (_database, mut session) = with_queue("capture");
    assert_eq!(insert(&mut session, "before"), 1);
    session.exec("update pgq.queue set queue_disable_insert = true");
    let raw = "pgq.insert_event_raw('q', null, null, null, null, 't', 'd', null, null, null, null)";
    let mut used = Vec::new();
    for call in ["pgq.insert_event('q', 't', 'd')", raw, &raw.replace("'q', null", "'q', 100")] {
        assert_eq!(session.error(&format!("select {call}")).code, "55000", "{call}");
        used.push(session.one::<i64>("select pgq.seq_getval(queue_event_seq) from pgq.queue", &[]));
    }
    assert_eq!(used, [2, 3, 4]);
}

#[test]
fn the_limit_is_that_of_one_queue_and_of_all_its_functions() {
    let (_database, mut session) = with_queue("capture");
    queue::create(&mut session, "r").unwrap();
    session.exec("update pgq.queue set queue_per_tx_limit = 3");
    session.exec("begin");
    for queue in ["q", "r"] {
        session.exec(&format!(
            "select pgq.insert_event_raw('{queue}', 1, null, null, null, 't', 'd', null, null, null, null);
             select pgq.insert_event('{queue}', 't', 'd', null, null, null, null);
             select pgq.insert_event('{queue}', 't', 'd')"
        ));
    }
    session.exec("savepoint s");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "54000");
    session.exec("rollback to s");
    let raw = "pgq.insert_event_raw('r', null, null, null, null, 't', 'd', null, null, null, null)";
    assert_eq!(session.error(&format!("select {raw}")).code, "54000");
    session.exec("rollback");
}

#[test]
fn the_limit_does_not_see_what_is_written_to_the_table_itself() {
    let (_database, mut session) = with_queue("capture");
    session.exec("update pgq.queue set queue_per_tx_limit = 2");
    session.exec("begin");
    let table: String = session.one("select pgq.current_event_table('q')", &[]);
    session.exec(&format!(
        "insert into {table} (ev_time, ev_data) select now(), n from generate_series(1, 5) n"
    ));
    insert(&mut session, "6");
    insert(&mut session, "7");
    session.exec("savepoint s");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "54000");
    session.exec("rollback to s; commit");
    assert_eq!(data(&mut session), ["1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn the_limit_counts_calls_of_the_transaction_and_savepoints_do_not_give_back() {
    let (_database, mut session) = with_queue("capture");
    session.exec("update pgq.queue set queue_per_tx_limit = 3");
    session.exec("begin");
    insert(&mut session, "1");
    session.exec("savepoint s");
    insert(&mut session, "undone");
    session.exec("rollback to s");
    insert(&mut session, "3");
    let error = session.error("select pgq.insert_event('q', 't', 'one too many')");
    assert_eq!(error.code, "54000");
    assert!(error.message.contains("\"q\"") && error.message.contains('3'), "{}", error.message);
    session.exec("rollback");

    session.exec("begin; select pgq.insert_events('q', array['a', 'b', 'c'], null)");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "54000");
    session.exec("rollback");
    assert_eq!(session.error("select pgq.insert_events('q', array['a', 'b', 'c', 'd'], null)").code, "54000");

    insert(&mut session, "a new transaction starts at 0");
    session.exec("update pgq.queue set queue_per_tx_limit = 0");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "54000");
    session.exec("update pgq.queue set queue_per_tx_limit = null");
    insert(&mut session, "no limit");
}

#[test]
fn settings_count_from_the_next_statement_on_in_open_transactions_too() {
    let (database, mut session) = with_queue("capture");
    let mut admin = database.connect();
    for isolation in ["read committed", "repeatable read"] {
        session.exec(&format!("begin isolation level {isolation}"));
        insert(&mut session, "1");
        admin.exec("select pgq.set_queue_config('q', 'disable_insert', 'true')");
        assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "55000");
        session.exec("rollback");
        admin.exec("select pgq.set_queue_config('q', 'disable_insert', 'false')");
    }
    session.exec("begin");
    insert(&mut session, "1");
    session.exec("update pgq.queue set queue_disable_insert = true");
    assert_eq!(session.error("select pgq.current_event_table('q')").code, "P0001");
    session.exec("rollback; begin");
    insert(&mut session, "1");
    insert(&mut session, "2");
    admin.exec("select pgq.set_queue_config('q', 'per_tx_limit', '3')");
    insert(&mut session, "3");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "54000");
    session.exec("rollback; update pgq.queue set queue_per_tx_limit = -1");
    insert(&mut session, "below zero there is no limit");
}

#[test]
fn execute_is_the_right_to_insert_and_the_raw_form_needs_insert_on_the_table() {
    let (database, mut admin) = with_queue("capture");
    let name = database.name();
    let (writer, poor) = (format!("{name}_writer"), format!("{name}_poor"));
    admin.exec(&format!(
        "create role {writer} login in role pgq_writer; create role {poor} login;
         grant execute on function pgq.insert_event_raw to {writer}"
    ));
    let mut session = database.connect_as(&writer);
    insert(&mut session, "by a writer");
    session.exec("select pgq.insert_events('q', array['t'], array['in bulk'])");
    let error = session
        .error("select pgq.insert_event_raw('q', null, null, null, null, 't', 'd', null, null, null, null)");
    assert_eq!(error.code, "42501");
    assert_eq!(session.error("select * from pgq.event_template").code, "42501");
    assert_eq!(database.connect_as(&poor).error("select pgq.insert_event('q', 't', 'd')").code, "42501");
    assert_eq!(data(&mut admin), ["by a writer", "in bulk"]);
    admin.exec(&format!("drop owned by {writer}; drop role {writer}, {poor}"));
}

#[test]
fn an_altered_table_is_written_with_all_that_hangs_on_it() {
    // Each alteration, and what then shows that it was honoured.
    let cases = [
        (
            "create table seen (n text); grant insert on seen to public;
             create function note() returns trigger language plpgsql as
               $$ begin insert into public.seen values (new.ev_data); return new; end $$;
             create trigger note before insert on pgq.event_1_0 for each row execute function note()",
            "select string_agg(n, ',' order by n) = 'bulk,event' from seen",
        ),
        (
            "alter table pgq.event_1_0 add column more text default 'more'",
            "select count(*) = 2 from pgq.event_1_0 where more = 'more'",
        ),
        ("create unique index on pgq.event_1_0 (ev_id)", "select count(*) = 2 from pgq.event_1_0"),
        (
            "create index on pgq.event_1_0 (lower(ev_data))",
            "set enable_seqscan = off; select count(*) = 1 from pgq.event_1_0 where lower(ev_data) = 'event'",
        ),
        (
            "create index on pgq.event_1_0 (ev_data) where ev_type = 'kind'",
            "select count(*) = 2 from pgq.event_1_0",
        ),
        (
            "create index on pgq.event_1_0 using gin (to_tsvector('simple', ev_data))",
            "select count(*) = 2 from pgq.event_1_0",
        ),
        ("alter table pgq.event_1_0 alter ev_type set not null", "select count(*) = 2 from pgq.event_1_0"),
        (
            "create rule also as on insert to pgq.event_1_0 do also notify nothing",
            "select count(*) = 2 from pgq.event_1_0",
        ),
        ("alter table pgq.event_1_0 enable row level security", "select count(*) = 2 from pgq.event_1_0"),
    ];
    for (alteration, check) in cases {
        let (database, mut session) = with_queue("altered");
        let role = format!("{}_writer", database.name());
        session.exec(alteration);
        session.exec(&format!("create role {role} login in role pgq_writer"));
        let mut writer = database.connect_as(&role);
        insert(&mut writer, "event");
        writer.exec("select pgq.insert_events('q', array['kind'], array['bulk'])");
        let statements: Vec<&str> = check.split("; ").collect();
        for setting in &statements[..statements.len() - 1] {
            session.exec(setting);
        }
        assert!(session.one::<bool>(statements[statements.len() - 1], &[]), "{alteration}");
        session.exec(&format!("drop role {role}"));
    }
}

#[test]
fn a_check_constraint_is_honoured() {
    let (_database, mut session) = with_queue("capture");
    session.exec("alter table pgq.event_1_0 add constraint short check (length(ev_data) < 10)");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'longer than ten')").code, "23514");
    insert(&mut session, "short");
}

#[test]
fn an_index_made_in_mid_transaction_is_kept_up() {
    let (_database, mut session) = with_queue("capture");
    session.exec("begin");
    insert(&mut session, "before");
    session.exec("create index made on pgq.event_1_0 (ev_type, ev_id)");
    insert(&mut session, "after");
    session.exec("select pgq.insert_events('q', array['kind'], array['in bulk'])");
    session.exec("commit; set enable_seqscan = off");
    let plan: String = session
        .column::<String>("explain select ev_id from pgq.event_1_0 where ev_type = 'kind'", &[])
        .join("\n");
    assert!(plan.contains("made"), "{plan}");
    let rows: i64 = session.one("select count(*) from pgq.event_1_0 where ev_type = 'kind'", &[]);
    assert_eq!(rows, 3);
}

#[test]
fn a_rolled_back_savepoint_leaves_the_table_locked_against_truncation() {
    let (database, mut session) = with_queue("capture");
    session.exec("begin; savepoint s");
    insert(&mut session, "undone");
    session.exec("rollback to s");
    let locked: bool = session.one(
        "select exists (select from pg_locks where pid = pg_backend_pid() and mode = 'RowExclusiveLock'
                          and relation = 'pgq.event_1_0'::regclass)",
        &[],
    );
    assert!(locked);
    let truncator = database.connect().spawn(|other| other.exec("truncate pgq.event_1_0"));
    wait_until_blocked(&mut database.connect(), truncator.pid());
    insert(&mut session, "kept back");
    session.exec("rollback");
    truncator.join();
}

#[test]
fn a_queue_made_and_undone_in_a_savepoint_is_forgotten() {
    let (_database, mut session) = with_queue("capture");
    session.exec(
        "begin; savepoint s; select pgq.create_queue('brief'); select pgq.insert_event('brief', 't', 'd')",
    );
    session.exec("rollback to s");
    assert_eq!(session.error("select pgq.insert_event('brief', 't', 'd')").code, "42704");
    session.exec("rollback");
    session
        .exec("begin; select pgq.create_queue('brief'); select pgq.insert_event('brief', 't', 'd'); commit");
    assert_eq!(data(&mut session), ["d"]);
}

#[test]
fn a_queue_may_be_dropped_or_rotated_in_the_transaction_that_writes_to_it() {
    let cluster = Cluster::builder().conf("autovacuum", "off").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    queue::create(&mut session, "q").unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    session.exec("update pgq.queue set queue_rotation_period = '0'");
    session.exec("begin");
    insert(&mut session, "one");
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    insert(&mut session, "two");
    session.exec("commit");
    assert_eq!(data(&mut session), ["one", "two"]);
    session.exec("begin");
    insert(&mut session, "three");
    session.exec("select pgq.drop_queue('q')");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "42704");
    session.exec("rollback");
    insert(&mut session, "four");
    assert_eq!(data(&mut session), ["one", "two", "four"]);
}

#[test]
fn sessions_survive_what_others_do_to_the_queue() {
    let (database, mut session) = with_queue("capture");
    let mut other = database.connect();
    insert(&mut session, "1");
    other.exec("vacuum full pgq.queue");
    insert(&mut session, "2");
    for _ in 0..20 {
        other.exec("select pgq.create_queue('x'), pgq.create_queue('y')");
        other.exec("select pgq.drop_queue('x'), pgq.drop_queue('y')");
    }
    other.exec("vacuum pgq.queue");
    insert(&mut session, "3");
    other.exec("select pgq.drop_queue('q')");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "42704");
    other.exec("select pgq.create_queue('q')");
    insert(&mut session, "a new queue of the old name");
    assert_eq!(data(&mut session), ["a new queue of the old name"]);
}

#[test]
fn dropped_and_created_extension_in_one_session() {
    let (_database, mut session) = with_queue("capture");
    insert(&mut session, "1");
    session.exec("drop extension pgq cascade");
    assert_eq!(session.error("select pgq.insert_event('q', 't', 'd')").code, "3F000");
    session.exec("create extension pgq");
    queue::create(&mut session, "q").unwrap();
    insert(&mut session, "2");
    assert_eq!(data(&mut session), ["2"]);
}

#[test]
fn a_prepared_transaction_keeps_its_events_and_the_session_goes_on() {
    let (database, mut session) = with_queue("capture");
    session.exec("begin");
    insert(&mut session, "prepared");
    session.exec("prepare transaction 'p_capture'");
    insert(&mut session, "next");
    assert_eq!(data(&mut session), ["next"]);
    database.connect().exec("commit prepared 'p_capture'");
    assert_eq!(data(&mut session), ["prepared", "next"]);
}

#[test]
fn many_savepoints_each_with_an_event() {
    let (_database, mut session) = with_queue("capture");
    session.exec("begin");
    for number in 0..100 {
        session.exec("savepoint s");
        insert(&mut session, &format!("{number:03}"));
        session.exec(if number % 2 == 0 { "release s" } else { "rollback to s; release s" });
    }
    session.exec("commit");
    let kept: Vec<String> = (0..100).step_by(2).map(|number| format!("{number:03}")).collect();
    assert_eq!(data(&mut session), kept);
}

#[test]
fn serializable_producers_do_not_fail_over_the_queue_row() {
    let (database, mut session) = with_queue("capture");
    let producers: Vec<_> = (0..8)
        .map(|_| {
            let mut producer = database.connect();
            producer.exec("set default_transaction_isolation = serializable");
            producer.spawn(|producer| {
                for _ in 0..50 {
                    insert(producer, "s");
                }
            })
        })
        .collect();
    for _ in 0..20 {
        session.exec("select pgq.force_tick('q')");
        session.exec("select pgq.ticker('q')");
    }
    producers.into_iter().for_each(|producer| {
        producer.join();
    });
    assert_eq!(data(&mut session).len(), 400);
}

#[test]
fn queues_with_any_name() {
    let (_database, mut session) = with_queue("capture");
    let names = [
        String::new(),
        "a.b.c".to_owned(),
        "with \"quotes\" and 'more'".to_owned(),
        "ünïcode 🐘".to_owned(),
        "n".repeat(63),
        "n".repeat(64),
        "n".repeat(1000),
        "select".to_owned(),
        "-- x; drop table pgq.queue".to_owned(),
    ];
    for name in &names {
        assert!(queue::create(&mut session, name).unwrap(), "{name}");
        assert!(!queue::create(&mut session, name).unwrap(), "{name} again");
        queue::insert(&mut session, name, "t", name).unwrap();
    }
    let mut expected: Vec<String> = names.to_vec();
    expected.sort();
    let mut stored = data(&mut session);
    stored.sort();
    assert_eq!(stored, expected);
    for name in &names {
        let dropped: i32 = session.one("select pgq.drop_queue($1)", &[name]);
        assert_eq!(dropped, 1);
    }
}

#[test]
fn an_event_of_100_megabytes() {
    let (_database, mut session) = with_queue("capture");
    let consumer = queue::Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    session.exec("select pgq.insert_event('q', 'big', repeat('0123456789', 10000000))");
    session.exec("select pgq.insert_events('q', array['big'], array[repeat('0123456789', 10000000)])");
    queue::tick_now(&mut session, "q").unwrap();
    let batch = consumer.next_batch(&mut session).unwrap().expect("a batch");
    let lengths: Vec<i32> =
        session.column("select length(ev_data) from pgq.get_batch_events($1)", &[&batch.id]);
    assert_eq!(lengths, [100_000_000, 100_000_000]);
}

#[test]
fn other_encodings_than_utf8() {
    let database = Database::fresh("encodings");
    let cluster = database.cluster();
    for (encoding, bytes) in [("LATIN1", "\\xe9"), ("SQL_ASCII", "\\xff")] {
        let name = format!("{}_{}", database.name(), encoding.to_lowercase());
        cluster
            .connect("postgres")
            .exec(&format!("create database {name} encoding '{encoding}' locale 'C' template template0"));
        let mut session = cluster.connect(&name);
        session.exec("create extension pgq");
        session.exec(&format!(
            "create function odd() returns text language sql as
               $$ select convert_from('{bytes}'::bytea, getdatabaseencoding()) $$"
        ));
        session.exec("select pgq.create_queue(odd()); select pgq.register_consumer(odd(), odd())");
        session.exec("select pgq.insert_event(odd(), odd(), odd())");
        session.exec("select pgq.force_tick(odd())");
        session.exec("select pgq.ticker(odd())");
        let same: bool = session
            .one("select ev_data = odd() from pgq.get_batch_events(pgq.next_batch(odd(), odd()))", &[]);
        assert!(same, "{encoding}");
        let error = session.error("select pgq.insert_event(odd() || 'x', 't', 'd')");
        assert!(
            error.message.contains(&bytes.replace('\\', "\\x").replace("\\xx", "\\x")),
            "{}",
            error.message
        );
        drop(session);
        cluster.connect("postgres").exec(&format!("drop database {name} with (force)"));
    }
}
