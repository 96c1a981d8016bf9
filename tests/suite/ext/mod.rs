//! pgq_ext: what is done, remembered where the results are.

mod calls;
mod cost;
mod crashes;
mod dumps;
mod race;
mod rights;
mod upgrade;

use pgq_tests::client::Session;
use pgq_tests::shared::Database;

/// A database for results.
fn target(label: &str) -> (Database, Session) {
    let database = Database::fresh(label);
    database.create_extensions(&["pgq_ext"]);
    let session = database.connect();
    (database, session)
}

/// What a function of pgq_ext says, as text.
#[track_caller]
fn call(session: &mut Session, call: &str) -> Option<String> {
    session.one(&format!("select pgq_ext.{call}::pg_catalog.text"), &[])
}

/// Calls one after the other, each as `call = what it says`, with `null` for NULL.
#[track_caller]
fn story(session: &mut Session, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once(" = ").unwrap();
        let said = call(session, asked);
        assert_eq!(said.as_deref().unwrap_or("null"), expected, "{asked}");
    }
}

/// What is stored, a text for each table; equal for databases that remember the same.
fn stored(session: &mut Session) -> Vec<String> {
    ["completed_tick", "completed_batch", "partial_batch", "completed_event"]
        .map(|table| {
            session.one::<String>(
                &format!(
                    "select '{table}: ' || coalesce(string_agg(row, ' ' order by row), '')
                   from (select (to_jsonb(t))::text as row from pgq_ext.{table} t) s"
                ),
                &[],
            )
        })
        .into()
}
