//! The trigger functions of PgQ 2.1: a letter for each column says whether it is a key, a value or ignored.

use super::{Scene, state};

const TABLE: &str = r#"
    create table t (a int, "b c" int, "D" int, v text);
    insert into t values (1, 2, 3, 'x')"#;

fn with_table(mut scene: Scene) -> Scene {
    scene.exec(TABLE);
    scene
}

#[test]
fn it_writes_what_sqltriga_writes() {
    for scene in Scene::on_each("logtriga") {
        let mut scene = with_table(scene);
        // The third argument never had an effect.
        for letters in ["'kkvv'", "'kkvv', 'other'", "'kkvv', ''"] {
            scene.capture("t", &format!("logtriga('q', {letters})"));
            scene.writes(
                "insert into t values (7, 8, null, 'y'); delete from t where a = 7",
                &[
                    r#"I | (a,"b c","D",v) values ('7','8',null,'y') | public.t"#,
                    r#"D | a='7' and "b c"='8' | public.t"#,
                ],
            );
            scene.writes(
                r#"update t set "D" = null, v = E'\\'; update t set v = v; update t set "D" = 3, v = 'x'"#,
                &[
                    r#"U | "D"=NULL,v=E'\\' where a='1' and "b c"='2' | public.t"#,
                    r#"U | a='1' where a='1' and "b c"='2' | public.t"#,
                    r#"U | "D"='3',v='x' where a='1' and "b c"='2' | public.t"#,
                ],
            );
        }
    }
}

#[test]
fn letters_say_what_a_column_is_and_a_primary_key_does_not_matter() {
    for scene in Scene::on_each("logtriga") {
        let mut scene = with_table(scene);
        scene.exec("alter table t add primary key (v)");
        for (letters, inserted, updated, deleted) in [
            (
                "kkvv",
                r#"(a,"b c","D",v) values ('7','8','9','y')"#,
                r#""D"='0',v='z'"#,
                r#"a='7' and "b c"='8'"#,
            ),
            ("kkiv", r#"(a,"b c",v) values ('7','8','y')"#, "v='z'", r#"a='7' and "b c"='8'"#),
            ("ikvv", r#"("b c","D",v) values ('8','9','y')"#, r#""D"='0',v='z'"#, r#""b c"='8'"#),
            // Columns beyond the last letter are ignored, letters beyond the last column do not matter.
            ("kv", r#"(a,"b c") values ('7','8')"#, "", "a='7'"),
            ("kvvvi", r#"(a,"b c","D",v) values ('7','8','9','y')"#, r#""D"='0',v='z'"#, "a='7'"),
        ] {
            scene.capture("t", &format!("logtriga('q', '{letters}')"));
            scene.writes_data("insert into t values (7, 8, 9, 'y')", &[inserted]);
            let update = format!("{updated} where {deleted}");
            // A change of ignored columns only is no event.
            let updates: &[&str] = if updated.is_empty() { &[] } else { &[&update] };
            scene.writes_data(r#"update t set "D" = 0, v = 'z' where a = 7"#, updates);
            scene.writes_data("delete from t where a = 7", &[deleted]);
        }
    }
}

#[test]
fn letters_follow_the_columns_that_are_there() {
    for scene in Scene::on_each("logtriga") {
        let mut scene = with_table(scene);
        scene.capture("t", "logtriga('q', 'kiv')");
        scene.writes_data("update t set v = 'y', a = a", &[]);
        scene.exec(r#"alter table t drop "b c""#);
        scene.writes_data("update t set v = 'z'", &["v='z' where a='1'"]);
        scene.writes_data(r#"update t set "D" = 0"#, &[]);
        scene.exec("alter table t add _pgq_ev_extra2 text, add w text");
        scene.capture("t", "logtriga('q', 'kvviv')");
        // A field of the event has a letter like any column, and none of them makes it data.
        scene.writes("update t set w = 'w', _pgq_ev_extra2 = '2'", &["U | w='w' where a='1' | public.t | 2"]);
    }
}

#[test]
fn key_updates_and_null_keys_are_refused() {
    for scene in Scene::on_each("logtriga") {
        let mut scene = with_table(scene);
        scene.capture("t", "logtriga('q', 'kkii')");
        scene.refuses("update t set a = 2", state::KEY_UPDATE, &["public.t", "tap", "a"]);
        scene.refuses(
            r#"update t set "b c" = null, v = 'y'"#,
            state::KEY_UPDATE,
            &["public.t", "tap", "b c"],
        );
        scene.writes_data("insert into t values (null, 2, 3, 'y')", &[r#"(a,"b c") values (null,'2')"#]);
        scene.refuses("update t set a = a where a is null", state::NULL_KEY, &["public.t", "tap", "a"]);
        scene.refuses("delete from t where a is null", state::NULL_KEY, &["public.t", "tap", "a"]);
    }
}

#[test]
fn truncate_is_an_event() {
    for scene in Scene::on_each("logtriga") {
        let mut scene = with_table(scene);
        scene.capture_truncate("t", "logtriga('q', 'kkvv')");
        scene.writes("truncate t", &["R |  | public.t"]);
        scene.capture_truncate("t", "logtriga('q', 'vvvv')");
        scene.refuses("truncate t", state::BAD_ARGUMENTS, &["public.t", "tap"]);
    }
}

#[test]
fn misuse_is_refused() {
    for scene in Scene::on_each("logtriga") {
        let mut scene = with_table(scene);
        for arguments in
            ["", "'q'", "'q', 'kkvv', 'x', 'y'", "'q', ''", "'q', 'vvvv'", "'q', 'iivvk'", "'q', 'kvvvvk'"]
        {
            scene.capture("t", &format!("logtriga({arguments})"));
            scene.refuses("insert into t values (1)", state::BAD_ARGUMENTS, &["public.t", "tap"]);
            scene.refuses("update t set v = v", state::BAD_ARGUMENTS, &["public.t", "tap"]);
        }
        scene.capture("t", "logtriga('nosuch', 'k')");
        scene.refuses("insert into t values (1)", "42704", &["nosuch"]);
        scene.tap("t", "before insert", "row", "logtriga('q', 'kkvv')");
        scene.refuses("insert into t values (1)", state::BAD_ARGUMENTS, &["public.t", "tap"]);
        scene.tap("t", "before truncate", "statement", "logtriga('q', 'kkvv')");
        scene.refuses("truncate t", state::BAD_ARGUMENTS, &["public.t", "tap"]);
        scene.tap("t", "after insert", "statement", "logtriga('q', 'kkvv')");
        scene.refuses("insert into t values (1)", state::NOT_A_TRIGGER, &["public.t", "tap"]);
        scene.exec("drop trigger tap on t; create view w as select * from t");
        scene.tap("w", "instead of insert", "row", "logtriga('q', 'kkvv')");
        scene.refuses("insert into w values (1)", state::BAD_ARGUMENTS, &["public.w", "tap"]);
    }
}

#[test]
fn other_letters_are_refused() {
    // The original takes them for v.
    let mut scene = with_table(Scene::ours("logtriga"));
    for letters in ["kxvv", "Kkvv", "k vv", "kkvv ", "kké"] {
        scene.capture("t", &format!("logtriga('q', '{letters}')"));
        scene.refuses("insert into t values (1)", state::BAD_ARGUMENTS, &["public.t", "tap", letters]);
    }
}

#[test]
fn in_the_local_role_nothing_happens() {
    for scene in Scene::on_each("logtriga") {
        let mut scene = with_table(scene);
        scene.exec("set session_replication_role = local");
        scene.capture("t", "logtriga('nosuch')");
        scene.writes("update t set a = 2; delete from t", &[]);
    }
}

/// The contributed module's form: a statement of one's own, with `$1` the kind and `$2` the data.
mod with_a_statement {
    use super::*;

    fn seen(scene: &mut Scene) -> Vec<String> {
        scene.session.column("delete from seen returning concat_ws(' ', kind, data)", &[])
    }

    fn with_seen() -> Scene {
        let mut scene = with_table(Scene::ours("logtriga"));
        scene.exec("create table seen (kind text, data text)");
        scene
    }

    #[test]
    fn it_gets_kind_and_data() {
        let mut scene = with_seen();
        scene.capture("t", "logtriga('kkvv', 'insert into seen values ($1, $2)')");
        scene.exec("insert into t values (7, 8, null, 'y')");
        assert_eq!(seen(&mut scene), [r#"I (a,"b c","D",v) values ('7','8',null,'y')"#]);
        scene.exec("update t set v = 'z' where a = 7");
        assert_eq!(seen(&mut scene), [r#"U v='z' where a='7' and "b c"='8'"#]);
        scene.exec("delete from t where a = 7");
        assert_eq!(seen(&mut scene), [r#"D a='7' and "b c"='8'"#]);
        assert!(scene.events().is_empty());
    }

    #[test]
    fn a_key_may_change() {
        let mut scene = with_seen();
        scene.capture("t", "logtriga('kkvv', 'insert into seen values ($1, $2)')");
        scene.exec(r#"update t set a = 5, "b c" = "b c", v = 'y'"#);
        assert_eq!(seen(&mut scene), [r#"U a='5',v='y' where a='1' and "b c"='2'"#]);
    }

    #[test]
    fn it_has_the_rights_of_who_changes_the_table() {
        let mut scene = with_seen();
        let role = format!("{}_poor", scene.database.name());
        scene.exec(&format!("create role {role}; grant all on t to {role}"));
        scene.capture("t", "logtriga('kkvv', 'insert into seen values ($1, $2)')");
        scene.exec(&format!("set role {role}"));
        assert_eq!(scene.session.error("insert into t values (7, 8)").code, "42501");
        scene.exec(&format!("reset role; grant insert on seen to {role}; set role {role}"));
        scene.exec("insert into t values (7, 8); reset role");
        assert_eq!(seen(&mut scene).len(), 1);
        scene.exec(&format!("drop owned by {role}; drop role {role}"));
    }

    #[test]
    fn an_error_of_the_statement_is_the_users() {
        let mut scene = with_seen();
        for (statement, code) in [
            ("insert into nosuch values ($1, $2)", "42P01"),
            ("insert into seen values ($1, $2, $3)", "42P02"),
            ("select 1/length($1) - 1 / (length($1) - 1)", "22012"),
            ("nonsense", "42601"),
        ] {
            scene.capture("t", &format!("logtriga('kkvv', '{statement}')"));
            assert_eq!(scene.session.error("insert into t values (7, 8)").code, code, "{statement}");
        }
        // No statement consists of these letters only.
        scene.capture("t", "logtriga('kvi', 'kkvv')");
        scene.refuses("insert into t values (7, 8)", "42704", &["kvi"]);
    }

    #[test]
    fn what_no_trigger_can_do_is_refused() {
        let mut scene = with_seen();
        for statement in ["commit", "rollback", "copy seen from stdin", "copy seen to stdout"] {
            scene.capture("t", &format!("logtriga('kkvv', '{statement}')"));
            scene.refuses("insert into t values (7, 8)", "0A000", &["public.t", "tap"]);
        }
    }

    #[test]
    fn the_statement_follows_the_tables_it_names() {
        let mut scene = with_seen();
        scene.capture("t", "logtriga('kkvv', 'insert into seen values ($1, $2)')");
        scene.exec("insert into t values (7, 8)");
        scene.exec("drop table seen; create table seen (kind text, data text)");
        scene.exec("insert into t values (8, 8)");
        assert_eq!(seen(&mut scene).len(), 1);
    }
}
