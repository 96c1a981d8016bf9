//! The demo, run as people run it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use pgq_tests::cluster::Cluster;
use pgq_tests::server::Server;

/// A folder of its own for the demo's cluster, so that what it leaves behind is seen.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let folder = nix::unistd::mkdtemp(&std::env::temp_dir().join("pgq-test-demo-XXXXXX")).unwrap();
        // The server may run as somebody else.
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o1777)).unwrap();
        Self(folder)
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn demo(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.args(["--scale", "1", "--clients", "2", "--no-fsync"]).args(arguments);
    demo.env("PGQ_SCRATCH", &scratch.0);
    demo
}

fn pgbench_is_missing() -> bool {
    let missing = !Server::ours().has("pgbench");
    if missing {
        eprintln!("skipped: this server came without pgbench");
    }
    missing
}

#[test]
fn the_demo_proves_itself_and_leaves_nothing() {
    if pgbench_is_missing() {
        return;
    }
    let scratch = Scratch::new();
    let output = demo(&scratch, &["--seconds", "4", "--pause", "500"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("\nPROVEN: "), "{output:?}");
    assert!(scratch.is_empty());
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    if pgbench_is_missing() {
        return;
    }
    let scratch = Scratch::new();
    let mut child =
        demo(&scratch, &["--seconds", "600"]).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    // The line of the first second: all is under way.
    let under_way =
        said.by_ref().lines().map_while(Result::ok).any(|line| line.trim_start().starts_with("1 s"));
    assert!(under_way && !scratch.is_empty());
    // As a terminal does it: to pgbench too.
    killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("Interrupted") && scratch.is_empty(), "{rest}");
}

#[test]
fn installcheck_goes_to_the_server_that_is_named_and_to_no_other() {
    let cluster = Cluster::builder().conf("log_statement", "ddl").start();
    let check = |host: &Path| {
        let mut check = Command::new(std::env::current_exe().unwrap());
        check.args(["--exact", "surface::the_version_is_the_installed_one"]);
        check.env("PGQ_INSTALLCHECK", "1").env("PGHOST", host).env("PGUSER", "postgres");
        check.env_remove("PGQ_SERVER").output().unwrap()
    };
    let output = check(cluster.socket_folder());
    assert!(output.status.success(), "{output:?}");
    cluster.wait_for_log("create database \"pgq_installcheck_");
    let output = check(Path::new("/nonexistent"));
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stdout).contains("/nonexistent"));
}

#[test]
fn a_mistyped_switch_is_explained() {
    let output = demo(&Scratch::new(), &["--second", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--seconds"));
}
