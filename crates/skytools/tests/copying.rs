//! Rows in bulk.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use pgq_tests::client::wait_until;
use pgq_tests::shared::Database;
use skytools::Error;
use skytools::db::copy::{Copied, Rows, TableCopy};
use skytools::db::dml::Statements;
use skytools::db::payload::Record;
use skytools::db::{Connection, Options, QualifiedName, catalog};
use tokio::sync::Notify;

use crate::kit::{conninfo, wait};

fn open(database: &Database) -> Connection {
    wait(Connection::open("db", &conninfo(database), Options::default())).unwrap()
}

fn record(fields: &[(&str, Option<&str>)]) -> Record {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
}

fn name(text: &str) -> QualifiedName {
    QualifiedName::parse(text)
}

fn rows(database: &Database, sql: &str) -> Vec<String> {
    database.connect().column(sql, &[])
}

const EVIL: &str = "public.T \"able";

#[test]
fn records_with_different_fields_go_into_one_table_by_any_way() {
    let table = QualifiedName::parse(EVIL);
    let records = [
        record(&[("id", Some("1")), ("Da ta", Some("tab\there, line\nfeed, \\N and \\."))]),
        record(&[("id", Some("2")), ("or\"der", Some("it's")), ("Da ta", None)]),
        record(&[("Da ta", Some("")), ("id", Some("3"))]),
    ];
    let these = Rows::from_records(&records);
    assert_eq!(these.len(), 3);
    let expected = [
        r#"(1,"tab	here, line
feed, \\N and \\.",)"#,
        "(2,,it's)",
        "(3,\"\",)",
    ];
    let database = Database::fresh("records");
    let connection = open(&database);
    let fresh = || {
        database.connect().exec(
            "drop table if exists \"T \"\"able\"; create table \"T \"\"able\" (id int, \"Da ta\" text, \"or\"\"der\" text)",
        );
    };
    let found = || rows(&database, "select t::text from \"T \"\"able\" t order by id");
    fresh();
    assert_eq!(wait(these.copy_into(&connection, &table)).unwrap(), 3);
    assert!(found().is_empty(), "not committed");
    wait(connection.commit()).unwrap();
    assert_eq!(found(), expected);
    fresh();
    database.connect().exec(&these.insert_text(&table));
    assert_eq!(found(), expected);
    fresh();
    let mut psql = database.client_program("psql");
    let mut psql = psql.args(["-qX", "-v", "ON_ERROR_STOP=1"]).stdin(Stdio::piped()).spawn().unwrap();
    psql.stdin.take().unwrap().write_all(these.copy_text(&table).as_bytes()).unwrap();
    assert!(psql.wait().unwrap().success());
    assert_eq!(found(), expected);

    let lists = Rows::from_lists(vec!["id".into()], vec![vec![Some("9".into())], vec![]]);
    assert_eq!(lists.unwrap_err().to_string(), "row 2 has 0 values for 1 columns");
}

#[test]
fn without_records_nothing_is_written() {
    let database = Database::fresh("records");
    let (connection, table) = (open(&database), name("t"));
    database.connect().exec("create table t (id int)");
    for none in [Rows::from_records(&[]), Rows::from_lists(vec!["id".into()], vec![]).unwrap()] {
        assert_eq!((none.insert_text(&table), none.copy_text(&table)), (String::new(), String::new()));
        assert_eq!(wait(none.copy_into(&connection, &table)).unwrap(), 0);
    }
}

#[test]
fn statements_of_a_record_do_what_they_say() {
    let database = Database::fresh("records");
    let mut session = database.connect();
    session.exec(
        "create table \"T \"\"able\" (id int, \"k 2\" text, data text, primary key (id, \"k 2\")); \
                  create table child () inherits (\"T \"\"able\")",
    );
    let these = Statements::new(name(EVIL), vec!["id".into(), "k 2".into()]);
    let row = |data| record(&[("id", Some("1")), ("k 2", Some("a'\\b")), ("data", data)]);
    session.exec(&these.insert(&row(Some("x\\'y"))).unwrap());
    session.exec("insert into child select * from \"T \"\"able\"");
    session.exec(&these.update(&row(None)).unwrap().unwrap());
    assert_eq!(
        rows(&database, "select t::text from \"T \"\"able\" t order by data"),
        ["(1,\"a'\\\\b\",\"x\\\\'y\")", "(1,\"a'\\\\b\",)",]
    );
    session.exec(&these.delete(&row(None)).unwrap());
    assert_eq!(session.one::<i64>("select count(*) from \"T \"\"able\"", &[]), 1);
}

/// Resident memory of this process, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_million_rows_go_over_in_the_memory_of_a_few_chunks() {
    let (source, target) = (Database::fresh("copy"), Database::fresh("copy"));
    let create = "create unlogged table big (id int, data text)";
    source.connect().exec(&format!(
        "{create}; insert into big select n, repeat(md5(n::text), 9) || E'\\t\\n\\\\' from generate_series(1, 1000000) n"
    ));
    target.connect().exec(create);
    let (from, to) = (open(&source), open(&target));
    let before = memory();
    let (mut most, mut chunks, mut last) = (before, 0, Copied::default());
    let copied = wait(
        TableCopy::new(name("big"))
            .on_chunk(|chunk| {
                assert!(chunk.ends_with(b"\n"));
                chunks += 1;
                Ok(chunk)
            })
            .on_progress(|copied| {
                most = most.max(memory());
                last = copied;
            })
            .run(&from, &to),
    )
    .unwrap();
    assert_eq!(copied, last);
    assert_eq!(copied.rows, 1_000_000);
    let text = "select sum(length(data) + 3 + length(id::text) + 2)::bigint from big";
    assert_eq!(copied.bytes, source.connect().one::<i64>(text, &[]).cast_unsigned());
    assert!(copied.bytes > 280 << 20, "{copied:?}");
    assert!(chunks as u64 <= copied.bytes / (512 << 10) + 1, "{chunks} chunks");
    assert!(most - before < 64 << 10, "from {before} to {most} KiB");
    assert_eq!(target.connect().one::<i64>("select count(*) from big", &[]), 0, "not committed");
    wait(to.commit()).unwrap();
    let sum = "select sum(hashtext(id || data)::bigint)::bigint from big";
    assert_eq!(target.connect().one::<i64>(sum, &[]), source.connect().one::<i64>(sum, &[]));
}

#[test]
fn columns_conditions_and_hooks_choose_what_goes_where() {
    let (source, target) = (Database::fresh("copy"), Database::fresh("copy"));
    source.connect().exec(
        "create table t (id int, \"Da ta\" text, twice int generated always as (id * 2) stored, n int default 7); \
         insert into t select n, 'text ' || n from generate_series(1, 5) n; \
         create table child () inherits (t); insert into child (id) values (99); \
         create table parts (id int, \"Da ta\" text) partition by range (id); \
         create table part partition of parts for values from (0) to (100); insert into parts values (3, 'p')",
    );
    let (from, to) = (open(&source), open(&target));
    let go = |sql: &str, copy: TableCopy<'_>| {
        target.connect().exec(&format!("drop table if exists t; drop table if exists \"T \"\"able\"; {sql}"));
        let copied = wait(copy.run(&from, &to)).unwrap();
        wait(to.commit()).unwrap();
        copied.rows
    };
    let all = "create table t (id int, \"Da ta\" text, twice int generated always as (id * 2) stored, n int)";
    assert_eq!(go(all, TableCopy::new(name("t"))), 5);
    assert_eq!(
        rows(&target, "select t::text from t where id < 3 order by id"),
        ["(1,\"text 1\",2,7)", "(2,\"text 2\",4,7)"]
    );

    let other = "create table \"T \"\"able\" (a text, \"B b\" int)";
    let renamed = || {
        TableCopy::new(name("t"))
            .into_table(name(EVIL))
            .columns(vec!["Da ta".into(), "id".into()])
            .into_columns(vec!["a".into(), "B b".into()])
    };
    assert_eq!(go(other, renamed().condition("id in (2, 99) or \"Da ta\" = 'text 4' -- these")), 2);
    let found = || rows(&target, "select t::text from \"T \"\"able\" t order by 1");
    assert_eq!(found(), ["(\"text 2\",2)", "(\"text 4\",4)"]);

    let odd = |row: Bytes| {
        let text = std::str::from_utf8(&row).map_err(Error::other)?;
        Ok(if text.ends_with("1\n") { Bytes::new() } else { Bytes::from(text.replace("text", "TEXT")) })
    };
    let dots = |chunk: Bytes| Ok(Bytes::from(String::from_utf8_lossy(&chunk).replace(' ', ".")));
    assert_eq!(go(other, renamed().on_rows(odd).on_chunk(dots)), 4);
    assert_eq!(found(), ["(TEXT.2,2)", "(TEXT.3,3)", "(TEXT.4,4)", "(TEXT.5,5)"]);

    for copy in [TableCopy::new(name("parts")), TableCopy::new(name("parts")).condition("id > 0")] {
        assert_eq!(go("create table t (id int, \"Da ta\" text)", copy.into_table(name("t"))), 1);
    }
    assert_eq!(
        go(
            "create table t (id int)",
            TableCopy::new(name("t")).condition("false").columns(vec!["id".into()])
        ),
        0
    );

    let error = wait(renamed().columns(vec!["id".into()]).run(&from, &to)).unwrap_err();
    let expected = "copy of public.t: 1 columns cannot go into 2 columns of public.\"T \"\"able\"";
    assert_eq!(error.to_string(), expected);
}

/// A table that takes a while to be read.
fn large() -> (Database, Database) {
    let (source, target) = (Database::fresh("copy"), Database::fresh("copy"));
    let create = "create unlogged table big (id int primary key, data text)";
    source.connect().exec(&format!(
        "{create}; insert into big select n, repeat('x', 1000) from generate_series(1, 200000) n"
    ));
    target.connect().exec(create);
    (source, target)
}

fn nobody_copies(database: &Database) {
    let mut session = database.connect();
    wait_until("the end of all COPY", || {
        session.one(
            "select not exists (select from pg_stat_activity where datname = current_database() \
                     and state = 'active' and query ilike 'copy%')",
            &[],
        )
    });
}

#[test]
fn an_interrupted_copy_leaves_both_sides_clean() {
    let (source, target) = large();
    let (from, to) = (open(&source), open(&target));
    let started = Arc::new(Notify::new());
    let on_progress = |_| started.notify_one();
    wait(async {
        let copy = TableCopy::new(name("big")).on_progress(on_progress).run(&from, &to);
        tokio::select! {
            _ = copy => panic!("it should not get to its end"),
            () = started.notified() => {}
        }
        assert!(catalog::table_oid(&to, &name("big")).await.is_err(), "a failed transaction");
        to.rollback().await.unwrap();
        assert_eq!(to.query_one("select count(*) from big", &[]).await.unwrap().get::<_, i64>(0), 0);
        to.commit().await.unwrap();
    });
    wait_until("the source's connection to be closed", || from.is_closed());
    nobody_copies(&source);
    nobody_copies(&target);
    // And a second try has its way.
    let from = open(&source);
    assert_eq!(wait(TableCopy::new(name("big")).run(&from, &to)).unwrap().rows, 200_000);
}

#[test]
fn an_error_on_either_side_ends_the_copy() {
    let (source, target) = large();
    // A row that is there already.
    let (from, to) = (open(&source), open(&target));
    target.connect().exec("insert into big values (200, '')");
    let error = wait(TableCopy::new(name("big")).run(&from, &to)).unwrap_err();
    assert!(error.to_string().contains("duplicate key value violates unique constraint"), "{error}");
    wait(to.rollback()).unwrap();
    target.connect().exec("truncate big");
    nobody_copies(&source);

    // A hook that has seen enough.
    let from = open(&source);
    let sent = AtomicU64::new(0);
    let enough = |chunk| {
        if sent.fetch_add(1, Ordering::Relaxed) == 3 { Err(Error::bad("enough")) } else { Ok(chunk) }
    };
    let error = wait(TableCopy::new(name("big")).on_chunk(enough).run(&from, &to)).unwrap_err();
    assert_eq!(error.to_string(), "enough");
    wait(to.rollback()).unwrap();
    nobody_copies(&source);

    // A server process that is ended, on one side and on the other.
    for (victim, survivor) in [(&source, &target), (&target, &source)] {
        let (from, to) = (open(&source), open(&target));
        let killed = AtomicU64::new(0);
        let kill = |_| {
            if killed.fetch_add(1, Ordering::Relaxed) == 0 {
                victim.connect().exec(
                    "select pg_terminate_backend(pid) from pg_stat_activity \
                                       where datname = current_database() and query ilike 'copy%'",
                );
            }
        };
        let copy = TableCopy::new(name("big")).on_progress(move |copied| {
            // The kit's client blocks; a runtime's worker must not know.
            tokio::task::block_in_place(|| kill(copied));
        });
        let error =
            wait(async { tokio::time::timeout(pgq_tests::client::WAIT_LIMIT, copy.run(&from, &to)).await });
        assert!(error.unwrap().unwrap_err().is_lost_connection());
        drop((from, to));
        nobody_copies(survivor);
        assert_eq!(target.connect().one::<i64>("select count(*) from big", &[]), 0);
    }

    // Nothing to copy into.
    let (from, to) = (open(&source), open(&target));
    let error = wait(TableCopy::new(name("big")).into_table(name("nothing")).run(&from, &to)).unwrap_err();
    assert_eq!(error.to_string(), "db: relation \"public.nothing\" does not exist");
    assert!(!from.is_closed(), "nothing has been read");
}

#[test]
fn values_arrive_whatever_style_the_source_writes_in() {
    let (source, target) = (Database::fresh("copy"), Database::fresh("copy"));
    let create = "create table t (id int, d date, w timestamptz, i interval, f float8, b bytea, a text[], \
                  g int generated always as (id * 2) stored)";
    let values = "insert into t values (1, '2024-04-03', '2024-04-03 01:02:03.456789+05', \
                  '-1 year 2 days -03:04:05', 0.1::float8 + 0.2::float8, '\\x00ff', array['a\\', null, 'õ'])";
    source.connect().exec(&format!("{create}; {values}"));
    target.connect().exec(create);
    let styled = format!(
        "{} options='-c datestyle=sql,dmy -c intervalstyle=sql_standard -c extra_float_digits=-10'",
        conninfo(&source)
    );
    for options in [Options::default(), Options::autocommit()] {
        let from = wait(Connection::open("from", &styled, options)).unwrap();
        let to = wait(Connection::open("to", &conninfo(&target), options)).unwrap();
        assert_eq!(wait(TableCopy::new(name("t")).run(&from, &to)).unwrap().rows, 1);
        wait(to.commit()).unwrap();
        let kept = wait(from.query_one("show datestyle", &[])).unwrap();
        assert_eq!(kept.get::<_, &str>(0), "SQL, DMY");
    }
    let sql = "select distinct t::text from t";
    assert_eq!(rows(&target, sql), rows(&source, sql));
}

#[test]
fn rows_that_the_reader_may_not_see_are_an_error() {
    let (source, target) = (Database::fresh("copy"), Database::fresh("copy"));
    let create = "create table t (id int)";
    let role = format!("{}_reader", source.name());
    source.connect().exec(&format!(
        "{create}; insert into t values (1), (2); create role {role}; grant select on t to {role}; \
         create policy half on t using (id = 1); alter table t enable row level security"
    ));
    target.connect().exec(create);
    for copy in [TableCopy::new(name("t")), TableCopy::new(name("t")).condition("id < 9")] {
        let (from, to) = (open(&source), open(&target));
        wait(from.batch(&format!("set role {role}"))).unwrap();
        assert_eq!(wait(from.query_one("select count(*) from t", &[])).unwrap().get::<_, i64>(0), 1);
        let error = wait(copy.run(&from, &to)).unwrap_err().to_string();
        assert!(error.contains("row-level security policy for table \"t\""), "{error}");
    }
    let (from, to) = (open(&source), open(&target));
    assert_eq!(wait(TableCopy::new(name("t")).run(&from, &to)).unwrap().rows, 2, "the owner sees all");
    drop((from, to));
    source.connect().exec(&format!("drop owned by {role}; drop role {role}"));
}
