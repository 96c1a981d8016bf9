//! Sequences, alone and with their tables.

use skytools::db::QualifiedName;
use skytools::db::structure::{Element, Sequence, Table};

use super::{ALL, assert_same, database, dump, open};
use crate::kit::wait;

#[test]
fn a_sequence_goes_on_elsewhere() {
    let (source, target) = (database("structure"), database("structure"));
    let (from, to) = (open(&source), open(&target));
    source.connect().exec(
        r#"create unlogged sequence plain."se ""q" as smallint increment 3 minvalue -5 maxvalue 50 start 2 cache 1 cycle;
           select nextval('plain."se ""q"'), nextval('plain."se ""q"');
           create sequence plain.ended maxvalue 2;
           select nextval('plain.ended'), nextval('plain.ended');
           create table plain.t (id serial)"#,
    );
    let name = QualifiedName::new("plain", "se \"q");
    let new_name = QualifiedName::new("elsewhere", "re named");
    wait(async { Sequence::load(&from, &name).await.unwrap().create(&to, &new_name).await.unwrap() });
    let twin = database("structure");
    twin.connect().exec(
        "create unlogged sequence elsewhere.\"re named\" as smallint increment 3 minvalue -5 maxvalue 50 start 8 cycle",
    );
    assert_same(&dump(&target, &new_name), &dump(&twin, &new_name));

    let ended = wait(Sequence::load(&from, &QualifiedName::new("plain", "ended"))).unwrap();
    wait(ended.create(&to, &ended.name())).unwrap();
    let owned = wait(Sequence::load(&from, &QualifiedName::new("plain", "t_id_seq"))).unwrap();
    assert_eq!(owned.owned_by(), Some((&QualifiedName::new("plain", "t"), "id")));
    let error = wait(Sequence::load(&from, &QualifiedName::new("plain", "t"))).unwrap_err();
    assert_eq!(error.to_string(), "db: there is no sequence plain.t");
}

/// A sequence that was copied before its table waits for it; one that belongs to another table is left to it.
#[test]
fn a_sequence_that_waits_is_taken() {
    let (source, target) = (database("structure"), database("structure"));
    let (from, to) = (open(&source), open(&target));
    source.connect().exec("create table plain.t (id serial primary key)");
    let name = QualifiedName::new("plain", "t");
    let structure = wait(Table::load(&from, &name)).unwrap();
    target.connect().exec("create sequence plain.t_id_seq as int; select setval('plain.t_id_seq', 41)");
    wait(structure.create(&to, ALL, &name)).unwrap();
    assert_same(&dump(&target, &name), &dump(&source, &name));
    assert_eq!(target.connect().one::<i32>("insert into plain.t values (default) returning id", &[]), 42);
}

/// A sequence that begins anew would give numbers that rows have already.
#[test]
fn a_sequence_whose_value_may_not_be_seen_is_not_made() {
    let (source, target) = (database("structure"), database("structure"));
    let (from, to) = (open(&source), open(&target));
    source.connect().exec(
        "create table plain.t (id serial primary key, n int generated always as identity); \
         insert into plain.t default values; grant usage on schema plain to structure_reader",
    );
    wait(from.batch("set role structure_reader")).unwrap();
    let name = QualifiedName::new("plain", "t");
    let structure = wait(Table::load(&from, &name)).unwrap();
    wait(structure.create(&to, &[Element::Table, Element::PrimaryKey], &name)).unwrap();
    let refused = wait(structure.create(&to, &[Element::Sequences], &name)).unwrap_err().to_string();
    assert_eq!(refused, "the next value of sequence plain.t_id_seq takes USAGE or SELECT on it");
    let alone = wait(Sequence::load(&from, &QualifiedName::new("plain", "t_n_seq"))).unwrap();
    let refused = wait(alone.create(&to, &alone.name())).unwrap_err().to_string();
    assert_eq!(refused, "the next value of sequence plain.t_n_seq takes USAGE or SELECT on it");

    source.connect().exec("grant select on sequence plain.t_id_seq, plain.t_n_seq to structure_reader");
    let structure = wait(Table::load(&from, &name)).unwrap();
    wait(structure.create(&to, &[Element::Sequences, Element::Defaults], &name)).unwrap();
    let next = "insert into plain.t default values returning id || ' ' || n";
    assert_eq!(target.connect().one::<String>(next, &[]), "2 2");
}
