//! What is remembered of a table, a trigger and a queue is forgotten when they change, in the same session and from
//! another one, between transactions and within one.

use super::{FUNCTIONS, Scene, state};
use pgq_tests::client::Session;

/// Who makes a change, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The session that writes, between its transactions.
    Between,
    /// The session that writes, in the transaction in which it has written and will write.
    Within,
    /// Another session.
    Elsewhere,
}

/// A change of a table or trigger between two statements: `before` and `after` write these data.
#[track_caller]
fn follows(beginning: &str, before: (&str, &[&str]), change: &str, after: (&str, &[&str])) {
    for how in [Change::Between, Change::Within, Change::Elsewhere] {
        for mut scene in Scene::on_each("changing") {
            scene.exec(beginning);
            scene.events();
            if how == Change::Within {
                scene.exec("begin");
            }
            scene.exec(before.0);
            match how {
                Change::Between | Change::Within => scene.exec(change),
                Change::Elsewhere => scene.database.connect().exec(change),
            }
            scene.exec(after.0);
            if how == Change::Within {
                scene.exec("commit");
            }
            let told: Vec<String> = scene.events().into_iter().map(|event| event.data.unwrap()).collect();
            assert_eq!(told, [before.1, after.1].concat(), "{}, {how:?}: {change}", scene.whose());
        }
    }
}

const TABLE: &str = "
    create table t (id int primary key, v text, w text);
    insert into t values (1, 'x', 'y');
    create trigger tap_j after insert or update or delete on t for each row execute function pgq.jsontriga('q');
    create trigger tap_s after insert or update or delete on t for each row execute function pgq.sqltriga('q');";

#[test]
fn columns_come_and_go() {
    let before = ("update t set v = 'a'", [r#"{"id":1,"v":"a","w":"y"}"#, "v='a' where id='1'"].as_slice());
    follows(
        TABLE,
        before,
        "alter table t drop w, add n int default 5",
        ("update t set v = 'b'", &[r#"{"id":1,"v":"b","n":5}"#, "v='b' where id='1'"]),
    );
    follows(
        TABLE,
        before,
        "alter table t rename v to \"V v\"",
        ("update t set \"V v\" = 'b'", &[r#"{"id":1,"V v":"b","w":"y"}"#, "\"V v\"='b' where id='1'"]),
    );
    follows(
        TABLE,
        before,
        "alter table t drop v; alter table t rename w to v",
        ("update t set v = 'b'", &[r#"{"id":1,"v":"b"}"#, "v='b' where id='1'"]),
    );
}

#[test]
fn types_of_columns_change() {
    follows(
        "create table t (id int primary key, v text); insert into t values (1, '5');
         create trigger tap after update on t for each row execute function pgq.jsontriga('q')",
        ("update t set v = '6'", &[r#"{"id":1,"v":"6"}"#]),
        "alter table t alter v type int using v::int + 1",
        ("update t set v = v + 1", &[r#"{"id":1,"v":8}"#]),
    );
    follows(
        "create type kind as enum ('a'); create type pair as (a int); create domain day as date;
         create table t (id int primary key, k kind, p pair); insert into t values (1, 'a', row(1));
         create trigger tap after update on t for each row execute function pgq.jsontriga('q')",
        ("update t set k = 'a'", &[r#"{"id":1,"k":"a","p":"(1)"}"#]),
        "alter type kind rename value 'a' to 'b'; alter type pair add attribute b day; alter type pair rename to two",
        ("update t set p.b = '2024-01-02'", &[r#"{"id":1,"k":"b","p":"(1,2024-01-02)"}"#]),
    );
}

#[test]
fn keys_change() {
    follows(
        TABLE,
        ("update t set v = 'a'", &[r#"{"id":1,"v":"a","w":"y"}"#, "v='a' where id='1'"]),
        "alter table t drop constraint t_pkey; alter table t add primary key (w, id)",
        ("update t set v = 'b'", &[r#"{"id":1,"v":"b","w":"y"}"#, "v='b' where id='1' and w='y'"]),
    );
    for mut scene in Scene::on_each("changing") {
        scene.exec(TABLE);
        scene.exec("update t set v = 'a'");
        scene.events();
        scene.exec("alter table t drop constraint t_pkey");
        scene.refuses("update t set v = 'b'", state::NO_KEY, &["public.t", "tap_j"]);
        // An index that is being made is not one that can be relied on; a constraint is.
        scene.exec("create unique index i on t (w); alter table t alter w set not null");
        scene.refuses("update t set v = 'b'", state::NO_KEY, &["public.t", "tap_j"]);
        scene.exec("alter table t add primary key using index i");
        scene.writes_data("update t set v = 'c'", &[r#"{"id":1,"v":"c","w":"y"}"#, "v='c' where w='y'"]);
    }
}

#[test]
fn tables_and_schemas_get_other_names() {
    for how in [Change::Between, Change::Within, Change::Elsewhere] {
        // The original does not see that a schema has been renamed.
        for mut scene in Scene::on_each("changing").filter(|scene| !scene.is_original()) {
            scene.exec("create table t (id int primary key); create schema a");
            scene.capture("t", "jsontriga('q')");
            if how == Change::Within {
                scene.exec("begin");
            }
            let mut other = scene.database.connect();
            let mut change = |session: &mut Session, sql: &str| match how {
                Change::Between | Change::Within => session.exec(sql),
                Change::Elsewhere => other.exec(sql),
            };
            scene.session.exec("insert into t values (1)");
            change(&mut scene.session, "alter table t rename to u");
            scene.session.exec("insert into u values (2)");
            change(&mut scene.session, "alter table u set schema a");
            scene.session.exec("insert into a.u values (3)");
            change(&mut scene.session, "alter schema a rename to \"B b\"");
            scene.session.exec("insert into \"B b\".u values (4)");
            if how == Change::Within {
                scene.exec("commit");
            }
            let told: Vec<String> = scene
                .events()
                .iter()
                .map(|event| {
                    format!("{} {}", event.kind.as_ref().unwrap(), event.extras[0].as_ref().unwrap())
                })
                .collect();
            let expected =
                [("public", "t"), ("public", "u"), ("a", "u"), ("B b", "u")].map(|(schema, table)| {
                    format!(
                        r#"{{"op":"INSERT","table":["{schema}","{table}"],"pkey":["id"]}} {schema}.{table}"#
                    )
                });
            assert_eq!(told, expected, "{}, {how:?}", scene.whose());
        }
    }
}

#[test]
fn a_trigger_is_replaced() {
    let before = ("update t set v = 'a'", [r#"{"id":1,"v":"a","w":"y"}"#, "v='a' where id='1'"].as_slice());
    follows(
        TABLE,
        before,
        "create or replace trigger tap_j after update on t for each row execute function pgq.jsontriga('q', 'ignore=w');
         create or replace trigger tap_s after update on t for each row execute function pgq.logutriga('q')",
        ("update t set v = 'b'; update t set w = 'b'", &[r#"{"id":1,"v":"b"}"#, "id=1&v=b&w=y", "id=1&v=b&w=b"]),
    );
    follows(
        TABLE,
        before,
        "drop trigger tap_j on t; drop trigger tap_s on t;
         create trigger tap_s after update on t for each row execute function pgq.sqltriga('q', 'pkey=w')",
        ("update t set v = 'b'", &["v='b' where w='y'"]),
    );
    follows(
        TABLE,
        before,
        "alter trigger tap_j on t rename to tap_x; alter table t disable trigger tap_s",
        ("update t set v = 'b'", &[r#"{"id":1,"v":"b","w":"y"}"#]),
    );
}

#[test]
fn a_table_is_made_again() {
    follows(
        TABLE,
        ("update t set v = 'a'", &[r#"{"id":1,"v":"a","w":"y"}"#, "v='a' where id='1'"]),
        "drop table t; create table t (n numeric, k text primary key);
         create trigger tap after insert on t for each row execute function pgq.jsontriga('q')",
        ("insert into t values (1.0, 'k')", &[r#"{"n":"1.0","k":"k"}"#]),
    );
}

#[test]
fn a_change_that_is_rolled_back_has_not_been() {
    for mut scene in Scene::on_each("changing") {
        scene.exec(TABLE);
        let row = [r#"{"id":1,"v":"a","w":"y"}"#, "v='a' where id='1'"];
        scene.writes_data("update t set v = 'a'", &row);
        scene.exec(
            "begin; savepoint s; alter table t drop w; alter table t add n int;
             create or replace trigger tap_j after update on t for each row execute function pgq.jsontriga('q', 'ignore=v');
             update t set v = 'b', n = 1; rollback to s; update t set v = 'c'; update t set v = 'a'; commit",
        );
        let data: Vec<String> = scene.events().into_iter().map(|event| event.data.unwrap()).collect();
        assert_eq!(data[..2], [r#"{"id":1,"v":"c","w":"y"}"#, "v='c' where id='1'"], "{}", scene.whose());
        assert_eq!(data[2..], row, "{}", scene.whose());
    }
}

#[test]
fn a_queue_goes_and_comes_under_a_live_trigger() {
    for mut scene in Scene::on_each("changing") {
        scene.exec("create table t (id int primary key); select pgq.create_queue('other')");
        for function in FUNCTIONS {
            scene.capture("t", &format!("{function}('q')"));
            scene.exec("insert into t values (1)");
            assert_eq!(scene.events().len(), 1);
            scene.exec("select pgq.drop_queue('q')");
            scene.refuses("insert into t values (2)", "42704", &["q"]);
            // In one transaction, and from elsewhere.
            scene.exec("begin; select pgq.create_queue('q'); insert into t values (3); commit");
            assert_eq!(scene.events().len(), 1, "{}", scene.whose());
            let mut other = scene.database.connect();
            other.exec("select pgq.drop_queue('q')");
            scene.refuses("insert into t values (4)", "42704", &["q"]);
            other.exec("select pgq.create_queue('q')");
            scene.exec("insert into t values (4)");
            assert_eq!(scene.events().len(), 1, "{}", scene.whose());
            let table: String = scene.session.one("select pgq.current_event_table('q')", &[]);
            scene.exec("insert into t values (5)");
            let there: i64 = scene.session.one(&format!("select count(*) from only {table}"), &[]);
            assert_eq!(there, 1, "{}: the new queue has it", scene.whose());
            scene.exec("drop trigger tap on t; delete from t");
            scene.events();
        }
    }
}

#[test]
fn a_trigger_moves_to_another_queue() {
    for mut scene in Scene::on_each("changing") {
        scene.exec("create table t (id int primary key); select pgq.create_queue('other')");
        scene.capture("t", "logutriga('q')");
        scene.exec("insert into t values (1)");
        scene.exec(
            "begin; insert into t values (2);
             create or replace trigger tap after insert on t for each row execute function pgq.logutriga('other');
             insert into t values (3); commit",
        );
        let counts: Vec<i64> = ["q", "other"]
            .map(|queue| {
                let table: String = scene.session.one("select pgq.current_event_table($1)", &[&queue]);
                scene.session.one(&format!("select count(*) from {table}"), &[])
            })
            .into();
        assert_eq!(counts, [2, 1], "{}", scene.whose());
    }
}

#[test]
fn a_prepared_statement_outlives_changes() {
    for mut scene in Scene::on_each("changing") {
        scene.exec(TABLE);
        let statement = scene.session.prepare("update t set v = $1 where id = 1").unwrap();
        for (change, value, row) in [
            ("select 1", "a", r#"{"id":1,"v":"a","w":"y"}"#),
            ("alter table t add n int", "b", r#"{"id":1,"v":"b","w":"y","n":null}"#),
            ("alter table t drop w", "c", r#"{"id":1,"v":"c","n":null}"#),
        ] {
            scene.exec(change);
            scene.session.execute(&statement, &[&value]).unwrap();
            let data = scene.events().remove(0).data.unwrap();
            assert_eq!(data, row, "{}: {change}", scene.whose());
        }
    }
}

#[test]
fn an_expression_may_replace_its_own_trigger() {
    // The statement goes on with what it began with; the next one, in the same transaction, has the new one.
    let mut scene = Scene::ours("changing");
    scene.exec(
            "create table t (id int primary key, v text);
             create function f(int) returns text language plpgsql as $$ begin
                 if $1 = 1 then
                     execute 'create or replace trigger tap after insert on t
                              for each row execute function pgq.logutriga(''q'', ''ignore=v'')';
                 end if;
                 return 'x'; end $$;
             create trigger tap after insert on t for each row execute function pgq.logutriga('q', 'ev_extra2=f(id)')",
        );
    scene.writes_data(
        "begin; insert into t values (1, 'a'), (2, 'b'); insert into t values (3, 'c'); commit",
        &["id=1&v=a", "id=2&v=b", "id=3"],
    );
}
