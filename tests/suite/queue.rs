//! Queues: their life, their settings, rotation, maintenance and information.

use crate::scene::{rotating, with_queue};
use pgq_tests::client::{Session, wait_until_blocked};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Consumer};

#[test]
fn a_new_queue_has_its_first_tick() {
    let (_database, mut session) = with_queue("queue");
    let tick = session.rows("select tick_id, tick_event_seq from pgq.tick", &[]);
    assert_eq!(tick.len(), 1);
    assert_eq!((tick[0].get::<_, i64>(0), tick[0].get::<_, i64>(1)), (1, 0));
    assert_eq!(session.error("select pgq.create_queue(null)").code, "P0001");
}

#[test]
fn two_creators_of_one_queue() {
    let (database, mut first) = with_queue("queue");
    first.exec("begin; select pgq.create_queue('both')");
    let second =
        database.connect().spawn(|session| session.one::<i32>("select pgq.create_queue('both')", &[]));
    wait_until_blocked(&mut database.connect(), second.pid());
    first.exec("commit");
    assert_eq!(second.join().1, 0, "the second finds it there");
}

#[test]
fn dropping() {
    let (_database, mut session) = with_queue("queue");
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    for sql in [
        "select pgq.drop_queue('nosuch')",
        "select pgq.drop_queue(null, false)",
        "select pgq.drop_queue('q')",
    ] {
        assert_eq!(session.error(sql).code, "P0001", "{sql}");
    }
    assert_eq!(session.one::<Option<i32>>("select pgq.drop_queue(null)", &[]), None, "strict");
    queue::insert(&mut session, "q", "t", "d").unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    session.exec(&format!("select pgq.batch_retry({}, 0)", batch.id));
    assert_eq!(session.one::<i32>("select pgq.drop_queue('q', true)", &[]), 1);
    let left: i64 = session.one(
        "select (select count(*) from pgq.tick) + (select count(*) from pgq.subscription)
              + (select count(*) from pgq.consumer) + (select count(*) from pgq.retry_queue)
              + (select count(*) from pg_class where relname like 'event\\_1%')",
        &[],
    );
    assert_eq!(left, 0);
}

#[test]
fn settings() {
    let (_database, mut session) = with_queue("queue");
    let cases = [
        ("ticker_max_count", "7"),
        ("ticker_max_lag", "00:00:05"),
        ("ticker_idle_period", "00:10:00"),
        ("ticker_paused", "true"),
        ("rotation_period", "01:00:00"),
        ("external_ticker", "true"),
        ("disable_insert", "true"),
        ("per_tx_limit", "12"),
        ("extra_maint", "{a.b,c}"),
    ];
    for (name, value) in cases {
        let one: i32 = session.one("select pgq.set_queue_config('q', $1, $2)", &[&name, &value]);
        assert_eq!(one, 1);
        let stored: String = session.one(&format!("select queue_{name}::text from pgq.queue"), &[]);
        assert_eq!(stored, value, "{name}");
    }
    let refused = [
        ("'q', 'ntables', '4'", "P0001"),
        ("'q', 'queue_ticker_max_lag', '1 s'", "P0001"),
        ("'nosuch', 'ticker_max_lag', '1 s'", "P0001"),
        ("null, 'ticker_max_lag', '1 s'", "P0001"),
        ("'q', null, '1 s'", "P0001"),
        ("'q', 'ticker_max_lag', null", "22004"),
        ("'q', 'ticker_max_lag', 'soon'", "22007"),
        ("'q', 'ticker_max_count', 'many'", "22P02"),
        ("'q', 'ticker_max_count', '-1'", "22023"),
        ("'q', 'ticker_max_lag', '-1 s'", "22023"),
    ];
    for (arguments, code) in refused {
        let error = session.error(&format!("select pgq.set_queue_config({arguments})"));
        assert_eq!(error.code, code, "{arguments}");
        let named = ["ticker_max", "queue", "parameter"].map(|name| error.message.contains(name));
        let detailed = error.detail.is_some_and(|detail| detail.contains("ticker_max"));
        assert!(detailed || named.contains(&true), "{arguments}: {}", error.message);
    }
    session.exec("select pgq.set_queue_config('q', 'per_tx_limit', null)");
    session.exec("select pgq.set_queue_config('q', 'extra_maint', null)");
}

#[test]
fn a_rotation_takes_two_transactions_and_waits_for_all_who_need_the_table() {
    let (cluster, mut session) = rotating();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    let current =
        |session: &mut Session| -> i32 { session.one("select queue_cur_table from pgq.queue", &[]) };
    let advance = |session: &mut Session| {
        queue::tick_now(session, "q").unwrap();
        consumer.drain_all(session).unwrap();
    };
    advance(&mut session);
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current(&mut session), 1);
    let half_done: bool = session.one("select queue_switch_step2 is null from pgq.queue", &[]);
    assert!(half_done);
    advance(&mut session);
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current(&mut session), 1, "not before step 2");
    session.exec("select pgq.maint_rotate_tables_step2()");
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current(&mut session), 1, "the consumer is not past step 2");

    let mut open = cluster.connect("postgres");
    open.exec("begin; select txid_current()");
    advance(&mut session);
    // Its id is above step 2, so it does not matter.
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current(&mut session), 2);
    session.exec("select pgq.maint_rotate_tables_step2()");
    advance(&mut session);
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current(&mut session), 2, "now its id is below step 2");
    open.exec("commit");
    advance(&mut session);

    let mut reader = cluster.connect("postgres");
    reader.exec("begin; lock table pgq.event_1_0 in access share mode");
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current(&mut session), 2, "somebody holds the next table; nobody waits");
    reader.exec("commit");
    session.exec("select pgq.maint_rotate_tables_step1('q'); select pgq.maint_rotate_tables_step1('nosuch')");
    assert_eq!(current(&mut session), 0);
}

#[test]
fn maintenance_lists_what_is_due() {
    let (_cluster, mut session) = rotating();
    session.exec("update pgq.queue set queue_extra_maint = '{a.b, \"C.d\"}'");
    session.exec(
        "select pgq.create_queue('r'); update pgq.queue set queue_extra_maint = '{}' where queue_name = 'r'",
    );
    let list = |session: &mut Session| -> Vec<String> {
        session.column("select concat_ws(' ', func_name, func_arg) from pgq.maint_operations()", &[])
    };
    let listed = list(&mut session);
    assert_eq!(
        listed[..4],
        ["pgq.maint_rotate_tables_step1 q", "pgq.maint_rotate_tables_step2", "a.b q", "C.d q"]
    );
    // The server's autovacuum is off here.
    let vacuums: Vec<&str> = listed[4..].iter().map(String::as_str).collect();
    let tables = ["subscription", "consumer", "queue", "tick", "retry_queue"];
    assert_eq!(vacuums, tables.map(|table| format!("vacuum pgq.{table}")));
    session.exec("alter system set autovacuum = on");
    session.exec("select pg_reload_conf()");
    pgq_tests::client::wait_until("autovacuum is on", || list(&mut session).len() == 4);
}

#[test]
fn information_for_anybody() {
    let (database, mut session) = with_queue("queue");
    let role = format!("{}_anybody", database.name());
    session.exec(&format!("create role {role} login"));
    Consumer::new("q", "c").register(&mut session).unwrap();
    queue::insert(&mut session, "q", "t", "d").unwrap();
    let mut anybody = database.connect_as(&role);
    let queue = anybody.rows(
        "select queue_name, ev_new, last_tick_id, ticker_lag < '1 min' from pgq.get_queue_info('q')",
        &[],
    );
    let row = &queue[0];
    assert_eq!(
        (row.get::<_, &str>(0), row.get::<_, i64>(1), row.get::<_, i64>(2), row.get::<_, bool>(3)),
        ("q", 1, 1, true)
    );
    assert!(anybody.rows("select * from pgq.get_queue_info('nosuch')", &[]).is_empty());
    let consumers = anybody.rows(
        "select queue_name, consumer_name, last_tick, pending_events from pgq.get_consumer_info()",
        &[],
    );
    assert_eq!((consumers[0].get::<_, &str>(1), consumers[0].get::<_, i64>(2)), ("c", 1));
    let unknown = session.rows("select queue_name from pgq.get_batch_info(77)", &[]);
    assert_eq!((unknown.len(), unknown[0].get::<_, Option<String>>(0)), (1, None));
    // Asking assigns no transaction id.
    session.exec("begin; select * from pgq.get_queue_info(); select * from pgq.get_consumer_info()");
    assert_eq!(session.one::<Option<String>>("select pg_current_xact_id_if_assigned()::text", &[]), None);
    session.exec("commit");
    session.exec(&format!("drop role {role}"));
}

#[test]
fn names_and_sequences() {
    let (_database, mut session) = with_queue("queue");
    for (name, quoted) in [
        ("a.b.c", "a.\"b.c\""),
        ("Ab", "public.\"Ab\""),
        ("select.from", "\"select\".\"from\""),
        ("", "public.\"\""),
    ] {
        assert_eq!(session.one::<String>("select pgq.quote_fqname($1)", &[&name]), quoted);
    }
    session.exec("create sequence \"S q\"");
    let value = |session: &mut Session| -> i64 { session.one("select pgq.seq_getval('S q')", &[]) };
    assert_eq!(value(&mut session), 1);
    assert_eq!(session.one::<i64>("select pgq.seq_setval('S q', 100)", &[]), 100);
    assert_eq!(session.one::<i64>("select pgq.seq_setval('S q', 50)", &[]), 100, "never lowers");
    assert_eq!(value(&mut session), 100);
    assert_eq!(session.error("select pgq.seq_getval('public.nosuch')").code, "42P01");
    assert_eq!(session.one::<Option<i64>>("select pgq.seq_getval(null)", &[]), None);
}

#[test]
fn names_are_split_at_the_first_dot() {
    let (_database, mut session) = with_queue("queue");
    session.exec("create schema \"W s\"; create sequence \"W s\".\"a.b\"");
    assert_eq!(session.one::<i64>("select pgq.seq_setval('W s.a.b', 9)", &[]), 9);
    assert_eq!(session.one::<i64>("select last_value from \"W s\".\"a.b\"", &[]), 9);
    assert_eq!(session.one::<i64>("select pgq.seq_getval('W s.a.b')", &[]), 9);
    for (name, quoted) in [(".", "\"\".\"\""), (".a", "\"\".a"), ("a.", "a.\"\""), ("..", "\"\".\".\"")] {
        assert_eq!(session.one::<String>("select pgq.quote_fqname($1)", &[&name]), quoted, "{name}");
    }
    assert_eq!(session.one::<Option<String>>("select pgq.quote_fqname(null)", &[]), None, "strict");
    // A table is no sequence.
    for call in ["pgq.seq_getval('pgq.queue')", "pgq.seq_setval('pgq.queue', 1)"] {
        assert!(session.error(&format!("select {call}")).code.starts_with("42"), "{call}");
    }
}

#[test]
fn raised_sequences_hand_out_nothing_twice() {
    let (database, mut session) = with_queue("queue");
    session.exec("create sequence s; create sequence late start 1000");
    // Never called: the start value counts as not handed out.
    assert_eq!(session.one::<i64>("select pgq.seq_setval('s', 1)", &[]), 1);
    assert_eq!(session.one::<i64>("select nextval('s')", &[]), 2);
    assert_eq!(session.one::<i64>("select pgq.seq_setval('late', 0)", &[]), 1000);
    // Near and far, while others draw.
    for distance in [500, 1_000_000] {
        let raised: Vec<i64> = std::thread::scope(|scope| {
            let draw = || {
                let mut session = database.connect();
                let drawn = session.rows("select nextval('s') from generate_series(1, 20000)", &[]);
                drawn.iter().map(|row| row.get(0)).collect::<Vec<i64>>()
            };
            let raise = || {
                let mut session = database.connect();
                for _ in 0..20 {
                    session.exec(&format!("select pgq.seq_setval('s', pgq.seq_getval('s') + {distance})"));
                }
                Vec::new()
            };
            let others = [scope.spawn(draw), scope.spawn(draw), scope.spawn(raise), scope.spawn(raise)];
            others.into_iter().flat_map(|other| other.join().unwrap()).collect()
        });
        let distinct: std::collections::HashSet<_> = raised.iter().collect();
        assert_eq!((raised.len(), distinct.len()), (40_000, 40_000));
    }
    // With the rights of the caller.
    session.exec("create role raising in role pgq_admin; set role raising");
    assert_eq!(session.error("select pgq.seq_setval('public.s', 999999999)").code, "42501");
    session.exec("reset role; drop role raising");
}

#[test]
fn a_queue_names_no_relations_but_its_own() {
    let (_database, mut session) = with_queue("queue");
    session.exec("create role renaming in role pgq_admin; set role renaming");
    for column in ["queue_data_pfx", "queue_event_seq", "queue_tick_seq"] {
        let error = session.error(&format!("update pgq.queue set {column} = 'pg_catalog.pg_authid'"));
        assert_eq!(error.code, "23514", "{error:?}");
    }
    session.exec("reset role; drop role renaming");
}

#[test]
fn a_queue_has_as_many_tables_as_the_default_says() {
    let (_cluster, mut session) = rotating();
    session.exec("alter table pgq.queue alter queue_ntables set default 5");
    session.exec("select pgq.create_queue('five'), pgq.set_queue_config('five', 'rotation_period', '0')");
    let tables: Vec<String> = session.column(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'pgq.event_2'::regclass order by 1",
        &[],
    );
    assert_eq!(tables, [0, 1, 2, 3, 4].map(|number| format!("pgq.event_2_{number}")));
    for next in [1, 2, 3, 4, 0] {
        queue::tick_now(&mut session, "five").unwrap();
        assert!(queue::rotate(&mut session, "five").unwrap());
        let current: String = session.one("select pgq.current_event_table('five')", &[]);
        assert_eq!(current, format!("pgq.event_2_{next}"));
    }
}

#[test]
fn the_privileges_of_the_template_are_those_of_every_queue() {
    let (database, mut session) = with_queue("queue");
    let role = format!("{}_visitor", database.name());
    session
        .exec(&format!("create role {role}; grant select on pgq.event_template to {role} with grant option"));
    let granted = |session: &mut Session| -> Vec<String> {
        session.column(
            "select relname::text from pg_class
              where relname ~ '^event_.(_.)?$' and has_table_privilege($1, oid, 'select with grant option')
              order by 1",
            &[&role],
        )
    };
    let old = ["event_1", "event_1_0", "event_1_1", "event_1_2"];
    let new = ["event_2", "event_2_0", "event_2_1", "event_2_2"];
    assert!(granted(&mut session).is_empty());
    session.exec("select pgq.create_queue('new')");
    assert_eq!(granted(&mut session), new);
    assert_eq!(session.one::<i32>("select pgq.grant_perms('q')", &[]), 1);
    assert_eq!(granted(&mut session), [old, new].concat());
    for name in ["'nosuch'", "null"] {
        assert_eq!(session.error(&format!("select pgq.grant_perms({name})")).code, "P0001", "{name}");
    }
    session.exec(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn privileges_are_repeated_and_none_is_taken_away() {
    let (database, mut session) = with_queue("queue");
    let (role, other) = (format!("{}_role", database.name()), format!("{}_other", database.name()));
    session.exec(&format!("create role {role}; create role \"{other}\""));
    session.exec(
        "create schema \"A b\"; create table \"A b\".\"from.\" (n int); create table \"A b\".to (n int)",
    );
    session.exec(&format!(
        "grant update on \"A b\".\"from.\" to {role}; grant select on \"A b\".\"from.\" to public;
         grant insert on \"A b\".to to {role}, {other}"
    ));
    let one: i32 = session.one("select pgq._grant_perms_from('A b', 'from.', 'A b', 'to')", &[]);
    let may = |session: &mut Session, who: &str, privilege: &str| -> bool {
        session.one("select has_table_privilege($1, '\"A b\".to', $2)", &[&who, &privilege])
    };
    assert_eq!(one, 1);
    assert!(may(&mut session, &role, "update") && !may(&mut session, &role, "update with grant option"));
    assert!(may(&mut session, &role, "insert") && may(&mut session, &other, "insert"));
    assert!(may(&mut session, &other, "select") && !may(&mut session, &other, "update"));
    let null: Option<i32> = session.one("select pgq._grant_perms_from('A b', 'from.', 'A b', null)", &[]);
    assert_eq!(null, None, "strict");
    // With the rights of the caller.
    session.exec("create table public.mine (n int)");
    session.exec(&format!("grant pgq_admin to {other}; set role {other}"));
    let error = session.error("select pgq._grant_perms_from('pgq', 'event_1', 'public', 'mine')");
    assert_eq!((error.code.as_str(), error.message.contains("mine")), ("42501", true), "{error:?}");
    session.exec(&format!("reset role; drop owned by {role}, {other}; drop role {role}, {other}"));
}

#[test]
fn a_dump_restored_into_another_cluster_goes_on() {
    let (source, mut session) = rotating();
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    for number in 0..300 {
        session.exec("select txid_current()");
        if number % 100 == 0 {
            queue::insert(&mut session, "q", "t", &number.to_string()).unwrap();
        }
    }
    queue::tick_now(&mut session, "q").unwrap();

    let target = Cluster::builder().conf("autovacuum", "off").start();
    copy(&source, &target, "postgres");
    let mut session = target.connect("postgres");
    session.exec("select pgq.rebase_queue('q')");
    queue::insert(&mut session, "q", "t", "new").unwrap();
    queue::tick_now(&mut session, "q").unwrap();
    let events = consumer.drain_all(&mut session).unwrap();
    let data: Vec<String> = events.into_iter().filter_map(|event| event.data).collect();
    assert_eq!(data, ["0", "100", "200", "new"]);
    // Sequences came along: new ids are free.
    queue::create(&mut session, "another").unwrap();
    Consumer::new("another", "other").register(&mut session).unwrap();
}

/// Dumps the database `postgres` of one cluster and restores it into a database of another, or of the same.
pub fn copy(source: &Cluster, target: &Cluster, database: &str) {
    let dump = source.client_program("pg_dump", "postgres").output().unwrap();
    assert!(dump.status.success());
    let mut psql = target.client_program("psql", database);
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]).stdin(std::process::Stdio::piped());
    let mut child = psql.stdout(std::process::Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &dump.stdout).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_dump_carries_open_batches_retries_and_privileges() {
    let (cluster, mut session) = rotating();
    session.exec("create role visitor; grant select on pgq.event_1 to visitor with grant option");
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut session).unwrap();
    for data in ["first", "later"] {
        queue::insert(&mut session, "q", "t", data).unwrap();
    }
    queue::tick_now(&mut session, "q").unwrap();
    let batch = consumer.next_batch(&mut session).unwrap().unwrap();
    let events = batch.events(&mut session).unwrap();
    session.exec(&format!("select pgq.event_retry({}, {}, 0)", batch.id, events[1].id));

    // Into the same cluster, whose transaction ids go on.
    cluster.create_database("copy");
    copy(&cluster, &cluster, "copy");
    let mut session = cluster.connect("copy");
    assert_eq!(consumer.next_batch(&mut session).unwrap(), Some(batch));
    assert_eq!(batch.events(&mut session).unwrap(), events);
    assert!(batch.finish(&mut session).unwrap());
    assert_eq!(session.one::<i32>("select pgq.maint_retry_events()", &[]), 1);
    queue::tick_now(&mut session, "q").unwrap();
    let again = consumer.drain_all(&mut session).unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].id, again[0].retry, again[0].data.as_deref()),
        (events[1].id, Some(1), Some("later"))
    );
    let privileges = |table: &str| {
        format!("select has_table_privilege('visitor', 'pgq.{table}', 'select with grant option')")
    };
    assert!(session.one::<bool>(&privileges("event_1"), &[]));
    assert!(!session.one::<bool>(&privileges("event_1_0"), &[]));
    // What PgQ grants itself came along too.
    let reader: bool =
        session.one("select has_table_privilege('pgq_reader', 'pgq.event_1_2', 'select')", &[]);
    assert!(reader);
    // Maintenance goes on, and new batches have new ids.
    assert!(queue::rotate(&mut session, "q").unwrap());
    queue::tick_now(&mut session, "q").unwrap();
    assert!(consumer.next_batch(&mut session).unwrap().unwrap().id > batch.id);
}

#[test]
fn an_event_after_create_queue_in_the_same_transaction_is_delivered() {
    let (database, mut session) = with_queue("queue");
    session.exec("begin; select txid_current()");
    // A later transaction ends first, so that the creator's own id lies below what its snapshot shows as finished.
    database.connect().exec("select txid_current()");
    session.exec("select pgq.create_queue('new'), pgq.register_consumer('new', 'c')");
    session.exec("select pgq.insert_event('new', 't', 'in the same transaction'); commit");
    queue::tick_now(&mut session, "new").unwrap();
    let events = Consumer::new("new", "c").drain_all(&mut session).unwrap();
    assert_eq!(events.len(), 1);
}

#[test]
fn dropping_behind_an_open_writer_does_not_stop_ticks() {
    let (database, mut session) = with_queue("queue");
    let mut writer = database.connect();
    writer.exec("begin; select pgq.insert_event('q', 't', 'd')");
    let dropper = database.connect().spawn(|session| session.exec("select pgq.drop_queue('q')"));
    let waits = |session: &mut Session| -> bool {
        session.one(
            "select exists (select from pg_locks where pid = $1 and relation = 'pgq.queue'::regclass
                              and mode = 'RowShareLock')",
            &[&dropper.pid()],
        )
    };
    pgq_tests::client::wait_until("the dropper holds the row", || waits(&mut session));
    session.exec("set lock_timeout = '5s'");
    queue::tick_now(&mut session, "q").unwrap();
    writer.exec("commit");
    dropper.join();
}

#[test]
fn a_deadlock_with_a_drop_is_found() {
    let (database, mut session) = with_queue("queue");
    session.exec("create table t ()");
    let mut writer = database.connect();
    writer.exec("begin; select pgq.insert_event('q', 't', 'd')");
    let mut dropper = database.connect();
    dropper.exec("begin; lock table t");
    let dropper = dropper.spawn(|session| session.query("select pgq.drop_queue('q')", &[]).map(drop));
    wait_until_blocked(&mut session, dropper.pid());
    let writer = writer.spawn(|session| session.batch_execute("lock table t"));
    let (mut session, dropped) = dropper.join();
    session.exec("rollback");
    let (mut session, written) = writer.join();
    session.exec("rollback");
    let codes: Vec<String> = [dropped, written]
        .into_iter()
        .filter_map(|outcome| Some(outcome.err()?.code()?.code().to_owned()))
        .collect();
    assert_eq!(codes, ["40P01"]);
}

#[test]
fn who_waits_for_a_drop_is_told_that_the_queue_is_gone() {
    for (call, answer) in [
        ("select pgq.ticker('q')", Err("P0001")),
        ("select pgq.grant_perms('q')", Err("P0001")),
        ("select pgq.set_queue_config('q', 'ticker_paused', 'true')", Err("P0001")),
        ("select pgq.tune_storage('q')", Ok(1)),
        ("select pgq.ticker()", Ok(1)),
        ("select * from pgq.get_queue_info()", Ok(1)),
    ] {
        let (database, mut session) = with_queue("queue");
        session.exec("begin; select pgq.drop_queue('q')");
        let caller = database.connect().spawn(move |session| {
            let rows = session.query(call, &[]).map_err(|error| error.code().unwrap().code().to_owned());
            (rows.map(|rows| rows.len()), session.take_notices())
        });
        wait_until_blocked(&mut database.connect(), caller.pid());
        session.exec("commit");
        let (_, (rows, notices)) = caller.join();
        assert_eq!(rows, answer.map_err(str::to_owned), "{call}");
        assert_eq!(notices, [], "{call}");
    }
}

#[test]
fn an_admin_mends_what_a_dump_left_out() {
    let (_database, mut session) = with_queue("queue");
    session.exec("select setval('pgq.queue_queue_id_seq', 1, false); create role mending in role pgq_admin");
    session.exec("set role mending");
    assert_eq!(session.error("select pgq.create_queue('next')").code, "23505");
    for _ in 0..2 {
        assert_eq!(session.one::<i32>("select pgq.upgrade_schema()", &[]), 0);
    }
    assert_eq!(session.one::<i32>("select pgq.create_queue('next')", &[]), 1);
    session.exec("reset role; drop role mending");
}

#[test]
fn a_tick_that_outlives_a_rotation_is_waited_for() {
    let (cluster, mut session) = rotating();
    queue::create(&mut session, "other").unwrap();
    session.exec("select pgq.set_queue_config('other', 'rotation_period', '0')");
    for name in ["q", "other"] {
        queue::tick_now(&mut session, name).unwrap();
    }
    let mut late = cluster.connect("postgres");
    late.exec("begin; select pgq.force_tick('q')");
    late.exec("select pgq.ticker('q')");
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    let current = |session: &mut Session| -> i32 {
        session.one("select queue_cur_table from pgq.queue where queue_name = 'q'", &[])
    };
    assert_eq!(current(&mut session), 0);
    assert!(queue::rotate(&mut session, "other").unwrap(), "another queue need not wait for it");
    late.exec("commit");
    queue::tick_now(&mut session, "q").unwrap();
    session.exec("select pgq.maint_rotate_tables_step1('q')");
    assert_eq!(current(&mut session), 1);
}
