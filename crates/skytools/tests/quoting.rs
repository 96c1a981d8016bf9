//! What is written as SQL, COPY or array text is what a server reads.

use pgq_tests::shared::Database;
use skytools::db::{Template, quote};
use skytools::{Error, Result};

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
