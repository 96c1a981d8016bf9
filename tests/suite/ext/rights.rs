//! Rights, and search_path.

use super::{call, target};
use crate::members::Members;
use crate::rights::EVIL;
use pgq_tests::client::Session;

#[test]
fn functions_are_for_writers_and_tables_for_nobody() {
    let (database, session) = target("ext");
    drop(session);
    let mut members = Members::of(database);
    for names in ["'c'", "'c', 's'", "'q', 'c', 's'"] {
        for (function, ids) in [
            ("is_batch_done", ", 1"),
            ("set_batch_done", ", 1"),
            ("is_event_done", ", 1, 1"),
            ("set_event_done", ", 1, 1"),
            ("get_last_tick", ""),
            ("set_last_tick", ", 1"),
        ] {
            let statement = format!("select pgq_ext.{function}({names}{ids})");
            members.only(&["writer", "admin"], &statement, "permission denied for function");
        }
    }
    members.only(&["writer", "admin"], "select pgq_ext.upgrade_schema()", "permission denied for function");
    let all = ["nobody", "reader", "writer", "admin"];
    members.only(&all, "select pgq_ext.version()", "permission denied for function");
    for table in ["completed_tick", "completed_batch", "partial_batch", "completed_event"] {
        for statement in ["select from", "delete from", "truncate", "lock table", "insert into"] {
            let rest = if statement == "insert into" { " (consumer_id) values ('c')" } else { "" };
            let statement = format!("{statement} pgq_ext.{table}{rest}");
            members.only(&[], &statement, "permission denied for table");
        }
        let statement = format!("update pgq_ext.{table} set consumer_id = ''");
        members.only(&[], &statement, "permission denied for table");
    }
}

/// Every function in every form, and what each says.
fn everything(session: &mut Session) -> Vec<Option<String>> {
    let mut said = Vec::new();
    for names in ["'c'", "'c', 's'", "'q', 'c', 's'"] {
        for ids in ["1, 1", "1, 1", "1, 2", "2, 1"] {
            said.push(call(session, &format!("set_event_done({names}, {ids})")));
            said.push(call(session, &format!("is_event_done({names}, {ids})")));
        }
        for id in [1, 1, 2] {
            said.push(call(session, &format!("set_batch_done({names}, {id})")));
            said.push(call(session, &format!("is_batch_done({names}, {id})")));
            said.push(call(session, &format!("set_last_tick({names}, {id})")));
            said.push(call(session, &format!("get_last_tick({names})")));
        }
        said.push(call(session, &format!("set_last_tick({names}, null)")));
    }
    said
}

#[test]
fn a_hostile_search_path_changes_nothing() {
    let (_unharmed, mut session) = target("ext");
    let expected = everything(&mut session);

    let (_database, mut session) = target("ext");
    session.exec(EVIL);
    for table in ["completed_tick", "completed_batch", "partial_batch", "completed_event"] {
        session.exec(&format!("create table evil.{table} (like pgq_ext.{table})"));
        // The other trap: a table of the session's own comes first in an unpinned path.
        session.exec(&format!("create temporary table {table} (like pgq_ext.{table})"));
    }
    session.exec(
        "alter table pgq_ext.completed_tick drop constraint completed_tick_pkey, drop column queue_name,
               add primary key (consumer_id, subconsumer_id);
         set search_path = evil, pg_catalog",
    );
    assert_eq!(call(&mut session, "upgrade_schema()").unwrap(), "2");
    assert_eq!(everything(&mut session), expected);
    assert!(call(&mut session, "version()").is_some());
}
