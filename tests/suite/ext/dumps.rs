//! Dumps: positions come along, from us and from the original.

use super::{stored, story, target};
use crate::scene::{dump, restored};
use std::io::Write;

#[test]
fn a_restored_dump_remembers_what_was_done() {
    let (source, mut session) = target("ext");
    session.exec(
        "select pgq_ext.set_batch_done('c', 10), pgq_ext.set_batch_done('q', 'c', 's', 11),
                pgq_ext.set_event_done('c', 12, 1), pgq_ext.set_event_done('q', 'c', '', 13, 2),
                pgq_ext.set_last_tick('q', 'it''s\\a\tname', '', 14)",
    );
    let restored = restored(&dump(&source));
    let mut again = restored.connect();
    assert_eq!(stored(&mut again), stored(&mut session));
    story(
        &mut again,
        "set_batch_done('c', 10) = false
         set_batch_done('q', 'c', 's', 11) = false
         set_event_done('c', 12, 1) = false
         set_event_done('c', 12, 2) = true
         set_event_done('q', 'c', '', 13, 2) = false
         set_event_done('q', 'c', '', 14, 2) = true
         is_event_done('q', 'c', '', 13, 2) = false
         upgrade_schema() = 0",
    );
}

/// The tables of the original with its columns, and a row of each.
const ROWS_OF_3_3: [(&str, &str); 4] = [
    ("completed_tick (consumer_id, subconsumer_id, last_tick_id)", "c\t\t7\n"),
    ("completed_batch (consumer_id, subconsumer_id, last_batch_id)", "c\ts\t8\n"),
    ("partial_batch (consumer_id, subconsumer_id, cur_batch_id)", "c\t\t9\n"),
    ("completed_event (consumer_id, subconsumer_id, batch_id, event_id)", "c\t\t9\t1\nc\t\t9\t2\n"),
];
const ROWS_OF_2_1: [(&str, &str); 4] = [
    ("completed_tick (consumer_id, last_tick_id)", "c\t7\n"),
    ("completed_batch (consumer_id, last_batch_id)", "c\t8\n"),
    ("partial_batch (consumer_id, cur_batch_id)", "c\t9\n"),
    ("completed_event (consumer_id, batch_id, event_id)", "c\t9\t1\nc\t9\t2\n"),
];

#[test]
fn rows_of_the_original_are_copied_in_as_they_are() {
    for (rows, sub) in [(ROWS_OF_3_3, "s"), (ROWS_OF_2_1, "")] {
        let (_database, mut session) = target("ext");
        for (table, lines) in rows {
            let mut copy = session.copy_in(&format!("copy pgq_ext.{table} from stdin")).unwrap();
            copy.write_all(lines.as_bytes()).unwrap();
            copy.finish().unwrap();
        }
        story(
            &mut session,
            &format!(
                "get_last_tick('c') = 7
                 set_batch_done('c', '{sub}', 8) = false
                 set_event_done('c', 9, 2) = false
                 set_event_done('c', 9, 3) = true
                 set_event_done('c', 10, 3) = true
                 is_event_done('c', 9, 1) = false"
            ),
        );
    }
}
