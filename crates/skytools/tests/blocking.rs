//! The face without async.

use pgq_tests::queue::{create, tick_now};
use pgq_tests::shared::Database;
use skytools::consumer::{Finished, Subscription, Verdict};
use skytools::{Error, NewEvent, blocking};

use crate::kit::conninfo;

#[test]
fn events_are_written_and_read_without_async() {
    let database = Database::fresh("blocking");
    let mut session = database.connect();
    create(&mut session, "orders").unwrap();
    let db = blocking::Connection::open(&conninfo(&database)).unwrap();
    let reader = db.consumer(Subscription::new("orders", "reader"));
    assert!(reader.register().unwrap());
    assert!(!reader.register().unwrap());
    assert!(reader.next_batch().unwrap().is_none());

    let producer = db.producer("orders");
    producer.insert(&NewEvent::new("new", "a")).unwrap();
    db.rollback().unwrap();
    producer.insert(&NewEvent::new("new", "b")).unwrap();
    assert_eq!(producer.insert_all([NewEvent::new("new", "c"), NewEvent::new("new", "d")]).unwrap(), 2);
    db.commit().unwrap();
    tick_now(&mut session, "orders").unwrap();

    // A handler that fails leaves the batch open, and nothing of what it wrote.
    db.execute("create table seen (data text)", &[]).unwrap();
    db.commit().unwrap();
    let see = |data: Option<&str>| db.execute("insert into seen values ($1)", &[&data]).map(drop);
    let first = reader.next_batch().unwrap().expect("a batch");
    let (id, failing) = (first.info().batch_id, |_: &_| Err(Error::bad("no")));
    let mut count = 0;
    let failed = first.handle(|event| {
        count += 1;
        see(event.data())?;
        if count == 3 { failing(event) } else { Ok(Verdict::Done) }
    });
    let told = failed.unwrap_err().to_string();
    assert!(told.contains("event") && told.ends_with("no"), "{told}");
    let again = reader.next_batch().unwrap().expect("the batch again");
    assert_eq!(again.info().batch_id, id);
    let finished = again.handle(|event| see(event.data()).map(|()| Verdict::Done)).unwrap();
    assert_eq!(finished, Finished { count: 3, ..Finished::default() });
    let seen = db.query("select data from seen order by data", &[]).unwrap();
    assert_eq!(seen.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["b", "c", "d"]);
    assert!(reader.next_batch().unwrap().is_none());
    assert!(reader.unregister().unwrap());
}
