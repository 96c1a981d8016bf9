//! Where our events differ from the original's on purpose, with the reason: each is shown on both servers.

use super::{Scene, state};

/// Data of the events that a statement writes: ours, and the original's.
type Told<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

/// Runs the statements on both, after the same beginning.
#[track_caller]
fn differ(beginning: &str, told: &[Told]) {
    for mut scene in Scene::on_each("differences") {
        scene.exec(beginning);
        scene.events();
        for (statement, ours, originals) in told {
            scene.writes_data(statement, if scene.is_original() { originals } else { ours });
        }
    }
}

/// A name without its schema means something else, or nothing, to a reader with another search_path.
#[test]
fn names_of_objects_have_their_schema() {
    differ(
        "create schema s; create table s.there (id int); create type s.kind as enum ('a');
         create function s.f(s.kind) returns int language sql as 'select 1';
         create function s.eq(s.kind, s.kind) returns bool language sql as 'select true';
         create operator s.=== (leftarg = s.kind, rightarg = s.kind, function = s.eq);
         create text search configuration s.ways (copy = simple);
         create table t (id int primary key, c regclass, t regtype, ts regtype[], p regproc, f regprocedure, o regoperator,
                         w regconfig, n regnamespace);
         create trigger tap after insert or delete on t for each row execute function pgq.logutriga('q');
         set search_path = public, s",
        &[(
            "insert into t values (1, 'there', 'kind', '{kind,int4}', 'f', 'f(kind)', '===(kind,kind)', 'ways', 's')",
            &["id=1&c=s.there&t=s.kind&ts=%7bs.kind%2cinteger%7d&p=s.f&f=s.f%28s.kind%29&o=s.%3d%3d%3d%28s.kind%2cs.kind%29&w=s.ways&n=s"],
            &["id=1&c=there&t=kind&ts=%7bkind%2cinteger%7d&p=f&f=f%28kind%29&o=%3d%3d%3d%28kind%2ckind%29&w=ways&n=s"],
        )],
    );
}

/// Also where they are parts of values.
#[test]
fn names_in_values_have_their_schema() {
    for (column, value, ours, originals) in [
        ("s.pair", "(there)", "%28s.there%29", "%28there%29"),
        ("s.pair[]", "{(there)}", "%7b%28s.there%29%7d", "%7b%28there%29%7d"),
        ("s.name", "there", "s.there", "there"),
        ("s.span", "[there,there]", "%5bs.there%2cs.there%5d", "%5bthere%2cthere%5d"),
        ("s.spans", "{[there,there]}", "%7b%5bs.there%2cs.there%5d%7d", "%7b%5bthere%2cthere%5d%7d"),
    ] {
        differ(
            &format!(
                "create schema s; create table s.there (id int);
                 create type s.pair as (c regclass); create domain s.name as regclass;
                 create type s.span as range (subtype = regclass, subtype_opclass = oid_ops, multirange_type_name = s.spans);
                 create table t (id int primary key, v {column});
                 create trigger tap after insert on t for each row execute function pgq.logutriga('q');
                 set search_path = public, s"
            ),
            &[(
                &format!("insert into t values (1, '{value}')"),
                &[&format!("id=1&v={ours}")],
                &[&format!("id=1&v={originals}")],
            )],
        );
    }
}

/// What is equal may still be another text, and a copy should have the same text as its origin.
#[test]
fn a_change_is_what_a_reader_would_see() {
    differ(
        "create type pair as (n numeric);
         create table t (id int primary key, n numeric default 1.0, f float8 default 0, p pair default row(1.0), i interval default '1 day', j jsonb default '{\"a\":1.0}',
                         r numrange default '[1.0,2.0]', c bpchar default 'a', d date default '2024-01-01');
         insert into t values (1);
         create trigger tap after update on t for each row execute function pgq.sqltriga('q')",
        &[
            ("update t set n = 1.00", &["n='1.00' where id='1'"], &["id='1' where id='1'"]),
            ("update t set n = 1.0, f = '-0'", &["n='1.0',f='-0' where id='1'"], &["id='1' where id='1'"]),
            ("update t set p = row(1.00)", &["p='(1.00)' where id='1'"], &["id='1' where id='1'"]),
            ("update t set i = '24:00'", &["i='24:00:00' where id='1'"], &["id='1' where id='1'"]),
            ("update t set j = '{\"a\":1}'", &["j='{\"a\": 1}' where id='1'"], &["id='1' where id='1'"]),
            ("update t set r = '[1.00,2]'", &["r='[1.00,2]' where id='1'"], &["id='1' where id='1'"]),
            ("update t set c = 'a ', d = '2024-01-02'", &["c='a ',d='2024-01-02' where id='1'"], &["d='2024-01-02' where id='1'"]),
        ],
    );
}

#[test]
fn letters_that_a_collation_takes_for_the_same_are_not() {
    const LOOSE: &str =
        "create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
    if Scene::ours("differences").session.batch_execute(LOOSE).is_err() {
        eprintln!("skipped: the server is built without ICU");
        return;
    }
    differ(
        &format!(
            "{LOOSE};
         create table t (id int primary key, v text collate loose);
         insert into t values (1, 'a');
         create trigger tap after update on t for each row execute function pgq.sqltriga('q');
         create table named (name text collate loose primary key);
         insert into named values ('a');
         create trigger tap after update on named for each row execute function pgq.sqltriga('q')"
        ),
        &[
            ("update t set v = 'A'", &["v='A' where id='1'"], &["id='1' where id='1'"]),
            // And yet it is the same key.
            ("update named set name = 'A'", &["name='A' where name='a'"], &["name='a' where name='a'"]),
        ],
    );
}

/// So what is ignored is ignored only if nothing else can be seen to have changed.
#[test]
fn nor_is_such_a_change_one_of_ignored_columns_only() {
    differ(
        "create table t (id int primary key, n numeric, v text);
         insert into t values (1, 1.0, 'x');
         create trigger tap after update on t for each row execute function pgq.logutriga('q', 'ignore=v')",
        &[("update t set v = 'y', n = 1.00", &["id=1&n=1.00"], &[]), ("update t set v = 'z'", &[], &[])],
    );
}

/// The key keeps its value as far as `=` can tell, so the row is found; its new text is written like any other's.
#[test]
fn a_key_that_stays_equal_is_written_as_it_is_now() {
    differ(
        "create table t (id numeric primary key, v text);
         insert into t values (1.0, 'x');
         create trigger tap after update on t for each row execute function pgq.sqltriga('q')",
        &[
            ("update t set id = 1.00", &["id='1.00' where id='1.0'"], &["id='1.0' where id='1.0'"]),
            ("update t set v = 'y', id = 1", &["id='1',v='y' where id='1.00'"], &["v='y' where id='1.00'"]),
        ],
    );
}

/// PostgreSQL does not rename the columns of an index: the names of a key are those of the table.
#[test]
fn a_renamed_key_has_its_new_name() {
    for mut scene in Scene::on_each("differences") {
        scene.exec("create table t (id int primary key, v text); insert into t values (1, 'x')");
        scene.capture_by_all("t", "");
        scene.exec("alter table t rename id to ident");
        let (key, condition) = if scene.is_original() { ("id", "") } else { ("ident", "ident='1'") };
        scene.writes(
            "update t set v = 'y'",
            &[
                &format!(r#"{{"op":"UPDATE","table":["public","t"],"pkey":["{key}"]}} | {{"ident":1,"v":"y"}} | public.t"#),
                &format!("U:{key} | ident=1&v=y | public.t"),
                &format!("U | v='y' where {condition} | public.t"),
            ],
        );
    }
}

/// Columns that an index only includes do not tell rows apart.
#[test]
fn an_included_column_is_not_in_the_key() {
    for mut scene in Scene::on_each("differences") {
        scene.exec("create table t (id int, more int, v text, primary key (id) include (more))");
        scene.capture("t", "logutriga('q')");
        let key = if scene.is_original() { "id,more" } else { "id" };
        scene.writes("insert into t values (1, 2, 'x')", &[&format!("I:{key} | id=1&more=2&v=x | public.t")]);
        if !scene.is_original() {
            scene.writes("update t set more = 3", &["U:id | id=1&more=3&v=x | public.t"]);
        }
    }
}

/// Names are trimmed, and may be quoted, where the original takes a list as it stands.
#[test]
fn a_list_of_columns_is_read_as_names() {
    for mut scene in Scene::on_each("differences") {
        scene.exec(r#"create table t (id int, v text, "a b" text, "Qty" int)"#);
        for (option, ours, originals) in [
            ("pkey= v , id ", ["I:v,id", r#"["v","id"]"#], ["I: v , id ", r#"[" v "," id "]"#]),
            (r#"pkey="Qty""#, ["I:Qty", r#"["Qty"]"#], [r#"I:"Qty""#, r#"["\"Qty\""]"#]),
        ] {
            let [kind, list] = if scene.is_original() { originals } else { ours };
            scene.capture_by_all("t", &format!("'{option}'"));
            scene.writes(
                "insert into t values (1, 'x', 'y', 2)",
                &[
                    &format!(
                        r#"{{"op":"INSERT","table":["public","t"],"pkey":{list}}} | {{"id":1,"v":"x","a b":"y","Qty":2}} | public.t"#
                    ),
                    &format!("{kind} | id=1&v=x&a+b=y&Qty=2 | public.t"),
                    r#"I | (id,v,"a b","Qty") values ('1','x','y','2') | public.t"#,
                ],
            );
        }
        // Of a name with a blank in it the original also takes the words.
        scene.exec("alter table t add a text");
        scene.capture("t", "logutriga('q', 'ignore=a b')");
        let rest = if scene.is_original() { "id=1&v=x&Qty=2" } else { "id=1&v=x&Qty=2&a" };
        scene.exec("drop trigger tap_jsontriga on t; drop trigger tap_logutriga on t; drop trigger tap_sqltriga on t");
        scene.writes_data("insert into t values (1, 'x', 'y', 2)", &[rest]);
    }
}

/// `ev_type=` with nothing after it says nothing; NULL can be said.
#[test]
fn an_empty_expression_is_none() {
    for mut scene in Scene::on_each("differences") {
        scene.exec("create table t (id int primary key)");
        for expression in ["", "  ", "/* nothing */"] {
            scene.capture("t", &format!("logutriga('q', 'ev_extra1={expression}')"));
            if scene.is_original() {
                scene.writes("insert into t values (1)", &["I:id | id=1"]);
                scene.writes("delete from t", &["D:id | id=1"]);
            } else {
                scene.refuses("insert into t values (1)", state::UNREADABLE, &["public.t", "ev_extra1="]);
            }
        }
    }
}
