//! The SQL in the documentation, run.

use pgq_tests::shared::Database;
use std::path::Path;

/// The text of all ```sql blocks of a document.
fn sql_of(document: &Path) -> String {
    let text = std::fs::read_to_string(document).unwrap();
    let blocks = text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(""));
    blocks.collect()
}

fn run(document: &Path) {
    let sql = sql_of(document);
    if sql.is_empty() {
        return;
    }
    // Documents begin where a reader begins: without the extension.
    let database = Database::fresh("docs");
    database.connect().exec("drop extension pgq");
    let mut psql = database.client_program("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]).stdin(std::process::Stdio::piped());
    psql.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child = psql.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), sql.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{errors}", document.display());
}

#[test]
fn every_sql_block_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut documents: Vec<_> =
        std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    documents.push(root.join("README.md"));
    documents.sort();
    assert!(documents.len() > 3);
    documents.iter().for_each(|document| run(document));
}
