//! Servers that go away, and connections that end.

use nix::sys::signal::Signal;
use pgq_tests::client::wait_until;
use pgq_tests::cluster::Cluster;

use crate::kit::{Copier, GATE, OPEN_GATE};

#[test]
fn a_server_that_restarts_is_waited_for() {
    let mut cluster =
        Cluster::builder().conf("shared_preload_libraries", "pgq").conf("pgq.ticker", "off").start();
    cluster.create_database("queues");
    cluster.connect("queues").exec("create extension pgq");
    let mut copier = Copier::at(cluster.connect("queues"), cluster.conninfo("queues"), None);
    let mut running = copier.started();
    copier.put(&[1]);
    copier.wait_for(&[1]);
    wait_until("the batch to be finished", || !copier.is_behind());
    cluster.stop(pgq_tests::cluster::Stop::Fast);
    running.wait_for("Job copier crashed: src_db: ");
    cluster.start_again();
    copier.session = cluster.connect("queues");
    copier.put(&[2]);
    copier.wait_for(&[1, 2]);
    running.signal(Signal::SIGINT);
    assert_eq!(running.exit_code(), 0);
}

#[test]
fn a_connection_that_is_cut_is_made_again() {
    let mut copier = Copier::new("cut");
    copier.session.exec(GATE);
    copier.put(&[1, 2]);
    let running = copier.started();
    let backend = copier.wait_at_gate();
    copier.session.exec(&format!("select pg_terminate_backend({backend})"));
    running.wait_for("Job copier got error on connection 'dst_db': ");
    running.wait_for(".   Query: select take(");
    copier.session.exec(OPEN_GATE);
    copier.wait_for(&[1, 2]);
}

#[test]
fn a_connection_gets_only_so_old() {
    let mut copier = Copier::new("ageing");
    let backends = |copier: &mut Copier| {
        copier.put(&[1]);
        copier.wait_for(&[1]);
        copier.put(&[2]);
        copier.wait_for(&[1, 2]);
        let of = "select count(distinct backend) from result";
        let count: i64 = copier.session.one(of, &[]);
        copier.session.exec("truncate result");
        count
    };
    copier.configure(&[("connection_lifetime", "0.000001")]);
    let mut short = copier.started();
    assert_eq!(backends(&mut copier), 2);
    short.signal(Signal::SIGINT);
    assert_eq!(short.exit_code(), 0);
    for lifetime in ["0", "1200"] {
        copier.configure(&[("connection_lifetime", lifetime)]);
        let mut long = copier.started();
        assert_eq!(backends(&mut copier), 1);
        long.signal(Signal::SIGINT);
        assert_eq!(long.exit_code(), 0);
    }
}
