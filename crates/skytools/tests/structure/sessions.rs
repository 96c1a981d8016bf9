//! What a session is set to does not matter.

use skytools::db::structure::Table;
use skytools::db::{Connection, Options, QualifiedName};

use super::{ALL, assert_same, database, dump, open};
use crate::kit::{conninfo, wait};

/// Settings of the session that change how the catalog writes are neither used nor touched.
#[test]
fn the_settings_of_a_session_do_not_matter() {
    let (source, target) = (database("structure"), database("structure"));
    source.connect().exec(
        "create table plain.t (id serial, m plain.mood default 'sad', at date default '2024-03-01', \
         d float8 default 1.1, i interval default '-1 days +02:00:00')",
    );
    let name = QualifiedName::new("plain", "t");
    let settings = "set search_path = plain, pg_catalog; set datestyle = 'german'; set intervalstyle = sql_standard; \
                    set extra_float_digits = -10";
    for options in [Options::autocommit(), Options::default()] {
        let from = wait(Connection::open("db", &conninfo(&source), options)).unwrap();
        let to = wait(Connection::open("db", &conninfo(&target), options)).unwrap();
        wait(async {
            from.batch(settings).await.unwrap();
            to.batch(settings).await.unwrap();
            let structure = Table::load(&from, &name).await.unwrap();
            for connection in [&from, &to] {
                let row = connection
                    .query_one("select current_setting('search_path'), current_setting('datestyle')", &[]);
                let row = row.await.unwrap();
                assert_eq!((row.get(0), row.get(1)), ("plain, pg_catalog", "German, DMY"));
            }
            structure.create(&to, ALL, &name).await.unwrap();
            to.commit().await.unwrap();
        });
        assert_same(&dump(&target, &name), &dump(&source, &name));
        target.connect().exec("drop table plain.t");
    }
}

#[test]
fn backslashes_mean_themselves_whatever_the_session_says() {
    let (source, target) = (database("structure"), database("structure"));
    source.connect().exec(r"create table plain.t (a text default 'a\b', check (a <> '\'))");
    let (from, to) = (open(&source), open(&target));
    let name = QualifiedName::new("plain", "t");
    let off = "set standard_conforming_strings = off";
    wait(from.batch(off)).unwrap();
    let structure = wait(Table::load(&from, &name)).unwrap();
    wait(structure.create(&to, ALL, &name)).unwrap();
    assert_same(&dump(&target, &name), &dump(&source, &name));
    wait(to.batch(off)).unwrap();
    let error = wait(structure.create(&to, ALL, &name)).unwrap_err();
    assert_eq!(error.to_string(), "db: standard_conforming_strings must be on to make plain.t");
}
