//! What a database has, and what is installed when it is not there.

use pgq_tests::shared::Database;
use skytools::db::install::{Installer, Origin};
use skytools::db::{Connection, Object, Options, QualifiedName, catalog};

use crate::kit::{Workplace, conninfo, wait};

fn open(database: &Database) -> Connection {
    wait(Connection::open("db", &conninfo(database), Options::default())).unwrap()
}

#[test]
fn each_kind_of_object_is_found_under_its_name_only() {
    let database = Database::fresh("catalog");
    let connection = open(&database);
    wait(connection.batch(
        r#"create schema "S ""x";
           create table plain_table (a int);
           create table "S ""x"."T.t" (a int) partition by range (a);
           create foreign data wrapper w; create server s foreign data wrapper w;
           create foreign table distant (a int) server s;
           create temp table passing (a int);
           create view seen as select 1; create materialized view kept as select 1;
           create sequence counter; create type mood as enum (); create domain whole as int;
           create function two(int, text default '') returns int language sql as 'select 1';
           create procedure done() language sql as 'select 1';"#,
    ))
    .unwrap();
    let function = |name: &str, arguments| Object::Function { name: name.to_owned(), arguments };
    let name = QualifiedName::parse;
    let evil = QualifiedName::new("S \"x", "T.t");
    let there = [
        Object::Schema("S \"x".into()),
        Object::Table(name("plain_table")),
        Object::Table(evil.clone()),
        Object::Table(name("public.distant")),
        Object::TemporaryTable("passing".into()),
        Object::View(name("seen")),
        Object::View(name("kept")),
        Object::Sequence(name("counter")),
        Object::Type(name("mood")),
        Object::Type(name("public.whole")),
        function("two", 2),
        function("public.done", 0),
        function("length", 1),
        function("pg_catalog.length", 1),
        Object::Language("plpgsql".into()),
        Object::Extension("pgq".into()),
    ];
    for object in there {
        assert!(wait(object.exists(&connection)).unwrap(), "{object}");
    }
    let not_there = [
        Object::Schema("s \"x".into()),
        Object::Table(name("seen")),
        Object::Table(name("counter")),
        Object::Table(name("passing")),
        Object::TemporaryTable("plain_table".into()),
        Object::View(name("plain_table")),
        Object::View(name("public.missing")),
        Object::Sequence(name("mood")),
        Object::Type(name("moods")),
        function("two", 1),
        function("public.length", 1),
        Object::Language("cobol".into()),
        Object::Extension("pgq_nothing".into()),
    ];
    for object in not_there {
        assert!(!wait(object.exists(&connection)).unwrap(), "{object}");
    }
}

#[test]
fn a_table_tells_its_oid_key_and_columns() {
    let database = Database::fresh("catalog");
    let connection = open(&database);
    let name = QualifiedName::new("public", "t \"x");
    wait(async {
        let create = "create table \"t \"\"x\" (gone int, a int, \"B b\" int, c text, primary key (c, a) include (\"B b\")); \
                      alter table \"t \"\"x\" drop gone";
        connection.batch(create).await.unwrap();
        let oid: u32 = connection.query_one("select '\"t \"\"x\"'::regclass::oid", &[]).await.unwrap().get(0);
        assert_eq!(catalog::table_oid(&connection, &name).await.unwrap(), oid);
        assert_eq!(catalog::primary_key(&connection, &name).await.unwrap(), ["c", "a"]);
        assert_eq!(catalog::columns(&connection, &name).await.unwrap(), ["a", "B b", "c"]);
        connection.batch("create table keyless (a int)").await.unwrap();
        assert!(
            catalog::primary_key(&connection, &QualifiedName::parse("keyless")).await.unwrap().is_empty()
        );
        let missing = QualifiedName::parse("no.such");
        let message = catalog::table_oid(&connection, &missing).await.unwrap_err().to_string();
        assert_eq!(message, "db: there is no table no.such");
    });
}

#[test]
fn what_is_missing_is_installed_in_its_order_and_once() {
    let database = Database::fresh("install");
    let connection = open(&database);
    let workplace = Workplace::new();
    std::fs::create_dir(workplace.path("second")).unwrap();
    workplace.write(
        "second/fire.sql",
        "-- two statements; in one file\ncreate table app.log (t text default ';');\n\
         create function app.fire(int) returns int language plpgsql as $$ begin return $1; end $$;",
    );
    let installer = Installer::new(vec![workplace.path("first"), workplace.path("second")]);
    let objects = [
        (Object::Schema("app".into()), Origin::Sql("create schema app".into())),
        (Object::Extension("pgq".into()), Origin::Extension("pgq".into())),
        (Object::Function { name: "app.fire".into(), arguments: 1 }, Origin::File("fire.sql".into())),
        (Object::Table(QualifiedName::parse("app.log")), Origin::File("no such file".into())),
    ];
    wait(connection.batch("drop extension pgq cascade")).unwrap();
    let made = wait(installer.install(&connection, &objects)).unwrap();
    assert_eq!(made, [&objects[0].0, &objects[1].0, &objects[2].0]);
    assert!(wait(installer.install(&connection, &objects)).unwrap().is_empty());

    let message = |origin| {
        let missing = [(Object::Schema("missing".into()), origin)];
        wait(installer.install(&connection, &missing)).unwrap_err().to_string()
    };
    assert_eq!(
        message(Origin::Sql("select 1".into())),
        "db: schema missing is not there after its installation"
    );
    let (first, second) = (workplace.path("first"), workplace.path("second"));
    let expected = format!("no file x.sql in {}, {}", first.display(), second.display());
    assert_eq!(message(Origin::File("x.sql".into())), expected);
}
