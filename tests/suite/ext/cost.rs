//! What a call costs, for events: they are many.

use super::{call, target};
use pgq_tests::client::Session;

/// What the session's work has done to a table: rows inserted, updated and deleted, and scans of it as a whole.
fn cost(session: &mut Session, table: &str, work: impl FnOnce(&mut Session)) -> [i64; 4] {
    session.exec("begin");
    let before = counted(session, table);
    work(session);
    let after = counted(session, table);
    session.exec("commit");
    std::array::from_fn(|number| after[number] - before[number])
}

fn counted(session: &mut Session, table: &str) -> [i64; 4] {
    let row = &session.rows(
        "select n_tup_ins, n_tup_upd, n_tup_del, seq_scan from pg_stat_xact_all_tables
          where schemaname = 'pgq_ext' and relname = $1",
        &[&table],
    )[0];
    [row.get(0), row.get(1), row.get(2), row.get(3)]
}

#[test]
fn an_event_is_one_insert_and_locks_no_row() {
    let (_database, mut session) = target("ext");
    call(&mut session, "set_event_done('q', 'c', '', 1, 1)");
    let mut events = 2..;
    let mut ten = |session: &mut Session| {
        for event in events.by_ref().take(10) {
            call(session, &format!("set_event_done('q', 'c', '', 1, {event})"));
        }
    };
    assert_eq!(cost(&mut session, "completed_event", &mut ten)[..3], [10, 0, 0]);
    assert_eq!(cost(&mut session, "partial_batch", &mut ten)[..3], [0, 0, 0]);
    // Nor does one that is done already: sessions that meet such ones in any order do not wait for each other.
    let done = |session: &mut Session| {
        assert_eq!(call(session, "set_event_done('q', 'c', '', 1, 5)").as_deref(), Some("false"));
    };
    assert_eq!(cost(&mut session, "completed_event", done)[..3], [0, 0, 0]);
    let lockers: i64 = session.one("select count(*) from pgq_ext.partial_batch where xmax <> 0", &[]);
    assert_eq!(lockers, 0);
}

#[test]
fn a_plan_that_was_made_while_there_was_little_does_not_scan_what_became_much() {
    let (_database, mut session) = target("ext");
    session.exec("vacuum analyze pgq_ext.completed_event, pgq_ext.partial_batch");
    let work = |session: &mut Session| {
        for batch in 1..20 {
            for event in [1, 2] {
                call(session, &format!("set_event_done('c', {batch}, {event})"));
                call(session, &format!("is_event_done('c', {batch}, {event})"));
            }
        }
    };
    assert_eq!(cost(&mut session, "completed_event", work)[3], 0);
}
