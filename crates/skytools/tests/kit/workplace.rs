//! A folder with INI files, and the programs that run in it. Both go away with the test.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgq_tests::client::wait_until;
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use tempfile::TempDir;

/// How the programs of this package reach a database of the kit.
pub fn conninfo(database: &Database) -> String {
    database.cluster().conninfo(database.name())
}

/// Ours and, where it is there, the original's.
pub fn servers() -> impl Iterator<Item = Server> {
    [Some(Server::ours()), Server::peer()].into_iter().flatten()
}

/// A folder of its own.
pub struct Workplace(TempDir);

impl Workplace {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("skytools-test-").tempdir().unwrap())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A program of this package (`env!("CARGO_BIN_EXE_…")`), at home in the folder, with nobody's settings in its
    /// environment.
    pub fn program(&self, binary: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("HOME", self.folder())
            .env("TZ", "UTC");
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, binary: &str, arguments: &[&str]) -> Output {
        self.program(binary, arguments).output().unwrap()
    }

    /// Starts it; what it says goes to `NAME.out`.
    pub fn start(&self, name: &str, binary: &str, arguments: &[&str]) -> Running {
        self.start_command(name, self.program(binary, arguments))
    }

    /// Starts any program; what it says goes to `NAME.out`.
    pub fn start_command(&self, name: &str, mut command: Command) -> Running {
        let said = self.path(&format!("{name}.out"));
        let file = std::fs::File::create(&said).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Running { child, said }
    }
}

/// A program that runs; killed at the end of the test.
pub struct Running {
    child: Child,
    said: PathBuf,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// All it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }

    /// Waits until it has said so.
    pub fn wait_for(&self, text: &str) {
        wait_until(&format!("{text:?} in {:?}", self.said), || self.said().contains(text));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the program to end", || {
            status = self.ended();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits for its end: its exit status, or that it was killed.
    pub fn exit_code(&mut self) -> i32 {
        let status = self.end();
        status.code().unwrap_or_else(|| panic!("killed by signal {:?}", status.signal()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
