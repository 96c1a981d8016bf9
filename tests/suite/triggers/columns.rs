//! Columns that are not written like the others: ignored ones, and those that are fields of the event.

use super::{FUNCTIONS, Scene, state};

#[test]
fn an_ignored_column_is_nowhere_but_in_keys() {
    for mut scene in Scene::on_each("columns") {
        scene.exec(r#"create table t (a int, "b c" int, "D" int, v text, primary key ("b c", a))"#);
        scene.capture_by_all("t", "'ignore= a , v', 'backup'");
        scene.writes(
            "insert into t values (1, 2, 3, 'x')",
            &[
                r#"{"op":"INSERT","table":["public","t"],"pkey":["b c","a"]} | {"b c":2,"D":3} | public.t"#,
                "I:b c,a | b+c=2&D=3 | public.t",
                r#"I | ("b c","D") values ('2','3') | public.t"#,
            ],
        );
        scene.writes(
            r#"update t set "D" = 5, v = 'y'"#,
            &[
                r#"{"op":"UPDATE","table":["public","t"],"pkey":["b c","a"]} | {"b c":2,"D":5} | public.t | {"b c":2,"D":3}"#,
                "U:b c,a | b+c=2&D=5 | public.t | b+c=2&D=3",
                r#"U | "D"='5' where a='1' and "b c"='2' | public.t | b+c=2&D=3"#,
            ],
        );
        scene.writes_data("delete from t", &[r#"{"b c":2,"D":5}"#, "b+c=2&D=5", r#"a='1' and "b c"='2'"#]);
    }
}

#[test]
fn an_update_of_ignored_columns_only_is_no_event() {
    for mut scene in Scene::on_each("columns") {
        scene
            .exec("create table t (id int primary key, v text, w text); insert into t values (1, 'x', null)");
        scene.capture_by_all("t", "'ignore=v,w'");
        scene.writes("update t set v = 'y'", &[]);
        scene.writes("update t set v = null, w = 'z'", &[]);
        // But one of nothing at all is.
        let nothing = [r#"{"id":1}"#, "id=1", "id='1' where id='1'"];
        scene.writes_data("update t set w = w", &nothing);
        scene.writes_data("update t set id = id", &nothing);
        scene.capture_by_all("t", "");
        scene.writes_data(
            "update t set w = w",
            &[r#"{"id":1,"v":null,"w":"z"}"#, "id=1&v&w=z", "id='1' where id='1'"],
        );
    }
}

#[test]
fn all_columns_may_be_ignored() {
    for mut scene in Scene::on_each("columns") {
        scene.exec("create table t (id int primary key, v text)");
        scene.capture_by_all("t", "'ignore=id,v'");
        scene.writes_data("insert into t values (1, 'x')", &["{}", "", "() values ()"]);
        scene.writes_data("update t set v = 'y'", &[]);
        scene.writes_data("update t set v = v", &["{}", "", "id='1' where id='1'"]);
        scene.writes_data("delete from t", &["{}", "", "id='1'"]);
        scene.exec("create table bare ()");
        scene.capture_by_all("bare", "");
        scene.writes_data("insert into bare default values", &["{}", "", "() values ()"]);
    }
}

#[test]
fn a_list_of_columns_is_as_long_as_it_likes() {
    for mut scene in Scene::on_each("columns") {
        scene.exec(r#"create table t (id int primary key, "b c" int, "Qty" int, qty int, v text)"#);
        for (number, (list, data)) in [
            ("", "b+c&Qty&qty&v"),
            ("v", "b+c&Qty&qty"),
            (" v , qty ", "b+c&Qty"),
            ("Qty", "b+c&qty&v"),
            ("b c", "Qty&qty&v"),
            // Unknown names do not matter.
            ("nosuch,v", "b+c&Qty&qty"),
            (",v,,qty,", "b+c&Qty"),
        ]
        .into_iter()
        .enumerate()
        {
            scene.capture("t", &format!("logutriga('q', 'ignore={list}')"));
            scene.writes_data(&format!("insert into t values ({number})"), &[&format!("id={number}&{data}")]);
        }
        // The last list counts.
        scene.capture("t", "logutriga('q', 'ignore=qty', 'pkey=Qty', 'ignore=v', 'pkey=qty')");
        scene.writes("insert into t values (99)", &["I:qty | id=99&b+c&Qty&qty | public.t"]);
    }
}

#[test]
fn a_list_of_columns_knows_quotes() {
    // The original takes them as they are, so that such a name is none.
    let mut scene = Scene::ours("columns");
    scene.exec(r#"create table t (id int, "a,b" int, "c ""d" int, "Qty" int)"#);
    scene.capture_by_all("t", r#"'pkey="a,b", id ,"c ""d"', 'ignore="Qty"'"#);
    scene.writes(
        "insert into t values (1, 2, 3, 4)",
        &[
            r#"{"op":"INSERT","table":["public","t"],"pkey":["a,b","id","c \"d"]} | {"id":1,"a,b":2,"c \"d":3} | public.t"#,
            r#"I:a,b,id,c "d | id=1&a%2cb=2&c+%22d=3 | public.t"#,
            r#"I | (id,"a,b","c ""d") values ('1','2','3') | public.t"#,
        ],
    );
    scene.writes_data(
        "delete from t",
        &[
            r#"{"id":1,"a,b":2,"c \"d":3}"#,
            "id=1&a%2cb=2&c+%22d=3",
            r#"id='1' and "a,b"='2' and "c ""d"='3'"#,
        ],
    );
}

#[test]
fn a_column_with_a_magic_name_is_a_field_of_the_event() {
    for mut scene in Scene::on_each("columns") {
        scene.exec(
            "create table t (v text, _pgq_ev_type text, _pgq_ev_data text, _pgq_ev_extra1 text, _pgq_ev_extra2 text,
                             _pgq_ev_extra3 text, _pgq_ev_extra4 text)",
        );
        for function in FUNCTIONS {
            scene.tap("t", "before insert", "row", &format!("{function}('q', 'SKIP', 'backup')"));
            scene.writes("insert into t values ('v', 'T', 'D', 'X1')", &["T | D | X1"]);
            scene.writes("insert into t values ('v', '', '', '', '2', '3', '4')", &[" |  |  | 2 | 3 | 4"]);
            scene.writes(
                "insert into t values ('v', null, null, null, null, null, '4')",
                &["NULL | NULL | NULL | NULL | NULL | 4"],
            );
        }
        assert_eq!(scene.session.one::<i64>("select count(*) from t", &[]), 0);
    }
}

#[test]
fn magic_columns_are_left_out_of_the_data() {
    for mut scene in Scene::on_each("columns") {
        scene.exec(
            "create table t (id int primary key, _pgq_ev_type int, v text, _pgq_ev_extra2 date, _pgq_x int);
             set datestyle = ISO",
        );
        scene.capture_by_all("t", "'backup'");
        scene.writes(
            "insert into t values (1, 7, 'v', '2024-01-01', 5)",
            &[
                r#"7 | {"id":1,"v":"v","_pgq_x":5} | public.t | 2024-01-01"#,
                "7 | id=1&v=v&_pgq_x=5 | public.t | 2024-01-01",
                "7 | (id,v,_pgq_x) values ('1','v','5') | public.t | 2024-01-01",
            ],
        );
        // NULL is a value too, and the field is the magic column's even where `backup` has something to say.
        scene.writes_data(
            "update t set v = 'w', _pgq_ev_extra2 = null",
            &[r#"{"id":1,"v":"w","_pgq_x":5}"#, "id=1&v=w&_pgq_x=5", "v='w' where id='1'"],
        );
        // There is nothing in such a column that sqltriga could set.
        scene.writes(
            "update t set _pgq_ev_type = 8",
            &[r#"8 | {"id":1,"v":"w","_pgq_x":5} | public.t"#, "8 | id=1&v=w&_pgq_x=5 | public.t"],
        );
        // Of a deleted row, the old one.
        scene.writes(
            "delete from t",
            &[
                r#"8 | {"id":1,"v":"w","_pgq_x":5} | public.t"#,
                "8 | id=1&v=w&_pgq_x=5 | public.t",
                "8 | id='1' | public.t",
            ],
        );
        // An ignored one is a field all the same; a change of it is none.
        scene.capture_by_all("t", "'ignore=_pgq_ev_type,v'");
        let events = [r#"7 | {"id":1,"_pgq_x":5}"#, "7 | id=1&_pgq_x=5", "7 | (id,_pgq_x) values ('1','5')"];
        scene.writes(
            "insert into t values (1, 7, 'v', '2024-01-01', 5)",
            &events.map(|event| format!("{event} | public.t | 2024-01-01")).each_ref().map(String::as_str),
        );
        scene.writes("update t set _pgq_ev_type = 8", &[]);
    }
}

#[test]
fn an_expression_has_the_last_word_after_magic_columns() {
    for mut scene in Scene::on_each("columns") {
        scene.exec(
            "create table t (id int primary key, v text, _pgq_ev_type text, _pgq_ev_extra1 text, _pgq_ev_extra2 text)",
        );
        scene.capture("t", "logutriga('q', 'backup', 'ev_type=_pgq_ev_type || v', 'ev_extra2=null')");
        scene.writes("insert into t values (1, 'v', 'T', 'X', 'Y')", &["Tv | id=1&v=v | X"]);
        scene.writes("update t set v = 'w'", &["Tw | id=1&v=w | X"]);
    }
}

#[test]
fn other_names_that_begin_like_magic_ones_are_refused_with_the_first_row() {
    for mut scene in Scene::on_each("columns") {
        for column in ["_pgq_ev_", "_pgq_ev_time", "_pgq_ev_extra5", "_pgq_ev_typ"] {
            scene.exec(&format!("create table t (id int primary key, {column} int, v text)"));
            for options in ["", ", 'when=false'", ", 'SKIP'"] {
                for function in FUNCTIONS {
                    scene.tap("t", "before insert", "row", &format!("{function}('q'{options})"));
                    scene.refuses(
                        "insert into t values (1)",
                        state::UNKNOWN_MAGIC,
                        &["public.t", "tap", column],
                    );
                }
            }
            scene.capture_truncate("t", "logutriga('q')");
            scene.writes("truncate t", &["R |  | public.t"]);
            scene.exec("drop table t");
        }
        for column in ["_pgq_ev", "_pgq_x", r#""_PGQ_EV_TYPE""#] {
            scene.exec(&format!("create table t (id int primary key, {column} int)"));
            scene.capture("t", "logutriga('q')");
            let name = column.trim_matches('"');
            scene.writes("insert into t values (1, 2)", &[&format!("I:id | id=1&{name}=2 | public.t")]);
            scene.exec("drop table t");
        }
    }
}

#[test]
fn what_no_field_can_hold_is_refused() {
    // Each byte becomes two, or three. A trigger before the operation is called before anything is stored.
    let mut scene = Scene::ours("columns");
    scene.exec("create table t (id int primary key, a text, b text, c text)");
    for function in FUNCTIONS {
        scene.tap("t", "before insert", "row", &format!("{function}('q')"));
        let insert = r"insert into t select 1, v, v, v from repeat('\', 180000000) v";
        let error = scene.refuses(insert, "54000", &["public.t", "tap"]);
        assert!(error.hint.unwrap().contains("ignore="));
    }
}
