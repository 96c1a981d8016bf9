//! The kit keeps its own promises.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgq_tests::client::{blocked, wait_until, wait_until_blocked};
use pgq_tests::cluster::{Cluster, Stop};
use pgq_tests::guard::alive;
use pgq_tests::queue::{self, Consumer, Reading};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;

/// Set in the process that [`a_killed_process_leaves_nothing`] starts and kills.
const SACRIFICE: &str = "PGQ_TEST_SACRIFICE";

#[test]
fn a_dropped_cluster_leaves_nothing() {
    let cluster = Cluster::builder().start();
    let (folder, postmaster) = (cluster.socket_folder().to_owned(), cluster.postmaster().unwrap());
    assert!(folder.join("data/PG_VERSION").exists() && alive(postmaster));
    drop(cluster);
    assert!(!folder.exists() && !alive(postmaster));
}

/// Not a test by itself: starts a cluster, says where, and waits to be killed.
#[test]
fn sacrifice() {
    if std::env::var_os(SACRIFICE).is_none() {
        return;
    }
    let cluster = Cluster::builder().start();
    let mut session = cluster.connect("postgres");
    println!("SACRIFICE {} {}", cluster.postmaster().unwrap(), cluster.socket_folder().display());
    session.exec("select pg_catalog.pg_sleep(600)");
}

#[test]
fn a_killed_process_leaves_nothing() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kit::sacrifice", "--nocapture"])
        .env(SACRIFICE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The harness may print the test's name in front.
    let told = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("SACRIFICE ").map(|(_, told)| told.to_owned()))
        .expect("the child tells where its cluster is");
    let (pid, folder) = told.split_once(' ').unwrap();
    let (postmaster, folder) = (Pid::from_raw(pid.parse().unwrap()), PathBuf::from(folder));
    assert!(alive(postmaster) && folder.exists());

    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    wait_until("the orphaned cluster to end", || !alive(postmaster) && !folder.exists());
}

#[test]
fn committed_rows_survive_kill9_and_open_transactions_do_not() {
    let mut cluster = Cluster::builder().start();
    let mut session = cluster.connect("postgres");
    session.exec("create table t (n int)");
    session.exec("insert into t values (1)");
    session.exec("begin; insert into t values (2)");
    let server_process = Pid::from_raw(session.pid());
    cluster.kill9();
    assert!(!alive(server_process));
    assert!(cluster.try_connect("postgres").is_err());
    cluster.start_again();
    assert_eq!(cluster.connect("postgres").column::<i32>("select n from t", &[]), [1]);
    cluster.wait_for_log("redo starts at");
}

#[test]
fn stop_restart_and_reload() {
    let mut cluster = Cluster::builder().conf("work_mem", "5MB").start();
    let show = |cluster: &Cluster| cluster.connect("postgres").one::<String>("show work_mem", &[]);
    assert_eq!(show(&cluster), "5MB");
    cluster.conf_set("work_mem", "6MB");
    cluster.reload();
    assert_eq!(show(&cluster), "6MB");
    cluster.restart();
    assert_eq!(show(&cluster), "6MB");
    cluster.stop(Stop::Immediate);
    cluster.start_again();
    assert_eq!(show(&cluster), "6MB");
    let psql = cluster.psql("postgres", "select 'it''s ' || current_user");
    assert_eq!(String::from_utf8_lossy(&psql.stdout).trim(), "it's postgres");
    assert!(!cluster.psql("postgres", "select nosuch").status.success());
}

#[test]
fn a_broken_setting_is_told_from_the_log() {
    let error = Cluster::builder().conf("nosuch_setting", "1").try_start().unwrap_err().to_string();
    assert!(error.contains("nosuch_setting"), "{error}");
}

#[test]
fn a_standby_follows_and_is_promoted() {
    let cluster = Cluster::builder().start();
    let mut primary = cluster.connect("postgres");
    primary.exec("create table t as select 1 as n");
    let before: String = primary.one("select pg_catalog.pg_current_wal_insert_lsn()::text", &[]);
    primary.exec("insert into t values (2)");
    let after: String = primary.one("select pg_catalog.pg_current_wal_insert_lsn()::text", &[]);
    assert!(cluster.pg_waldump(&before, &after).contains("COMMIT"));

    let standby = cluster.standby();
    assert_eq!(standby.connect("postgres").one::<i64>("select count(*) from t", &[]), 2);
    assert_eq!(standby.connect("postgres").error("insert into t values (3)").code, "25006");
    standby.promote();
    standby.connect("postgres").exec("insert into t values (3)");
}

#[test]
fn sessions_block_each_other_visibly() {
    let database = Database::fresh("block");
    let (mut monitor, mut first) = (database.connect(), database.connect());
    first.exec("create table t (n int)");
    first.exec("begin; lock table t");
    let second = database.connect().spawn(|session| session.exec("insert into t values (1)"));
    wait_until_blocked(&mut monitor, second.pid());
    assert!(!blocked(&mut monitor, first.pid()) && !second.is_finished());
    first.exec("commit");
    second.join();
    assert_eq!(first.one::<i64>("select count(*) from t", &[]), 1);
}

#[test]
fn errors_and_notices_are_values() {
    let database = Database::fresh("errors");
    let mut session = database.connect();
    let error =
        session.error("do $$begin raise 'no' using errcode = 'PQ001', detail = 'd', hint = 'h'; end$$");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("PQ001", "no"));
    assert_eq!((error.detail.as_deref(), error.hint.as_deref()), (Some("d"), Some("h")));
    session.exec("do $$begin raise warning 'mind'; end$$");
    assert_eq!(session.take_notices()[0].message, "mind");
    assert!(session.take_notices().is_empty());
}

#[test]
fn a_databases_name_is_free_again_after_its_test() {
    let database = Database::fresh("gone");
    let (cluster, name) = (database.cluster(), database.name().to_owned());
    let _still_connected = database.connect();
    drop(database);
    let left: i64 =
        cluster.connect("postgres").one("select count(*) from pg_database where datname = $1", &[&name]);
    assert_eq!(left, 0);
}

#[test]
fn three_ways_to_read_one_batch() {
    let mut servers = vec![Server::ours()];
    servers.extend(Server::peer());
    for server in servers {
        let database = Database::fresh_on(&server, "reading");
        let mut session = database.connect();
        let consumer = Consumer::new("q", "c");
        assert!(queue::create(&mut session, "q").unwrap() && !queue::create(&mut session, "q").unwrap());
        assert!(consumer.register(&mut session).unwrap());
        for n in 0..25 {
            queue::insert(&mut session, "q", "kind", &n.to_string()).unwrap();
        }
        let tick = queue::tick_now(&mut session, "q").unwrap();
        let batch = consumer.next_batch(&mut session).unwrap().unwrap();
        assert_eq!(batch.tick, tick);
        let events = batch.events(&mut session).unwrap();
        let data: Vec<i32> = events.iter().map(|e| e.data.as_ref().unwrap().parse().unwrap()).collect();
        assert_eq!(data, (0..25).collect::<Vec<_>>());
        assert!(events[0].time.elapsed().unwrap() < Duration::from_secs(60));
        for reading in [Reading::Sql, Reading::Cursor(10), Reading::Cursor(100)] {
            assert_eq!(batch.read(&mut session, reading).unwrap(), events, "{reading:?}");
        }
        assert!(batch.finish(&mut session).unwrap() && !batch.finish(&mut session).unwrap());
        assert_eq!(consumer.position(&mut session).unwrap(), tick);
        assert!(consumer.drain_all(&mut session).unwrap().is_empty());
        assert_eq!(consumer.unregister(&mut session).unwrap(), 1);
    }
}
