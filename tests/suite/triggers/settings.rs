//! Settings of a session: those that lose or confuse what a value is do not reach the events, the others do; and none
//! is another one afterwards.

use super::{FUNCTIONS, Scene};
use pgq_tests::client::Session;

/// Settings under which values look another way, each far from its default.
const OVERRIDDEN: &[(&str, &str)] = &[
    ("datestyle", "German"),
    ("datestyle", "SQL, DMY"),
    ("datestyle", "Postgres, MDY"),
    ("extra_float_digits", "-15"),
    ("extra_float_digits", "0"),
    ("search_path", "s, public"),
    ("search_path", ""),
    ("quote_all_identifiers", "on"),
    ("standard_conforming_strings", "off"),
    ("client_encoding", "LATIN1"),
    ("backslash_quote", "off"),
    ("array_nulls", "off"),
    ("xmloption", "document"),
    ("transform_null_equals", "on"),
    ("default_transaction_isolation", "serializable"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// What a setting is now, as its owner sees it.
fn setting(session: &mut Session, name: &str) -> String {
    session.one("select current_setting($1)", &[&name])
}

/// A table whose values can look in many ways, captured by all functions.
fn with_table(mut scene: Scene) -> Scene {
    scene.exec(
        r#"create schema s; create table s.there (id int);
           create domain d as date; create type pair as (a float8, b date);
           create table public.t (
               id int primary key, "order" date, ts timestamp, tz timestamptz, f float8, f4 float4, fs float8[], r regclass,
               rs regtype[], v text, d d, p pair, r2 daterange, _x text default '1')"#,
    );
    scene.capture_by_all("public.t", "'backup'");
    scene
}

const CHANGES: &str = r#"
    insert into public.t values (1, '2024-02-01', '2024-02-01 03:04:05.6', '2024-02-01 03:04:05+00', 0.1::float8 + 0.2,
                                 1.1, '{0.1,1e300}', 's.there', '{date,s.there}', E'\\ '' "', '2024-02-01',
                                 row(0.3, '2024-02-01'), '[2024-02-01,2024-03-01)');
    update public.t set f = 1::float8 / 3, "order" = '2024-01-02';
    delete from public.t"#;

#[test]
fn what_a_value_is_does_not_depend_on_the_session() {
    let mut scene = with_table(Scene::ours("settings"));
    scene.exec(CHANGES);
    let usual = scene.events();
    assert_eq!(
        usual[1].data.as_deref(),
        Some(
            "id=1&order=2024-02-01&ts=2024-02-01+03%3a04%3a05.6&tz=2024-02-01+03%3a04%3a05%2b00\
             &f=0.30000000000000004&f4=1.1&fs=%7b0.1%2c1e%2b300%7d&r=s.there&rs=%7bdate%2cs.there%7d&v=%5c+%27+%22\
             &d=2024-02-01&p=%280.3%2c2024-02-01%29&r2=%5b2024-02-01%2c2024-03-01%29&_x=1"
        )
    );
    for (name, value) in OVERRIDDEN {
        scene.exec(&format!("set {name} = {}", if value.is_empty() { "''" } else { value }));
        let before = setting(&mut scene.session, name);
        // Names are written down when it is put together what a trigger does: here, now.
        scene.exec("alter table public.t set (fillfactor = 90)");
        scene.exec(CHANGES);
        assert_eq!(scene.events(), usual, "{name} = {value}");
        assert_eq!(setting(&mut scene.session, name), before);
        scene.exec("reset all");
    }
    // All at once, and in a transaction that lasts.
    scene.exec("begin");
    for (name, value) in OVERRIDDEN.iter().filter(|(name, _)| *name != "default_transaction_isolation") {
        scene.exec(&format!("set local {name} = {}", if value.is_empty() { "''" } else { value }));
    }
    scene.exec(CHANGES);
    scene.exec("commit");
    assert_eq!(scene.events(), usual);
}

/// What the session would not show to be different is.
#[test]
fn neither_does_what_has_changed() {
    let mut scene = Scene::ours("settings");
    scene.exec(
        "create table t (f float8 primary key, v text, g float8); insert into t values (0.1::float8 + 0.2, 'x', 0.3);
         set extra_float_digits = -15",
    );
    scene.capture("t", "logutriga('q', 'ignore=v')");
    scene.refuses("update t set f = 0.3", super::state::KEY_UPDATE, &["f"]);
    scene.writes_data(
        "update t set v = 'y', g = 0.1::float8 + 0.2",
        &["f=0.30000000000000004&g=0.30000000000000004"],
    );
    scene.capture("t", "sqltriga('q', 'keyupdate')");
    scene.writes_data(
        "update t set f = 0.3",
        &["f='0.30000000000000004'", "(f,v,g) values ('0.3','y','0.30000000000000004')"],
    );
}

#[test]
fn intervals_bytes_and_times_look_as_the_session_likes_them() {
    for mut scene in Scene::on_each("settings") {
        scene.exec("create table t (id int primary key, i interval, b bytea, tz timestamptz)");
        scene.capture_by_all("t", "");
        let mut insert = |settings: &str, json: &str, url: &str, sql: &str| {
            scene.exec(settings);
            let row = r"(1, '1 day -02:03:04', '\x005c41', '2024-07-01 12:00+00')";
            scene.exec(&format!("insert into t values {row}; delete from t"));
            let data: Vec<_> = scene.events().into_iter().map(|event| event.data.unwrap()).take(3).collect();
            assert_eq!(data, [json, url, sql], "{}: {settings}", scene.whose());
        };
        insert(
            "",
            r#"{"id":1,"i":"1 day -02:03:04","b":"\\x005c41","tz":"2024-07-01T12:00:00+00:00"}"#,
            "id=1&i=1+day+-02%3a03%3a04&b=%5cx005c41&tz=2024-07-01+12%3a00%3a00%2b00",
            r"(id,i,b,tz) values ('1','1 day -02:03:04',E'\\x005c41','2024-07-01 12:00:00+00')",
        );
        insert(
            "set intervalstyle = iso_8601; set bytea_output = escape; set timezone = 'Asia/Kolkata'",
            r#"{"id":1,"i":"P1DT-2H-3M-4S","b":"\\000\\\\A","tz":"2024-07-01T17:30:00+05:30"}"#,
            "id=1&i=P1DT-2H-3M-4S&b=%5c000%5c%5cA&tz=2024-07-01+17%3a30%3a00%2b05%3a30",
            r"(id,i,b,tz) values ('1','P1DT-2H-3M-4S',E'\\000\\\\A','2024-07-01 17:30:00+05:30')",
        );
    }
}

#[test]
fn an_interval_is_the_same_to_who_reads_it() {
    let mut scene = Scene::ours("settings");
    scene.exec("create table t (id int primary key, i interval); set intervalstyle = sql_standard");
    scene.capture("t", "logutriga('q')");
    scene.writes_data("insert into t values (1, '-1 day -02:03:04')", &["id=1&i=-1+days+-02%3a03%3a04"]);
    assert_eq!(setting(&mut scene.session, "intervalstyle"), "sql_standard");
}

#[test]
fn expressions_magic_columns_and_backups_are_no_exception() {
    let mut scene = Scene::ours("settings");
    scene.exec(
        "create table t (id int primary key, d date, f float8, _pgq_ev_extra1 date, _pgq_ev_extra4 float8);
         set datestyle = German; set extra_float_digits = -10",
    );
    for function in ["logutriga", "sqltriga"] {
        scene.capture("t", &format!("{function}('q', 'backup', 'ev_type=f', 'ev_extra3=d')"));
        scene.exec("insert into t values (1, '2024-02-01', 0.1::float8 + 0.2, '2024-02-02', 1::float8 / 3)");
        scene.exec("update t set id = id");
        let told: Vec<String> = scene.events().iter().map(ToString::to_string).collect();
        let fields = "2024-02-02 | NULL | 2024-02-01 | 0.3333333333333333";
        assert!(told[0].starts_with("0.30000000000000004 | ") && told[0].ends_with(fields), "{told:?}");
        assert!(told[1].contains("| id=1&d=2024-02-01&f=0.30000000000000004 | 2024-02-01 |"), "{told:?}");
        scene.exec("drop trigger tap on t; delete from t");
    }
}

#[test]
fn an_expression_is_evaluated_under_the_sessions_settings() {
    // It is the user's: only what becomes of its result is ours.
    for mut scene in Scene::on_each("settings") {
        scene.exec("create table t (id int primary key, d date); create schema s");
        scene.exec("create function s.f() returns text language sql as $$ select 'found' $$");
        scene.capture(
            "t",
            "logutriga('q', 'ev_type=d::text', 'ev_data=current_setting(''datestyle'')', 'ev_extra1=f()')",
        );
        scene.exec("set datestyle = German; set search_path = s, public");
        scene.writes("insert into public.t values (1, '2024-02-01')", &["01.02.2024 | German, DMY | found"]);
    }
}

#[test]
fn an_expression_is_read_in_one_way_whatever_the_settings() {
    // Who turns the setting off must not change what others' expressions say.
    let mut scene = Scene::ours("settings");
    scene.exec("create table t (id int primary key, v text); create table seen (kind text, data text)");
    scene.capture("t", r"logutriga('q', $$ev_data='\' || v || '\'$$)");
    scene.exec("set standard_conforming_strings = off; set escape_string_warning = off");
    scene.writes_data("insert into t values (1, 'x')", &[r"\x\"]);
    scene.capture("t", r"logtriga('kv', $$insert into seen values ($1, '\')$$)");
    scene.exec("insert into t values (2, 'x')");
    assert_eq!(scene.session.column::<String>("select data from seen", &[]), [r"\"]);
    scene.exec("reset standard_conforming_strings");
    scene.exec("insert into t values (3, 'x')");
    assert_eq!(scene.session.column::<String>("select data from seen", &[]), [r"\", r"\"]);
}

#[test]
fn what_stands_in_for_insert_event_has_the_sessions_settings() {
    for mut scene in Scene::on_each("settings") {
        scene.exec(
            "create table t (id int primary key, d date); create table seen (data text);
             create or replace function pgq.insert_event(
                 queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
             returns bigint language plpgsql as $$
             begin
                 insert into public.seen values (current_setting('datestyle') || ' ' || current_setting('search_path'));
                 return 1;
             end $$",
        );
        scene.capture("t", "logutriga('q')");
        scene
            .exec("set datestyle = German; set search_path = public; insert into t values (1, '2024-02-01')");
        assert_eq!(scene.session.column::<String>("select data from seen", &[]), ["German, DMY public"]);
    }
}

#[test]
fn settings_survive_errors() {
    const CHANGED: [(&str, &str); 3] =
        [("datestyle", "German, DMY"), ("extra_float_digits", "-5"), ("search_path", "s, public")];

    #[track_caller]
    fn unchanged(scene: &mut Scene) {
        for (name, value) in CHANGED {
            assert_eq!(setting(&mut scene.session, name), value);
        }
        assert_eq!(scene.session.one::<String>("select date '2024-02-01' || ''", &[]), "01.02.2024");
    }

    #[track_caller]
    fn fails(scene: &mut Scene, statement: &str, state: &str) {
        assert_eq!(scene.session.error(statement).code, state, "{statement}");
        unchanged(scene);
        scene.exec("begin; savepoint s");
        assert_eq!(scene.session.error(statement).code, state, "{statement}");
        scene.exec("rollback to s");
        unchanged(scene);
        scene.exec("commit");
        unchanged(scene);
    }

    for function in FUNCTIONS {
        let mut scene = Scene::ours("settings");
        for (name, value) in CHANGED {
            scene.exec(&format!("set {name} = {value}"));
        }
        scene.exec(
            "create type public.kind as enum ('good', 'lost'); create schema s; create table s.there ();
             create table public.t (id int primary key, d date, r regclass, kind public.kind);
             insert into public.t values (1, '2024-02-01', 's.there')",
        );
        scene.capture("public.t", &format!("{function}('q')"));
        fails(&mut scene, "update public.t set id = 2, kind = 'good'", "27000");
        scene.exec("update pgq.queue set queue_disable_insert = true");
        fails(&mut scene, "update public.t set kind = 'good'", "55000");
        scene.exec("update pgq.queue set queue_disable_insert = false");
        scene.capture("public.t", &format!("{function}('q', 'ev_type=1/0')"));
        fails(&mut scene, "update public.t set kind = 'good'", "22012");
        // A value that cannot be shown fails in the midst of it.
        scene.capture("public.t", &format!("{function}('q')"));
        scene.exec("insert into public.t values (2, '2024-02-01', 's.there', 'lost')");
        scene.exec("delete from pg_catalog.pg_enum where enumlabel = 'lost'");
        let lost = "update public.t set d = '2024-02-02', kind = (select kind from public.t where id = 2) where id = 1";
        fails(&mut scene, lost, "22P03");
    }
}
