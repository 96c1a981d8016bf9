//! Tables read from one database and made in another: `pg_dump` is the judge.

use std::process::Output;

use pgq_tests::client::Session;
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::db::structure::{Element, Sequence, Table};
use skytools::db::{Connection, Options, QualifiedName};

use crate::kit::{conninfo, wait};

/// What tables need that are not theirs: in both databases, as an administrator would have it.
const COMMON: &str = r#"
create schema "Ev""il. \schema";
create schema plain;
create schema elsewhere;
create type plain.mood as enum ('sad', 'it''s ok');
create domain plain.positive as int check (value > 0);
create collation plain."Co ll" (provider = libc, locale = 'C');
create function plain.fire() returns trigger language plpgsql as 'begin return new; end';
create function plain.twice(int) returns int language sql immutable as 'select $1 * 2';
create table plain.log (what text);
create access method "He ap" type table handler heap_tableam_handler;
"#;

/// Roles belong to the cluster, which all tests share.
fn roles(session: &mut Session) {
    for role in ["structure_reader", "structure_owner", "Structure \"evil\" role"] {
        let quoted = role.replace('"', "\"\"");
        session.exec(&format!(
            "do $$ begin create role \"{quoted}\"; \
             exception when duplicate_object or unique_violation then null; end $$"
        ));
    }
}

fn database(label: &str) -> Database {
    let database = Database::fresh(label);
    let mut session = database.connect();
    roles(&mut session);
    session.exec(COMMON);
    database
}

fn open(database: &Database) -> Connection {
    wait(Connection::open("db", &conninfo(database), Options::autocommit())).unwrap()
}

/// The schema of a table and of what it owns, as `pg_dump` tells it; grants, which come in the order in which they
/// were given, last and sorted.
fn dump(database: &Database, name: &QualifiedName) -> Vec<String> {
    let quoted = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    let table = format!("{}.{}", quoted(&name.schema), quoted(&name.name));
    let Output { status, stdout, stderr } =
        database.client_program("pg_dump").args(["-s", "-t", &table]).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let text = String::from_utf8(stdout).unwrap();
    // Newer ones put a random word around their output.
    let lines = text.lines().filter(|line| !line.contains("restrict ") && !line.is_empty());
    let (mut grants, mut lines): (Vec<_>, Vec<_>) =
        lines.map(str::to_owned).partition(|line| line.starts_with("GRANT "));
    grants.sort();
    lines.extend(grants);
    lines
}

#[track_caller]
fn assert_same(copy: &[String], original: &[String]) {
    let not_in = |these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>().join("\n")
    };
    let (added, missing) = (not_in(copy, original), not_in(original, copy));
    assert!(copy == original, "added:\n{added}\nmissing:\n{missing}\nall:\n{}", original.join("\n"));
}

const ALL: &[Element] = Element::ALL;

/// Makes the table on one side, copies it to the other, and has both dumped.
fn check(zoo: &[(&str, &str, &str)]) {
    let (source, target) = (database("structure"), database("structure"));
    let (from, to) = (open(&source), open(&target));
    for (schema, table, sql) in zoo {
        let name = QualifiedName::new(*schema, *table);
        source.connect().exec(sql);
        wait(async {
            let structure = Table::load(&from, &name).await.unwrap();
            if let Err(error) = structure.create(&to, ALL, &name).await {
                panic!("{error}:\n{}", structure.create_statements(ALL).unwrap().join(";\n"));
            }
        });
        assert_same(&dump(&target, &name), &dump(&source, &name));
    }
    // And away again, the last one first.
    let before = everything(&database("structure"));
    for (schema, table, _) in zoo.iter().rev() {
        let name = QualifiedName::new(*schema, *table);
        wait(async { Table::load(&to, &name).await.unwrap().drop(&to, ALL).await.unwrap() });
    }
    assert_eq!(everything(&target), before);
}

/// All that could be left behind.
fn everything(database: &Database) -> Vec<String> {
    database.connect().column(
        "select relname::text from pg_class where relnamespace <> 'pg_toast'::regnamespace
         union all select conname::text from pg_constraint
         union all select tgname::text from pg_trigger
         union all select polname::text from pg_policy
         union all select rulename::text from pg_rewrite
         union all select description from pg_description where objoid > 16384
         order by 1",
        &[],
    )
}

#[test]
fn a_table_with_everything_is_the_same_elsewhere() {
    check(&[
        (
            "plain",
            "simple",
            "create table plain.simple (id serial primary key, data text not null default 'it''s \\')",
        ),
        ("plain", "none", "create table plain.none ()"),
        (
            "plain",
            "kinds",
            r#"create unlogged table plain.kinds (
                 small smallserial, big bigint generated always as identity (start 5 increment -3 maxvalue 100 cycle),
                 other int generated by default as identity not null,
                 amount numeric(10, 2) default 1.5, moment timestamptz(3) default now(),
                 long interval day to second (2) default '-1 day +02:03:04'::interval,
                 letters varchar(10)[] default '{a,"b c"}', mood plain.mood default 'it''s ok',
                 counted plain.positive default 3, sorted text collate plain."Co ll",
                 doubled int generated always as (plain.twice(id)) stored, id int not null,
                 price float8 default 0.1, day date default '2024-02-03'
               ) with (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
               alter table plain.kinds alter letters set storage external, alter letters set compression pglz,
                 alter id set statistics 300, alter id set (n_distinct = -0.5),
                 replica identity full;
               comment on table plain.kinds is 'it''s a \ table';
               comment on column plain.kinds.id is E'line\nline';
               comment on sequence plain.kinds_small_seq is 'small';
               comment on sequence plain.kinds_big_seq is 'big';"#,
        ),
        (
            "plain",
            "bound",
            r#"create table plain.bound (
                 a int, b int, c int4range, d text,
                 constraint bound_key primary key (b, a) include (d) with (fillfactor = 50),
                 constraint one unique nulls not distinct (d) deferrable initially deferred,
                 constraint apart exclude using gist (c with &&) where (a > 5),
                 constraint sane check (a > b and d <> 'x;'';') no inherit);
               alter table plain.bound add constraint later check (a > 0) not valid;
               create index on plain.bound (lower(d) text_pattern_ops desc nulls last, (a + b)) where b > 7;
               alter index plain.bound_lower_expr_idx alter column 2 set statistics 400;
               create unique index chosen on plain.bound using btree (a, b) with (fillfactor = 60);
               create index hashed on plain.bound using hash (d);
               alter table plain.bound cluster on bound_key;
               alter table plain.bound replica identity using index chosen;
               comment on constraint sane on plain.bound is 'sane';
               comment on constraint bound_key on plain.bound is 'key';
               comment on index plain.bound_key is 'its index';
               comment on index plain.hashed is 'hash';
               create statistics plain.dependent on a, b from plain.bound;
               drop statistics plain.dependent;"#,
        ),
        (
            "plain",
            "fired",
            r#"create table plain.fired (id int primary key, "ON" int, t text);
               create trigger usual before insert or update of id, "ON" on plain.fired
                 for each row when (new.id > 0) execute function plain.fire('it''s', 'ON x.y', '\');
               create trigger off after delete on plain.fired for each row execute function plain.fire();
               create trigger replica after truncate on plain.fired execute function plain.fire();
               create trigger always after update on plain.fired referencing old table as o new table as n
                 for each statement execute function plain.fire();
               create constraint trigger late after insert on plain.fired from plain.log
                 deferrable initially deferred for each row execute function plain.fire();
               alter table plain.fired disable trigger off;
               alter table plain.fired enable replica trigger replica;
               alter table plain.fired enable always trigger always;
               create rule noted as on insert to plain.fired where new.id > 9
                 do also (insert into plain.log values (new.t || ';'); delete from plain.log where what = 'x');
               create rule never as on delete to plain.fired do instead nothing;
               alter table plain.fired disable rule never;
               alter table plain.fired enable always rule noted;
               comment on trigger usual on plain.fired is 'usual';
               comment on rule noted on plain.fired is 'noted';"#,
        ),
        (
            "plain",
            "guarded",
            r#"create table plain.guarded (id serial primary key, who text, "se cret" text);
               alter table plain.guarded enable row level security, force row level security;
               create policy mine on plain.guarded as restrictive for update
                 to structure_reader, "Structure ""evil"" role" using (who = current_user) with check (id > 0);
               create policy all_see on plain.guarded for select using (true);
               comment on policy mine on plain.guarded is 'mine';
               alter table plain.guarded owner to structure_owner;
               revoke delete, truncate on plain.guarded from structure_owner;
               grant select on plain.guarded to public;
               grant insert, update on plain.guarded to structure_reader with grant option;
               grant delete on plain.guarded to structure_reader, "Structure ""evil"" role";
               grant select ("se cret"), references (id) on plain.guarded to "Structure ""evil"" role" with grant option;
               grant update (who) on plain.guarded to public;
               grant usage on sequence plain.guarded_id_seq to structure_reader;
               grant all on sequence plain.guarded_id_seq to "Structure ""evil"" role" with grant option;"#,
        ),
        (
            "plain",
            "own",
            "create table plain.own (id int) using \"He ap\"; revoke all on plain.own from current_user",
        ),
        (
            "plain",
            "parted",
            r#"create table plain.parted (id int, at date not null, primary key (id, at))
                 partition by range (at, id);
               create index parted_at on plain.parted (at);"#,
        ),
        (
            "Ev\"il. \\schema",
            "ta\"ble ON x.y; --\\",
            r#"create table "Ev""il. \schema"."ta""ble ON x.y; --\" (
                 "I D" serial, "sel""ect;" text collate plain."Co ll" not null default '\x', "b\s" int default 3,
                 "ON ""q""" int generated by default as identity,
                 constraint "pri ""mary ON" primary key ("I D"), constraint "che\ck" check ("b\s" > 0));
               create unique index "in ON ""dex"" USING" on "Ev""il. \schema"."ta""ble ON x.y; --\" ("b\s", "sel""ect;");
               create trigger "tr ON ""x"".y ON" after update of "ON ""q""" on "Ev""il. \schema"."ta""ble ON x.y; --\"
                 for each row execute function plain.fire();
               create rule " TO ""x"" TO " as on delete to "Ev""il. \schema"."ta""ble ON x.y; --\" do instead nothing;
               create policy "p ON o" on "Ev""il. \schema"."ta""ble ON x.y; --\" using ("b\s" = 1);
               alter table "Ev""il. \schema"."ta""ble ON x.y; --\" owner to "Structure ""evil"" role";
               grant select ("b\s") on "Ev""il. \schema"."ta""ble ON x.y; --\" to structure_reader;
               comment on column "Ev""il. \schema"."ta""ble ON x.y; --\"."b\s" is '\''';
               alter table "Ev""il. \schema"."ta""ble ON x.y; --\" cluster on "in ON ""dex"" USING";"#,
        ),
    ]);
}

#[test]
fn what_only_newer_servers_have_is_the_same_elsewhere() {
    let major = Server::ours().major();
    let mut zoo = Vec::new();
    if major >= 17 {
        zoo.push((
            "plain",
            "kept",
            "create table plain.kept (a int); grant maintain, select on plain.kept to public",
        ));
    }
    if major >= 18 {
        zoo.push((
            "plain",
            "filled",
            r#"create table plain.filled (
                 id int primary key,
                 named int constraint "must be" not null,
                 alone int not null no inherit,
                 twofold int constraint lonely not null no inherit,
                 later int,
                 virtual int generated always as (id * 2) virtual,
                 stored int generated always as (id * 3) stored,
                 constraint unforced check (id > 0) not enforced);
               alter table plain.filled add constraint old not null later not valid;
               comment on constraint "must be" on plain.filled is 'must';
               comment on constraint filled_id_not_null on plain.filled is 'id';
               create table plain.periods (at int4range, who int4range, primary key (who, at without overlaps));"#,
        ));
        zoo.push(("plain", "periods", "select"));
    }
    check(&zoo);
}

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

#[test]
fn an_older_server_gets_what_it_understands() {
    let Some(peer) = Server::peer().filter(|peer| peer.major() < 17 && Server::ours().major() >= 18) else {
        return;
    };
    let (source, target) = (database("structure"), Database::fresh_on(&peer, "structure"));
    let (from, to) = (open(&source), open(&target));
    target.connect().exec("create schema plain");
    source.connect().exec(
        "create table plain.t (id int primary key, a int constraint named not null no inherit, b int); \
         alter table plain.t add constraint later not null b not valid; grant all on plain.t to public",
    );
    let name = QualifiedName::new("plain", "t");
    wait(async { Table::load(&from, &name).await.unwrap().create(&to, ALL, &name).await.unwrap() });
    let nullable: Vec<String> = target.connect().column(
        "select attname::text from pg_attribute where attrelid = 'plain.t'::regclass and attnum > 0 and not attnotnull",
        &[],
    );
    assert_eq!(nullable, ["b"]);
    let privileges = "select count(*) from pg_class c, aclexplode(c.relacl) a where c.oid = 'plain.t'::regclass and a.grantee = 0";
    assert_eq!(target.connect().one::<i64>(privileges, &[]), 7);
}

#[test]
fn the_example_of_the_documentation_does_what_it_says() {
    let document = include_str!("../../../docs/tables.md");
    assert!(document.contains(include_str!("move_in.rs")), "docs/tables.md shows another example");
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
