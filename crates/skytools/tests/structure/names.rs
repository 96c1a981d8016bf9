//! Under another name.

use skytools::db::QualifiedName;
use skytools::db::structure::Table;

use super::{ALL, assert_same, database, dump, open};
use crate::kit::wait;

/// The table under another name, in the database where it is and in another one.
#[test]
fn under_another_name_nothing_is_shared_with_the_original() {
    let (source, target) = (database("structure"), database("structure"));
    let (from, to) = (open(&source), open(&target));
    let original = r#"
        create table plain.orders (
          id serial primary key, "b\ad" serial, code text constraint codes unique, n int generated always as identity,
          check (id > 0));
        create index "ORDERS on orders" on plain.orders (code);
        create index taken on plain.orders (id) where code <> 'ON orders';
        alter table plain.orders cluster on "ORDERS on orders";
        alter table plain.orders replica identity using index orders_pkey;
        create trigger orders after insert on plain.orders for each row execute function plain.fire('orders');
        create rule orders as on delete to plain.orders do instead nothing;
        grant usage on sequence plain.orders_id_seq to public;
        comment on index plain.orders_pkey is 'key';
        comment on table plain.orders is 'plain.orders';"#;
    // As it would have been written by hand; the names of sequences are the reason for so many statements.
    let by_hand = |suffix: &str, sequences: &str, taken: &str| {
        format!(
            r#"
        create table elsewhere."new orders" (
          id int not null, "b\ad" int not null, code text, n int not null,
          constraint orders_id_check check (id > 0));
        create sequence elsewhere.orders_id_seq{sequences} as int owned by elsewhere."new orders".id;
        create sequence elsewhere."orders_b\ad_seq{sequences}" as int owned by elsewhere."new orders"."b\ad";
        alter table elsewhere."new orders"
          alter id set default nextval('elsewhere.orders_id_seq{sequences}'),
          alter "b\ad" set default nextval('elsewhere."orders_b\ad_seq{sequences}"'),
          alter n add generated always as identity (sequence name elsewhere.orders_n_seq{sequences}),
          add constraint orders_pkey{suffix} primary key (id), add constraint codes{suffix} unique (code);
        create index "ORDERS on orders{suffix}" on elsewhere."new orders" (code);
        create index {taken} on elsewhere."new orders" (id) where code <> 'ON orders';
        alter table elsewhere."new orders" cluster on "ORDERS on orders{suffix}";
        alter table elsewhere."new orders" replica identity using index orders_pkey{suffix};
        create trigger orders after insert on elsewhere."new orders" for each row execute function plain.fire('orders');
        create rule orders as on delete to elsewhere."new orders" do instead nothing;
        grant usage on sequence elsewhere.orders_id_seq{sequences} to public;
        comment on index elsewhere.orders_pkey{suffix} is 'key';
        comment on table elsewhere."new orders" is 'plain.orders';"#
        )
    };
    source.connect().exec(original);
    let structure = wait(Table::load(&from, &QualifiedName::new("plain", "orders"))).unwrap();
    let new_name = QualifiedName::new("elsewhere", "new orders");

    target.connect().exec("create table elsewhere.taken_1 ()");
    wait(structure.create(&to, ALL, &new_name)).unwrap();
    let twin = database("structure");
    twin.connect().exec(&by_hand("_1", "", "taken_2"));
    assert_same(&dump(&target, &new_name), &dump(&twin, &new_name));

    // Next to itself: sequences that are taken get numbers, too.
    let beside = QualifiedName::new("plain", "Orders");
    wait(structure.create(&from, ALL, &beside)).unwrap();
    let mut session = source.connect();
    let names: Vec<String> = session.column(
        "select relname::text from pg_class where relnamespace = 'plain'::regnamespace \
         and (relname like '%orders%' or relname like 'taken%' or relname like 'codes%') order by relname collate \"C\"",
        &[],
    );
    let expected = [
        "ORDERS on orders",
        "ORDERS on orders_1",
        "codes",
        "codes_1",
        "orders",
        "orders_b\\ad_seq",
        "orders_b\\ad_seq_1",
        "orders_id_seq",
        "orders_id_seq_1",
        "orders_n_seq",
        "orders_n_seq_1",
        "orders_pkey",
        "orders_pkey_1",
        "taken",
        "taken_1",
    ];
    assert_eq!(names, expected);
    session.exec("insert into plain.\"Orders\" (code) values ('a'), ('b')");
    assert_eq!(session.one::<i32>("select nextval('plain.orders_id_seq')::int", &[]), 1);
    // Dropping the copy leaves the original.
    let before = dump(&source, &structure.name());
    wait(async { Table::load(&from, &beside).await.unwrap().drop(&from, ALL).await.unwrap() });
    assert_eq!(dump(&source, &structure.name()), before);
}

#[test]
fn long_names_have_room_for_their_numbers() {
    let database = database("structure");
    let connection = open(&database);
    let long = "ä".repeat(31);
    database.connect().exec(&format!(
        "create table plain.t (a int, b int); create index \"{long}a\" on plain.t (a); create index \"{long}\" on plain.t (b)"
    ));
    let structure = wait(Table::load(&connection, &QualifiedName::new("plain", "t"))).unwrap();
    wait(structure.create(&connection, ALL, &QualifiedName::new("plain", "u"))).unwrap();
    let names: Vec<String> = database.connect().column(
        "select indexrelid::regclass::text from pg_index where indrelid = 'plain.u'::regclass order by 1",
        &[],
    );
    let cut = "ä".repeat(29);
    assert_eq!(names, [format!("plain.\"{cut}_1\""), format!("plain.\"{cut}_2\"")]);
}
