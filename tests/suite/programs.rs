//! The demo, run as people run it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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
    let mut child = demo(&scratch, &["--seconds", "600"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    // The line of the first second: all is under way.
    let under_way =
        said.by_ref().lines().map_while(Result::ok).any(|line| line.trim_start().starts_with("1 s"));
    assert!(under_way && !scratch.is_empty());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("Interrupted") && scratch.is_empty(), "{rest}");
}

#[test]
fn a_mistyped_switch_is_explained() {
    let output = demo(&Scratch::new(), &["--second", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--seconds"));
}
