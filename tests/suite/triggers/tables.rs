//! Tables, columns and statements of every kind.

use super::{FUNCTIONS, Scene, state};
use pgq_tests::server::Server;

#[test]
fn a_dropped_column_is_gone() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(
            "create table t (gone text, id int primary key, gone2 text, v text, gone3 text);
             insert into t values ('a', 1, 'b', 'x', 'c');
             alter table t drop gone, drop gone2, drop gone3",
        );
        scene.capture_by_all("t", "'backup'");
        scene.writes(
            "update t set v = 'y'",
            &[
                r#"{"op":"UPDATE","table":["public","t"],"pkey":["id"]} | {"id":1,"v":"y"} | public.t | {"id":1,"v":"x"}"#,
                "U:id | id=1&v=y | public.t | id=1&v=x",
                "U | v='y' where id='1' | public.t | id=1&v=x",
            ],
        );
        scene.writes_data(
            "insert into t values (2)",
            &[r#"{"id":2,"v":null}"#, "id=2&v", "(id,v) values ('2',null)"],
        );
    }
}

#[test]
fn generated_and_identity_columns_are_columns() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(
            "create table t (id int primary key generated always as identity, n int, twice int generated always as (n * 2) stored,
                             v text default 'd')",
        );
        scene.capture_by_all("t", "");
        scene.writes_data(
            "insert into t (n) values (1)",
            &[
                r#"{"id":1,"n":1,"twice":2,"v":"d"}"#,
                "id=1&n=1&twice=2&v=d",
                "(id,n,twice,v) values ('1','1','2','d')",
            ],
        );
        scene.writes_data(
            "update t set n = 2",
            &[r#"{"id":1,"n":2,"twice":4,"v":"d"}"#, "id=1&n=2&twice=4&v=d", "n='2',twice='4' where id='1'"],
        );
        // Before the row is stored, what is generated is still that of the old row.
        for function in FUNCTIONS {
            scene.exec(&format!("drop trigger tap_{function} on t"));
        }
        for (function, inserted, updated) in [
            ("jsontriga", r#"{"id":2,"n":1,"twice":null,"v":"d"}"#, r#"{"id":2,"n":2,"twice":2,"v":"d"}"#),
            ("logutriga", "id=3&n=1&twice&v=d", "id=3&n=2&twice=2&v=d"),
            ("sqltriga", "(id,n,twice,v) values ('4','1',null,'d')", "n='2' where id='4'"),
        ] {
            scene.exec("drop trigger if exists tap on t; delete from t");
            scene.tap("t", "before insert or update", "row", &format!("{function}('q')"));
            scene.writes_data("insert into t (n) values (1)", &[inserted]);
            scene.writes_data("update t set n = 2", &[updated]);
        }
    }
}

#[test]
fn nogenerated_leaves_generated_columns_to_who_generates_them() {
    let mut scene = Scene::ours("tables");
    let kinds = if Server::ours().major() >= 18 { ["stored", "virtual"].as_slice() } else { &["stored"] };
    for kind in kinds {
        scene.exec(&format!(
            "create table t (id int primary key generated always as identity, n int, twice int generated always as (n * 2) {kind})"
        ));
        scene.capture_by_all("t", "'nogenerated', 'backup'");
        scene.writes(
            "insert into t (n) values (1)",
            &[
                r#"{"op":"INSERT","table":["public","t"],"pkey":["id"]} | {"id":1,"n":1} | public.t"#,
                "I:id | id=1&n=1 | public.t",
                "I | (id,n) values ('1','1') | public.t",
            ],
        );
        scene.writes(
            "update t set n = 2",
            &[
                r#"{"op":"UPDATE","table":["public","t"],"pkey":["id"]} | {"id":1,"n":2} | public.t | {"id":1,"n":1}"#,
                "U:id | id=1&n=2 | public.t | id=1&n=1",
                "U | n='2' where id='1' | public.t | id=1&n=1",
            ],
        );
        scene.exec("drop table t");
    }
}

#[test]
fn a_virtual_column_has_its_computed_value() {
    if Server::ours().major() < 18 {
        eprintln!("skipped: only PostgreSQL 18 has virtual columns");
        return;
    }
    let mut scene = Scene::ours("tables");
    scene.exec("create table t (id int primary key, n int, twice int generated always as (n * 2) virtual)");
    scene.capture_by_all("t", "'backup'");
    scene.writes_data(
        "insert into t values (1, 1)",
        &[r#"{"id":1,"n":1,"twice":2}"#, "id=1&n=1&twice=2", "(id,n,twice) values ('1','1','2')"],
    );
    scene.writes(
        "update t set n = 2",
        &[
            r#"{"op":"UPDATE","table":["public","t"],"pkey":["id"]} | {"id":1,"n":2,"twice":4} | public.t | {"id":1,"n":1,"twice":2}"#,
            "U:id | id=1&n=2&twice=4 | public.t | id=1&n=1&twice=2",
            "U | n='2',twice='4' where id='1' | public.t | id=1&n=1&twice=2",
        ],
    );
    // One that asks for the table, and one that cannot be computed of each row, by row and by statement.
    scene.exec(
        "create table u (id int primary key, n int, home oid generated always as (tableoid) virtual,
                         part int generated always as (6 / n) virtual)",
    );
    let home: u32 = scene.session.one("select 'u'::regclass::oid", &[]);
    for level in ["for each row", "referencing new table as n for each statement"] {
        scene.exec(&format!(
            "drop trigger if exists tap on u;
             create trigger tap after insert on u {level} execute function pgq.logutriga('q')"
        ));
        scene.writes_data(
            "insert into u values (1, 2); delete from u",
            &[&format!("id=1&n=2&home={home}&part=3")],
        );
        let error = scene.session.batch_execute("insert into u values (2, 0)").unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "22012", "{error:?}");
        assert_eq!(error.where_(), Some(r#"trigger "tap" on table "u""#), "{error:?}");
    }
}

#[test]
fn a_virtual_column_that_is_left_out_is_not_computed() {
    if Server::ours().major() < 18 {
        eprintln!("skipped: only PostgreSQL 18 has virtual columns");
        return;
    }
    let mut scene = Scene::ours("tables");
    scene.exec("create table t (id int primary key, n int, part int generated always as (100 / n) virtual)");
    for function in FUNCTIONS {
        scene.capture("t", &format!("{function}('q')"));
        scene.refuses("insert into t values (1, 0)", "22012", &[]);
        for option in ["nogenerated", "ignore=part", "ignore=part,n"] {
            scene.capture("t", &format!("{function}('q', '{option}', 'backup')"));
            scene
                .exec("insert into t values (1, 0); update t set id = id; update t set n = 0; delete from t");
            assert_eq!(scene.events().len(), 4, "{function} {option}");
        }
        scene.exec("insert into t values (1, 0)");
        scene.events();
        // Nothing changes but what is ignored, and what depends on it.
        scene.writes("update t set n = 5", &[]);
        scene.exec("delete from t");
        scene.events();
    }
}

/// `p1` looks like its parent, `p2` has the same columns in its own order.
const PARTITIONS: &str = "
    create table p (id int, k int, v text, primary key (id, k)) partition by list (k);
    create table p1 partition of p for values in (1);
    create table p2 (v text, k int not null, gone int, id int not null);
    alter table p2 drop column gone;
    alter table p attach partition p2 for values in (2);";

#[test]
fn a_partition_has_its_own_name_and_order_of_columns() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(PARTITIONS);
        scene.capture_by_all("p", "");
        scene.writes(
            "insert into p values (1, 1, 'a'), (2, 2, 'b')",
            &[
                r#"{"op":"INSERT","table":["public","p1"],"pkey":["id","k"]} | {"id":1,"k":1,"v":"a"} | public.p1"#,
                "I:id,k | id=1&k=1&v=a | public.p1",
                "I | (id,k,v) values ('1','1','a') | public.p1",
                r#"{"op":"INSERT","table":["public","p2"],"pkey":["id","k"]} | {"v":"b","k":2,"id":2} | public.p2"#,
                "I:id,k | v=b&k=2&id=2 | public.p2",
                "I | (v,k,id) values ('b','2','2') | public.p2",
            ],
        );
        scene.writes_data(
            "update p set v = 'c' where id = 2",
            &[r#"{"v":"c","k":2,"id":2}"#, "v=c&k=2&id=2", "v='c' where k='2' and id='2'"],
        );
        // One that comes later has the triggers too.
        scene.exec("create table p3 partition of p for values in (3)");
        scene.writes_data(
            "insert into p values (3, 3)",
            &[r#"{"id":3,"k":3,"v":null}"#, "id=3&k=3&v", "(id,k,v) values ('3','3',null)"],
        );
        // One that leaves has not.
        scene.exec("alter table p detach partition p2");
        scene.writes("update p2 set v = 'd'", &[]);
    }
}

#[test]
fn a_row_that_moves_goes_here_and_comes_there() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(PARTITIONS);
        scene.exec("insert into p values (1, 1, 'a')");
        scene.capture("p", "logutriga('q')");
        // Though the key changes: to the server these are a delete and an insert.
        scene.writes(
            "update p set k = 2, v = 'b'",
            &["D:id,k | id=1&k=1&v=a | public.p1", "I:id,k | v=b&k=2&id=1 | public.p2"],
        );
        scene.refuses("update p set id = 2", state::KEY_UPDATE, &["public.p2", "tap", "id"]);
        scene.writes("update p set k = k", &["U:id,k | v=b&k=2&id=1 | public.p2"]);
    }
}

#[test]
fn truncate_of_a_parent_names_the_parent() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(PARTITIONS);
        scene.capture_truncate("p", "logutriga('q')");
        scene.writes("truncate p", &["R |  | public.p"]);
        scene.capture_truncate("p1", "logutriga('q')");
        scene.writes("truncate p1", &["R |  | public.p1"]);
        scene.exec("truncate p");
        let mut told: Vec<String> = scene.events().iter().map(ToString::to_string).collect();
        told.sort();
        assert_eq!(told, ["R |  | public.p", "R |  | public.p1"], "{}", scene.whose());
    }
}

#[test]
fn a_partition_may_have_a_key_that_its_parent_has_not() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(
            "create table p (id int, k int, v text) partition by list (k);
             create table p1 partition of p for values in (1); alter table p1 add primary key (id);
             create table p2 partition of p for values in (2);
             insert into p values (1, 1), (2, 2)",
        );
        scene.capture("p", "logutriga('q')");
        scene.writes("update p set v = 'x' where k = 1", &["U:id | id=1&k=1&v=x | public.p1"]);
        scene.refuses("update p set v = 'x' where k = 2", state::NO_KEY, &["public.p2", "tap"]);
    }
}

#[test]
fn inherited_tables_have_triggers_and_columns_of_their_own() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(
            "create table parent (id int primary key, v text);
             create table child (w text, primary key (id)) inherits (parent)",
        );
        scene.capture("parent", "logutriga('q')");
        scene.writes(
            "insert into child values (1, 'c', 'w'); insert into parent values (2, 'p'); update parent set v = 'u'",
            &["I:id | id=2&v=p | public.parent", "U:id | id=2&v=u | public.parent"],
        );
        scene.capture("child", "logutriga('q')");
        scene.writes(
            "update parent set v = 'x'",
            &["U:id | id=2&v=x | public.parent", "U:id | id=1&v=x&w=w | public.child"],
        );
    }
}

#[test]
fn a_table_that_inherits_is_not_captured_by_statement() {
    // An update of the parent does not fire triggers for each statement of the child.
    const SHARED: &str = "0A000";
    let mut scene = Scene::ours("tables");
    scene.exec(
        "create table parent (id int); create table t (id int primary key);
         create trigger tap after insert on t referencing new table as n
                for each statement execute function pgq.logutriga('q')",
    );
    for mut other in [None, Some(scene.database.connect())] {
        scene.writes_data("insert into t values (1)", &["id=1"]);
        other.as_mut().unwrap_or(&mut scene.session).exec("alter table t inherit parent");
        scene.refuses("insert into t values (2)", SHARED, &["public.t", "inherits", "tap"]);
        other.as_mut().unwrap_or(&mut scene.session).exec("alter table t no inherit parent");
        scene.writes_data("insert into t values (2)", &["id=2"]);
        scene.exec("truncate t");
    }
    // Without a column in common, too.
    scene.exec("create table bare (); alter table t inherit bare");
    scene.refuses("insert into t values (3)", SHARED, &["public.t", "inherits", "tap"]);
}

#[test]
fn each_trigger_of_a_table_goes_its_own_way() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(
            "create table t (id int primary key, v text, w text);
             create trigger a after insert or update on t for each row execute function pgq.logutriga('q', 'ignore=v');
             create trigger b after insert or update on t for each row execute function pgq.logutriga('q', 'ignore=w');
             create trigger c after update of v on t for each row execute function pgq.sqltriga('q', 'ev_extra1=null');
             create trigger d after insert on t for each row when (new.id > 1) execute function pgq.logtriga('q', 'kii')",
        );
        scene.writes(
            "insert into t values (1, 'x', 'y')",
            &["I:id | id=1&w=y | public.t", "I:id | id=1&v=x | public.t"],
        );
        scene.writes("update t set v = 'z'", &["U:id | id=1&v=z | public.t", "U | v='z' where id='1'"]);
        scene.writes("update t set w = 'z'", &["U:id | id=1&w=z | public.t"]);
        scene.writes_data("insert into t values (2)", &["id=2&w", "id=2&v", "(id) values ('2')"]);
    }
}

#[test]
fn before_triggers_see_the_row_as_it_is_between_others() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(
            "create function shout() returns trigger language plpgsql as $$ begin new.v = new.v || '!'; return new; end $$;
             create table t (id int primary key, v text);
             create trigger b before insert or update on t for each row execute function shout();
             create trigger a before insert or update on t for each row execute function pgq.logutriga('q');
             create trigger c before insert or update on t for each row execute function pgq.logutriga('q')",
        );
        scene.writes_data("insert into t values (1, 'x')", &["id=1&v=x", "id=1&v=x%21"]);
        scene.writes_data("update t set v = 'y'", &["id=1&v=y", "id=1&v=y%21"]);
    }
}

#[test]
fn events_come_in_the_order_of_changes() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(
            "create table t (id int primary key, v int);
             create table ref (id int primary key, t int references t on delete cascade)",
        );
        scene.capture("t", "logutriga('q')");
        scene.capture("ref", "logutriga('q')");
        let told = |scene: &mut Scene, sql: &str| -> Vec<String> {
            scene.exec(sql);
            scene
                .events()
                .iter()
                .map(|event| format!("{} {}", event.kind.as_ref().unwrap(), event.data.as_ref().unwrap()))
                .collect()
        };
        let mut check = |sql: &str, expected: &[&str]| assert_eq!(told(&mut scene, sql), expected, "{sql}");
        check(
            "insert into t values (1, 1), (2, 2); insert into ref values (5, 1)",
            &["I:id id=1&v=1", "I:id id=2&v=2", "I:id id=5&t=1"],
        );
        check("delete from t where id = 1", &["D:id id=1&v=1", "D:id id=5&t=1"]);
        check(
            "insert into t values (2, 7), (3, 3) on conflict (id) do update set v = excluded.v",
            &["U:id id=2&v=7", "I:id id=3&v=3"],
        );
        check("insert into t values (2, 8) on conflict do nothing", &[]);
        check(
            "merge into t using (values (2), (3), (4)) s (id) on t.id = s.id
             when matched and t.id = 2 then delete when matched then update set v = 0 when not matched then insert values (4, 4)",
            &["D:id id=2&v=7", "U:id id=3&v=0", "I:id id=4&v=4"],
        );
        check(
            "with one as (delete from t where id = 3 returning *) insert into t select 6, v from one",
            &["D:id id=3&v=0", "I:id id=6&v=0"],
        );
        check(
            "begin; update t set v = 1 where id = 6; savepoint s; update t set v = 2 where id = 6; rollback to s;
             delete from t where id = 6; commit",
            &["U:id id=6&v=1", "D:id id=6&v=1"],
        );
    }
}

#[test]
fn a_deferred_trigger_writes_at_the_end_what_was() {
    for mut scene in Scene::on_each("tables") {
        scene.exec(
            "create table t (id int primary key, v text);
             create constraint trigger tap after insert or update on t deferrable initially deferred
                    for each row execute function pgq.logutriga('q')",
        );
        scene.exec("begin; insert into t values (1, 'x'); update t set v = 'y'; delete from t");
        let written: i64 = scene.session.one("select count(*) from pgq.event_template", &[]);
        assert_eq!(written, 0, "{}", scene.whose());
        scene.writes("commit", &["I:id | id=1&v=x | public.t", "U:id | id=1&v=y | public.t"]);
    }
}

#[test]
fn a_temporary_table_has_a_schema_too() {
    for mut scene in Scene::on_each("tables") {
        scene.exec("create temp table t (id int primary key)");
        scene.capture("t", "logutriga('q')");
        let schema: String =
            scene.session.one("select nspname::text from pg_namespace where oid = pg_my_temp_schema()", &[]);
        scene.writes("insert into t values (1)", &[&format!("I:id | id=1 | {schema}.t")]);
    }
}

/// What is stored out of line, and was not touched, is not even read to find out that it has not changed.
#[test]
fn large_values_that_stay_are_not_read() {
    let mut scene = Scene::ours("tables");
    scene.exec(
        "create table t (id int primary key, n int, large text);
         alter table t alter large set storage external;
         insert into t values (1, 1, repeat('x', 1000000))",
    );
    let read = |scene: &mut Scene, options: &str| -> i64 {
        // A transaction's numbers are its own only as long as it goes on.
        scene.exec(&format!("begin; select pgq.capture('t', 'q', 'sqltriga', '{options}')"));
        let blocks =
            "select pg_stat_get_xact_blocks_fetched(reltoastrelid) from pg_class where oid = 't'::regclass";
        let before: i64 = scene.session.one(blocks, &[]);
        scene.exec("update t set n = n + 1");
        let read = scene.session.one::<i64>(blocks, &[]) - before;
        scene.exec("commit");
        read
    };
    assert_eq!(read(&mut scene, "{}"), 0);
    assert_eq!(read(&mut scene, "{ignore=n}"), 0);
    // So much would it be.
    assert!(read(&mut scene, "{backup}") > 100);
}
