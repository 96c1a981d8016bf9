//! The SQL surface: what a user sees in the catalog, against PgQ 3.5's.
//!
//! With `PGQ_INSTALLCHECK` set these run on the server that libpq's variables name (`make installcheck`).

use pgq_tests::queue;
use pgq_tests::shared::Database;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn reference(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(file)
}

/// What `catalog.sql` prints for the schema pgq.
fn catalog(database: &Database, relations: Option<&str>) -> BTreeSet<String> {
    let mut psql = database.client_program("psql");
    psql.args(["-X", "-q", "-A", "-t", "-v", "schema=pgq", "-f", "-"]);
    if let Some(pattern) = relations {
        psql.arg("-v").arg(format!("relpat={pattern}"));
    }
    psql.stdin(std::fs::File::open(reference("catalog.sql")).unwrap());
    let output = psql.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().filter(counts).map(without_search_path).collect()
}

fn expected(file: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(reference(file)).unwrap();
    text.lines().filter(counts).map(str::to_owned).collect()
}

/// The implementation language is ours to choose; a view's text is printed by each major in its own way.
fn counts(line: &&str) -> bool {
    !line.is_empty() && !line.starts_with("function-lang ") && !line.starts_with("view-def ")
}

/// A pinned search_path is hardening; `functions_are_hardened` says where it must be.
fn without_search_path(line: &str) -> String {
    line.replace(" set=search_path=pg_catalog, pg_temp", "")
}

/// The intended differences: lines with `-` (only PgQ 3.5 has it) or `+` (only we), each group under a reason.
fn intended() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = std::fs::read_to_string(reference("differences.txt")).unwrap();
    let (mut only_theirs, mut only_ours) = (BTreeSet::new(), BTreeSet::new());
    let mut has_reason = false;
    for line in text.lines() {
        match line.split_at_checked(1) {
            None => has_reason = false,
            Some(("#", _)) => has_reason = true,
            Some(("-", rest)) => assert!(has_reason && only_theirs.insert(rest.to_owned()), "{line}"),
            Some(("+", rest)) => assert!(has_reason && only_ours.insert(rest.to_owned()), "{line}"),
            _ => panic!("neither -, + nor #: {line}"),
        }
    }
    (only_theirs, only_ours)
}

#[test]
fn the_catalog_is_that_of_pgq_3_5_but_for_the_listed_differences() {
    let database = Database::fresh("catalog");
    let (ours, theirs) = (catalog(&database, None), expected("pgq-catalog.txt"));
    let (only_theirs, only_ours) = intended();
    let list = |lines: Vec<&String>| lines.iter().map(|line| format!("\n  {line}")).collect::<String>();
    let missing: Vec<_> = theirs.difference(&ours).filter(|line| !only_theirs.contains(*line)).collect();
    let added: Vec<_> = ours.difference(&theirs).filter(|line| !only_ours.contains(*line)).collect();
    let stale: Vec<_> = only_theirs.intersection(&ours).chain(only_ours.difference(&ours)).collect();
    assert!(missing.is_empty() && added.is_empty(), "missing:{}\nadded:{}", list(missing), list(added));
    assert!(stale.is_empty(), "listed as different, but not so:{}", list(stale));
}

#[test]
fn the_objects_of_a_queue_are_those_of_pgq_3_5() {
    let database = Database::fresh("catalog");
    queue::create(&mut database.connect(), "some queue").unwrap();
    assert_eq!(catalog(&database, Some("^event_1(_|$)")), expected("pgq-queue-catalog.txt"));
}

/// Functions that need no pinned search_path, and why.
const WITHOUT_SEARCH_PATH: [(&str, &str); 11] = [
    (
        "capture",
        "prepares the options' SQL as the triggers will; pins the search_path itself for what is ours",
    ),
    ("current_event_table", "runs no SQL"),
    ("insert_event", "runs no SQL; off its hot path it pins the search_path itself"),
    ("insert_event_raw", "as insert_event"),
    ("insert_events", "as insert_event"),
    ("jsontriga", "options are the trigger owner's SQL; what it calls of ours is fully qualified"),
    ("logtriga", "as jsontriga"),
    ("logutriga", "as jsontriga"),
    ("sqltriga", "as jsontriga"),
    ("uncapture", "as capture"),
    ("get_batch_cursor", "the condition is the caller's SQL; our own part of it is fully qualified"),
];

/// Functions that anybody may call.
const PUBLIC: [&str; 21] = [
    "_idle_until",
    "_sequence_last_value",
    "_stat_queues",
    "_stat_tickers",
    "_trigger_arguments",
    "get_consumer_info",
    "get_queue_info",
    "queue_channel",
    "quote_fqname",
    "seq_getval",
    "txid_between",
    "txid_current",
    "txid_current_if_assigned",
    "txid_in_snapshot",
    "txid_snapshot_xip",
    "txid_snapshot_xmax",
    "txid_snapshot_xmin",
    "txid_to_xid8",
    "txids_between",
    "version",
    "xid8_to_txid",
];

#[test]
fn functions_are_hardened() {
    let database = Database::fresh("security");
    let mut session = database.connect();
    let rows = session.rows(
        "select proname::text, prosecdef, coalesce('search_path=pg_catalog, pg_temp' = any (proconfig), false),
                has_function_privilege('public', p.oid, 'execute'), lanname::text
           from pg_proc p join pg_language l on l.oid = prolang
          where pronamespace = 'pgq'::regnamespace",
        &[],
    );
    let mut public = BTreeSet::new();
    for row in rows {
        let name: String = row.get(0);
        let (definer, pinned, anybody): (bool, bool, bool) = (row.get(1), row.get(2), row.get(3));
        let language: String = row.get(4);
        let excused = WITHOUT_SEARCH_PATH.iter().any(|(excused, _)| *excused == name)
            || (name.starts_with("txid") || name.starts_with("xid8"));
        assert!(pinned || (excused && !definer), "{name} has no pinned search_path");
        assert!(["c", "sql"].contains(&language.as_str()), "{name} is written in {language}");
        if anybody {
            public.insert(name);
        }
    }
    assert_eq!(public, PUBLIC.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn everything_has_a_comment() {
    let database = Database::fresh("comments");
    queue::create(&mut database.connect(), "a queue's objects too").unwrap();
    let bare: Vec<String> = database.connect().column(
        "select p.oid::regprocedure::text from pg_proc p
          where pronamespace = 'pgq'::regnamespace and obj_description(p.oid, 'pg_proc') is null
          union all
         select c.oid::regclass::text from pg_class c
          where relnamespace = 'pgq'::regnamespace and relkind in ('r', 'v', 'S')
            and obj_description(c.oid, 'pg_class') is null
          union all
         select a.attrelid::regclass || '.' || a.attname from pg_attribute a join pg_class c on c.oid = attrelid
          where relnamespace = 'pgq'::regnamespace and relkind in ('r', 'v') and attnum > 0 and not attisdropped
            and not exists (select from pg_inherits where inhrelid = c.oid)
            and col_description(c.oid, attnum) is null
          union all
         select nspname from pg_namespace n where nspname = 'pgq' and obj_description(n.oid, 'pg_namespace') is null",
        &[],
    );
    assert!(bare.is_empty(), "no comment on: {bare:?}");
}

#[test]
fn the_version_is_the_installed_one() {
    let database = Database::fresh("version");
    let mut session = database.connect();
    let version: String = session.one("select pgq.version()", &[]);
    let installed: String = session.one("select extversion from pg_extension where extname = 'pgq'", &[]);
    assert_eq!(version, installed);
    assert!(version.as_bytes()[0] >= b'3', "clients check for a digit from 3 on: {version}");
}

#[test]
fn install_scripts_replace_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql/pgq");
    let mut scripts: Vec<PathBuf> = vec![folder.clone(), folder.join("functions")]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    assert!(scripts.len() > 30);
    for script in scripts {
        let text = std::fs::read_to_string(&script).unwrap().to_lowercase();
        for word in ["or replace", "if not exists (select 1", "create table if not exists"] {
            assert!(!text.contains(word), "{}: {word}", script.display());
        }
    }
}

#[test]
fn the_extension_is_created_as_dumps_do_it_and_nowhere_else() {
    let database = Database::fresh("extension");
    let mut session = database.connect();
    session.exec("drop extension pgq; create schema other");
    assert_eq!(session.error("create extension pgq schema other").code, "0A000");
    assert_eq!(session.error("create extension pgq with schema public").code, "0A000");
    session.exec("create extension if not exists pgq with schema pg_catalog");
    assert_eq!(session.error("alter extension pgq set schema other").code, "0A000");
}

#[test]
fn the_extension_is_not_dropped_from_under_a_queue_unless_told_so() {
    let database = Database::fresh("extension");
    let mut session = database.connect();
    queue::create(&mut session, "q").unwrap();
    assert_eq!(session.error("drop extension pgq").code, "2BP01");
    session.exec("drop extension pgq cascade");
    let schemas: i64 = session.one("select count(*) from pg_namespace where nspname = 'pgq'", &[]);
    assert_eq!(schemas, 0);
    let roles: Vec<String> = session.column(
        "select rolname::text from pg_roles where rolname in ('pgq_reader', 'pgq_writer', 'pgq_admin') order by 1",
        &[],
    );
    assert_eq!(roles, ["pgq_admin", "pgq_reader", "pgq_writer"], "roles stay");
    // And it can be made again.
    session.exec("create extension pgq");
    assert!(queue::create(&mut session, "q").unwrap());
}
