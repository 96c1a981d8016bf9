//! Options that are SQL: `when=` and those that replace a field of the event.

use super::{Scene, state};

/// A table with columns of many types and names, and one row to come.
const TABLE: &str = r#"
    create type pair as (a int, b text);
    create table t (id int primary key, v text, "Qty" int default 7, b bool default true, d date default '2024-01-02',
                    arr int[] default '{5,6}', pair pair default row(1, 'q'));
    create sequence s"#;

fn with_table(mut scene: Scene) -> Scene {
    scene.exec(TABLE);
    scene
}

/// What the expression makes of the row `(1, 'x')`, as the event's type.
#[track_caller]
fn value(scene: &mut Scene, expression: &str) -> String {
    scene.capture("t", &format!("logutriga('q', 'ev_type={}')", expression.replace('\'', "''")));
    scene.exec("begin; insert into t values (1, 'x'); commit");
    let kind = scene.events().remove(0).kind;
    scene.exec("drop trigger tap on t; delete from t");
    kind.unwrap_or_else(|| "NULL".to_owned())
}

#[test]
fn words_that_are_columns_are_their_values() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        for (expression, expected) in [
            ("v", "x"),
            ("id", "1"),
            ("Qty", "7"),
            ("b", "t"),
            ("b::text", "true"),
            ("d", "2024-01-02"),
            ("arr", "{5,6}"),
            ("arr[1]", "5"),
            ("array[v, v]", "{x,x}"),
            ("pair", "(1,q)"),
            ("id + 1", "2"),
            ("upper(v)", "X"),
            ("v::varchar(1)", "x"),
            ("cast(id as text) || 'x'", "1x"),
            ("case when id = 1 then v else 'z' end", "x"),
            ("null", "NULL"),
            ("null::int", "NULL"),
            ("current_user", "postgres"),
            ("(select max(n) from generate_series(1, 5) n)", "5"),
            // In sub-selects too.
            ("(select count(*) from (values (1), (2), (1)) w (x) where x = id)", "2"),
            ("nextval('s')", "1"),
            ("v;", "x"),
            // Only the first column of the result counts.
            ("1, 2", "1"),
        ] {
            assert_eq!(value(&mut scene, expression), expected, "{}: {expression}", scene.whose());
        }
    }
}

#[test]
fn words_in_constants_comments_and_qualified_names_are_none() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        scene.exec(
            "create schema v; create function v.id() returns text language sql as $$ select 'called' $$",
        );
        for (expression, expected) in [
            ("'v' || E'v\\'v' || $$v$$ || $v$v$v$", "vv'vvv"),
            ("v /* v' */ -- v'", "x"),
            ("v.id()", "called"),
            ("'$1'", "$1"),
            ("x'1f'", "00011111"),
            ("1.5e1", "15"),
            ("1e1", "10"),
        ] {
            assert_eq!(value(&mut scene, expression), expected, "{}: {expression}", scene.whose());
        }
    }
}

#[test]
fn quoted_identifiers_are_words_too_and_function_and_type_names_are_not() {
    let mut scene = with_table(Scene::ours("expressions"));
    scene.exec(
        r#"alter table t add "left" text default 'L', add "text" text default 'T', add "é" text default 'E',
                         add "a ""b" text default 'Q', add "upper" text default 'U', add "int" int default 9"#,
    );
    for (expression, expected) in [
        (r#""Qty""#, "7"),
        (r#""v""#, "x"),
        (r#""a ""b""#, "Q"),
        ("é", "E"),
        (r#""é""#, "E"),
        ("left(v, 1)", "x"),
        ("left (v, 1)", "x"),
        ("left(left, 1)", "L"),
        (r#"pg_catalog.left("left", 1)"#, "L"),
        ("upper(upper)", "U"),
        ("v::text || text", "xT"),
        ("cast(id as text) || text", "1T"),
        ("id::int + int", "10"),
        ("(pair).b", "q"),
        ("(pair).a + id", "2"),
        ("coalesce(v, text)", "x"),
        // The letter before a string belongs to it.
        ("b'11'", "11"),
        ("u&'\\0076' || e'v'", "vv"),
        // A word of the language where no column can be meant.
        ("case when left = 'L' then 1 else 2 end", "1"),
    ] {
        assert_eq!(value(&mut scene, expression), expected, "{expression}");
    }
}

#[test]
fn each_field_can_be_replaced() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        scene.capture(
            "t",
            "logutriga('q', 'ev_data=v', 'ev_extra1=Qty', 'ev_extra2=b', 'ev_extra3=null', 'ev_extra4=id', 'backup')",
        );
        scene.writes("insert into t values (1, 'x')", &["I:id | x | 7 | t | NULL | 1"]);
        // Of the new row, and instead of the backup.
        scene.writes("update t set v = 'y', b = null", &["U:id | y | 7 | NULL | NULL | 1"]);
        scene.writes("delete from t", &["D:id | y | 7 | NULL | NULL | 1"]);
        // The first of several for one field counts.
        for function in super::FUNCTIONS {
            scene.capture(
                "t",
                &format!("{function}('q', 'ev_type=1', 'ev_data=null', 'ev_type=2', 'ev_data=3')"),
            );
            scene.writes("insert into t values (1)", &["1 | NULL | public.t"]);
            scene.writes("delete from t", &["1 | NULL | public.t"]);
        }
    }
}

#[test]
fn when_decides() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        for function in super::FUNCTIONS {
            scene.capture(
                "t",
                &format!("{function}('q', 'when=id > 1 and b', 'when=true', 'ev_type=id', 'ev_data=v')"),
            );
            scene.writes(
                "insert into t values (1, 'x'), (2, 'y'), (3, 'z')",
                &["2 | y | public.t", "3 | z | public.t"],
            );
            scene.writes("update t set b = false where id = 2", &[]);
            scene.writes("delete from t", &["3 | z | public.t"]);
        }
    }
}

#[test]
fn when_is_true_or_false() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        for expression in ["1", "id", "null", "''t''", "v"] {
            scene.capture("t", &format!("logutriga('q', 'when={expression}')"));
            scene.refuses("insert into t values (1, 'x')", state::WHEN_NOT_BOOLEAN, &["when"]);
        }
        for expression in ["null::bool", "b"] {
            scene.capture("t", &format!("logutriga('q', 'when={expression}')"));
            scene.refuses("insert into t (id, b) values (1, null)", state::WHEN_NULL, &["when"]);
        }
    }
}

#[test]
fn an_error_in_any_expression_is_one_of_the_statement() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        for (options, code) in [
            ("'ev_type=1/0'", "22012"),
            // All are evaluated before `when` decides.
            ("'when=false', 'ev_type=1/0'", "22012"),
            ("'ev_extra4=1/(id - 1)', 'when=id > 1'", "22012"),
            ("'ev_type=qty'", "42703"),
            ("'ev_type=TG_OP'", "42703"),
            ("'ev_type=new.v'", "42P01"),
            ("'ev_type=t.v'", "42P01"),
            ("'ev_type=v.x'", "42P01"),
            ("'ev_type=$1'", "42P02"),
            ("'ev_type=1 +'", "42601"),
            ("'ev_type=1 1'", "42601"),
            ("'ev_type=nosuch(v)'", "42883"),
        ] {
            scene.capture("t", &format!("logutriga('q', {options})"));
            scene.refuses("insert into t values (1, 'x')", code, &[]);
        }
        // An event that nobody asks for has none to evaluate.
        scene.exec("drop trigger tap on t; insert into t values (1, 'x')");
        scene.capture("t", "logutriga('q', 'ignore=v', 'ev_type=1/0')");
        scene.writes("update t set v = 'y'", &[]);
    }
}

#[test]
fn an_expression_gives_one_row() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        for expression in ["1 where false", "1 union all select 2", "id from generate_series(1, 3)"] {
            scene.capture("t", &format!("logutriga('q', 'ev_type={expression}')"));
            scene.refuses("insert into t values (1)", state::NOT_ONE_ROW, &["ev_type"]);
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        for expression in ["''unclosed", r#""unclosed"#, "v /* unclosed", "$$ unclosed"] {
            scene.capture("t", &format!("logutriga('q', 'ev_type={expression}')"));
            scene.refuses("insert into t values (1)", state::UNREADABLE, &["ev_type"]);
        }
    }
}

#[test]
fn an_expression_sees_the_tables_as_the_statement_does() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        scene.capture("t", "logutriga('q', 'ev_type=(select count(*) from t)')");
        scene.exec("insert into t values (1), (2)");
        scene.exec("insert into t values (3)");
        let kinds: Vec<_> = scene.events().into_iter().map(|event| event.kind.unwrap()).collect();
        assert_eq!(kinds, ["0", "0", "2"], "{}", scene.whose());
    }
}

#[test]
fn a_function_in_an_expression_may_write() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        scene.exec(
            "create table side (id int);
             create function note(id int) returns text language plpgsql as
               $$ begin insert into side values (id); return 'noted'; end $$",
        );
        scene.capture("t", "logutriga('q', 'ev_type=note(id)')");
        scene.writes(
            "insert into t (id, v) values (1, 'x')",
            &["noted | id=1&v=x&Qty=7&b=t&d=2024-01-02&arr=%7b5%2c6%7d&pair=%281%2cq%29 | public.t"],
        );
        assert_eq!(scene.session.column::<i32>("select id from side", &[]), [1], "{}", scene.whose());
    }
}

#[test]
fn an_expression_has_the_rights_of_who_changes_the_table() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        let role = format!("{}_writer", scene.database.name());
        scene.exec(&format!(
            "create role {role} in role pgq_writer; grant all on t to {role}; create table secret (n int)"
        ));
        scene.capture("t", "logutriga('q', 'ev_type=(select count(*) from secret)', 'ev_data=null')");
        scene.writes("insert into t values (1)", &["0 | NULL | public.t"]);
        scene.exec(&format!("set role {role}"));
        scene.refuses("insert into t values (2)", "42501", &["secret"]);
        scene.exec(&format!("reset role; grant select on secret to {role}; set role {role}"));
        scene.writes("insert into t values (2)", &["0 | NULL | public.t"]);
        scene.exec(&format!("reset role; revoke select on secret from {role}; set role {role}"));
        scene.refuses("insert into t values (3)", "42501", &["secret"]);
        scene.exec(&format!("reset role; drop owned by {role}; drop role {role}"));
    }
}

/// Names in it are looked up anew for each user of a session: not everybody may look into every schema.
#[test]
fn an_expression_is_read_for_the_current_user() {
    let mut scene = with_table(Scene::ours("expressions"));
    let role = format!("{}_writer", scene.database.name());
    scene.exec(&format!(
        "create role {role} in role pgq_writer; grant all on t to {role};
         create schema s; create table s.secret (n int); grant select on s.secret to {role}"
    ));
    scene.capture("t", "logutriga('q', 'ev_type=(select count(*) from s.secret)', 'ev_data=null')");
    scene.writes("insert into t values (1)", &["0 | NULL | public.t"]);
    scene.exec(&format!("set role {role}"));
    scene.refuses("insert into t values (2)", "42501", &["schema s"]);
    scene.exec("reset role");
    scene.writes("insert into t values (2)", &["0 | NULL | public.t"]);
    scene.exec(&format!("drop owned by {role}; drop role {role}"));
}

#[test]
fn an_expression_follows_what_it_is_made_of() {
    for scene in Scene::on_each("expressions") {
        let mut scene = with_table(scene);
        scene.exec("create function f(text) returns text language sql as $$ select '1' || $1 $$");
        scene.capture("t", "logutriga('q', 'ev_type=f(v)', 'ev_data=id')");
        scene.writes("insert into t values (1, 'x')", &["1x | 1 | public.t"]);
        scene.exec("create or replace function f(text) returns text language sql as $$ select '2' || $1 $$");
        scene.writes("insert into t values (2, 'x')", &["2x | 2 | public.t"]);
        scene.exec("alter table t alter v type int using 5; create function f(int) returns text language sql as $$ select 'int' $$");
        scene.writes("insert into t values (3, 6)", &["int | 3 | public.t"]);
        scene.exec("alter table t rename v to w");
        scene.refuses("insert into t values (4, 6)", "42703", &["v"]);
        scene.exec("alter table t rename id to v");
        scene.refuses("insert into t values (5, 6)", "42703", &["id"]);
    }
}

#[test]
fn a_condition_that_becomes_another_type_is_refused() {
    let mut scene = with_table(Scene::ours("expressions"));
    let f = |returns: &str, value: &str| {
        format!("drop function if exists f(int); create function f(int) returns {returns} return {value}")
    };
    scene.exec(&f("boolean", "true"));
    scene.capture("t", "logutriga('q', 'when=f(id)', 'ev_data=id')");
    scene.writes_data("insert into t values (1, 'x')", &["1"]);
    // Texts that look like one of its values, and like none.
    for (returns, value) in [("text", "'t'"), ("text", "'true'"), ("int", "1")] {
        scene.exec(&f(returns, value));
        scene.refuses("insert into t values (2, 'x')", state::WHEN_NOT_BOOLEAN, &["when=f(id)", "tap"]);
    }
    scene.exec(&f("boolean", "true"));
    scene.writes_data("insert into t values (2, 'x')", &["2"]);
}
