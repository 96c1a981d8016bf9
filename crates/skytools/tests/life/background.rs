//! The background: how a program gets there, and what it takes along.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::unistd::getsid;
use pgq_tests::guard::alive;

use crate::kit::{Copier, Daemon, GATE, PROGRAM, told};

#[test]
fn a_daemon_is_started_reloaded_and_stopped() {
    let mut copier = Copier::new("daemon");
    let daemon = copier.start_daemon();
    let proc = |name: &str| std::fs::read_link(format!("/proc/{}/{name}", daemon.0)).unwrap();
    assert_eq!(getsid(Some(daemon.0)).unwrap(), daemon.0, "a session of its own");
    for descriptor in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(proc(descriptor), PathBuf::from("/dev/null"));
    }
    assert_eq!(proc("cwd"), copier.workplace.folder());
    copier.put(&[1]);
    copier.wait_for(&[1]);

    copier.configure(&[("dst_query", "select take((1000 + %(id)s::int)::text)")]);
    assert!(copier.run(&["copier.ini", "-r"]).status.success());
    copier.wait_for_log("Config reloaded");
    copier.put(&[2]);
    copier.wait_for(&[1, 1002]);

    assert!(copier.run(&["copier.ini", "-s"]).status.success());
    daemon.wait_for_end();
    assert!(!copier.pid_file().exists());
}

#[test]
fn a_daemon_lets_go_of_what_its_starter_had_open() {
    let copier = Copier::new("inherited");
    let locked = copier.workplace.write("lock", "");
    let start = format!("exec 9<lock 25<copier.ini; exec {PROGRAM} -d copier.ini");
    let output = copier.workplace.run("/bin/bash", &["-c", &start]);
    assert!(output.status.success(), "{output:?}");
    let daemon = Daemon(copier.pid().expect("a pid file when the starter is back"));
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.0)).unwrap();
    let open: Vec<PathBuf> =
        open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).collect();
    for gone in [locked, copier.workplace.path("copier.ini")] {
        assert!(!open.contains(&gone), "{open:?}");
    }
    assert!(open.contains(&copier.workplace.path("copier.log")), "{open:?}");
}

#[test]
fn others_cannot_write_its_files_whatever_the_umask() {
    let copier = Copier::new("umask");
    let start = format!("umask 0; exec {PROGRAM} -d copier.ini");
    let output = copier.workplace.run("/bin/sh", &["-c", &start]);
    let _daemon = Daemon(copier.pid().expect("a pid file when the starter is back"));
    assert!(output.status.success(), "{output:?}");
    for (file, mode) in [("copier.pid", 0o644), ("copier.log", 0o664)] {
        let metadata = std::fs::metadata(copier.workplace.path(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
    }
}

#[test]
fn a_daemon_is_killed_at_its_work() {
    let mut copier = Copier::new("killed");
    copier.session.exec(GATE);
    copier.put(&[1]);
    let daemon = copier.start_daemon();
    copier.wait_at_gate();
    assert!(copier.run(&["copier.ini", "-k"]).status.success());
    daemon.wait_for_end();
    assert!(!copier.pid_file().exists());
    assert!(copier.is_behind());
}

#[test]
fn the_starter_tells_why_there_is_no_daemon() {
    let copier = Copier::new("starter");
    let fails = |arguments: &[&str], why: &str| {
        let output = copier.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = told(&output);
        assert!(told.contains(why), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    };
    fails(&["-d", "nothing.ini"], "nothing.ini");
    fails(&["-d", "copier.ini", "--set", "pidfile="], "-d needs a pidfile");
    fails(&["-d", "copier.ini", "--set", "loop_delay=soon"], "loop_delay");
    fails(&["-d", "copier.ini", "--set", "queue_name="], "queue_name");
    fails(&["-d", "copier.ini", "--set", "pidfile=no/such/folder/copier.pid"], "no/such/folder/copier.pid");
    let first = copier.start_daemon();
    fails(&["-d", "copier.ini"], &format!("another process running: {}", first.0));
    let only_in_the_file = ["-d", "copier.ini", "--set", "log_handlers=file"];
    fails(&only_in_the_file, &format!("another process running: {}", first.0));
    fails(&["copier.ini"], &format!("another process running: {}", first.0));
    assert_eq!(copier.pid(), Some(first.0));
    assert!(alive(first.0));
}

#[test]
fn who_gets_a_daemon_without_a_log_is_told() {
    let copier = Copier::new("unlogged");
    let output = copier.run(&["-d", "copier.ini", "--set", "logfile="]);
    let daemon = Daemon(copier.pid().expect("a pid file when the starter is back"));
    assert!(output.status.success(), "{output:?}");
    assert!(told(&output).contains("nothing is logged in the background"), "{output:?}");
    drop(daemon);
    let output = copier.run(&["-d", "copier.ini"]);
    let daemon = Daemon(copier.pid().expect("a pid file when the starter is back"));
    assert!(!told(&output).contains("nothing is logged"), "{output:?}");
    drop(daemon);
}
