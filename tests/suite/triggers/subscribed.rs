//! Tables that the server's own logical replication fills.

use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::Cluster;

fn events(session: &mut Session, queue: i32) -> Vec<String> {
    session.column(&format!("select ev_type || ' ' || ev_data from pgq.event_{queue} order by ev_id"), &[])
}

/// It fires triggers that ALWAYS fire, for each row and for TRUNCATE, but none for all rows of a statement. So a table
/// that is subscribed by then is captured row by row.
#[test]
fn triggers_for_each_row_see_what_is_replicated() {
    let cluster = Cluster::builder().conf("wal_level", "logical").start();
    cluster.create_database("copy");
    let mut source = cluster.connect("postgres");
    source.exec("create table t (id int primary key, v text); create publication p for table t");
    // Made apart, since in the same cluster CREATE SUBSCRIPTION would wait for its own end.
    source.exec("select pg_create_logical_replication_slot('s', 'pgoutput')");

    let mut copy = cluster.connect("copy");
    copy.exec(
        "create extension pgq; select pgq.create_queue('rows'); select pgq.create_queue('statements');
         create table t (id int primary key, v text);
         select pgq.capture('t', 'statements')",
    );
    copy.exec(&format!(
        "create subscription s connection '{}' publication p with (create_slot = false, slot_name = 's')",
        cluster.conninfo("postgres")
    ));

    let ready = "select srsubstate = 'r' from pg_subscription_rel";
    wait_until("the first copy to end", || copy.one::<bool>(ready, &[]));
    copy.exec("select pgq.capture('t', 'rows')");
    let triggers: Vec<String> =
        copy.column("select tgname::text from pg_trigger where not tgisinternal", &[]);
    for trigger in triggers {
        copy.exec(&format!("alter table t enable always trigger {trigger}"));
    }
    let again: Vec<String> = copy.column("select action from pgq.capture('t', 'rows')", &[]);
    assert_eq!(again, ["kept", "kept"]);

    source.exec("insert into t values (1, 'x'), (2, 'y')");
    source.exec("update t set v = 'z' where id = 1; delete from t where id = 2");
    source.exec("truncate t");
    source.exec("insert into t values (3, 'last')");
    wait_until("the copy to follow", || copy.column::<i32>("select id from t", &[]) == [3]);
    assert_eq!(
        events(&mut copy, 1),
        ["I:id id=1&v=x", "I:id id=2&v=y", "U:id id=1&v=z", "D:id id=2&v=y", "R ", "I:id id=3&v=last"]
    );
    assert_eq!(events(&mut copy, 2), ["R "]);
    copy.exec("alter subscription s disable");
    copy.exec("alter subscription s set (slot_name = none)");
    copy.exec("drop subscription s");
}
