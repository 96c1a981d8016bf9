//! Some elements, one after the other, and the tables above a table.

use pgq_tests::server::Server;
use skytools::db::QualifiedName;
use skytools::db::structure::{Element, Table};

use super::{ALL, assert_same, database, dump, everything, open};
use crate::kit::{conninfo, wait};

#[test]
fn a_partition_is_attached_again_and_a_child_inherits_again() {
    let (source, target) = (database("structure"), database("structure"));
    let (from, to) = (open(&source), open(&target));
    let sql = r#"
        create table plain.whole (id int, at date, t text, primary key (id, at)) partition by range (at);
        create index on plain.whole (t);
        create trigger fires after insert on plain.whole for each row execute function plain.fire();
        create table plain.base (id int not null constraint positive check (id > 0));
        create table plain.mixin (m text default 'm');"#;
    let children = r#"
        create table plain.part partition of plain.whole for values from ('2024-01-01') to ('2025-01-01');
        create table plain.rest partition of plain.whole default partition by list (at);
        create table plain.child (id int not null constraint positive check (id > 0), own text, m text default 'm');
        alter table plain.child inherit plain.base;
        alter table plain.child inherit plain.mixin;"#;
    for database in [&source, &target] {
        database.connect().exec(sql);
        if Server::ours().major() >= 17 {
            // Partitions have the identity of the whole since then.
            database.connect().exec("alter table plain.whole add n int generated always as identity");
        }
    }
    source.connect().exec(children);
    let elements = [ALL, &[Element::Parents]].concat();
    for table in ["part", "rest", "child"] {
        let name = QualifiedName::new("plain", table);
        wait(async {
            Table::load(&from, &name).await.unwrap().create(&to, &elements, &name).await.unwrap();
        });
        assert_same(&dump(&target, &name), &dump(&source, &name));
    }
    // Alone, the partition keeps the trigger that it had from the whole.
    let alone = database("structure");
    let to_alone = open(&alone);
    wait(async {
        let name = QualifiedName::new("plain", "part");
        Table::load(&from, &name).await.unwrap().create(&to_alone, ALL, &name).await.unwrap();
    });
    assert!(
        dump(&alone, &QualifiedName::new("plain", "part"))
            .iter()
            .any(|line| line.contains("CREATE TRIGGER fires"))
    );
    for table in ["child", "rest", "part"] {
        let name = QualifiedName::new("plain", table);
        wait(async { Table::load(&to, &name).await.unwrap().drop(&to, &elements).await.unwrap() });
    }
    let fresh = database("structure");
    fresh.connect().exec(sql);
    if Server::ours().major() >= 17 {
        fresh.connect().exec("alter table plain.whole add n int generated always as identity");
    }
    assert_eq!(everything(&target), everything(&fresh));
}

#[test]
fn a_few_elements_are_enough_for_a_subscriber() {
    let (source, target) = (database("structure"), database("structure"));
    let (from, to) = (open(&source), open(&target));
    source.connect().exec(
        "create table plain.t (id serial primary key, a int unique default 5, n int generated always as identity); \
         create index on plain.t (a); grant select on plain.t to public; alter table plain.t owner to structure_owner",
    );
    let name = QualifiedName::new("plain", "t");
    let structure = wait(Table::load(&from, &name)).unwrap();
    wait(structure.create(&to, &[Element::Table, Element::PrimaryKey], &name)).unwrap();
    target.connect().exec("insert into plain.t values (1, null, 7)");
    let twin = database("structure");
    twin.connect().exec("create table plain.t (id int primary key, a int, n int not null)");
    assert_same(&dump(&target, &name), &dump(&twin, &name));

    assert_eq!(
        structure.list(ALL),
        [
            "table plain.t",
            "sequence t_id_seq",
            "identity t_n_seq",
            "default of id",
            "default of a",
            "constraint t_pkey",
            "constraint t_a_key",
            "index t_a_idx",
            "grants",
            "owner structure_owner",
        ]
    );
    // The rest can come later, and go again.
    let rest: Vec<_> =
        ALL.iter().copied().filter(|e| *e != Element::Table && *e != Element::Constraints).collect();
    wait(structure.create(&to, &rest, &name)).unwrap();
    let rest: Vec<_> = rest.into_iter().filter(|element| *element != Element::Owner).collect();
    wait(structure.drop(&to, &rest)).unwrap();
    target.connect().exec("alter table plain.t owner to postgres");
    twin.connect().exec("grant select on plain.t to public; revoke select on plain.t from public");
    assert_same(&dump(&target, &name), &dump(&twin, &name));
}

#[test]
fn elements_can_come_one_after_the_other() {
    let (source, target) = (database("structure"), database("structure"));
    let (from, to) = (open(&source), open(&target));
    source.connect().exec(
        "create table plain.t (id serial primary key, n int generated always as identity); \
         create index on plain.t (n); grant usage on sequence plain.t_id_seq to public",
    );
    let structure = wait(Table::load(&from, &QualifiedName::new("plain", "t"))).unwrap();
    let name = QualifiedName::new("elsewhere", "u");
    for element in ALL {
        wait(structure.create(&to, &[*element], &name)).unwrap();
    }
    let at_once = database("structure");
    let to_at_once = open(&at_once);
    wait(structure.create(&to_at_once, ALL, &name)).unwrap();
    assert_same(&dump(&target, &name), &dump(&at_once, &name));
}

#[test]
fn the_example_of_the_documentation_does_what_it_says() {
    let document = include_str!("../../../../docs/tables.md");
    assert!(document.contains(include_str!("../move_in.rs")), "docs/tables.md shows another example");
    let (provider, subscriber) = (database("structure"), database("structure"));
    provider.connect().exec(
        "create schema shop; create table shop.orders (id serial primary key, placed date default '2024-05-01'); \
         create index on shop.orders (placed); insert into shop.orders values (1, '2023-12-31'); \
         insert into shop.orders values (2), (3); select setval('shop.orders_id_seq', 3)",
    );
    subscriber.connect().exec("create schema archive");
    wait(crate::move_in::move_in(&conninfo(&provider), &conninfo(&subscriber))).unwrap();
    assert_eq!(subscriber.connect().one::<i64>("select sum(id) from archive.orders", &[]), 5);
    let next = "insert into archive.orders default values returning id || ' ' || placed";
    assert_eq!(subscriber.connect().one::<String>(next, &[]), "4 2024-05-01");
}
