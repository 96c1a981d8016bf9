//! Tables of older versions become ours by `upgrade_schema`.

use super::{call, stored, story, target};
use pgq_tests::client::Session;

const KEYS: [(&str, &str); 4] = [
    ("completed_tick", ""),
    ("completed_batch", ""),
    ("partial_batch", ""),
    ("completed_event", ", batch_id, event_id"),
];

/// Makes the tables what they were in 3.3.
fn as_in_3_3(session: &mut Session) {
    for (table, ids) in KEYS {
        session.exec(&format!(
            "alter table pgq_ext.{table} drop constraint {table}_pkey, drop column queue_name,
                    add primary key (consumer_id, subconsumer_id{ids})"
        ));
    }
}

/// And in 2.1.
fn as_in_2_1(session: &mut Session) {
    as_in_3_3(session);
    for (table, ids) in KEYS {
        session.exec(&format!(
            "alter table pgq_ext.{table} drop constraint {table}_pkey, drop column subconsumer_id,
                    add primary key (consumer_id{ids})"
        ));
    }
}

/// Columns, keys and comments, in no order of columns.
fn shape(session: &mut Session) -> Vec<String> {
    session.column(
        "select concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, attnotnull,
                          pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
           from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
          where attrelid in (select oid from pg_class where relnamespace = 'pgq_ext'::regnamespace and relkind = 'r')
            and attnum > 0 and not attisdropped
          union
         select concat_ws(' ', conname, pg_get_constraintdef(oid)) from pg_constraint
          where connamespace = 'pgq_ext'::regnamespace
          order by 1",
        &[],
    )
}

fn are_brought_up_to_date_with_their_rows(older: fn(&mut Session), changes: &str) {
    let (_database, mut session) = target("ext");
    let ours = shape(&mut session);
    for consumer in ["c", "d"] {
        session.exec(&format!(
            "select pgq_ext.set_batch_done('{consumer}', 8), pgq_ext.set_last_tick('{consumer}', 7),
                    pgq_ext.set_event_done('{consumer}', 9, 1), pgq_ext.set_event_done('{consumer}', 9, 2)"
        ));
    }
    let before = stored(&mut session);
    older(&mut session);
    assert_ne!(shape(&mut session), ours);
    assert_eq!(call(&mut session, "upgrade_schema()").unwrap(), changes);
    assert_eq!(shape(&mut session), ours);
    assert_eq!(stored(&mut session), before);
    story(
        &mut session,
        "upgrade_schema() = 0
         get_last_tick('c') = 7
         set_batch_done('c', 8) = false
         set_batch_done('q', 'c', '', 8) = true
         set_batch_done('c', 's', 8) = true
         set_event_done('d', 9, 2) = false
         set_event_done('d', 9, 3) = true
         set_event_done('q', 'd', '', 9, 3) = true
         set_event_done('d', 10, 3) = true
         is_event_done('d', 9, 1) = false
         is_event_done('c', 9, 1) = true",
    );
}

#[test]
fn tables_of_3_3_are_brought_up_to_date_with_their_rows() {
    are_brought_up_to_date_with_their_rows(as_in_3_3, "8");
}

#[test]
fn tables_of_2_1_are_brought_up_to_date_with_their_rows() {
    are_brought_up_to_date_with_their_rows(as_in_2_1, "12");
}

#[test]
fn a_session_goes_on_after_the_upgrade() {
    let (database, mut session) = target("ext");
    story(&mut session, "set_event_done('c', 1, 1) = true");
    let mut owner = database.connect();
    as_in_3_3(&mut owner);
    let code = session.error("select pgq_ext.set_event_done('c', 1, 2)").code;
    assert_eq!(code, "42703", "without the column");
    owner.exec("select pgq_ext.upgrade_schema()");
    story(&mut session, "set_event_done('c', 1, 1) = false\n set_event_done('c', 1, 2) = true");
}

#[test]
fn a_table_with_part_of_the_changes_gets_the_rest() {
    let (_database, mut session) = target("ext");
    let ours = shape(&mut session);
    session.exec(
        "alter table pgq_ext.completed_tick drop constraint completed_tick_pkey;
         alter table pgq_ext.completed_event drop constraint completed_event_pkey,
               add constraint by_another_name primary key (consumer_id, batch_id, event_id)",
    );
    story(&mut session, "upgrade_schema() = 2\n upgrade_schema() = 0");
    assert_eq!(shape(&mut session), ours);
}

#[test]
fn it_takes_the_owner_to_change_tables_and_no_one_to_leave_them() {
    let (database, mut session) = target("ext");
    let role = format!("{}_writer", database.name());
    session.exec(&format!("create role {role} login in role pgq_writer"));
    let mut writer = database.connect_as(&role);
    story(&mut writer, "upgrade_schema() = 0");
    as_in_3_3(&mut session);
    assert_eq!(writer.error("select pgq_ext.upgrade_schema()").code, "42501");
    story(&mut session, "upgrade_schema() = 8");
    story(&mut writer, "upgrade_schema() = 0");
    drop(writer);
    session.exec(&format!("drop role {role}"));
}
