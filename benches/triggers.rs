//! Capturing tables: what triggers add to a statement, and what they leave of pgbench's bank.

use crate::host::{Host, PAYLOAD};
use crate::measure::{added, pairs, seconds};
use crate::{Row, Target};
use std::iter;

const INSERTED: u32 = 200_000;
const UPDATED: u32 = 1_000_000;

/// No trigger at all.
const BARE: &str = "";

/// Every change by itself, as the original captures.
fn row_trigger(function: &str) -> String {
    format!(
        "CREATE TRIGGER capture AFTER INSERT OR UPDATE OR DELETE ON orders
           FOR EACH ROW EXECUTE FUNCTION pgq.{function}('bench')"
    )
}

/// All updated rows of a statement at once.
const STATEMENT_TRIGGER: &str = "CREATE TRIGGER capture AFTER UPDATE ON orders
    REFERENCING OLD TABLE AS old NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION pgq.logutriga('bench')";

/// Made anew each time, so that no dead row of the measurement before is left.
const TABLE: &str = "CREATE TABLE orders (
    id int PRIMARY KEY, customer int, quantity int, note text, placed timestamptz, price numeric)";

fn fill(rows: u32) -> String {
    format!(
        "INSERT INTO orders SELECT id, id % 1000, id % 10, '{PAYLOAD}', now(), id / 100.0
           FROM generate_series(1, {rows}) AS id"
    )
}

/// Microseconds for each row that is inserted.
fn insert(host: &Host, trigger: &str) -> f64 {
    let mut session = host.connect();
    session.exec(TABLE);
    session.exec(trigger);
    host.clear();
    let took = seconds(|| session.exec(&fill(INSERTED)));
    session.exec("DROP TABLE orders");
    took * 1e6 / f64::from(INSERTED)
}

/// Microseconds for each row when every row is updated by one statement.
fn update(host: &Host, trigger: &str) -> f64 {
    let mut session = host.connect();
    session.exec(TABLE);
    session.exec(&fill(UPDATED));
    session.exec("VACUUM ANALYZE orders");
    session.exec(trigger);
    host.clear();
    let took = seconds(|| session.exec("UPDATE orders SET quantity = quantity + 1"));
    session.exec("DROP TABLE orders");
    took * 1e6 / f64::from(UPDATED)
}

/// Microseconds for each call with what logutriga writes of an inserted row.
fn insert_event(host: &Host) -> f64 {
    host.clear();
    let mut session = host.connect();
    let data = format!(
        "id=100000&customer=0&quantity=0&note={}&placed=2024-02-29+12%3a34%3a56.789012%2b00&price=1000.00",
        PAYLOAD.replace(' ', "+").replace(',', "%2c")
    );
    let call = format!("pgq.insert_event('bench', 'I:id', '{data}', 'public.orders', NULL, NULL, NULL)");
    let calls = format!("SELECT count({call}) FROM generate_series(1, {INSERTED})");
    seconds(|| session.exec(&calls)) * 1e6 / f64::from(INSERTED)
}

fn added_to_insert(host: &Host, trigger: &str) -> impl FnMut() -> f64 {
    added(move || insert(host, trigger), move || insert(host, BARE))
}

fn added_to_update(host: &Host, trigger: &str) -> impl FnMut() -> f64 {
    added(move || update(host, trigger), move || update(host, BARE))
}

/// What capturing adds to each row of a large statement.
pub fn statements(ours: &Host, peer: Option<&Host>) -> Vec<Row> {
    let logutriga = &row_trigger("logutriga");
    let mut rows = vec![Row::new(
        "INSERT, added by logutriga / bare insert_event of the same events",
        "us",
        None,
        pairs(added_to_insert(ours, logutriga), || insert_event(ours)),
    )];
    let Some(peer) = peer else { return rows };
    for (function, limit) in [("logutriga", 1.0 / 3.0), ("sqltriga", 1.0 / 3.0), ("jsontriga", 0.25)] {
        let trigger = &row_trigger(function);
        rows.push(Row::new(
            &format!("INSERT, added by {function} / by PgQ 3.5"),
            "us",
            Some(Target::AtMost(limit)),
            pairs(added_to_insert(ours, trigger), added_to_insert(peer, trigger)),
        ));
    }
    for (capture, trigger) in [("row by row", logutriga.as_str()), ("as a set", STATEMENT_TRIGGER)] {
        rows.push(Row::new(
            &format!("UPDATE of 1 M rows, added by logutriga {capture} / row by row by PgQ 3.5"),
            "us",
            Some(Target::AtMost(1.0 / 3.0)),
            pairs(added_to_update(ours, trigger), added_to_update(peer, logutriga)),
        ));
    }
    rows
}

/// The bank's tables, and what is captured of them: a table without a key has no events but of INSERT.
const BANK: [(&str, &str); 4] = [
    ("pgbench_accounts", "INSERT OR UPDATE OR DELETE"),
    ("pgbench_tellers", "INSERT OR UPDATE OR DELETE"),
    ("pgbench_branches", "INSERT OR UPDATE OR DELETE"),
    ("pgbench_history", "INSERT"),
];

/// pgbench's TPC-B with all its tables captured.
pub fn bank(ours: &Host, peer: Option<&Host>) -> Vec<Row> {
    let ours = ("", ours, Some(Target::AtLeast(0.8)));
    let peer = peer.map(|peer| ("the same by PgQ 3.5: ", peer, None));
    let sides: Vec<_> = iter::once(ours).chain(peer).collect();
    sides.iter().for_each(|(_, host, _)| open_bank(host));
    let mut rows = Vec::new();
    for setting in ["on", "off"] {
        for &(whose, host, target) in &sides {
            rows.push(Row::new(
                &format!("{whose}TPC-B captured by logutriga, synchronous_commit {setting} / bare"),
                "tps",
                target,
                pairs(|| tpcb(host, "ENABLE", setting), || tpcb(host, "DISABLE", setting)),
            ));
        }
    }
    sides.iter().for_each(|(_, host, _)| close_bank(host));
    rows
}

fn open_bank(host: &Host) {
    let mut pgbench = host.cluster.client_program("pgbench", "postgres");
    let initialised = pgbench.args(["-i", "-q", "-s", "10"]).output().unwrap();
    assert!(initialised.status.success(), "{}", String::from_utf8_lossy(&initialised.stderr));
    let mut session = host.connect();
    for (table, operations) in BANK {
        session.exec(&format!(
            "CREATE TRIGGER capture AFTER {operations} ON {table}
               FOR EACH ROW EXECUTE FUNCTION pgq.logutriga('bench')"
        ));
    }
    host.clear();
}

fn close_bank(host: &Host) {
    let mut session = host.connect();
    BANK.iter().for_each(|(table, _)| session.exec(&format!("DROP TABLE {table}")));
    host.clear();
}

/// Transactions a second.
fn tpcb(host: &Host, triggers: &str, synchronous_commit: &str) -> f64 {
    let mut session = host.connect();
    session.exec("TRUNCATE pgbench_history");
    for (table, _) in BANK {
        session.exec(&format!("ALTER TABLE {table} {triggers} TRIGGER capture"));
        session.exec(&format!("VACUUM {table}"));
    }
    host.empty();
    host.rate(synchronous_commit, &["-T", "5"])
}
