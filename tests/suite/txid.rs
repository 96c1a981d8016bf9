//! The transaction id helpers, against the server's own functions.

use pgq_tests::shared::Database;

/// Pairs of snapshots: apart, overlapping, equal, backwards, and beyond the first four billion.
const PAIRS: [(&str, &str); 6] = [
    ("10:20:12,15", "15:30:15,22"),
    ("10:20:10,12,15", "31:33:31"),
    ("10:20:12,15", "10:20:12,15"),
    ("15:30:15,22", "10:20:12,15"),
    ("1:1:", "40:40:"),
    ("4294967290:4294967300:4294967292", "4294967310:4294967320:4294967312"),
];

#[test]
fn snapshot_parts_are_the_servers() {
    let database = Database::fresh("txid");
    let mut session = database.connect();
    for (older, newer) in PAIRS {
        for (snapshot, kind) in [(older, "txid_snapshot"), (newer, "pg_snapshot")] {
            let agrees: bool = session.one(
                &format!(
                    "select pgq.txid_snapshot_xmin(s) = txid_snapshot_xmin(t)
                        and pgq.txid_snapshot_xmax(s) = txid_snapshot_xmax(t)
                        and array(select pgq.txid_snapshot_xip(s)) = array(select txid_snapshot_xip(t))
                       from (select '{snapshot}'::{kind} s, '{snapshot}'::txid_snapshot t) given"
                ),
                &[],
            );
            assert!(agrees, "{kind} {snapshot}");
        }
    }
}

#[test]
fn membership_and_what_lies_between_are_the_servers() {
    let database = Database::fresh("txid");
    let mut session = database.connect();
    for (older, newer) in PAIRS {
        let near = older.split(':').next().unwrap();
        for kind in ["txid_snapshot", "pg_snapshot"] {
            let differing: Vec<i64> = session.column(
                &format!(
                    "select txid from generate_series(greatest({near} - 15, 3), {near} + 40) txid,
                            lateral (select txid_visible_in_snapshot(txid, '{older}') as before,
                                            txid_visible_in_snapshot(txid, '{newer}') as after) server
                      where pgq.txid_in_snapshot(txid, '{newer}'::{kind}) <> after
                         or pgq.txid_between(txid, '{older}'::{kind}, '{newer}'::{kind}) <> (after and not before)
                         or (txid in (select pgq.txids_between('{older}'::{kind}, '{newer}'::{kind})))
                            <> (after and not before and txid % 4294967296 > 2)"
                ),
                &[],
            );
            assert!(differing.is_empty(), "{kind} {older} {newer}: {differing:?}");
        }
    }
}

#[test]
fn the_own_id_is_the_servers() {
    let database = Database::fresh("txid");
    let mut session = database.connect();
    assert!(session.one::<bool>("select pgq.txid_current_if_assigned() is null", &[]));
    let agrees: bool = session.one(
        "select pgq.txid_current() = txid_current()
            and pgq.txid_current_if_assigned() = txid_current_if_assigned()
            and pgq.txid_to_xid8(pgq.txid_current()) = pg_current_xact_id()
            and pgq.xid8_to_txid(pg_current_xact_id()) = txid_current()",
        &[],
    );
    assert!(agrees);
}

#[test]
fn a_range_that_nobody_can_want_listed_is_refused() {
    let database = Database::fresh("txid");
    let mut session = database.connect();
    let call = "select pgq.txids_between('10:10:'::pg_snapshot, '1000000000000:1000000000000:')";
    assert_eq!(session.error(call).code, "54000");
}

#[test]
fn ids_that_do_not_fit_are_refused() {
    let database = Database::fresh("txid");
    let mut session = database.connect();
    for sql in [
        "select pgq.txid_to_xid8(-1)",
        "select pgq.xid8_to_txid('9223372036854775808')",
        "select pgq.txid_in_snapshot(-1, '1:1:'::txid_snapshot)",
    ] {
        assert_eq!(session.error(sql).code, "22003", "{sql}");
    }
    assert!(session.one::<bool>("select pgq.txid_in_snapshot(1, null::pg_snapshot) is null", &[]));
}
