//! A consumer that copies numbers from a queue into a table, through a gate that a test may hold shut.

use std::path::PathBuf;
use std::process::Output;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgq_tests::client::{Session, wait_until, wait_until_blocked};
use pgq_tests::guard::alive;
use pgq_tests::queue::{Consumer, create, insert, tick_now};
use pgq_tests::shared::Database;

use super::{Running, Workplace, conninfo, ini};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_simple_consumer");

/// What the tests hold to keep an event from being taken.
pub const GATE: &str = "select pg_advisory_lock(7)";

pub const OPEN_GATE: &str = "select pg_advisory_unlock(7)";

/// A consumer that copies numbers from a queue into a table, through a gate.
pub struct Copier {
    pub workplace: Workplace,
    pub session: Session,
    conninfo: String,
    _database: Option<Database>,
}

impl Copier {
    pub fn new(label: &str) -> Self {
        let database = Database::fresh(label);
        Self::at(database.connect(), conninfo(&database), Some(database))
    }

    pub fn at(mut session: Session, conninfo: String, database: Option<Database>) -> Self {
        session.exec(
            "create table result (id int, backend int); \
             create function take(id text) returns void language sql as \
             'select pg_advisory_xact_lock_shared(7); insert into result values (id::int, pg_backend_pid())'",
        );
        create(&mut session, "numbers").unwrap();
        Consumer::new("numbers", "copier").register(&mut session).unwrap();
        let copier = Self { workplace: Workplace::new(), session, conninfo, _database: database };
        copier.configure(&[]);
        copier
    }

    /// Writes the INI file, with other values for some keys.
    pub fn configure(&self, other: &[(&str, &str)]) {
        let usual = [
            ("src_db", self.conninfo.as_str()),
            ("dst_db", &self.conninfo),
            ("queue_name", "numbers"),
            ("dst_query", "select take(%(id)s)"),
            ("pidfile", "copier.pid"),
            ("logfile", "copier.log"),
            ("loop_delay", "0.02"),
            ("exception_sleep", "0.05"),
        ];
        let usual = usual.iter().filter(|(key, _)| other.iter().all(|(name, _)| name != key));
        let pairs: Vec<_> = usual.chain(other).copied().collect();
        self.workplace.write("copier.ini", &ini("simple_consumer", &pairs));
    }

    /// Starts it in the foreground.
    pub fn start(&self) -> Running {
        self.workplace.start("copier", PROGRAM, &["copier.ini"])
    }

    /// Starts it in the foreground, and waits until it has the pid file.
    pub fn started(&self) -> Running {
        let mut running = self.start();
        wait_until("the copier's number in its pid file", || {
            assert!(running.ended().is_none(), "{}", running.said());
            self.pid() == Some(running.pid())
        });
        running
    }

    /// Starts it in the background.
    pub fn start_daemon(&self) -> Daemon {
        let output = self.run(&["-d", "copier.ini"]);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        Daemon(self.pid().expect("a pid file when the starter is back"))
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.workplace.run(PROGRAM, arguments)
    }

    pub fn pid_file(&self) -> PathBuf {
        self.workplace.path("copier.pid")
    }

    /// What the pid file says.
    pub fn pid(&self) -> Option<Pid> {
        self.workplace.read("copier.pid").lines().next()?.parse().ok().map(Pid::from_raw)
    }

    pub fn log(&self) -> String {
        self.workplace.read("copier.log")
    }

    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), || self.log().contains(text));
    }

    /// Puts numbers into the queue, in a batch of their own.
    pub fn put(&mut self, numbers: &[i32]) {
        for number in numbers {
            insert(&mut self.session, "numbers", "I:id", &format!("id={number}")).unwrap();
        }
        tick_now(&mut self.session, "numbers").unwrap();
    }

    pub fn result(&mut self) -> Vec<i32> {
        self.session.column("select id from result order by id", &[])
    }

    pub fn wait_for(&mut self, numbers: &[i32]) {
        wait_until(&format!("{numbers:?} in the table"), || self.result() == numbers);
    }

    /// The copier's server process that waits at the gate.
    pub fn wait_at_gate(&mut self) -> i32 {
        let waiting = "select pid from pg_stat_activity \
                       where datname = current_database() and wait_event_type = 'Lock'";
        let mut pid = None;
        wait_until("the copier at the gate", || {
            pid = self.session.column::<i32>(waiting, &[]).first().copied();
            pid.is_some()
        });
        wait_until_blocked(&mut self.session, pid.unwrap());
        pid.unwrap()
    }

    /// Whether a batch is not finished yet.
    pub fn is_behind(&mut self) -> bool {
        self.session.one("select pending_events > 0 from pgq.get_consumer_info('numbers', 'copier')", &[])
    }
}

/// A program in the background; killed at the end of the test.
pub struct Daemon(pub Pid);

impl Daemon {
    pub fn wait_for_end(&self) {
        wait_until("the daemon to end", || !alive(self.0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

/// What it has said on standard error.
pub fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
