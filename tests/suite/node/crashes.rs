//! Workers that die between any two statements of the protocol, and servers that do: the next worker goes on, nothing is
//! left out and nothing is applied twice.

use std::time::Duration;

use crate::node::cascade::{Cascade, Load, Pass, Step, Trouble, Worker, Workers, servers};
use pgq_tests::client::{connection_lost, wait_until};
use pgq_tests::queue;
use pgq_tests::server::Server;

/// Root `a`, branch `b` below it, leaf `c` below that; the test takes the ticks.
fn chain(server: &Server) -> Cascade {
    let cascade = Cascade::on(server, &["a", "b", "c"]);
    cascade.root("a");
    cascade.subscribe("b", "branch", "a", "a");
    cascade.subscribe("c", "leaf", "b", "a");
    cascade
}

/// Two events in a batch of their own.
fn write(cascade: &Cascade, sent: &mut Vec<String>, step: Step) -> i64 {
    let mut root = cascade.connect("a");
    for number in [1, 2] {
        let name = format!("{}: {step:?} {number}", sent.len());
        queue::insert(&mut root, "q", "kind", &name).unwrap();
        sent.push(name);
    }
    queue::tick_now(&mut root, "q").unwrap()
}

/// Ends the server processes that work for it.
fn terminate(cascade: &Cascade, worker: &Worker) {
    let mut killer = cascade.connect("postgres");
    for pid in worker.pids() {
        killer.exec(&format!("select pg_terminate_backend({pid})"));
        let gone = "select not exists (select from pg_stat_activity where pid = $1)";
        wait_until("the process to go", || killer.one(gone, &[&pid]));
    }
}

/// What a worker finds who comes after one that stopped there.
fn found_after(step: Step, tick: i64) -> Pass {
    match step {
        Step::BatchOpened | Step::EventsCopied | Step::CompletedInTransaction => Pass::Did(tick),
        Step::Committed | Step::Ticked => Pass::WasDone(tick),
        Step::Finished => Pass::Idle,
    }
}

#[track_caller]
fn all_alike(cascade: &Cascade, mut sent: Vec<String>, top: i64) {
    sent.sort();
    assert_eq!(cascade.applied("b"), sent, "the branch");
    assert_eq!(cascade.applied("c"), sent, "the leaf");
    assert_eq!(cascade.history("a", 1, top), cascade.history("b", 1, top));
}

#[test]
fn the_backends_of_a_worker_are_terminated_between_any_two_statements() {
    for server in servers() {
        let cascade = chain(&server);
        let (mut sent, mut top) = (Vec::new(), 0);
        // What the root announced when it made its nodes.
        queue::tick_now(&mut cascade.connect("a"), "q").unwrap();
        for node in ["b", "c"] {
            Worker::of(node, &cascade.way()).catch_up();
        }
        for step in Step::ALL {
            top = write(&cascade, &mut sent, step);
            for node in ["b", "c"] {
                let mut worker = Worker::of(node, &cascade.way()).stop_at(step);
                match worker.pass() {
                    Err(Trouble::Stopped(at)) => assert_eq!(at, step),
                    other => panic!("{node}, {step:?}: {other:?}"),
                }
                terminate(&cascade, &worker);
                match worker.pass() {
                    Err(Trouble::Sql(error)) => assert!(error.is_closed() || connection_lost(&error)),
                    other => panic!("{node}, {step:?}: {other:?}"),
                }
                let mut next = Worker::of(node, &cascade.way());
                assert_eq!(next.pass().unwrap(), found_after(step, top), "{node}, {step:?}");
                next.catch_up();
            }
        }
        all_alike(&cascade, sent, top);
    }
}

#[test]
fn the_server_is_killed_between_any_two_statements() {
    let mut cascade = chain(&Server::ours());
    let (mut sent, mut top) = (Vec::new(), 0);
    queue::tick_now(&mut cascade.connect("a"), "q").unwrap();
    for node in ["b", "c"] {
        Worker::of(node, &cascade.way()).catch_up();
    }
    for step in Step::ALL {
        top = write(&cascade, &mut sent, step);
        for node in ["b", "c"] {
            let mut worker = Worker::of(node, &cascade.way()).stop_at(step);
            assert!(matches!(worker.pass(), Err(Trouble::Stopped(at)) if at == step));
            cascade.cluster.kill9();
            cascade.cluster.start_again();
            let mut next = Worker::of(node, &cascade.way());
            assert_eq!(next.pass().unwrap(), found_after(step, top), "{node}, {step:?}");
            next.catch_up();
        }
    }
    all_alike(&cascade, sent, top);
}

#[test]
fn workers_are_terminated_at_random_under_load() {
    let cascade = Cascade::ticking(&["a", "b", "c"]);
    cascade.root("a");
    cascade.subscribe("b", "branch", "a", "a");
    cascade.subscribe("c", "leaf", "b", "a");
    let workers = Workers::start(&cascade, &["a", "b", "c"]);
    let load = Load::start(&cascade, &["a"], 2);
    let mut killer = cascade.connect("postgres");
    let mut killed = 0;
    wait_until("many workers to have been terminated", || {
        killed += killer.one::<i64>(
            "select count(*) filter (where pg_terminate_backend(pid))
               from (select pid from pg_stat_activity where application_name = 'worker'
                      order by random() limit 1) victim",
            &[],
        );
        std::thread::sleep(Duration::from_millis(fastrand::u64(..40)));
        killed >= 50
    });
    let sent = load.stop();
    let top = cascade.settle("a", &["b", "c"]);
    workers.stop();
    all_alike(&cascade, sent, top);
}

/// Where the branch stands is neither the begin nor the end of what its provider gives it: it says so, and does nothing.
#[test]
fn a_position_that_was_lost_is_noticed() {
    for server in servers() {
        let cascade = chain(&server);
        let mut sent = Vec::new();
        let first = write(&cascade, &mut sent, Step::BatchOpened);
        Worker::of("b", &cascade.way()).catch_up();
        let second = write(&cascade, &mut sent, Step::BatchOpened);
        let third = write(&cascade, &mut sent, Step::BatchOpened);
        cascade.connect("a").exec(&format!("select pgq.register_consumer_at('q', 'b_worker', {second})"));
        let before = cascade.applied("b");
        match Worker::of("b", &cascade.way()).pass() {
            Err(Trouble::Lost { prev, tick, completed }) => {
                assert_eq!((prev, tick, completed), (second, third, first));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(cascade.applied("b"), before);
    }
}
