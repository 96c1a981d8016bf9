//! Triggers for each statement: what they refuse, and what they do not use up.

use super::{FUNCTIONS, Scene, state};
use pgq_tests::client::Session;

/// Triggers for each statement on the table, in the place of those it had.
fn capture(scene: &mut Scene, table: &str, call: &str) {
    for (operation, referencing) in [
        ("insert", "new table as new_rows"),
        ("update", "old table as old_rows new table as new_rows"),
        ("delete", "old table as old_rows"),
    ] {
        scene.exec(&format!(
            "create or replace trigger tap_{operation} after {operation} on {table} referencing {referencing}
                    for each statement execute function pgq.{call}"
        ));
    }
}

#[test]
fn no_row_is_no_event_and_no_error() {
    let mut scene = Scene::ours("limits");
    scene.exec("create table t (id int primary key, v text)");
    let nothing = "insert into t select 1 where false; update t set v = 'x'; delete from t";
    for call in
        ["logutriga('q')", "sqltriga('q', 'deny')", "jsontriga('nosuch')", "logutriga('q', 'when=1/0=1')"]
    {
        capture(&mut scene, "t", call);
        scene.writes(nothing, &[]);
    }
    scene.exec("select pgq.set_queue_config('q', 'disable_insert', 'true')");
    capture(&mut scene, "t", "logutriga('q')");
    scene.writes(nothing, &[]);
    // Nor is there a key to be missed.
    scene.exec("alter table t drop constraint t_pkey");
    scene.writes(nothing, &[]);
}

#[test]
fn what_is_refused_for_a_row_is_for_a_statement() {
    let mut scene = Scene::ours("limits");
    scene.exec(
        "create table t (id int primary key, v text); insert into t select n from generate_series(1, 3000) n",
    );
    for function in FUNCTIONS {
        capture(&mut scene, "t", &format!("{function}('q', 'deny')"));
        scene.refuses(
            "insert into t values (0)",
            state::DENIED,
            &["INSERT", "public.t", "\"q\"", "tap_insert"],
        );
        scene.refuses("update t set v = 'x'", state::DENIED, &["UPDATE", "tap_update"]);
        scene.refuses("delete from t", state::DENIED, &["DELETE", "tap_delete"]);
        capture(&mut scene, "t", &format!("{function}('q')"));
        scene.refuses("update t set id = -id", state::KEY_UPDATE, &["\"id\"", "public.t", "tap_update"]);
        capture(&mut scene, "t", &format!("{function}('q', 'SKIP')"));
        scene.refuses("insert into t values (0)", state::BAD_ARGUMENTS, &["SKIP", "tap_insert"]);
        capture(&mut scene, "t", &format!("{function}('nosuch')"));
        scene.refuses("insert into t values (0)", "42704", &["nosuch"]);
        capture(&mut scene, "t", &format!("{function}('q')"));
        scene.exec("alter table t drop constraint t_pkey");
        scene.refuses("delete from t where id = 1", state::NO_KEY, &["public.t", "tap_delete"]);
        scene.exec("alter table t add primary key (id)");
    }
    let rows: i64 = scene.session.one("select count(*) from t", &[]);
    assert_eq!(rows, 3000);
}

#[test]
fn an_error_in_the_middle_leaves_nothing() {
    let mut scene = Scene::ours("limits");
    scene.exec("create table t (id int primary key, v text)");
    capture(&mut scene, "t", "logutriga('q', 'ev_extra3=1/(id-1500)')");
    let insert = "insert into t select n from generate_series(1, 3000) n";
    scene.refuses(insert, "22012", &[]);
    // In a transaction that goes on, from a function that catches it, and again.
    scene.exec(
        "create function attempt(sql text) returns text language plpgsql as
         $$ begin execute sql; return 'done'; exception when others then return sqlstate; end $$;
         begin; insert into t values (1)",
    );
    for _ in 0..3 {
        assert_eq!(
            scene.session.one::<String>("select attempt($1)", &[&insert.replace("(1,", "(2,")]),
            "22012"
        );
        scene.exec("savepoint s; insert into t values (2)");
        assert_eq!(scene.session.error(insert).code, "23505");
        scene.exec("rollback to s");
    }
    scene.exec("insert into t values (3); commit");
    let written: Vec<String> = scene.events().into_iter().filter_map(|event| event.data).collect();
    assert_eq!(written, ["id=1&v", "id=3&v"]);
}

#[test]
fn who_cancels_is_heard() {
    let mut scene = Scene::ours("limits");
    scene.exec("create table t (id int primary key, v text)");
    capture(&mut scene, "t", "logutriga('q', 'when=pg_sleep(0.01) is not null')");
    scene.exec("set statement_timeout = '500ms'");
    scene.refuses("insert into t select n from generate_series(1, 100000) n", "57014", &[]);
    scene.writes("insert into t values (1)", &["I:id | id=1&v | public.t"]);
}

#[test]
fn a_queue_has_the_limits_that_it_has_for_rows() {
    let mut scene = Scene::ours("limits");
    scene.exec(
        "create table t (id int primary key, v text); select pgq.set_queue_config('q', 'per_tx_limit', '1500')",
    );
    capture(&mut scene, "t", "logutriga('q')");
    scene.refuses("insert into t select n from generate_series(1, 1501) n", "54000", &["\"q\"", "1500"]);
    scene.exec("insert into t select n from generate_series(1, 1500) n");
    assert_eq!(scene.events().len(), 1500);
    scene.exec("begin; update t set v = 'x' where id <= 1000");
    assert_eq!(scene.session.error("delete from t where id <= 501").code, "54000");
    scene.exec("rollback");

    scene.exec("select pgq.set_queue_config('q', 'disable_insert', 'true')");
    scene.refuses("insert into t values (0)", "55000", &["\"q\"", "disallowed"]);
    // Only a replica writes to it, if its triggers fire.
    scene.exec("set session_replication_role = replica");
    scene.writes("insert into t values (0)", &[]);
    scene.exec("alter table t enable always trigger tap_delete");
    scene.writes("delete from t where id = 0", &["D:id | id=0&v | public.t"]);
    scene.exec("set session_replication_role = local");
    scene.writes("delete from t where id = 1", &[]);
}

#[test]
fn the_rows_must_be_asked_for() {
    let mut scene = Scene::ours("limits");
    scene.exec("create table t (id int primary key, v text); insert into t values (1)");
    for (when, sql) in [
        ("after insert", "insert into t values (2)"),
        ("after update", "update t set v = 'x'"),
        ("after delete", "delete from t"),
        ("before insert", "insert into t values (2)"),
        ("after insert or update or delete", "update t set v = 'x'"),
    ] {
        scene.tap("t", when, "statement", "logutriga('q')");
        let error = scene.refuses(sql, state::NOT_A_TRIGGER, &["\"tap\"", "public.t"]);
        assert!(error.hint.unwrap().contains("REFERENCING"));
    }
    // Half of an update does not do.
    for half in ["old table as o", "new table as n"] {
        scene.exec(&format!(
            "drop trigger tap on t; create trigger tap after update on t referencing {half}
                    for each statement execute function pgq.logutriga('q')"
        ));
        scene.refuses("update t set v = 'x'", state::NOT_A_TRIGGER, &["\"tap\""]);
    }
}

#[test]
fn no_table_that_shares_its_rows() {
    const SHARED: &str = "0A000";
    let mut scene = Scene::ours("limits");
    scene.exec(
        "create table whole (id int primary key, v text) partition by range (id);
         create table part partition of whole for values from (0) to (100);
         create table parent (id int primary key, v text);
         create table child (primary key (id)) inherits (parent)",
    );
    for table in ["whole", "part", "parent"] {
        capture(&mut scene, table, "logutriga('q')");
    }
    for (table, what) in [("whole", "partitioned"), ("part", "partition"), ("parent", "child tables")] {
        let named = format!("public.{table}");
        for sql in ["insert into {} values (1)", "update {} set v = 'x'", "delete from {}"] {
            let sql = sql.replace("{}", table);
            let error = scene.refuses(&sql, SHARED, &[&named, what, "tap_"]);
            assert!(error.hint.unwrap().contains("FOR EACH ROW"));
        }
    }
    // A table that is none of these any more can be captured, whatever the server remembers of it.
    scene.exec("drop table child; alter table whole detach partition part");
    scene.writes("insert into parent values (1)", &["I:id | id=1&v | public.parent"]);
    scene.writes("insert into part values (1)", &["I:id | id=1&v | public.part"]);
}

/// What stands in the place of `pgq.insert_event` is called as for rows: once for each event, in their order.
#[test]
fn who_intercepts_events_gets_them_one_by_one() {
    let mut scene = Scene::ours("limits");
    scene.exec("create table t (id int primary key, v text); create table seen (n serial, data text)");
    capture(&mut scene, "t", "logutriga('q', 'keyupdate')");
    scene.exec(
        "create or replace function pgq.insert_event(
             queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text,
             ev_extra4 text)
         returns bigint language plpgsql as $$ begin
             insert into seen (data) values (concat_ws(' ', queue_name, ev_type, ev_data, ev_extra1));
             return null; end $$",
    );
    scene.writes("insert into t select n, 'v' from generate_series(1, 2500) n", &[]);
    let seen: Vec<String> = scene.session.column("delete from seen returning data", &[]);
    let expected: Vec<String> = (1..=2500).map(|n| format!("q I:id id={n}&v=v public.t")).collect();
    assert_eq!(seen, expected);
    scene.writes("update t set id = -id where id < 3", &[]);
    let seen: Vec<String> = scene.session.column("delete from seen returning data", &[]);
    assert_eq!(
        seen,
        [
            "q D:id id=1&v=v public.t",
            "q I:id id=-1&v=v public.t",
            "q D:id id=2&v=v public.t",
            "q I:id id=-2&v=v public.t"
        ]
    );
}

/// The memory of its own that the session's process takes at most while it does that, in kB more than before.
fn memory_taken(scene: &mut Scene, sql: &str) -> u64 {
    let taken = |pid: i32| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux tells it");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let session: Session = std::mem::replace(&mut scene.session, scene.database.connect());
    let (pid, sql) = (session.pid(), sql.to_owned());
    let before = taken(pid);
    let work = session.spawn(move |session| session.exec(&sql));
    let mut most = before;
    while !work.is_finished() {
        most = most.max(taken(pid));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    scene.session = work.join().0;
    most - before
}

/// What all the rows would take is at least ten times this.
const MUCH: u64 = 40 << 10;

#[test]
fn millions_of_rows_take_no_memory() {
    let mut scene = Scene::ours("limits");
    scene.exec("create table t (id int primary key, n numeric, at timestamptz default now())");
    capture(&mut scene, "t", "sqltriga('q', 'backup', 'ignore=at')");
    // What every session takes for itself.
    scene.exec("insert into t values (0); update t set n = 1; delete from t");
    for sql in [
        "insert into t select n, n / 7.0 from generate_series(1, 2000000) n",
        "update t set n = n + 1 where id <= 500000",
        "delete from t where id <= 500000",
    ] {
        let taken = memory_taken(&mut scene, sql);
        assert!(taken < MUCH, "{sql}: {taken} kB");
    }
    let written: i64 = scene.session.one("select count(*) from pgq.event_template", &[]);
    assert_eq!(written, 3_000_003);
}

/// Large values that are compared only, or passed on, do not add up, although their events are small or not ours.
#[test]
fn large_rows_take_no_memory() {
    let mut scene = Scene::ours("limits");
    scene.exec("create table t (id int primary key, n int, v text)");
    capture(&mut scene, "t", "logutriga('q', 'ignore=v')");
    scene.exec("insert into t select n, 0, repeat('v', 1000000) from generate_series(1, 400) n");
    let taken = memory_taken(&mut scene, "update t set v = v || 'w'");
    assert!(taken < MUCH, "compared: {taken} kB");
    assert_eq!(scene.events().len(), 400);
    scene.exec(
        "create or replace function pgq.insert_event(
             queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text,
             ev_extra4 text)
         returns bigint language sql as 'select 1::bigint'",
    );
    capture(&mut scene, "t", "logutriga('q')");
    let taken = memory_taken(&mut scene, "update t set n = 1");
    assert!(taken < MUCH, "passed on: {taken} kB");
}
