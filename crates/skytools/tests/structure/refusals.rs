//! What cannot be made leaves nothing behind.

use skytools::db::structure::Table;
use skytools::db::{Connection, Options, QualifiedName};

use super::{ALL, database, everything, open};
use crate::kit::{conninfo, wait};

#[test]
fn a_failure_leaves_nothing_in_either_mode() {
    let (source, target) = (database("structure"), database("structure"));
    let from = open(&source);
    source.connect().exec(
        "create function plain.only_here(int) returns int language sql immutable as 'select 1'; \
         create table plain.t (id serial primary key); create index on plain.t (plain.only_here(id))",
    );
    let name = QualifiedName::new("plain", "t");
    let structure = wait(Table::load(&from, &name)).unwrap();
    let before = everything(&target);
    for options in [Options::autocommit(), Options::default()] {
        let to = wait(Connection::open("target_db", &conninfo(&target), options)).unwrap();
        let error = wait(structure.create(&to, ALL, &name)).unwrap_err();
        assert!(error.to_string().starts_with("target_db: function plain.only_here"), "{error}");
        wait(to.rollback()).unwrap();
        assert_eq!(everything(&target), before);
    }
}

#[test]
fn what_is_no_table_is_refused() {
    let database = database("structure");
    let connection = open(&database);
    database.connect().exec(
        "create view plain.v as select 1; create foreign data wrapper w; create server s \
         foreign data wrapper w; create foreign table plain.f (a int) server s",
    );
    let message =
        |name| wait(Table::load(&connection, &QualifiedName::new("plain", name))).unwrap_err().to_string();
    assert_eq!(message("v"), "db: there is no table plain.v");
    assert_eq!(message("f"), "db: plain.f is no ordinary or partitioned table");
    assert_eq!(message("no such"), "db: there is no table plain.\"no such\"");
}
