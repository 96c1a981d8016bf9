//! Triggers write through `pgq.insert_event`, whatever that is at the moment, with the rights of the current user.

use super::{FUNCTIONS, Scene};

/// A function in place of ours, with this body.
fn replaced_by(body: &str) -> String {
    format!(
        "create or replace function pgq.insert_event(
             queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
         returns bigint language plpgsql as $$ begin {body} end $$"
    )
}

/// A table, and another one for what is intercepted.
fn with_table(mut scene: Scene) -> Scene {
    scene.exec("create table t (id int primary key, v text); create table seen (what text); grant all on t, seen to public");
    scene
}

const NOTE: &str =
    "insert into public.seen values (concat_ws(' ', queue_name, ev_type, ev_data, ev_extra1, ev_extra2,
                                                              coalesce(ev_extra3, 'NULL'))); return null;";

#[track_caller]
fn seen(scene: &mut Scene) -> Vec<String> {
    scene.session.column("delete from seen returning what", &[])
}

#[test]
fn who_replaces_insert_event_gets_the_events() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        scene.capture("t", "logutriga('q', 'backup')");
        scene.writes("insert into t values (1, 'x')", &["I:id | id=1&v=x | public.t"]);
        // In mid-session, and what was intercepted is not in the queue.
        scene.exec(&replaced_by(NOTE));
        scene.writes("update t set v = 'y'", &[]);
        assert_eq!(seen(&mut scene), ["q U:id id=1&v=y public.t id=1&v=x NULL"], "{}", scene.whose());
        scene.capture_truncate("t", "logutriga('q')");
        scene.writes("truncate t", &[]);
        assert_eq!(seen(&mut scene), ["q R  public.t NULL"], "{}", scene.whose());
    }
}

#[test]
fn and_it_is_looked_for_within_a_transaction_too() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        scene.capture("t", "logutriga('q')");
        let original: String = scene.session.one(
            "select pg_get_functiondef('pgq.insert_event(text,text,text,text,text,text,text)'::regprocedure)",
            &[],
        );
        scene.exec("begin; insert into t values (1)");
        scene.exec(&replaced_by(NOTE));
        scene.exec("insert into t values (2)");
        // And back again.
        scene.exec("savepoint s");
        scene.exec(&original);
        scene.exec("insert into t values (3); rollback to s; insert into t values (4)");
        scene.exec(&original);
        scene.exec("insert into t values (5)");
        scene.writes("commit", &["I:id | id=1&v | public.t", "I:id | id=5&v | public.t"]);
        let noted = ["q I:id id=2&v public.t NULL", "q I:id id=4&v public.t NULL"];
        assert_eq!(seen(&mut scene), noted, "{}", scene.whose());
    }
}

#[test]
fn another_session_may_replace_it() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        scene.capture_by_all("t", "");
        scene.exec("insert into t values (1)");
        assert_eq!(scene.events().len(), 3);
        scene.database.connect().exec(&replaced_by(NOTE));
        scene.writes("insert into t values (2)", &[]);
        assert_eq!(seen(&mut scene).len(), 3, "{}", scene.whose());
    }
}

#[test]
fn its_errors_are_those_of_the_statement() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        scene.exec(&replaced_by("raise exception 'no %', ev_type using errcode = 'PQ001';"));
        for function in FUNCTIONS {
            scene.capture("t", &format!("{function}('q')"));
            let error = scene.session.batch_execute("insert into t values (1)").unwrap_err();
            let error = error.as_db_error().unwrap();
            // A state that the server does not know, too, and where it comes from.
            assert_eq!(error.code().code(), "PQ001", "{}", scene.whose());
            assert!(error.message().starts_with("no "), "{error:?}");
            let context = error.where_().unwrap();
            assert!(context.contains("PL/pgSQL function pgq.insert_event"), "{}: {context}", scene.whose());
            if !scene.is_original() {
                assert!(context.contains(r#"trigger "tap" on table "t""#), "{context}");
            }
        }
    }
}

#[test]
fn errors_of_inserting_name_the_trigger() {
    let mut scene = with_table(Scene::ours("interception"));
    let sequence: String = scene.session.one("select queue_event_seq from pgq.queue", &[]);
    scene.exec(&format!("alter sequence {sequence} maxvalue 3; select pgq.insert_event('q', 'x', 'x')"));
    for level in ["row", "referencing new table as n for each statement"] {
        scene.exec(&format!(
            "drop trigger if exists tap on t;
             create trigger tap after insert on t {} execute function pgq.logutriga('q')",
            level.replace("row", "for each row")
        ));
        let error = scene.session.batch_execute("insert into t select generate_series(1, 9)").unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "2200H", "{error:?}");
        assert_eq!(error.where_(), Some(r#"trigger "tap" on table "t""#), "{error:?}");
    }
}

#[test]
fn errors_of_reading_a_value_name_the_trigger() {
    // A value that is damaged: its label is gone.
    let mut scene = Scene::ours("interception");
    scene.exec("create type kind as enum ('a'); create table t (id int primary key, k kind); insert into t values (1, 'a')");
    scene.exec("delete from pg_enum where enumtypid = 'kind'::regtype");
    for function in FUNCTIONS {
        scene.capture("t", &format!("{function}('q')"));
        let error = scene.session.batch_execute("insert into t select 2, k from t").unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "22P03", "{error:?}");
        assert_eq!(error.where_(), Some(r#"trigger "tap" on table "t""#), "{error:?}");
    }
}

#[test]
fn what_is_altered_is_not_ours_any_more() {
    // Each is honoured: a setting of the function, another owner's rights, another language.
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        scene.capture("t", "logutriga('q')");
        scene.exec("insert into t values (1)");
        scene.exec("alter function pgq.insert_event(text, text, text, text, text, text, text) set search_path = public");
        scene.exec("insert into t values (2)");
        scene.exec(
            "alter function pgq.insert_event(text, text, text, text, text, text, text) security definer",
        );
        scene.exec("insert into t values (3)");
        assert_eq!(scene.events().len(), 3, "{}", scene.whose());
        scene.exec(
            "create or replace function pgq.insert_event(
                 queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
             returns bigint language sql as
             $$ insert into public.seen values (ev_data); select 1::bigint $$",
        );
        scene.writes("insert into t values (4)", &[]);
        assert_eq!(seen(&mut scene), ["id=4&v"], "{}", scene.whose());
    }
}

#[test]
fn the_current_user_must_be_allowed_to_write() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        let name = scene.database.name().to_owned();
        let (writer, poor) = (format!("{name}_writer"), format!("{name}_poor"));
        scene.exec(&format!("create role {writer} in role pgq_writer; create role {poor}"));
        for function in FUNCTIONS {
            scene.capture("t", &format!("{function}('q')"));
            // The same session, now as one and now as the other.
            scene.exec("insert into t values (1)");
            assert_eq!(scene.events().len(), 1, "{}", scene.whose());
            scene.exec(&format!("set role {poor}"));
            scene.refuses("insert into t values (2)", "42501", &["insert_event"]);
            scene.exec(&format!("set role {writer}"));
            scene.exec("insert into t values (2)");
            assert_eq!(scene.events().len(), 1, "{}", scene.whose());
            scene.exec(&format!("reset role; revoke pgq_writer from {writer}; set role {writer}"));
            scene.refuses("insert into t values (3)", "42501", &["insert_event"]);
            scene.exec(&format!("reset role; grant pgq_writer to {writer}; set role {writer}"));
            // Within one transaction.
            scene.exec("begin; insert into t values (4)");
            scene.exec(&format!("set local role {poor}; savepoint s"));
            assert_eq!(scene.session.error("insert into t values (5)").code, "42501", "{}", scene.whose());
            scene.exec(&format!("rollback to s; set local role {writer}; insert into t values (5); commit"));
            assert_eq!(scene.events().len(), 2, "{}", scene.whose());
            // From another session, while this one goes on.
            let mut admin = scene.database.connect();
            let right = "execute on function pgq.insert_event(text, text, text, text, text, text, text)";
            admin.exec(&format!("revoke {right} from pgq_writer"));
            scene.refuses("insert into t values (6)", "42501", &["insert_event"]);
            admin.exec(&format!("grant {right} to pgq_writer"));
            scene.exec("insert into t values (6); reset role; drop trigger tap on t; truncate t");
            assert_eq!(scene.events().len(), 1, "{}", scene.whose());
        }
        scene.exec(&format!("drop owned by {writer}, {poor}; drop role {writer}, {poor}"));
    }
}

#[test]
fn in_a_security_definer_function_the_definer_writes() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        let poor = format!("{}_poor", scene.database.name());
        scene.exec(&format!(
            "create role {poor};
             create function put(int) returns void security definer language sql as 'insert into t values ($1)';
             create function put_too(int) returns void security definer language sql as 'insert into t values ($1)';
             grant create on schema public to {poor}; alter function put_too owner to {poor}"
        ));
        scene.capture("t", "logutriga('q')");
        scene.exec(&format!("set role {poor}"));
        scene.writes("select put(1)", &["I:id | id=1&v | public.t"]);
        scene.refuses("insert into t values (2)", "42501", &["insert_event"]);
        scene.exec("reset role");
        scene.refuses("select put_too(2)", "42501", &["insert_event"]);
        scene.exec(&format!("drop owned by {poor}; drop role {poor}"));
    }
}

#[test]
fn who_has_the_schema_hidden_cannot_write() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        let writer = format!("{}_writer", scene.database.name());
        scene.exec(&format!("create role {writer} in role pgq_writer"));
        scene.capture("t", "logutriga('q')");
        scene.exec(&format!("set role {writer}"));
        scene.writes("insert into t values (1)", &["I:id | id=1&v | public.t"]);
        scene.exec("reset role; revoke usage on schema pgq from public");
        scene.exec(&format!("set role {writer}"));
        scene.refuses("insert into t values (2)", "42501", &["pgq"]);
        scene.exec(&format!("reset role; drop owned by {writer}; drop role {writer}"));
    }
}

#[test]
fn nor_may_they_call_what_stands_in_for_it() {
    let mut scene = with_table(Scene::ours("interception"));
    let writer = format!("{}_writer", scene.database.name());
    scene.exec(&replaced_by(NOTE));
    scene.exec(&format!("create role {writer} in role pgq_writer; revoke usage on schema pgq from public"));
    scene.capture("t", "logutriga('q')");
    // Another user of the same session may.
    scene.exec("insert into t values (1)");
    scene.exec(&format!("set role {writer}"));
    scene.refuses("insert into t values (2)", "42501", &["schema pgq"]);
    scene.exec(&format!("reset role; drop owned by {writer}; drop role {writer}"));
}

#[test]
fn no_event_in_a_transaction_that_only_reads() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        // A temporary table can be written even then.
        scene.exec("create temp table w (id int primary key)");
        scene.capture("w", "logutriga('q')");
        scene.exec("begin read only");
        scene.refuses("insert into w values (1)", "25006", &["read-only"]);
    }
}

#[test]
fn a_wait_for_the_event_table_can_be_given_up() {
    for scene in Scene::on_each("interception") {
        let mut scene = with_table(scene);
        let table: String = scene.session.one("select pgq.current_event_table('q')", &[]);
        for function in FUNCTIONS {
            scene.capture("t", &format!("{function}('q')"));
            let mut holder = scene.database.connect();
            holder.exec(&format!("begin; lock table {table}"));
            for (setting, code) in [("lock_timeout", "55P03"), ("statement_timeout", "57014")] {
                scene.exec(&format!("set {setting} = '20ms'"));
                let error = scene.session.error("insert into t values (1)");
                assert_eq!(error.code, code, "{}", scene.whose());
                scene.exec(&format!("reset {setting}"));
            }
            holder.exec("commit");
            scene.exec("insert into t values (1); delete from t");
            assert_eq!(scene.events().len(), 2, "{}", scene.whose());
        }
    }
}
