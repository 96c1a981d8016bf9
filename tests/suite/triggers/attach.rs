//! `pgq.capture` and `pgq.uncapture`: which triggers they make, keep and remove.

use super::Scene;
use pgq_tests::client::{Session, wait_until_blocked};
use pgq_tests::queue;

/// What a call reports, a line for each trigger: `created t _pgq_capture_q_insert`.
#[track_caller]
fn report(session: &mut Session, call: &str) -> Vec<String> {
    let sql = format!("select concat_ws(' ', action, table_name, trigger_name) from pgq.{call}");
    session.column(&sql, &[])
}

/// The same of what a call has done to the triggers of one table and queue: `created insert update`.
#[track_caller]
fn done(scene: &mut Scene, call: &str) -> String {
    let sql = format!(
        "select string_agg(action || ' ' || triggers, ', ') from (
             select action, string_agg(substring(trigger_name from '[^_]+$'), ' ' order by trigger_name) as triggers
               from pgq.{call} group by action order by action) actions"
    );
    scene.session.one::<Option<String>>(&sql, &[]).unwrap_or_default()
}

const ALL: &str = "delete insert truncate update";

#[test]
fn a_plain_table_is_captured_by_statement() {
    let mut scene = Scene::ours("attach");
    scene.exec("create table t (id int primary key, v text)");
    assert_eq!(
        report(&mut scene.session, "capture('t', 'q')"),
        [
            "created t _pgq_capture_q_insert",
            "created t _pgq_capture_q_update",
            "created t _pgq_capture_q_delete",
            "created t _pgq_capture_q_truncate"
        ]
    );
    scene.writes(
        "insert into t values (1, 'x'), (2, 'y'); update t set v = 'z'; delete from t where id = 2; truncate t",
        &[
            "I:id | id=1&v=x | public.t",
            "I:id | id=2&v=y | public.t",
            "U:id | id=1&v=z | public.t",
            "U:id | id=2&v=z | public.t",
            "D:id | id=2&v=z | public.t",
            "R |  | public.t",
        ],
    );
    // The definition is what the server says of the trigger.
    let unlike: i64 = scene.session.one(
        "select count(*) from pgq.capture('t', 'q') c
          where definition is distinct from
                (select pg_get_triggerdef(oid) from pg_trigger where tgname = trigger_name)",
        &[],
    );
    assert_eq!(unlike, 0);
    assert_eq!(report(&mut scene.session, "uncapture('t', 'q')").len(), 4);
    assert_eq!(report(&mut scene.session, "uncapture('t', 'q')").len(), 0);
    scene.writes("insert into t values (1)", &[]);
}

#[test]
fn what_is_as_ordered_is_kept() {
    let mut scene = Scene::ours("attach");
    scene.exec("create table t (id int primary key, v text)");
    for (call, expected) in [
        ("capture('t', 'q')", "created delete insert truncate update"),
        ("capture('t', 'q')", "kept delete insert truncate update"),
        // Options are for rows.
        (
            "capture('t', 'q', 'logutriga', '{ignore=v}')",
            "created delete insert update, dropped delete insert update, kept truncate",
        ),
        ("capture('t', 'q', 'logutriga', '{ignore=v,NULL}')", "kept delete insert truncate update"),
        (
            "capture('t', 'q', i_options => '{ignore=v,backup}', i_operations => '{Update,INSERT,insert}')",
            "created insert update, dropped delete insert truncate update",
        ),
        ("capture('t', 'q', 'jsontriga', '{}', '{insert}')", "created insert, dropped insert update"),
        (
            "capture('t', 'q', 'sqltriga', '{deny}', '{insert,truncate}')",
            "created insert truncate, dropped insert",
        ),
        ("capture('t', 'q', 'sqltriga', '{deny}')", "created delete update, kept insert truncate"),
        (
            r#"capture('t', 'q', 'sqltriga', array['ev_extra3=''\''||E''\n"''', 'ignore=v'])"#,
            "created delete insert truncate update, dropped delete insert truncate update",
        ),
        (
            r#"capture('t', 'q', 'sqltriga', array['ev_extra3=''\''||E''\n"''', 'ignore=v'])"#,
            "kept delete insert truncate update",
        ),
        ("uncapture('t', 'q')", "dropped delete insert truncate update"),
    ] {
        assert_eq!(done(&mut scene, call), expected, "{call}");
    }
    assert_eq!(done(&mut scene, "capture('t', 'q')"), format!("created {ALL}"));
    // One that is disabled is none; one that always fires is one.
    scene.exec(
        "alter table t disable trigger _pgq_capture_q_update;
         alter table t enable always trigger _pgq_capture_q_delete",
    );
    assert_eq!(
        done(&mut scene, "capture('t', 'q')"),
        "created update, dropped update, kept delete insert truncate"
    );
    // A table that has another name by now.
    scene.exec(r#"alter table t rename to "T t""#);
    assert_eq!(done(&mut scene, r#"capture('"T t"', 'q')"#), format!("kept {ALL}"));
    scene.writes(r#"insert into "T t" values (1)"#, &["I:id | id=1&v | public.T t"]);
    // Nothing stays of a transaction that is rolled back.
    scene.exec("begin; select pgq.uncapture('\"T t\"', 'q'); rollback");
    scene.exec("begin; select pgq.capture('\"T t\"', 'q', 'jsontriga'); rollback");
    assert_eq!(done(&mut scene, r#"capture('"T t"', 'q')"#), format!("kept {ALL}"));
}

#[test]
fn a_partitioned_tree_is_captured_by_row() {
    let mut scene = Scene::ours("attach");
    scene.exec(
        "create table t (id int primary key, v text) partition by range (id);
         create table low partition of t for values from (0) to (10);
         create table high partition of t for values from (10) to (100) partition by range (id);
         create table middle partition of high for values from (10) to (20)",
    );
    let made = |scene: &mut Scene| report(&mut scene.session, "capture('t', 'q')");
    assert_eq!(
        made(&mut scene),
        [
            "created t _pgq_capture_q_row",
            "created t _pgq_capture_q_truncate",
            "created low _pgq_capture_q_truncate",
            "created high _pgq_capture_q_truncate",
            "created middle _pgq_capture_q_truncate"
        ]
    );
    let changes =
        "insert into t values (1), (11); update t set v = 'x'; delete from middle; truncate low; truncate t";
    let events = [
        "I:id | id=1&v | public.low",
        "I:id | id=11&v | public.middle",
        "U:id | id=1&v=x | public.low",
        "U:id | id=11&v=x | public.middle",
        "D:id | id=11&v=x | public.middle",
        "R |  | public.low",
        "R |  | public.t",
        "R |  | public.low",
        "R |  | public.high",
        "R |  | public.middle",
    ];
    scene.writes(changes, &events);
    assert!(made(&mut scene).iter().all(|line| line.starts_with("kept ")));
    // Partitions that come later have all but what is for TRUNCATE.
    scene.exec(
        "create table top partition of high for values from (20) to (30);
         create table more (like t including all);
         alter table t attach partition more for values from (100) to (200)",
    );
    scene.writes(
        "insert into t values (25), (150)",
        &["I:id | id=25&v | public.top", "I:id | id=150&v | public.more"],
    );
    let new: Vec<String> = made(&mut scene).into_iter().filter(|line| !line.starts_with("kept ")).collect();
    assert_eq!(new, ["created more _pgq_capture_q_truncate", "created top _pgq_capture_q_truncate"]);
    // A partition has by now what its parent gave it.
    let error = scene.session.error("select pgq.capture('middle', 'q')");
    assert_eq!(error.code, "42710");
    assert!(error.detail.unwrap().contains("partition"));
    assert_eq!(report(&mut scene.session, "uncapture('t', 'q')").len(), 7);
    scene.writes("insert into t values (5), (15)", &[]);
}

#[test]
fn a_partition_may_be_captured_by_itself_and_then_with_all() {
    let mut scene = Scene::ours("attach");
    scene.exec(
        "create table t (id int primary key, v text) partition by range (id);
         create table low partition of t for values from (0) to (10);
         create table high partition of t for values from (10) to (20)",
    );
    assert_eq!(done(&mut scene, "capture('low', 'q')"), "created row truncate");
    assert_eq!(done(&mut scene, "capture('low', 'q')"), "kept row truncate");
    scene.writes("insert into t values (1), (11)", &["I:id | id=1&v | public.low"]);
    let mut made = report(&mut scene.session, "capture('t', 'q')");
    made.sort();
    assert_eq!(
        made,
        [
            "created high _pgq_capture_q_truncate",
            "created t _pgq_capture_q_row",
            "created t _pgq_capture_q_truncate",
            "dropped low _pgq_capture_q_row",
            "kept low _pgq_capture_q_truncate"
        ]
    );
    scene.writes(
        "insert into t values (2), (12)",
        &["I:id | id=2&v | public.low", "I:id | id=12&v | public.high"],
    );
}

#[test]
fn tables_that_inherit_are_captured_by_row_each() {
    let mut scene = Scene::ours("attach");
    scene.exec(
        "create table t (id int primary key, v text); create table child (more int, primary key (id)) inherits (t);
         create table grandchild (primary key (id)) inherits (child)",
    );
    let tables = ["t", "child", "grandchild"];
    let expected: Vec<String> = tables
        .iter()
        .flat_map(|table| ["row", "truncate"].map(|which| format!("created {table} _pgq_capture_q_{which}")))
        .collect();
    assert_eq!(report(&mut scene.session, "capture('t', 'q')"), expected);
    scene.writes(
        "insert into child values (1, 'x', 2); insert into grandchild values (2); update t set v = 'y'",
        &[
            "I:id | id=1&v=x&more=2 | public.child",
            "I:id | id=2&v&more | public.grandchild",
            "U:id | id=1&v=y&more=2 | public.child",
            "U:id | id=2&v=y&more | public.grandchild",
        ],
    );
    assert_eq!(report(&mut scene.session, "uncapture('t', 'q')").len(), 6);
}

/// By statement only where nothing else changes rows of the table while a statement's triggers fire.
#[test]
fn what_goes_on_changing_rows_is_captured_by_row() {
    let mut scene = Scene::ours("attach");
    scene.exec(
        "create table p (id int primary key);
         create table t (id int primary key, p int references p on delete cascade, v text);
         create function touch() returns trigger language plpgsql as
             $$ begin update t set v = v || '!' where id = new.id and v not like '%!'; return null; end $$;
         create table far (like t including all)",
    );
    for table in ["p", "t"] {
        assert_eq!(done(&mut scene, &format!("capture('{table}', 'q')")), format!("created {ALL}"));
    }
    // A trigger of one's own makes it another way, which is found when asked for.
    scene.exec("create trigger touch after insert on t for each row execute function touch()");
    assert_eq!(
        done(&mut scene, "capture('t', 'q')"),
        "created row, dropped delete insert update, kept truncate"
    );
    scene.writes(
        "insert into p values (1); insert into t values (1, 1, 'x')",
        &["I:id | id=1 | public.p", "I:id | id=1&p=1&v=x | public.t", "U:id | id=1&p=1&v=x%21 | public.t"],
    );
    scene.writes("delete from p", &["D:id | id=1 | public.p", "D:id | id=1&p=1&v=x%21 | public.t"]);
    scene.exec("alter table t disable trigger touch");
    assert_eq!(
        done(&mut scene, "capture('t', 'q')"),
        "created delete insert update, dropped row, kept truncate"
    );
    // Those that come before the row is changed change nothing then.
    scene.exec(
        "drop trigger touch on t;
         create trigger touch before insert on t for each row execute function touch()",
    );
    assert_eq!(done(&mut scene, "capture('t', 'q')"), format!("kept {ALL}"));
    // Foreign keys to itself do, if they do anything.
    scene.exec("alter table t add boss int references t");
    assert_eq!(done(&mut scene, "capture('t', 'q')"), format!("kept {ALL}"));
    scene.exec("alter table t add head int references t on delete set null");
    assert_eq!(
        done(&mut scene, "capture('t', 'q')"),
        "created row, dropped delete insert update, kept truncate"
    );
    // Another queue's triggers are no hindrance.
    queue::create(&mut scene.session, "other").unwrap();
    for queue in ["q", "other"] {
        assert_eq!(done(&mut scene, &format!("capture('far', '{queue}')")), format!("created {ALL}"));
    }
    assert_eq!(done(&mut scene, "capture('far', 'q')"), format!("kept {ALL}"));
    scene.exec("insert into far values (1)");
    assert_eq!((scene.events_of("q").len(), scene.events_of("other").len()), (1, 1));
}

#[test]
fn temporary_and_unlogged_tables_are_tables() {
    let mut scene = Scene::ours("attach");
    scene.exec("create temp table mine (id int primary key); create unlogged table t (id int primary key)");
    for table in ["mine", "t"] {
        for action in ["created", "kept"] {
            assert_eq!(done(&mut scene, &format!("capture('{table}', 'q')")), format!("{action} {ALL}"));
        }
        scene.exec(&format!("insert into {table} values (1)"));
        assert_eq!(scene.events().len(), 1);
        assert_eq!(done(&mut scene, &format!("uncapture('{table}', 'q')")), format!("dropped {ALL}"));
    }
}

#[test]
fn a_foreign_table_is_captured_by_row() {
    let mut scene = Scene::ours("attach");
    scene.exec(
        "create foreign data wrapper w; create server s foreign data wrapper w;
         create foreign table f (id int, v text) server s",
    );
    let call = "capture('f', 'q', 'logutriga', '{pkey=id}')";
    let kinds =
        if scene.session.one::<i32>("select current_setting('server_version_num')::int", &[]) < 160_000 {
            "row"
        } else {
            "row truncate"
        };
    assert_eq!(done(&mut scene, call), format!("created {kinds}"));
    assert_eq!(done(&mut scene, call), format!("kept {kinds}"));
}

#[test]
fn names_of_any_kind() {
    let mut scene = Scene::ours("attach");
    let long = "é".repeat(31) + "x";
    let queues = [
        "q q",
        "a\"b'c\\d",
        "ключ🐘",
        "Q",
        "q_row",
        "q_truncate",
        &"x".repeat(60),
        &format!("{}y", "x".repeat(60)),
    ];
    for queue in queues {
        queue::create(&mut scene.session, queue).unwrap();
    }
    for table in ["Sales.Order Line", "a\"b'c\\d", "select", "🐘", &long] {
        for create in ["{} (id int primary key)", "{} (id int primary key) partition by range (id)"] {
            let name = format!("\"{}\"", table.replace('"', "\"\""));
            scene.exec(&format!(
                "create schema \"S s\"; create table \"S s\".{}",
                create.replace("{}", &name)
            ));
            let which = format!("\"S s\".{name}");
            // Each of its own, all at once on one table, and found again.
            let made = |scene: &mut Scene, action: &str| -> i64 {
                let count = format!(
                    "select count(*) from unnest($2::text[]) q, pgq.capture($1::text::regclass, q)
                      where action = '{action}'"
                );
                scene.session.one(&count, &[&which, &queues.as_slice()])
            };
            let per_queue = if create.contains("partition") { 2 } else { 4 };
            let expected = (queues.len() * per_queue) as i64;
            assert_eq!(made(&mut scene, "created"), expected, "{which}");
            assert_eq!(made(&mut scene, "kept"), expected, "{which}");
            if per_queue == 4 {
                scene.exec(&format!("insert into {which} values (1)"));
                let events = scene.events();
                assert_eq!(events.len(), queues.len());
                assert!(
                    events.iter().all(|event| event.extras[0].as_deref() == Some(&format!("S s.{table}")))
                );
            }
            let dropped: i64 = scene.session.one(
                "select count(*) from unnest($2::text[]) q, pgq.uncapture($1::text::regclass, q)",
                &[&which, &queues.as_slice()],
            );
            assert_eq!(dropped, expected);
            scene.exec("drop schema \"S s\" cascade");
        }
    }
}

#[test]
fn two_at_once_do_it_once() {
    let mut scene = Scene::ours("attach");
    scene.exec("create table t (id int primary key)");
    scene.exec("begin");
    assert_eq!(done(&mut scene, "capture('t', 'q')"), format!("created {ALL}"));
    let second = scene.database.connect();
    let pid = second.pid();
    let second = second.spawn(|session| report(session, "capture('t', 'q')"));
    wait_until_blocked(&mut scene.reader, pid);
    scene.exec("commit");
    let (second, lines) = second.join();
    assert!(lines.len() == 4 && lines.iter().all(|line| line.starts_with("kept ")), "{lines:?}");
    // And who waits for one that is undone does it instead.
    scene.exec("begin; select pgq.uncapture('t', 'q')");
    let pid = second.pid();
    let second = second.spawn(|session| report(session, "capture('t', 'q', 'jsontriga')"));
    wait_until_blocked(&mut scene.reader, pid);
    scene.exec("rollback");
    let (_, lines) = second.join();
    assert_eq!(lines.iter().filter(|line| line.starts_with("created ")).count(), 4, "{lines:?}");
}

/// Whoever has read the table may go on and write: the lock that is waited for is not taken in two steps.
#[test]
fn a_reader_who_writes_is_no_deadlock() {
    let mut scene = Scene::ours("attach");
    scene.exec("create table t (id int primary key); select pgq.capture('t', 'q')");
    scene.exec("begin; select from t");
    let other = scene.database.connect();
    let pid = other.pid();
    let other = other.spawn(|session| report(session, "uncapture('t', 'q')"));
    wait_until_blocked(&mut scene.reader, pid);
    scene.exec("insert into t values (1); commit");
    assert_eq!(other.join().1.len(), 4);
}

#[test]
fn a_table_that_comes_meanwhile_is_one_of_the_tree() {
    let mut scene = Scene::ours("attach");
    scene.exec(
        "create table t (id int primary key) partition by range (id); create table parent (id int primary key)",
    );
    for (table, new) in [("t", "partition of t default"), ("parent", "(primary key (id)) inherits (parent)")]
    {
        scene.exec(&format!(
            "begin; lock table {table} in share row exclusive mode; create table {table}_new {new}"
        ));
        let second = scene.database.connect();
        let pid = second.pid();
        let call = format!("capture('{table}', 'q', i_operations => '{{truncate}}')");
        let second = second.spawn(move |session| report(session, &call));
        wait_until_blocked(&mut scene.reader, pid);
        scene.exec("commit");
        let (_, lines) = second.join();
        let expected = [table.to_owned(), format!("{table}_new")]
            .map(|captured| format!("created {captured} _pgq_capture_q_truncate"));
        assert_eq!(lines, expected);
    }
}
