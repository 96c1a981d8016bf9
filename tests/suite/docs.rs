//! The SQL in the documentation, run: the blocks of a document one after the other, each by a psql of its own.
//!
//! Where a block ```` ```text ```` follows a block ```` ```sql ```` with only blank lines in between, it holds what
//! `psql -q -A -t` prints for that: the rows of each query, then notices, and last the error if there is one. What is
//! followed by no such block may print anything, but must not fail.

use pgq_tests::shared::Database;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// The SQL blocks of a document, each with what it prints where that is told.
fn blocks(document: &str) -> Vec<(&str, Option<&str>)> {
    // Prose and blocks take turns.
    let pieces: Vec<&str> = document.split("```").collect();
    let printed = |number: usize| match pieces[number + 1..] {
        [between, next, ..] if between.trim().is_empty() => next.strip_prefix("text\n"),
        _ => None,
    };
    let sql = |number: usize| pieces[number].strip_prefix("sql\n").map(|sql| (sql, printed(number)));
    (1..pieces.len()).step_by(2).filter_map(sql).collect()
}

fn run(document: &Path) {
    let text = std::fs::read_to_string(document).unwrap();
    let blocks = blocks(&text);
    if blocks.is_empty() {
        return;
    }
    // Documents begin where a reader begins: without the extension.
    let database = Database::fresh("docs");
    database.connect().exec("drop extension pgq");
    for (sql, printed) in blocks {
        let mut psql = database.client_program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = psql.spawn().unwrap();
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        match printed {
            Some(printed) => assert_eq!(said, printed, "{}:\n{sql}", document.display()),
            None => assert!(output.status.success(), "{}:\n{sql}\n{said}", document.display()),
        }
    }
}

#[test]
fn every_sql_block_runs_and_prints_what_is_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut documents: Vec<_> =
        std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    documents.push(root.join("README.md"));
    documents.sort();
    assert!(documents.len() > 3);
    documents.iter().for_each(|document| run(document));
}
