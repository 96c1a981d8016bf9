//! simple_consumer and its kin.

use nix::sys::signal::Signal;
use pgq_tests::client::wait_until;
use pgq_tests::queue::{Consumer, create, insert, tick_now};
use pgq_tests::shared::Database;

use crate::kit::{Workplace, conninfo};

#[test]
fn a_statement_runs_for_each_event() {
    let database = Database::fresh("simple");
    let mut session = database.connect();
    session.exec("create table result (data text)");
    create(&mut session, "orders").unwrap();
    Consumer::new("orders", "copier").register(&mut session).unwrap();
    insert(&mut session, "orders", "I:id", "id=1&name=one").unwrap();
    tick_now(&mut session, "orders").unwrap();

    let workplace = Workplace::new();
    let conninfo = conninfo(&database);
    workplace.write(
        "copier.ini",
        &format!(
            "[simple_consumer]\nsrc_db = {conninfo}\ndst_db = {conninfo}\nqueue_name = orders\n\
             consumer_name = copier\nloop_delay = 0.05\n\
             dst_query = insert into result values ($1)\n"
        ),
    );
    let mut copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    wait_until("the event in the table", || {
        session.column::<String>("select data from result", &[]) == ["id=1&name=one"]
    });
    copier.signal(Signal::SIGTERM);
    copier.end();
}
