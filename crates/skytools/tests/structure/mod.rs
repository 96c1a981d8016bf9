//! Tables read from one database and made in another: `pg_dump` is the judge.

mod names;
mod parts;
mod refusals;
mod same;
mod sequences;
mod sessions;

use std::process::Output;

use pgq_tests::client::Session;
use pgq_tests::shared::Database;
use skytools::db::structure::Element;
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
