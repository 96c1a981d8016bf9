//! The options, how they are misspelt and misused, and where a trigger may hang.

use super::{FUNCTIONS, Scene, state};

/// A table with a row.
fn with_table(mut scene: Scene) -> Scene {
    scene.exec("create table t (id int primary key, v text); insert into t values (1, 'x')");
    scene
}

#[test]
fn what_is_no_option_is_refused_when_the_trigger_fires() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        let misspelt = [
            "",
            "bad",
            "skip",
            "Backup",
            "backup=1",
            "backups",
            "deny2",
            "Deny",
            " pkey=id",
            "pkey =id",
            "PKEY=id",
            "ignore",
            "ev_extra0=1",
            "ev_extra5=1",
            "Ev_type=1",
            "ev_type =1",
            "WHEN=true",
            "when",
        ];
        for function in FUNCTIONS {
            for option in misspelt {
                scene.capture("t", &format!("{function}('q', 'backup', '{option}')"));
                let names = ["public.t", "tap", option];
                scene.refuses("insert into t values (2)", state::BAD_ARGUMENTS, &names);
                scene.refuses("update t set v = 'y'", state::BAD_ARGUMENTS, &names);
                scene.refuses("delete from t", state::BAD_ARGUMENTS, &names);
                scene.writes("insert into t select 1 where false; update t set v = '' where false", &[]);
            }
            scene.tap("t", "before truncate", "statement", &format!("{function}('q', 'bad')"));
            scene.refuses("truncate t", state::BAD_ARGUMENTS, &["public.t", "tap", "bad"]);
        }
    }
}

#[test]
fn a_trigger_needs_a_queue() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        for function in FUNCTIONS {
            scene.capture("t", &format!("{function}()"));
            scene.refuses("delete from t", state::BAD_ARGUMENTS, &["public.t", "tap"]);
            for queue in ["", "Q", "nosuch"] {
                scene.capture("t", &format!("{function}('{queue}')"));
                // It is insert_event that says so.
                scene.refuses("delete from t", "42704", &[&format!("\"{queue}\"")]);
            }
            scene.capture_truncate("t", &format!("{function}('nosuch')"));
            scene.refuses("truncate t", "42704", &["nosuch"]);
        }
    }
}

#[test]
fn a_trigger_function_can_only_be_called_by_a_trigger() {
    for mut scene in Scene::on_each("options") {
        for function in [FUNCTIONS.as_slice(), &["logtriga"]].concat() {
            scene.refuses(&format!("select pgq.{function}()"), state::NOT_A_TRIGGER, &[function]);
        }
    }
}

#[test]
fn rows_are_captured_one_by_one_and_truncate_is_a_statement() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        for function in FUNCTIONS {
            for when in ["before", "after"] {
                for (event, statement) in [
                    ("insert", "insert into t values (2)"),
                    ("update", "update t set v = v"),
                    ("delete", "delete from t"),
                ] {
                    scene.tap("t", &format!("{when} {event}"), "statement", &format!("{function}('q')"));
                    scene.refuses(statement, state::NOT_A_TRIGGER, &["public.t", "tap"]);
                }
            }
        }
    }
}

#[test]
fn a_before_trigger_lets_the_row_pass() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        for (function, update) in [
            ("jsontriga", r#"{"id":1,"v":"y"}"#),
            ("logutriga", "id=1&v=y"),
            ("sqltriga", "v='y' where id='1'"),
        ] {
            scene.tap("t", "before insert or update or delete", "row", &format!("{function}('q')"));
            scene.writes_data("update t set v = 'y'", &[update]);
            assert_eq!(scene.session.column::<String>("select v from t", &[]), ["y"]);
            scene.exec("delete from t");
            assert_eq!(scene.session.one::<i64>("select count(*) from t", &[]), 0);
            scene.exec("insert into t values (1, 'x')");
            assert_eq!(scene.events().len(), 2);
            assert_eq!(scene.session.column::<String>("select v from t", &[]), ["x"]);
        }
    }
}

#[test]
fn skip_logs_and_does_not_do() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        scene.tap("t", "before insert or update or delete", "row", "logutriga('q', 'SKIP', 'ignore=v')");
        scene.writes("insert into t values (2, 'y')", &["I:id | id=2 | public.t"]);
        let returned = scene.session.rows("insert into t values (3) returning id", &[]);
        assert!(returned.is_empty(), "{}", scene.whose());
        scene.writes("delete from t", &["I:id | id=3 | public.t", "D:id | id=1 | public.t"]);
        // It also holds where no event results.
        scene.writes("update t set v = 'y'", &[]);
        scene.tap("t", "before insert or update or delete", "row", "logutriga('q', 'SKIP', 'when=false')");
        scene.writes("insert into t values (2); update t set v = 'y'; delete from t", &[]);
        assert_eq!(scene.session.column::<String>("select v from t", &[]), ["x"], "{}", scene.whose());
        // A statement cannot be skipped.
        scene.tap("t", "before truncate", "statement", "logutriga('q', 'SKIP')");
        scene.writes("truncate t", &["R |  | public.t"]);
        assert_eq!(scene.session.one::<i64>("select count(*) from t", &[]), 0);
    }
}

#[test]
fn skip_comes_too_late_in_an_after_trigger() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        for function in FUNCTIONS {
            scene.capture("t", &format!("{function}('q', 'SKIP')"));
            for statement in ["insert into t values (2)", "update t set v = v", "delete from t"] {
                scene.refuses(statement, state::BAD_ARGUMENTS, &["public.t", "tap", "SKIP"]);
            }
            scene.capture_truncate("t", &format!("{function}('q', 'SKIP')"));
            scene.refuses("truncate t", state::BAD_ARGUMENTS, &["public.t", "tap", "SKIP"]);
        }
    }
}

#[test]
fn deny_refuses_every_operation() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        for function in FUNCTIONS {
            for options in ["", ", 'when=false'", ", 'ignore=v'"] {
                for (when, skip) in [("before", ", 'SKIP'"), ("before", ""), ("after", "")] {
                    scene.exec("drop trigger if exists tap on t");
                    scene.tap(
                        "t",
                        &format!("{when} insert or update or delete"),
                        "row",
                        &format!("{function}('nosuch', 'deny'{options}{skip})"),
                    );
                    for (operation, statement) in [
                        ("INSERT", "insert into t values (2)"),
                        ("UPDATE", "update t set v = 'y'"),
                        ("DELETE", "delete from t"),
                    ] {
                        let error =
                            scene.refuses(statement, state::DENIED, &["public.t", "nosuch", operation]);
                        assert!(error.message.contains(operation), "{error:?}");
                    }
                }
            }
            scene.capture_truncate("t", &format!("{function}('nosuch', 'deny')"));
            scene.refuses("truncate t", state::DENIED, &["public.t", "nosuch", "TRUNCATE"]);
        }
    }
}

#[test]
fn backup_keeps_the_old_row_of_an_update() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        scene.capture_by_all("t", "'backup'");
        scene.writes(
            "update t set v = null",
            &[
                r#"{"op":"UPDATE","table":["public","t"],"pkey":["id"]} | {"id":1,"v":null} | public.t | {"id":1,"v":"x"}"#,
                "U:id | id=1&v | public.t | id=1&v=x",
                "U | v=NULL where id='1' | public.t | id=1&v=x",
            ],
        );
        scene.writes(
            "delete from t; insert into t values (2, 'y')",
            &[
                r#"{"op":"DELETE","table":["public","t"],"pkey":["id"]} | {"id":1,"v":null} | public.t"#,
                "D:id | id=1&v | public.t",
                "D | id='1' | public.t",
                r#"{"op":"INSERT","table":["public","t"],"pkey":["id"]} | {"id":2,"v":"y"} | public.t"#,
                "I:id | id=2&v=y | public.t",
                "I | (id,v) values ('2','y') | public.t",
            ],
        );
    }
}

#[test]
fn pkey_names_the_key_of_a_table_with_or_without_one() {
    for mut scene in Scene::on_each("options") {
        scene.exec(
            r#"create table t (a int primary key, "B c" int, d text); insert into t values (1, 2, 'x')"#,
        );
        scene.capture_by_all("t", "'pkey=d,B c'");
        scene.writes(
            "update t set a = 5",
            &[
                r#"{"op":"UPDATE","table":["public","t"],"pkey":["d","B c"]} | {"a":5,"B c":2,"d":"x"} | public.t"#,
                "U:d,B c | a=5&B+c=2&d=x | public.t",
                r#"U | a='5' where "B c"='2' and d='x' | public.t"#,
            ],
        );
        scene.refuses("update t set d = 'y'", state::KEY_UPDATE, &["public.t", "d"]);
        scene.writes(
            "delete from t",
            &[
                r#"{"op":"DELETE","table":["public","t"],"pkey":["d","B c"]} | {"a":5,"B c":2,"d":"x"} | public.t"#,
                "D:d,B c | a=5&B+c=2&d=x | public.t",
                r#"D | "B c"='2' and d='x' | public.t"#,
            ],
        );
    }
}

#[test]
fn spaces_around_the_names_of_a_key_do_not_matter() {
    let mut scene = Scene::ours("options");
    scene.exec("create table t (a int, b int, c int)");
    scene.capture_by_all("t", "'pkey= b , c'");
    scene.writes(
        "insert into t values (1, 2, 3)",
        &[
            r#"{"op":"INSERT","table":["public","t"],"pkey":["b","c"]} | {"a":1,"b":2,"c":3} | public.t"#,
            "I:b,c | a=1&b=2&c=3 | public.t",
            "I | (a,b,c) values ('1','2','3') | public.t",
        ],
    );
}

#[test]
fn a_key_that_does_not_exist_is_refused() {
    let mut scene = with_table(Scene::ours("options"));
    for function in FUNCTIONS {
        for (list, missing) in [("nosuch", "nosuch"), ("id,ID", "ID"), (r#""Id""#, "Id")] {
            scene.capture("t", &format!("{function}('q', 'pkey={list}')"));
            for statement in ["insert into t values (2)", "update t set v = 'y'", "delete from t"] {
                scene.refuses(statement, state::UNKNOWN_COLUMN, &["public.t", "tap", missing]);
            }
        }
    }
}

#[test]
fn truncate_takes_no_option_about_rows() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        for function in FUNCTIONS {
            for option in
                ["backup", "pkey=id", "ignore=v", "ev_type=1", "ev_data=1", "ev_extra4=1", "when=true"]
            {
                scene.capture_truncate("t", &format!("{function}('q', '{option}')"));
                scene.refuses("truncate t", state::BAD_ARGUMENTS, &["public.t", "tap"]);
            }
        }
    }
}

#[test]
fn an_instead_of_trigger_makes_a_view_a_door_to_the_queue() {
    for mut scene in Scene::on_each("options") {
        scene.exec(
            "create table t (id int, v text); insert into t values (1, 'a');
             create view w as select id, v, id * 2 as twice from t",
        );
        for skip in ["", ", 'SKIP'"] {
            scene.tap(
                "w",
                "instead of insert or update or delete",
                "row",
                &format!("logutriga('q', 'pkey=id'{skip})"),
            );
            scene.writes("insert into w (id, v) values (7, 'b')", &["I:id | id=7&v=b&twice | public.w"]);
            scene.writes("update w set v = 'c'", &["U:id | id=1&v=c&twice=2 | public.w"]);
            scene.writes("delete from w", &["D:id | id=1&v=a&twice=2 | public.w"]);
            let returned = scene.session.rows("update w set v = 'd' returning v", &[]);
            assert_eq!(returned.len(), usize::from(skip.is_empty()), "{}", scene.whose());
            scene.events();
        }
        assert_eq!(scene.session.column::<String>("select v from t", &[]), ["a"], "{}", scene.whose());
        scene.tap("w", "instead of insert or update", "row", "logutriga('q')");
        scene.writes("insert into w (id) values (7)", &["I: | id=7&v&twice | public.w"]);
        scene.refuses("update w set v = 'e'", state::NO_KEY, &["public.w", "tap"]);
    }
}

#[test]
fn in_the_local_role_nothing_happens() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        scene.exec("set session_replication_role = local");
        for function in FUNCTIONS {
            scene.tap(
                "t",
                "before insert or update or delete",
                "row",
                &format!("{function}('q', 'SKIP', 'deny', 'bad')"),
            );
            scene.writes(
                "insert into t values (2); update t set id = 3 where id = 2; delete from t where id = 3",
                &[],
            );
            scene.tap("t", "before insert", "statement", &format!("{function}()"));
            scene.writes("insert into t values (2); delete from t where id = 2", &[]);
            scene.tap("t", "before truncate", "statement", &format!("{function}('q', 'deny')"));
            scene.writes("truncate t", &[]);
        }
        assert_eq!(scene.session.one::<i64>("select count(*) from t", &[]), 0, "{}", scene.whose());
    }
}

#[test]
fn in_the_replica_role_the_server_asks_the_trigger() {
    for scene in Scene::on_each("options") {
        let mut scene = with_table(scene);
        scene.capture("t", "logutriga('q')");
        scene.exec("set session_replication_role = replica");
        scene.writes("insert into t values (2)", &[]);
        for enabled in ["always", "replica"] {
            scene.exec(&format!("alter table t enable {enabled} trigger tap"));
            scene.writes("delete from t where id = 2", &["D:id | id=2&v | public.t"]);
            scene.exec("update pgq.queue set queue_disable_insert = true");
            scene.writes("insert into t values (2)", &["I:id | id=2&v | public.t"]);
            scene.exec("update pgq.queue set queue_disable_insert = false");
        }
        scene.exec("reset session_replication_role");
        scene.writes("delete from t where id = 2", &[]);
        scene.exec("alter table t enable always trigger tap");
        scene.exec("update pgq.queue set queue_disable_insert = true");
        scene.refuses("insert into t values (2)", "55000", &["q"]);
        scene.exec("alter table t disable trigger tap");
        scene.writes("insert into t values (2)", &[]);
    }
}

#[test]
fn refusals_come_in_a_fixed_order() {
    for mut scene in Scene::on_each("options") {
        scene.exec("create table t (a int, v text); insert into t values (1, 'x')");
        // Each is told although all that stand after it are there too.
        let wrong = ["'bad'", "'deny'", "'ev_type=1/0'"];
        scene.capture("t", &format!("sqltriga('nosuch', 'when=false', {})", wrong.join(", ")));
        scene.refuses("update t set a = 2", state::BAD_ARGUMENTS, &["bad"]);
        scene.capture("t", &format!("sqltriga('nosuch', 'when=false', {})", wrong[1..].join(", ")));
        scene.refuses("update t set a = 2", state::NO_KEY, &["public.t"]);
        scene.capture("t", &format!("sqltriga('nosuch', 'pkey=a', 'when=false', {})", wrong[1..].join(", ")));
        scene.refuses("update t set a = 2", state::DENIED, &["UPDATE"]);
        scene.capture("t", &format!("sqltriga('nosuch', 'pkey=a', 'when=false', {})", wrong[2]));
        scene.refuses("update t set a = 2", state::KEY_UPDATE, &["public.t"]);
        scene.refuses("update t set v = 'y'", "22012", &[]);
    }
}
