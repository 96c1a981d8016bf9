//! Rights: who may do what, and that nobody's search_path changes what our functions mean.

use crate::members::Members;
use crate::scene::with_queue;
use pgq_tests::cluster::Cluster;
use pgq_tests::maintenance;
use pgq_tests::queue::{self, Consumer, Reading};

#[test]
fn functions_are_for_those_whose_job_they_do() {
    let mut members = Members::of(with_queue("rights").0);
    let anybody = [
        "get_queue_info()",
        "get_queue_info('q')",
        "get_consumer_info()",
        "get_consumer_info('q')",
        "get_consumer_info('q', 'c')",
        "seq_getval('pgq.event_1_id_seq')",
        "quote_fqname('a.b')",
        "version()",
    ];
    let readers = [
        "batch_event_sql(0)",
        "batch_event_tables(0)",
        "batch_retry(0, 0)",
        "event_retry(0, 0, 0)",
        "event_retry(0, 0, now())",
        "find_tick_helper(0, 0, now(), 0, 0, null)",
        "finish_batch(0)",
        "force_tick('nosuch')",
        "get_batch_cursor(0, 'c', 1)",
        "get_batch_cursor(0, 'c', 1, 'true')",
        "get_batch_events(0)",
        "get_batch_info(0)",
        "next_batch('nosuch', 'c')",
        "next_batch_custom('nosuch', 'c', null, null, null)",
        "next_batch_info('nosuch', 'c')",
        "register_consumer('nosuch', 'c')",
        "register_consumer_at('nosuch', 'c', 1)",
        "unregister_consumer('nosuch', 'c')",
    ];
    let writers = [
        "current_event_table('q')",
        "insert_event('q', 't', 'd')",
        "insert_event('q', 't', 'd', null, null, null, null)",
        "insert_events('q', '{t}', '{d}')",
    ];
    let admins = [
        "create_queue('another')",
        "drop_queue('q')",
        "drop_queue('q', true)",
        "event_retry_raw('nosuch', 'c', now(), 1, now(), 1, null, null, null, null, null, null)",
        "grant_perms('q')",
        "insert_event_raw('q', 1, now(), null, null, null, null, null, null, null, null)",
        "maint_operations()",
        "maint_retry_events()",
        "maint_rotate_tables_step1('q')",
        "maint_rotate_tables_step2()",
        "maint_tables_to_vacuum()",
        "rebase_queue('q')",
        "seq_setval('nosuch', 1)",
        "set_queue_config('q', 'ticker_max_count', '1')",
        "ticker()",
        "ticker('q')",
        "ticker('q', 1, now(), 1)",
        "tune_storage('nosuch')",
    ];
    let mut check = |entitled: &[&str], calls: &[&str]| {
        for call in calls {
            let name = call.split('(').next().unwrap();
            members.only(
                entitled,
                &format!("select pgq.{call}"),
                &format!("permission denied for function {name}"),
            );
        }
    };
    check(&["nobody", "reader", "writer", "admin"], &anybody);
    check(&["reader", "admin"], &readers);
    check(&["writer", "admin"], &writers);
    check(&["admin"], &admins);
}

#[test]
fn tables_may_be_seen_by_all_but_the_events_by_readers() {
    let mut members = Members::of(with_queue("rights").0);
    let all = ["nobody", "reader", "writer", "admin"];
    for table in ["queue", "consumer", "tick", "subscription"] {
        members.only(&all, &format!("select from pgq.{table}"), "permission denied for table");
        members.only(&["admin"], &format!("delete from pgq.{table}"), "permission denied for table");
    }
    for table in ["event_template", "event_1", "event_1_0", "event_1_1", "event_1_2"] {
        members.only(
            &["reader", "admin"],
            &format!("select from pgq.{table}"),
            "permission denied for table",
        );
        let insert = format!("insert into pgq.{table} (ev_id, ev_time) values (1, now())");
        members.only(&["admin"], &insert, "permission denied for table");
        members.only(&["admin"], &format!("truncate only pgq.{table}"), "permission denied for table");
        members.only(&[], &format!("update pgq.{table} set ev_data = ''"), "permission denied for table");
        members.only(&[], &format!("delete from pgq.{table}"), "permission denied for table");
    }
    for statement in ["select from pgq.retry_queue", "delete from pgq.retry_queue"] {
        members.only(&["admin"], statement, "permission denied for table");
    }
    members.only(&[], "select last_value from pgq.batch_id_seq", "permission denied for sequence");
    members.only(&["admin"], "select nextval('pgq.event_1_id_seq')", "permission denied for sequence");
    members.only(&[], "select nextval('pgq.event_1_tick_seq')", "permission denied for sequence");
    members.only(&all, "select last_value from pgq.event_1_tick_seq", "permission denied for sequence");
}

#[test]
fn a_pgq_admin_does_the_whole_job_of_the_daemon() {
    let cluster = Cluster::builder().conf("autovacuum", "off").start();
    cluster.connect("postgres").exec("create extension pgq; create role daemon login in role pgq_admin");
    let mut daemon = cluster.connect_as("postgres", "daemon");
    assert!(queue::create(&mut daemon, "q").unwrap());
    for (setting, value) in [("ticker_max_count", "1"), ("rotation_period", "0")] {
        daemon.exec(&format!("select pgq.set_queue_config('q', '{setting}', '{value}')"));
    }
    let consumer = Consumer::new("q", "c");
    consumer.register(&mut daemon).unwrap();
    // Three rotations: the last one empties a table that had events.
    for next_table in [1, 2, 0] {
        let event = queue::insert(&mut daemon, "q", "t", "d").unwrap();
        assert_eq!(daemon.one::<i64>("select pgq.ticker()", &[]), 1);
        let batch = consumer.next_batch(&mut daemon).unwrap().unwrap();
        assert_eq!(batch.events(&mut daemon).unwrap().len(), 1);
        daemon.exec(&format!("select pgq.event_retry({}, {event}, 0)", batch.id));
        batch.finish(&mut daemon).unwrap();
        maintenance::retry(&mut daemon).unwrap();
        assert_eq!(daemon.one::<i64>("select pgq.ticker()", &[]), 1);
        let again = consumer.drain_all(&mut daemon).unwrap();
        assert_eq!((again.len(), again[0].id), (1, event));
        // With the operations listed; of them, it may not vacuum what it does not own, which is a warning only.
        maintenance::maintain(&mut daemon).unwrap();
        let table: i32 = daemon.one("select queue_cur_table from pgq.queue", &[]);
        assert_eq!(table, next_table);
    }
    assert_eq!(consumer.unregister(&mut daemon).unwrap(), 1);
    assert_eq!(daemon.one::<i32>("select pgq.drop_queue('q')", &[]), 1);
}

/// A schema with doubles that raise, for operators, functions and types of `pg_catalog`, and empty ones of our tables.
pub const EVIL: &str = "
    create schema evil;
    do $$
    declare
        types oid[] = '{bool,name,int2,int4,int8,text,oid,float8,numeric,timestamptz,interval,txid_snapshot,pg_snapshot,
                        regclass,regprocedure}'::regtype[]::oid[];
        of record;
    begin
        for of in
            select oid, oprname, oprleft::regtype, oprright::regtype, oprresult::regtype from pg_operator
             where oprkind = 'b' and oprleft = any (types) and oprright = any (types)
               and oprname in ('=', '<>', '<', '>', '<=', '>=', '||', '+', '-', '*', '/', '%', '~~')
        loop
            execute format('create function evil.operator_%s(%s, %s) returns %s language plpgsql
                            as $f$ begin raise ''evil''; end $f$', of.oid, of.oprleft, of.oprright, of.oprresult);
            execute format('create operator evil.%s (leftarg = %s, rightarg = %s, function = evil.operator_%s)',
                           of.oprname, of.oprleft, of.oprright, of.oid);
        end loop;
        for of in
            select proname, case when proretset then 'setof' end as setof, prorettype::regtype,
                   pg_get_function_identity_arguments(oid) as arguments
              from pg_proc
             where prokind = 'f' and pronamespace = 'pg_catalog'::regnamespace
               and (proname in ('now', 'clock_timestamp', 'nextval', 'setval', 'quote_ident', 'to_regclass',
                                'to_regprocedure', 'current_setting', 'left', 'strpos', 'substr', 'pg_get_userbyid',
                                'acldefault', 'pg_sequence_last_value')
                    or proname ~ '^txid_' and proname !~ '_(in|out|recv|send)$')
        loop
            execute format('create function evil.%I(%s) returns %s %s language plpgsql
                            as $f$ begin raise ''evil''; end $f$', of.proname, of.arguments, of.setof, of.prorettype);
        end loop;
        for of in select typname from pg_type where oid = any (types) loop
            execute format('create domain evil.%1$I as pg_catalog.%1$I check (false)', of.typname);
        end loop;
    end
    $$;
    create table evil.queue as select * from pgq.queue;
    create table evil.tick as select * from pgq.tick;
    create table evil.consumer as select * from pgq.consumer;
    create table evil.subscription as select * from pgq.subscription;
    create table evil.retry_queue as select * from pgq.retry_queue;
    create table evil.event_template as select * from pgq.event_template;";

#[test]
fn a_hostile_search_path_changes_nothing() {
    let cluster = Cluster::builder().conf("autovacuum", "off").start();
    let mut session = cluster.connect("postgres");
    session.exec("create extension pgq");
    session.exec(EVIL);
    session.exec("set search_path = evil, pg_catalog");
    for trap in ["'a'::pg_catalog.text = 'a'", "1 >= 1", "now()", "1::int8", "'a'::pg_catalog.text || 'b'"] {
        let code = session.error(&format!("select {trap}")).code;
        assert!(["P0001", "23514"].contains(&code.as_str()), "the trap works: {trap}: {code}");
    }

    assert!(queue::create(&mut session, "q").unwrap());
    for (name, value) in [("ticker_max_count", "1"), ("rotation_period", "0"), ("extra_maint", "{a.b}")] {
        session.exec(&format!("select pgq.set_queue_config('q', '{name}', '{value}')"));
    }
    let consumer = Consumer::new("q", "c");
    assert!(consumer.register(&mut session).unwrap());
    for table in [0, 1, 2] {
        session.exec(
            "select pgq.insert_event('q', 't', 'd'), pgq.insert_event('q', 't', 'd', '1', '2', '3', '4')",
        );
        session.exec("select pgq.insert_events('q', '{t,t}', '{d,d}')");
        session.exec(
            "select pgq.insert_event_raw('q', null, null, null, null, 't', 'd', null, null, null, null)",
        );
        let current: String = session.one("select pgq.current_event_table('q')", &[]);
        assert_eq!(current, format!("pgq.event_1_{table}"));
        assert_eq!(session.one::<i64>("select pgq.ticker()", &[]), 1);
        let batch = consumer.next_batch(&mut session).unwrap().unwrap();
        let events = batch.events(&mut session).unwrap();
        assert_eq!(events.len(), 5);
        assert_eq!(batch.read(&mut session, Reading::Cursor(2)).unwrap(), events);
        let id = batch.id;
        session.exec(&format!("select pgq.batch_event_sql({id}), pgq.batch_event_tables({id})"));
        session.exec(&format!("select * from pgq.get_batch_cursor({id}, 'x', 1, 'true')"));
        session.exec(&format!("select pgq.get_batch_info({id})"));
        session.exec(&format!("select pgq.event_retry({id}, {}, 0)", events[0].id));
        session.exec(&format!("select pgq.event_retry({id}, {}, current_timestamp)", events[1].id));
        session.exec(&format!("select pgq.batch_retry({id}, 0)"));
        session.exec(
            "select pgq.event_retry_raw('q', 'c', current_timestamp, null, current_timestamp, 1, 't', 'd', '', '', '', '')",
        );
        assert!(batch.finish(&mut session).unwrap());
        assert_eq!(session.one::<i32>("select pgq.maint_retry_events()", &[]), 6);
        session.exec("select pgq.force_tick('q'), pgq.ticker('q')");
        session.exec("select pgq.next_batch_custom('q', 'c', '0 s', 1, '1 s'), pgq.next_batch('q', 'c')");
        assert_eq!(consumer.drain_all(&mut session).unwrap().len(), 6);
        session.exec("select pgq.get_queue_info(), pgq.get_consumer_info(), pgq.maint_operations()");
        session.exec("select pgq.maint_rotate_tables_step1('q')");
        session.exec("select pgq.maint_rotate_tables_step2()");
    }
    let current: String = session.one("select pgq.current_event_table('q')", &[]);
    assert_eq!(current, "pgq.event_1_0", "three rotations");

    session.exec("select pgq.set_queue_config('q', 'external_ticker', 'on')");
    session.exec("select pgq.ticker('q', 1000, current_timestamp, 100000)");
    session.exec("select pgq.register_consumer_at('q', 'c', 1000)");
    session.exec(
        "select pgq.tune_storage('q'), pgq.grant_perms('q'), pgq.rebase_queue('q'), pgq.upgrade_schema()",
    );
    session.exec("select pgq._grant_perms_from('pgq', 'event_1', 'pgq', 'event_1_0')");
    session.exec("select pgq.seq_setval('pgq.event_1_id_seq', 200000), pgq.seq_getval('pgq.event_1_id_seq')");
    session.exec(
        "select pgq.maint_tables_to_vacuum(), pgq.find_tick_helper(1, 1, current_timestamp, 0, 1, '1 s')",
    );
    session.exec("select pgq.quote_fqname('a'), pgq.quote_fqname('a.b'), pgq.version()");
    assert_eq!(consumer.unregister(&mut session).unwrap(), 1);
    assert!(consumer.register(&mut session).unwrap());
    assert_eq!(session.one::<i32>("select pgq.drop_queue('q', true)", &[]), 1);
}
