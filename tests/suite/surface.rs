//! The SQL surface: what a user sees in the catalog, against that of PgQ 3.5 and its family.
//!
//! With `PGQ_INSTALLCHECK` set these run on the server that libpq's variables name (`make installcheck`).

use pgq_tests::queue;
use pgq_tests::shared::Database;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each has a schema of its name.
pub const EXTENSIONS: [&str; 4] = ["pgq", "pgq_coop", "pgq_node", "pgq_ext"];

/// A database with all of them.
pub fn with_all(label: &str) -> Database {
    let database = Database::fresh(label);
    database.create_extensions(&EXTENSIONS[1..]);
    database
}

fn reference(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(file)
}

/// What `catalog.sql` prints for a schema.
fn catalog(database: &Database, schema: &str, relations: Option<&str>) -> BTreeSet<String> {
    let mut psql = database.client_program("psql");
    psql.args(["-X", "-q", "-A", "-t", "-v", &format!("schema={schema}"), "-f", "-"]);
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

/// The intended differences: lines with `-` (only the original has it) or `+` (only we), each group under a reason.
fn intended(extension: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = std::fs::read_to_string(reference(&format!("{extension}-differences.txt"))).unwrap();
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

fn the_catalog_is_the_originals_but_for_the_listed_differences(extension: &str) {
    let database = with_all("catalog");
    let ours = catalog(&database, extension, None);
    let theirs = expected(&format!("{extension}-catalog.txt"));
    let (only_theirs, only_ours) = intended(extension);
    let list = |lines: Vec<&String>| lines.iter().map(|line| format!("\n  {line}")).collect::<String>();
    let missing: Vec<_> = theirs.difference(&ours).filter(|line| !only_theirs.contains(*line)).collect();
    let added: Vec<_> = ours.difference(&theirs).filter(|line| !only_ours.contains(*line)).collect();
    let stale: Vec<_> = only_theirs.intersection(&ours).chain(only_ours.difference(&ours)).collect();
    assert!(missing.is_empty() && added.is_empty(), "missing:{}\nadded:{}", list(missing), list(added));
    assert!(stale.is_empty(), "listed as different, but not so:{}", list(stale));
}

#[test]
fn the_catalog_is_that_of_pgq_3_5_but_for_the_listed_differences() {
    the_catalog_is_the_originals_but_for_the_listed_differences("pgq");
}

#[test]
fn the_catalog_is_that_of_pgq_coop_3_4_but_for_the_listed_differences() {
    the_catalog_is_the_originals_but_for_the_listed_differences("pgq_coop");
}

#[test]
fn the_catalog_is_that_of_pgq_node_3_5_but_for_the_listed_differences() {
    the_catalog_is_the_originals_but_for_the_listed_differences("pgq_node");
}

#[test]
fn the_catalog_is_that_of_pgq_ext_3_3_but_for_the_listed_differences() {
    the_catalog_is_the_originals_but_for_the_listed_differences("pgq_ext");
}

#[test]
fn the_objects_of_a_queue_are_those_of_pgq_3_5() {
    let database = Database::fresh("catalog");
    queue::create(&mut database.connect(), "some queue").unwrap();
    assert_eq!(catalog(&database, "pgq", Some("^event_1(_|$)")), expected("pgq-queue-catalog.txt"));
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
const PUBLIC: [&str; 26] = [
    "pgq._idle_until",
    "pgq._sequence_last_value",
    "pgq._stat_queues",
    "pgq._stat_tickers",
    "pgq._trigger_arguments",
    "pgq.get_consumer_info",
    "pgq.get_queue_info",
    "pgq.queue_channel",
    "pgq.quote_fqname",
    "pgq.seq_getval",
    "pgq.txid_between",
    "pgq.txid_current",
    "pgq.txid_current_if_assigned",
    "pgq.txid_in_snapshot",
    "pgq.txid_snapshot_xip",
    "pgq.txid_snapshot_xmax",
    "pgq.txid_snapshot_xmin",
    "pgq.txid_to_xid8",
    "pgq.txids_between",
    "pgq.version",
    "pgq.xid8_to_txid",
    "pgq_coop.version",
    "pgq_ext.version",
    "pgq_node.is_leaf_node",
    "pgq_node.is_root_node",
    "pgq_node.version",
];

#[test]
fn functions_are_hardened() {
    let database = with_all("security");
    let mut session = database.connect();
    let rows = session.rows(
        "select nspname::text, proname::text, prosecdef,
                coalesce('search_path=pg_catalog, pg_temp' = any (proconfig), false),
                has_function_privilege('public', p.oid, 'execute'), lanname::text
           from pg_proc p join pg_language l on l.oid = prolang join pg_namespace n on n.oid = pronamespace
          where nspname = any ($1)",
        &[&EXTENSIONS.as_slice()],
    );
    let mut public = BTreeSet::new();
    for row in rows {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let (definer, pinned, anybody): (bool, bool, bool) = (row.get(2), row.get(3), row.get(4));
        let language: String = row.get(5);
        let excused = schema == "pgq"
            && (WITHOUT_SEARCH_PATH.iter().any(|(excused, _)| *excused == name)
                || (name.starts_with("txid") || name.starts_with("xid8")));
        assert!(pinned || (excused && !definer), "{schema}.{name} has no pinned search_path");
        let languages = if schema == "pgq" { ["c", "sql"] } else { ["plpgsql", "sql"] };
        assert!(languages.contains(&language.as_str()), "{schema}.{name} is written in {language}");
        if anybody {
            public.insert(format!("{schema}.{name}"));
        }
    }
    assert_eq!(public, PUBLIC.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn everything_has_a_comment() {
    let database = with_all("comments");
    queue::create(&mut database.connect(), "a queue's objects too").unwrap();
    let bare: Vec<String> = database.connect().column(
        "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = pronamespace
          where nspname = any ($1) and obj_description(p.oid, 'pg_proc') is null
          union all
         select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = relnamespace
          where nspname = any ($1) and relkind in ('r', 'v', 'S') and obj_description(c.oid, 'pg_class') is null
          union all
         select a.attrelid::regclass || '.' || a.attname
           from pg_attribute a join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
          where nspname = any ($1) and relkind in ('r', 'v') and attnum > 0 and not attisdropped
            and not exists (select from pg_inherits where inhrelid = c.oid)
            and col_description(c.oid, attnum) is null
          union all
         select nspname from pg_namespace n
          where nspname = any ($1) and obj_description(n.oid, 'pg_namespace') is null",
        &[&EXTENSIONS.as_slice()],
    );
    assert!(bare.is_empty(), "no comment on: {bare:?}");
}

#[test]
fn the_version_is_the_installed_one() {
    let database = with_all("version");
    let mut session = database.connect();
    for extension in EXTENSIONS {
        let version: String = session.one(&format!("select {extension}.version()"), &[]);
        let installed: String =
            session.one("select extversion from pg_extension where extname = $1", &[&extension]);
        assert_eq!(version, installed);
        assert!(version.as_bytes()[0] >= b'3', "clients check for a digit from 3 on: {version}");
    }
}

#[test]
fn install_scripts_replace_nothing() {
    let sql = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql");
    let folders = EXTENSIONS.iter().flat_map(|name| [sql.join(name), sql.join(name).join("functions")]);
    let mut scripts: Vec<PathBuf> = folders
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    assert!(scripts.len() > 90);
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
