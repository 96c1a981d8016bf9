//! `pgq.capture` and `pgq.uncapture`: what they refuse at once, of whom they warn, and who cannot deceive them.

use super::{Scene, state};
use pgq_tests::client::Session;

const NO_RIGHT: &str = "42501";
const CAPTURED_ALREADY: &str = "42710";
const NO_TABLE: &str = "42809";

/// The call is refused, and nothing is made.
#[track_caller]
fn refused(session: &mut Session, call: &str, code: &str, names: &[&str]) {
    let error = session.error(&format!("select pgq.{call}"));
    assert_eq!(error.code, code, "{call}: {error:?}");
    let text = format!("{} {}", error.message, error.detail.unwrap_or_default());
    for name in names {
        assert!(text.contains(name), "{call}: should name {name}: {text}");
    }
    let made: i64 = session.one(
        "select count(*) from pg_trigger where tgname like '\\_pgq%' and tgname <> '_pgq_capture_q_row'",
        &[],
    );
    assert_eq!(made, 0, "{call}");
}

#[test]
fn what_the_triggers_would_refuse_is_refused_at_once() {
    let mut scene = Scene::ours("refusals");
    scene.exec(
        "create table t (id int primary key, v text); create table keyless (id int, v text);
         create table magic (id int primary key, _pgq_ev_nosuch text);
         create table tree (id int, v text) partition by range (id); create table leaf partition of tree default",
    );
    let session = &mut scene.session;
    for (call, code, names) in [
        ("capture('keyless', 'q')", state::NO_KEY, &["public.keyless"][..]),
        ("capture('tree', 'q')", state::NO_KEY, &["public.leaf"]),
        ("capture('t', 'q', i_options => '{bad}')", state::BAD_ARGUMENTS, &["\"bad\""]),
        ("capture('t', 'q', i_options => '{skip}')", state::BAD_ARGUMENTS, &["skip"]),
        ("capture('t', 'q', i_options => '{SKIP}')", state::BAD_ARGUMENTS, &["SKIP"]),
        ("capture('t', 'q', i_options => '{pkey=nosuch}')", state::UNKNOWN_COLUMN, &["nosuch", "public.t"]),
        ("capture('t', 'q', i_options => '{\"pkey=id,no such\"}')", state::UNKNOWN_COLUMN, &["no such"]),
        ("capture('tree', 'q', i_options => '{pkey=nosuch}')", state::UNKNOWN_COLUMN, &["nosuch"]),
        ("capture('t', 'q', i_options => '{ev_extra3=nosuch(id)}')", "42883", &[]),
        ("capture('t', 'q', i_options => '{when=id}')", state::WHEN_NOT_BOOLEAN, &["when=id"]),
        ("capture('t', 'q', i_options => '{ev_type=)}')", state::UNREADABLE, &[]),
        ("capture('t', 'q', i_options => array['ev_type=''x'])", state::UNREADABLE, &["ev_type"]),
        ("capture('magic', 'q')", state::UNKNOWN_MAGIC, &["_pgq_ev_nosuch"]),
        ("capture('t', 'nosuch')", "P0001", &["nosuch"]),
        ("capture('t', '')", "P0001", &[]),
        ("capture('t', 'q', 'nosuch')", state::BAD_ARGUMENTS, &["nosuch"]),
        ("capture('t', 'q', 'logtriga')", state::BAD_ARGUMENTS, &["logtriga"]),
        ("capture('t', 'q', i_operations => '{insert,merge}')", state::BAD_ARGUMENTS, &["merge"]),
        ("capture('t', 'q', i_operations => '{}')", state::BAD_ARGUMENTS, &["no operation"]),
        ("capture('t', 'q', i_operations => null)", state::BAD_ARGUMENTS, &["no operation"]),
        ("capture(null, 'q')", "22004", &["table"]),
        ("capture('t', null)", "22004", &["queue"]),
        ("capture('t', 'q', null)", "22004", &["function"]),
        ("uncapture(null, 'q')", "22004", &["table"]),
        ("uncapture('t', null)", "22004", &["queue"]),
        ("capture('nosuch', 'q')", "42P01", &["nosuch"]),
        ("capture(4000000000, 'q')", "42P01", &["4000000000"]),
        ("uncapture(4000000000, 'q')", "42P01", &["4000000000"]),
    ] {
        refused(session, call, code, names);
    }
    // What is never asked for need not be there.
    for call in [
        "capture('keyless', 'q', i_operations => '{insert,truncate}')",
        "capture('keyless', 'q', i_options => '{deny}')",
        "capture('keyless', 'q', i_options => '{pkey=id}')",
        "capture('t', 'q', i_options => null)",
    ] {
        session.exec(&format!("begin; select pgq.{call}; rollback"));
    }
    // Where a queue was, triggers can be removed.
    session.exec("select pgq.capture('t', 'q'); select pgq.drop_queue('q')");
    let dropped: i64 = session.one("select count(*) from pgq.uncapture('t', 'q')", &[]);
    assert_eq!(dropped, 4);
}

#[test]
fn only_tables_can_be_captured() {
    let mut scene = Scene::ours("refusals");
    scene.exec(
        "create table t (id int primary key); create view v as select * from t;
         create materialized view m as select * from t; create sequence s; create type c as (id int)",
    );
    for thing in ["v", "m", "s", "c", "t_pkey"] {
        for function in ["capture", "uncapture"] {
            let names = [format!("public.{thing}")];
            refused(&mut scene.session, &format!("{function}('{thing}', 'q')"), NO_TABLE, &[&names[0]]);
        }
    }
    refused(&mut scene.session, "capture('pg_class', 'q')", NO_RIGHT, &["pg_class"]);
}

#[test]
fn what_was_made_by_hand_is_neither_doubled_nor_removed() {
    let mut scene = Scene::ours("refusals");
    scene.exec(
        "create table t (id int primary key, v text);
         create table tree (id int primary key, v text) partition by range (id);
         create table leaf partition of tree default;
         select pgq.create_queue('other')",
    );
    for call in ["jsontriga('q')", "logtriga('q', 'kv')"] {
        scene.capture("t", call);
        refused(&mut scene.session, "capture('t', 'q')", CAPTURED_ALREADY, &["\"tap\"", "public.t", "\"q\""]);
        assert_eq!(
            scene.session.column::<String>("select action from pgq.uncapture('t', 'q')", &[]).len(),
            0
        );
    }
    // Copies for a partition are the parent's.
    scene.capture("tree", "logutriga('q')");
    for table in ["tree", "leaf"] {
        refused(&mut scene.session, &format!("capture('{table}', 'q')"), CAPTURED_ALREADY, &["\"tap\""]);
    }
    // Another queue is another matter, as are other people's triggers.
    scene.exec(
        "select pgq.capture('t', 'other'); select pgq.capture('leaf', 'other');
         drop trigger tap on t;
         create function tap() returns trigger language plpgsql as 'begin return null; end';
         create trigger tap after truncate on t execute function tap('q');
         select pgq.capture('t', 'q')",
    );
    scene.exec("insert into t values (1)");
    assert_eq!((scene.events_of("q").len(), scene.events_of("other").len()), (1, 1));
}

/// Roles are of the whole cluster: they are made for the test, and go with it.
fn with_roles(scene: &mut Scene, work: impl FnOnce(&mut Scene, [&str; 3])) {
    let name = scene.database.name().to_owned();
    let roles = ["owner", "helper", "poor"].map(|role| format!("{name}_{role}"));
    for role in &roles {
        scene.exec(&format!("create role {role} login"));
    }
    let [owner, helper, poor] = roles.each_ref().map(String::as_str);
    scene.exec(&format!("grant pgq_writer to {owner}, {helper}; grant create on schema public to {owner}"));
    work(scene, [owner, helper, poor]);
    scene.exec(&format!(
        "reset role; drop owned by {owner}, {helper}, {poor}; drop role {owner}, {helper}, {poor}"
    ));
}

#[test]
fn it_takes_the_rights_of_create_trigger() {
    let mut scene = Scene::ours("refusals");
    with_roles(&mut scene, |scene, [owner, helper, poor]| {
        scene.exec(&format!(
            "set role {owner}; create table t (id int primary key, v text); grant all on t to {poor}"
        ));
        scene.exec(&format!("set role {poor}"));
        refused(&mut scene.session, "capture('t', 'q')", NO_RIGHT, &["capture"]);
        refused(&mut scene.session, "uncapture('t', 'q')", NO_RIGHT, &["uncapture"]);
        scene.exec(&format!("set role {helper}"));
        refused(&mut scene.session, "capture('t', 'q')", NO_RIGHT, &["table t"]);
        // Who may not do it does not wait for, or hold up, others either.
        scene.reader.exec("begin; lock table t in share row exclusive mode");
        scene.exec("set lock_timeout = '100ms'");
        refused(&mut scene.session, "capture('t', 'q')", NO_RIGHT, &["table t"]);
        scene.reader.exec("rollback");
        // Who may make triggers may make ours; it takes the owner to remove one.
        scene.exec(&format!(
            "set role {owner}; grant trigger on t to {helper}; revoke all on t from {poor}; set role {helper}"
        ));
        scene.exec("select pgq.capture('t', 'q'); select pgq.capture('t', 'q')");
        for call in ["uncapture('t', 'q')", "capture('t', 'q', 'jsontriga')"] {
            let error = scene.session.error(&format!("select pgq.{call}"));
            assert_eq!(error.code, NO_RIGHT);
            assert!(error.message.contains("owner"), "{error:?}");
        }
        scene.exec(&format!("set role {owner}"));
        scene.writes("insert into t values (1)", &["I:id | id=1&v | public.t"]);
        scene.exec("select pgq.uncapture('t', 'q')");
    });
}

#[test]
fn who_could_not_write_events_is_named() {
    let mut scene = Scene::ours("refusals");
    with_roles(&mut scene, |scene, [owner, helper, poor]| {
        let warning = |scene: &mut Scene, call: &str| -> Option<String> {
            let _ = scene.session.take_notices();
            scene.exec(&format!("select pgq.{call}"));
            let warnings: Vec<_> = scene.session.take_notices();
            assert!(warnings.iter().all(|warning| warning.severity == "WARNING" && warning.hint.is_some()));
            assert!(warnings.len() < 2, "{warnings:?}");
            warnings.into_iter().next().map(|warning| warning.message)
        };
        scene.exec("create table t (id int primary key, v text)");
        assert_eq!(warning(scene, "capture('t', 'q')"), None);
        scene.exec(&format!(
            "grant select on t to {poor}; grant all on t to {helper}; alter table t owner to {owner}"
        ));
        assert_eq!(warning(scene, "capture('t', 'q')"), None);
        scene.exec(&format!("grant truncate on t to {poor}"));
        assert_eq!(
            warning(scene, "capture('t', 'q')"),
            Some(format!("roles that may change table public.t may not write events: {poor}"))
        );
        scene.exec(&format!("revoke truncate on t from {poor}"));
        assert_eq!(warning(scene, "capture('t', 'q')"), None);
        scene.exec(&format!("grant update (v), insert (id) on t to {poor}"));
        assert_eq!(
            warning(scene, "capture('t', 'q')"),
            Some(format!("roles that may change table public.t may not write events: {poor}"))
        );
        scene.exec(&format!("revoke pgq_writer from {owner}; grant update on t to public"));
        let named = warning(scene, "capture('t', 'q')").unwrap();
        assert!(
            [owner, poor, "PUBLIC"].iter().all(|who| named.contains(who)) && !named.contains(helper),
            "{named}"
        );
        // It is no matter of who is to lose their triggers.
        assert_eq!(warning(scene, "uncapture('t', 'q')"), None);
    });
}

/// A schema with things that look like those of the server, and break who takes them for it.
const DECEIT: &str = r#"
    create schema evil;
    create function evil.raise(anyelement) returns anyelement language plpgsql as $$ begin raise 'deceived'; end $$;
    create function evil.quote_ident(text) returns text language sql as 'select evil.raise($1)';
    create function evil.quote_ident(name) returns text language sql as 'select evil.raise(''x''::text)';
    create function evil.pg_get_triggerdef(oid) returns text language sql as 'select evil.raise(''x''::text)';
    create function evil.pg_my_temp_schema() returns oid language sql as 'select evil.raise(0::oid)';
    create function evil.pg_partition_tree(regclass) returns table (relid regclass)
        language sql as 'select evil.raise($1)';
    create function evil.has_function_privilege(name, text, text) returns bool
        language sql as 'select evil.raise(true)';
    create function evil.aclexplode(aclitem[]) returns table (grantee oid, privilege_type text)
        language sql as 'select evil.raise(0::oid), $$x$$';
    create function evil.either(text, text) returns text language sql as 'select evil.raise($1)';
    create function evil.same(text, text) returns bool language sql as 'select evil.raise(true)';
    create function evil.same(oid, oid) returns bool language sql as 'select evil.raise(true)';
    create function evil.same("char", "char") returns bool language sql as 'select evil.raise(true)';
    create function evil.same(name, text) returns bool language sql as 'select evil.raise(true)';
    create operator evil.|| (leftarg = text, rightarg = text, function = evil.either);
    create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
    create operator evil.= (leftarg = oid, rightarg = oid, function = evil.same);
    create operator evil.= (leftarg = "char", rightarg = "char", function = evil.same);
    create operator evil.~~ (leftarg = name, rightarg = text, function = evil.same);
    create table evil.pg_class (oid oid); create table evil.pg_trigger (oid oid); create table evil.pg_proc (oid oid);
    create table evil.pg_inherits (inhrelid oid); create table evil.pg_namespace (oid oid);
    create table evil.pg_constraint (oid oid); create table evil.pg_attribute (attrelid oid);
    create table evil.pg_roles (oid oid); create table evil.pg_index (oid oid);
    create type evil.regclass as enum ('x'); create type evil.text as enum ('x')"#;

#[test]
fn lookalikes_deceive_nobody() {
    let mut scene = Scene::ours("refusals");
    scene.exec(DECEIT);
    scene.exec(
        "create table public.t (id int primary key, v text);
         create table public.tree (id int primary key, \"Tree\" text) partition by range (id);
         create table public.leaf partition of public.tree default",
    );
    let capture = |session: &mut Session| -> Vec<String> {
        let mut made = Vec::new();
        for table in ["public.t", "public.tree"] {
            for options in
                ["array[]::pg_catalog.text[]", r"array['ignore=v', 'ev_extra3=''\''']::pg_catalog.text[]"]
            {
                made.extend(session.column::<String>(
                    &format!(
                        "select pg_catalog.concat_ws(' ', action, definition)
                           from pgq.capture('{table}'::pg_catalog.regclass, 'q'::pg_catalog.text, 'sqltriga',
                                            {options})"
                    ),
                    &[],
                ));
            }
        }
        made
    };
    let view = "select pg_catalog.concat_ws(' ', queue_name, level, operations::pg_catalog.text,
                                            trigger_names::pg_catalog.text, problem)
                  from pgq.captured_tables order by queue_name, level";
    let usual = capture(&mut scene.session);
    let shown: Vec<String> = scene.session.column(view, &[]);
    scene.exec("select pgq.uncapture('t', 'q'), pgq.uncapture('tree', 'q')");
    let mut deceived = scene.database.connect();
    deceived.exec(
        "set search_path = evil, pg_catalog, public; set quote_all_identifiers = on;
         set standard_conforming_strings = on",
    );
    assert_eq!(deceived.error("select 'a'::pg_catalog.text = 'a'").message, "deceived");
    assert_eq!(capture(&mut deceived), usual);
    assert_eq!(deceived.column::<String>(view, &[]), shown);
    deceived
        .exec("insert into public.t values (1, 'x'); update public.tree set id = 1; truncate public.tree");
    assert_eq!(scene.events().len(), 3);
    deceived.exec("set standard_conforming_strings = off");
    let kept: Vec<String> = scene.session.column(
        "select action from pgq.capture('tree', 'q', 'sqltriga', array['ignore=v', E'ev_extra3=''\\\\'''])",
        &[],
    );
    assert!(kept.iter().all(|action| action == "kept"), "{kept:?}");
    for table in ["t", "tree"] {
        deceived.exec(&format!(
            "select pgq.uncapture('public.{table}'::pg_catalog.regclass, 'q'::pg_catalog.text)"
        ));
    }
    assert_eq!(scene.session.column::<String>(view, &[]), Vec::<String>::new());
}
