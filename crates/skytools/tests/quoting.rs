//! What is written as SQL, COPY or array text is what a server reads.

use std::io::{Read, Write};

use pgq_tests::client::Session;
use pgq_tests::shared::Database;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use skytools::db::payload::Record;
use skytools::db::{AclItem, Query, Template, array, bytea, copy_text, payload, quote, statements, unquote};
use skytools::{Error, Result, text};

/// Whatever a text column can hold, with what matters in SQL more often than by chance.
fn any_text() -> impl Strategy<Value = String> {
    r#"([a-z\\'"$%{},\t\n\r ]|[^\x00]){0,15}"#
}

/// As many random values as a server is asked about at once.
fn sample<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::new(Config::default());
    (0..500).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn some_texts() -> Vec<Option<String>> {
    sample(proptest::option::weighted(0.9, any_text()))
}

/// What the server reads in `select CONSTANT, CONSTANT, …`.
fn read_by_server(session: &mut Session, constants: &[String]) -> Vec<Option<String>> {
    let rows: Vec<String> = constants.iter().map(|constant| format!("({constant}::text)")).collect();
    let sql = format!("select * from (values {}) as v", rows.join(", "));
    session.column(&sql, &[])
}

#[test]
fn names_are_quoted_where_the_server_quotes_them() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    let words: Vec<String> = session.column("select word from pg_get_keywords() where catcode <> 'U'", &[]);
    assert!(words.len() > 90, "{words:?}");
    for word in words {
        assert_eq!(quote::identifier(&word), format!("\"{word}\""));
    }
    let others = "select word from pg_get_keywords() where catcode = 'U' \
                  and current_setting('server_version_num')::int >= 180000";
    for word in session.column::<String>(others, &[]) {
        assert_eq!(quote::identifier(&word), word);
    }
}

#[test]
fn a_template_binds_texts_to_whatever_type_their_place_has() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    session.exec("create table t (i int, n numeric, b bool, t text, a text[], w timestamptz, j jsonb)");
    let template = Template::parse(
        "insert into t values (%(i)s, %(i)s, %(b)s, %(i)s, %(a)s, %(w)s, %(j)s) returning i %% 4 = 3",
    )
    .unwrap();
    let value = |name: &str| -> Result<Option<String>> {
        Ok(match name {
            "i" => Some("7".into()),
            "b" => Some("on".into()),
            "a" => Some("{1,NULL}".into()),
            "w" => None,
            "j" => Some(r#"{"a": "it's"}"#.into()),
            _ => return Err(Error::bad(format!("no value for {name}"))),
        })
    };
    let bound = template.bind(value).unwrap();
    assert!(session.one::<bool>(&bound.sql, &bound.params()));
    session.exec(&template.fill(value).unwrap());
    let rows: Vec<String> = session.column("select r::text from t r", &[]);
    assert_eq!(rows, [r#"(7,7,t,7,"{1,NULL}",,"{""a"": ""it's""}")"#; 2]);
}

#[test]
fn a_value_between_dollar_quotes_stays_a_value() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    session.exec("create table t (t text)");
    let template = Template::parse("do $$ begin insert into t values (%(v)s); end $$").unwrap();
    let value = "it's $$; drop table t; \\ $$";
    let bound = template.bind(|_| Ok(Some(value.into()))).unwrap();
    session.exec(&bound.sql);
    assert_eq!(session.column::<String>("select t from t", &[]), [value]);
}

#[test]
fn constants_are_what_was_quoted() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    let values = some_texts();
    let constants: Vec<String> = values.iter().map(|value| quote::literal(value.as_deref())).collect();
    for standard in ["on", "off"] {
        session
            .exec(&format!("set standard_conforming_strings = {standard}; set escape_string_warning = off"));
        assert_eq!(read_by_server(&mut session, &constants), values);
    }
    let by_server =
        session.column::<String>("select quote_nullable(v) from unnest($1::text[]) v", &[&values]);
    for (ours, by_server) in constants.iter().zip(by_server) {
        assert_eq!(*ours, if by_server == "NULL" { "null".to_owned() } else { by_server });
    }
}

#[test]
fn escapes_in_constants_are_read_as_the_server_reads_them() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    let constants: Vec<String> =
        // Without `\v`, which servers as old as 15 read as a letter.
        sample(r"E'(\\[bfnrt'\\aqN]|\\[0-7]{1,4}|\\x[0-9a-f]{1,3}|\\u00[0-9a-f]{2}|[a1õ]|'')*'");
    let readable: Vec<(String, String)> = constants
        .into_iter()
        .filter_map(|text| unquote::literal(&text, false).ok().flatten().map(|value| (text, value)))
        .filter(|(_, value)| !value.contains('\0'))
        .collect();
    assert!(readable.len() > 100, "{}", readable.len());
    let (texts, values): (Vec<String>, Vec<String>) = readable.into_iter().unzip();
    let by_server: Vec<String> = read_by_server(&mut session, &texts).into_iter().flatten().collect();
    for ((text, value), by_server) in texts.iter().zip(values).zip(by_server) {
        assert_eq!(value, by_server, "{text}");
    }
}

#[test]
fn names_are_what_was_quoted() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    let names: Vec<String> = sample(prop_oneof!["[a-z_0-9$A-Z.]{1,10}", any_text()]);
    let ours: Vec<_> = names.iter().map(|name| quote::identifier(name).into_owned()).collect();
    let by_server: Vec<String> = session.column("select quote_ident(n) from unnest($1::text[]) n", &[&names]);
    assert_eq!(ours, by_server);
    for name in names.iter().filter(|name| !name.is_empty()) {
        let row = &session.rows(&format!("select 1 as {}", quote::identifier(name)), &[])[0];
        let shown = row.columns()[0].name();
        assert!(name.starts_with(shown) && shown.len() >= name.len().min(60), "{name} {shown}");
        let schema = name.replace('.', "");
        let qualified = quote::qualified(&format!("{schema}.{name}"));
        if !schema.is_empty() {
            let parts: Vec<String> = session.one("select parse_ident($1)", &[&qualified]);
            assert_eq!(parts, [schema.as_str(), name]);
        }
    }
}

#[test]
fn rows_go_in_and_out_by_copy() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    session.exec("create table t (id int, v text)");
    let values = some_texts();
    let mut lines = String::new();
    for (id, value) in values.iter().enumerate() {
        lines.push_str(&format!("{id}\t"));
        copy_text::write(&mut lines, value.as_deref());
        lines.push('\n');
    }
    let mut writer = session.copy_in("copy t from stdin").unwrap();
    writer.write_all(lines.as_bytes()).unwrap();
    writer.finish().unwrap();
    assert_eq!(session.column::<Option<String>>("select v from t order by id", &[]), values);
    let mut out = String::new();
    session
        .copy_out("copy (select v from t order by id) to stdout")
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    let read: Vec<_> = out.split_terminator('\n').map(|line| copy_text::read(line).unwrap()).collect();
    assert_eq!(read, values);
}

#[test]
fn escapes_in_copy_are_read_as_the_server_reads_them() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    session.exec("create table t (id serial, v text)");
    let lines = sample(r"(\\[bfnrtv\\qx]|\\[0-9]{1,4}|\\x[0-9a-fg]{1,3}|[a1õ]|\\N)*");
    let readable: Vec<(String, Option<String>)> = lines
        .into_iter()
        .filter_map(|line| copy_text::read(&line).ok().map(|value| (line, value)))
        .filter(|(_, value)| !value.as_ref().is_some_and(|value| value.contains('\0')))
        .collect();
    assert!(readable.len() > 100, "{}", readable.len());
    let mut writer = session.copy_in("copy t (v) from stdin").unwrap();
    for (line, _) in &readable {
        writer.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let by_server = session.column::<Option<String>>("select v from t order by id", &[]);
    for ((line, value), by_server) in readable.iter().zip(by_server) {
        assert_eq!(*value, by_server, "{line}");
    }
}

#[test]
fn arrays_go_there_and_back() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    for elements in sample(proptest::collection::vec(proptest::option::weighted(0.8, any_text()), 0..5)) {
        let constant = quote::literal(Some(&array::write(&elements)));
        let by_server: Vec<Option<String>> = session.one(&format!("select {constant}::text[]"), &[]);
        assert_eq!(by_server, elements);
        let written: String = session.one("select $1::text[]::text", &[&elements]);
        assert_eq!(array::read(&written).unwrap(), elements);
    }
}

#[test]
fn what_is_no_array_for_us_is_none_for_the_server() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    session.exec(
        "create function read(t text) returns text[] language plpgsql as \
         $$ begin return t::text[]; exception when others then return null; end $$",
    );
    for written in sample(r#"\{[ab},"\\ ]{0,6}\}?"#) {
        let by_server: Option<Vec<Option<String>>> = session
            .one("select case when array_ndims(r) <> 1 then null else r end from read($1) r", &[&written]);
        match array::read(&written) {
            Ok(elements) => assert_eq!(Some(elements), by_server, "{written}"),
            Err(_) => assert_eq!(by_server, None, "{written}"),
        }
    }
}

#[test]
fn bytes_are_what_was_written() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    for bytes in [(0..=255).collect::<Vec<u8>>(), b"\\x41".to_vec(), Vec::new()] {
        for written in [bytea::escape(&bytes), bytea::hex(&bytes)] {
            let constant = quote::literal(Some(&written));
            assert_eq!(session.one::<Vec<u8>>(&format!("select {constant}::bytea"), &[]), bytes);
        }
    }
}

#[test]
fn access_lists_of_the_catalog_are_read() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    let role = format!("{} \"=/ õ", database.name());
    let quoted = quote::identifier(&role).into_owned();
    session.exec(&format!(
        "create role {quoted}; create table t (); grant select, insert on t to {quoted} with grant option; \
         grant select on t to public"
    ));
    let list: String = session.one("select relacl::text from pg_class where oid = 't'::regclass", &[]);
    session.exec(&format!("drop owned by {quoted}; drop role {quoted}"));
    let items = array::read(&list).unwrap().into_iter().flatten();
    let items: Vec<AclItem> = items.map(|item| AclItem::parse(&item).unwrap()).collect();
    let owner = items[0].grantor.clone();
    assert_eq!(items[0].grantee, owner);
    let item = |grantee: Option<&str>, privileges: &str| AclItem {
        grantee: grantee.map(str::to_owned),
        privileges: privileges.to_owned(),
        grantor: owner.clone(),
    };
    assert_eq!(items[1..], [item(Some(&role), "a*r*"), item(None, "r")]);
}

#[test]
fn a_script_runs_statement_by_statement() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    let script = "-- a script;\n\
        create table t (a int /* ; /* ; */ */, \"b;\" text default ';');\n\
        create function f(a int) returns text language sql begin atomic\n\
          insert into t (a) values (a);\n\
          select case a when 1 then case when true then 'one;' end else 'other' end as end;\n\
        end;\n\
        create rule r as on delete to t do instead (select 1; select 2);\n\
        do $$ begin perform f(1); perform f(2); end $$;\n\
        select E'\\';' -- the last one\n";
    let statements = statements(script, false).unwrap();
    assert_eq!(statements.len(), 5);
    for statement in statements {
        session.query(statement, &[]).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    assert_eq!(session.column::<String>("select f(a) from t", &[]), ["one;", "other"]);
}

#[test]
fn a_query_of_fragments_runs() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    let values: Record = [("least".to_owned(), Some("7".to_owned()))].into();
    let mut query = Query::new(&values);
    query.add("select count(*) from generate_series(1, 10) n where n >= {least:int}").unwrap();
    query.add_if_given(" and n <= {most}");
    let bound = query.bind();
    assert_eq!(session.one::<i64>(&bound.sql, &bound.params()), 4);
    assert_eq!(session.one::<i64>(&query.fill(), &[]), 4);
}

#[test]
fn hashes_are_those_of_the_server() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    let texts: Vec<String> = sample(prop_oneof![any_text(), "[a-zõ]{0,60}"]);
    let by_server: Vec<i32> = session.column("select hashtext(t) from unnest($1::text[]) t", &[&texts]);
    for (hashed, by_server) in texts.iter().zip(by_server) {
        assert_eq!(text::hashtext(hashed), by_server, "{hashed:?}");
    }
}

#[test]
fn points_in_time_are_those_of_the_server() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    for zone in ["UTC", "Europe/Tallinn", "America/St_Johns", "Asia/Kathmandu"] {
        session.exec(&format!("set timezone = '{zone}'"));
        let rows = session.rows(
            "select t::text, t::timestamp::text, extract(epoch from t)::bigint \
             from generate_series('1971-01-01 00:00:00.25+00', '2037-01-01'::timestamptz, '97 days 5 hours') t",
            &[],
        );
        let local = jiff::tz::TimeZone::get(zone).unwrap();
        for row in rows {
            let (with_zone, without, second): (String, String, i64) = (row.get(0), row.get(1), row.get(2));
            for (text, zone) in [(with_zone, &jiff::tz::TimeZone::UTC), (without, &local)] {
                let timestamp = text::timestamp::parse(&text, zone).unwrap();
                assert_eq!((timestamp.as_second(), timestamp.subsec_millisecond()), (second, 250), "{text}");
            }
        }
    }
}

#[test]
fn what_a_trigger_encodes_is_what_we_encode() {
    let database = Database::fresh("quoting");
    let mut session = database.connect();
    pgq_tests::queue::create(&mut session, "rows").unwrap();
    session.exec("create table t (\"Order no\" int primary key, v text)");
    session.exec("create trigger log after insert on t for each row execute function pgq.logutriga('rows')");
    let values: Vec<Option<String>> = some_texts();
    session
        .execute("insert into t select n, v from unnest($1::text[]) with ordinality as u (v, n)", &[&values])
        .unwrap();
    let table: String = session.one("select pgq.current_event_table('rows')", &[]);
    let payloads: Vec<String> = session.column(&format!("select ev_data from {table} order by ev_id"), &[]);
    assert_eq!(payloads.len(), values.len());
    for (number, (written, value)) in payloads.iter().zip(values).enumerate() {
        let record: Record =
            [("Order no".to_owned(), Some((number + 1).to_string())), ("v".to_owned(), value)].into();
        assert_eq!(*written, payload::encode(record.clone()));
        assert_eq!(payload::decode(written).unwrap(), record);
    }
}
