//! Rounds: how many there are, and what is told of them.

use pgq_tests::queue::{insert, tick_now};

use crate::kit::{Copier, told};

#[test]
fn a_failure_is_told_with_connection_query_state_and_context() {
    let mut copier = Copier::new("told");
    copier.session.exec("create or replace function take(id text) returns void language plpgsql as 'begin perform id::int; end'");
    insert(&mut copier.session, "numbers", "I:id", "id=x").unwrap();
    tick_now(&mut copier.session, "numbers").unwrap();
    let output = copier.run(&["copier.ini", "--set", "loop_delay=-1"]);
    assert_eq!(output.status.code(), Some(1));
    let told = told(&output);
    assert!(
        told.contains(
            " ERROR Job copier got error on connection 'dst_db': event 1 of queue numbers (type I:id, table NULL): \
             invalid input syntax for type integer: \"x\".   Query: select take($1"
        ),
        "{told}"
    );
    assert!(told.contains("\nSQLSTATE: 22P02\nCONTEXT: "), "{told}");
    assert!(told.contains("PL/pgSQL function take(text)"), "{told}");
}

#[test]
fn an_empty_batch_is_told_as_others_are() {
    let mut copier = Copier::new("empty");
    copier.put(&[]);
    let told = told(&copier.run(&["copier.ini", "--set", "loop_delay=-1"]));
    assert!(told.contains(" INFO {count: 0, duration: 0.") && !told.contains("idle"), "{told}");
    copier.put(&[1]);
    let told = self::told(&copier.run(&["copier.ini", "--set", "loop_delay=-1"]));
    assert!(told.contains(" INFO {count: 1, duration: 0.") && told.contains(", idle: 0."), "{told}");
}

#[test]
fn it_drains_the_queue_or_makes_one_round_as_the_delay_says() {
    let mut copier = Copier::new("drain");
    copier.put(&[1]);
    copier.put(&[2]);
    copier.put(&[3]);
    assert_eq!(copier.run(&["copier.ini", "--set", "loop_delay=-1"]).status.code(), Some(0));
    assert_eq!(copier.result(), [1]);
    assert_eq!(copier.run(&["copier.ini", "--set", "loop_delay=0"]).status.code(), Some(0));
    assert_eq!(copier.result(), [1, 2, 3]);
    let output = copier.run(&["copier.ini", "--set", "loop_delay=-1", "--set", "src_db=host=/nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("Job copier crashed: src_db: "), "{output:?}");
}
