//! An update that moves a row to another key: refused, or told as two events.

use super::{FUNCTIONS, Scene, state};

#[test]
fn a_key_must_not_change() {
    for mut scene in Scene::on_each("formats") {
        scene
            .exec("create table t (id int primary key, other int, v text); insert into t values (1, 1, 'x')");
        for function in FUNCTIONS {
            scene.capture("t", &format!("{function}('q')"));
            scene.refuses("update t set id = 2", state::KEY_UPDATE, &["public.t", "tap", "id"]);
            // An ignored key is a key.
            scene.capture("t", &format!("{function}('q', 'ignore=id')"));
            scene.refuses("update t set id = 2, v = 'y'", state::KEY_UPDATE, &["public.t", "tap", "id"]);
            scene.capture("t", &format!("{function}('q', 'pkey=other')"));
            scene.refuses("update t set other = null", state::KEY_UPDATE, &["public.t", "tap", "other"]);
            scene.exec("update t set id = id + 1; drop trigger tap on t; update t set id = 1");
            scene.events();
        }
    }
}

#[test]
fn a_key_has_changed_if_its_equality_says_so() {
    for mut scene in Scene::on_each("formats") {
        scene.exec("create table t (id numeric primary key, v text); insert into t values (1.0, 'x')");
        scene.capture("t", "logutriga('q')");
        scene.writes("update t set id = 1.00", &["U:id | id=1.00&v=x | public.t"]);
    }
}

#[test]
fn with_keyupdate_it_is_a_delete_and_an_insert() {
    let mut scene = Scene::ours("key_updates");
    scene.exec(
        "create table t (id int, line int, v text, primary key (id, line)); insert into t values (1, 1, 'x'), (2, 1, 'y')",
    );
    scene.capture_by_all("t", "'keyupdate'");
    scene.writes(
        "update t set id = 3, v = 'z' where id = 1",
        &[
            r#"{"op":"DELETE","table":["public","t"],"pkey":["id","line"]} | {"id":1,"line":1,"v":"x"} | public.t"#,
            r#"{"op":"INSERT","table":["public","t"],"pkey":["id","line"]} | {"id":3,"line":1,"v":"z"} | public.t"#,
            "D:id,line | id=1&line=1&v=x | public.t",
            "I:id,line | id=3&line=1&v=z | public.t",
            "D | id='1' and line='1' | public.t",
            "I | (id,line,v) values ('3','1','z') | public.t",
        ],
    );
    // An update that leaves the key is one, an update of nothing too.
    scene.capture("t", "logutriga('q', 'keyupdate')");
    for function in FUNCTIONS {
        scene.exec(&format!("drop trigger tap_{function} on t"));
    }
    scene.writes("update t set v = 'w' where id = 3", &["U:id,line | id=3&line=1&v=w | public.t"]);
    scene.writes("update t set id = id where id = 3", &["U:id,line | id=3&line=1&v=w | public.t"]);
    // Rows one after the other.
    scene.writes(
        "update t set id = id * 10",
        &[
            "D:id,line | id=2&line=1&v=y | public.t",
            "I:id,line | id=20&line=1&v=y | public.t",
            "D:id,line | id=3&line=1&v=w | public.t",
            "I:id,line | id=30&line=1&v=w | public.t",
        ],
    );
}

#[test]
fn both_events_obey_the_other_options() {
    let mut scene = Scene::ours("key_updates");
    scene.exec("create table t (id int primary key, v text, w text); insert into t values (1, 'x', 'w')");
    scene.capture("t", "logutriga('q', 'keyupdate', 'backup', 'ignore=w', 'ev_extra3=id', 'when=id < 3')");
    scene.writes(
        "update t set id = 2, w = 'y'",
        &["D:id | id=1&v=x | public.t | NULL | 1", "I:id | id=2&v=x | public.t | NULL | 2"],
    );
    // Each is asked by itself whether it is wanted.
    scene.writes("update t set id = 3", &["D:id | id=2&v=x | public.t | NULL | 2"]);
    scene.writes("update t set id = 4", &[]);
    scene.writes("update t set id = 1", &["I:id | id=1&v=x | public.t | NULL | 1"]);
    // An ignored key is a key.
    scene.capture("t", "sqltriga('q', 'keyupdate', 'ignore=id')");
    scene.writes("update t set id = 2", &["D | id='1' | public.t", "I | (v,w) values ('x','y') | public.t"]);
    scene.tap("t", "before update", "row", "logutriga('q', 'keyupdate', 'SKIP')");
    scene
        .writes("update t set id = 9", &["D:id | id=2&v=x&w=y | public.t", "I:id | id=9&v=x&w=y | public.t"]);
    assert_eq!(scene.session.column::<i32>("select id from t", &[]), [2]);
    scene.capture("t", "logutriga('q', 'keyupdate', 'deny')");
    scene.refuses("update t set id = 9", state::DENIED, &["public.t", "UPDATE"]);
}

#[test]
fn a_key_of_ones_own_choice_may_become_null() {
    let mut scene = Scene::ours("key_updates");
    scene.exec("create table t (a int, v text); insert into t values (1, 'x')");
    scene.capture("t", "logutriga('q', 'pkey=a', 'keyupdate')");
    scene.writes("update t set a = null", &["D:a | a=1&v=x | public.t", "I:a | a&v=x | public.t"]);
    scene.writes("update t set v = 'y'", &["U:a | a&v=y | public.t"]);
    scene.capture("t", "sqltriga('q', 'pkey=a', 'keyupdate')");
    scene.refuses("update t set a = 1", state::NULL_KEY, &["public.t", "tap", "a"]);
    scene.exec("drop trigger tap on t; update t set a = 1");
    scene.capture("t", "sqltriga('q', 'pkey=a', 'keyupdate')");
    scene
        .writes("update t set a = null", &["D | a='1' | public.t", "I | (a,v) values (null,'y') | public.t"]);
}

#[test]
fn magic_columns_are_those_of_the_row_that_is_told() {
    let mut scene = Scene::ours("key_updates");
    scene.exec("create table t (id int primary key, _pgq_ev_extra2 text); insert into t values (1, 'old')");
    scene.capture("t", "logutriga('q', 'keyupdate')");
    scene.writes(
        "update t set id = 2, _pgq_ev_extra2 = 'new'",
        &["D:id | id=1 | public.t | old", "I:id | id=2 | public.t | new"],
    );
}
