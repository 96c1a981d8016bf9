//! Databases in other encodings than UTF-8: what is encoded are the bytes of the database.

use super::Scene;
use pgq_tests::client::Session;
use pgq_tests::queue;

/// A database of this encoding next to the scene's, with a queue; its name is for [`drop_database`].
fn database_in(scene: &Scene, encoding: &str) -> (String, Session) {
    let name = format!("{}_{}", scene.database.name(), encoding.to_lowercase());
    scene.database.connect().exec(&format!(
        "create database {name} encoding '{encoding}' lc_collate 'C' lc_ctype 'C' template template0"
    ));
    let mut session = scene.database.cluster().connect(&name);
    session.exec("create extension pgq");
    queue::create(&mut session, "q").unwrap();
    (name, session)
}

fn drop_database(scene: &mut Scene, name: &str) {
    scene.exec(&format!("drop database {name} with (force)"));
}

const TABLE: &str = r#"
    create table "tablé" (id int primary key, "é" text, v text);
    create trigger tap_j after insert or update on "tablé" for each row execute function pgq.jsontriga('q', 'backup');
    create trigger tap_l after insert or update on "tablé" for each row execute function pgq.logutriga('q', 'ev_extra3=é', 'backup');
    create trigger tap_s after insert or update on "tablé" for each row execute function pgq.sqltriga('q', 'ignore=nosuché')"#;

#[test]
fn latin1_characters_are_one_byte() {
    for mut scene in Scene::on_each("encodings") {
        let (name, mut session) = database_in(&scene, "LATIN1");
        // The client's encoding, UTF-8 here, is not the database's.
        session.exec(
            &TABLE.replace("'ev_extra3=é', ", if scene.is_original() { "" } else { "'ev_extra3=é', " }),
        );
        session.exec(r#"insert into "tablé" values (1, 'aé', E'ü\\')"#);
        session.exec(r#"update "tablé" set v = 'ÿ'"#);
        let events: Vec<String> = session.column(
            "select concat_ws(' | ', ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3) from pgq.event_template order by ev_id",
            &[],
        );
        let extra = if scene.is_original() { "" } else { " | aé" };
        assert_eq!(
            events,
            [
                r#"{"op":"INSERT","table":["public","tablé"],"pkey":["id"]} | {"id":1,"é":"aé","v":"ü\\"} | public.tablé"#,
                &format!("I:id | id=1&%e9=a%e9&v=%fc%5c | public.tablé{extra}"),
                r#"I | (id,"é",v) values ('1','aé',E'ü\\') | public.tablé"#,
                r#"{"op":"UPDATE","table":["public","tablé"],"pkey":["id"]} | {"id":1,"é":"aé","v":"ÿ"} | public.tablé | {"id":1,"é":"aé","v":"ü\\"}"#,
                &format!("U:id | id=1&%e9=a%e9&v=%ff | public.tablé | id=1&%e9=a%e9&v=%fc%5c{extra}"),
                "U | v='ÿ' where id='1' | public.tablé",
            ],
            "{}",
            scene.whose()
        );
        drop(session);
        drop_database(&mut scene, &name);
    }
}

#[test]
fn sql_ascii_takes_any_bytes() {
    for mut scene in Scene::on_each("encodings") {
        let (name, mut session) = database_in(&scene, "SQL_ASCII");
        // Names and values that are no UTF-8.
        session.exec(
            r#"do $$ begin execute format('create table t (id int primary key, %I text)', convert_from('\xe9', 'sql_ascii')); end $$;
               create trigger tap_j after insert on t for each row execute function pgq.jsontriga('q');
               create trigger tap_l after insert on t for each row execute function pgq.logutriga('q');
               create trigger tap_s after insert on t for each row execute function pgq.sqltriga('q');
               insert into t values (1, convert_from('\xffc3225c', 'sql_ascii'))"#,
        );
        let rows = session
            .rows("select convert_to(ev_data, 'sql_ascii') from pgq.event_template order by ev_id", &[]);
        let data: Vec<Vec<u8>> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(
            data,
            [
                b"{\"id\":1,\"\xe9\":\"\xff\xc3\\\"\\\\\"}".as_slice(),
                b"id=1&%e9=%ff%c3%22%5c",
                b"(id,\"\xe9\") values ('1',E'\xff\xc3\"\\\\')",
            ],
            "{}",
            scene.whose()
        );
        drop(session);
        drop_database(&mut scene, &name);
    }
}

#[test]
fn refusals_can_be_told_in_any_encoding() {
    let scene = &mut Scene::ours("encodings");
    // What is not known to be UTF-8 is told byte by byte.
    for (encoding, e) in [("LATIN1", r"\xe9"), ("SQL_ASCII", r"\xc3\xa9")] {
        let (name, mut session) = database_in(scene, encoding);
        session.exec("set client_encoding = 'UTF8'; create table \"tablé\" (\"é\" int)");
        for (options, code, word) in [
            ("", "55000", format!("public.tabl{e}")),
            (", 'pkey=é,éé'", "42703", format!("{e}{e}")),
            (", 'bé'", "22023", format!("b{e}")),
            (", 'pkey=é', 'when=éé'", "42703", "\"éé\"".to_owned()),
            (", 'pkey=é', 'when=é'", "42804", format!("when={e}")),
            (", 'pkey=é', 'ev_type=''é'", "42601", e.to_owned()),
        ] {
            session.exec(&format!(
                "insert into \"tablé\" values (1);
                 create trigger tap after delete on \"tablé\" for each row execute function pgq.logutriga('q'{options})"
            ));
            let error = session.error("delete from \"tablé\"");
            assert_eq!(error.code, code, "{encoding}, {options}: {error:?}");
            let text = format!("{} {}", error.message, error.detail.as_deref().unwrap_or_default());
            assert!(text.contains(&word), "{encoding}, {options}: {error:?}");
            session.exec("drop trigger tap on \"tablé\"");
        }
        drop(session);
        drop_database(scene, &name);
    }
}
