//! Tables read from one database and made in another: `pg_dump` is the judge.

use std::process::Output;

use pgq_tests::client::Session;
use pgq_tests::shared::Database;
use skytools::db::structure::{Element, Table};
use skytools::db::{Connection, Options, QualifiedName};

use crate::kit::{conninfo, wait};

/// What tables need that are not theirs: in both databases, as an administrator would have it.
const COMMON: &str = r#"
create schema "Ev""il. \schema";
create schema plain;
create schema elsewhere;
create type plain.mood as enum ('sad', 'it''s ok');
create domain plain.positive as int check (value > 0);
create collation plain."Co ll" (provider = icu, locale = 'en');
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
