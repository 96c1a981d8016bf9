//! The life of a program: daemon, pid file, signals, and a server that goes away meanwhile.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};
use pgq_tests::client::{Session, wait_until, wait_until_blocked};
use pgq_tests::cluster::Cluster;
use pgq_tests::guard::alive;
use pgq_tests::queue::{Consumer, create, insert, tick_now};
use pgq_tests::shared::Database;

use crate::kit::{Running, Workplace, conninfo, ini};

const PROGRAM: &str = env!("CARGO_BIN_EXE_simple_consumer");

/// What the tests hold to keep an event from being taken.
const GATE: &str = "select pg_advisory_lock(7)";
const OPEN_GATE: &str = "select pg_advisory_unlock(7)";

/// A consumer that copies numbers from a queue into a table, through a gate.
struct Copier {
    workplace: Workplace,
    session: Session,
    conninfo: String,
    _database: Option<Database>,
}

impl Copier {
    fn new(label: &str) -> Self {
        let database = Database::fresh(label);
        Self::at(database.connect(), conninfo(&database), Some(database))
    }

    fn at(mut session: Session, conninfo: String, database: Option<Database>) -> Self {
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
    fn configure(&self, other: &[(&str, &str)]) {
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
    fn start(&self) -> Running {
        self.workplace.start("copier", PROGRAM, &["copier.ini"])
    }

    /// Starts it in the foreground, and waits until it has the pid file.
    fn started(&self) -> Running {
        let mut running = self.start();
        wait_until("the copier's number in its pid file", || {
            assert!(running.ended().is_none(), "{}", running.said());
            self.pid() == Some(running.pid())
        });
        running
    }

    /// Starts it in the background.
    fn start_daemon(&self) -> Daemon {
        let output = self.run(&["-d", "copier.ini"]);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        Daemon(self.pid().expect("a pid file when the starter is back"))
    }

    /// Runs the program to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        self.workplace.run(PROGRAM, arguments)
    }

    fn pid_file(&self) -> PathBuf {
        self.workplace.path("copier.pid")
    }

    /// What the pid file says.
    fn pid(&self) -> Option<Pid> {
        self.workplace.read("copier.pid").lines().next()?.parse().ok().map(Pid::from_raw)
    }

    fn log(&self) -> String {
        self.workplace.read("copier.log")
    }

    fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), || self.log().contains(text));
    }

    /// Puts numbers into the queue, in a batch of their own.
    fn put(&mut self, numbers: &[i32]) {
        for number in numbers {
            insert(&mut self.session, "numbers", "I:id", &format!("id={number}")).unwrap();
        }
        tick_now(&mut self.session, "numbers").unwrap();
    }

    fn result(&mut self) -> Vec<i32> {
        self.session.column("select id from result order by id", &[])
    }

    fn wait_for(&mut self, numbers: &[i32]) {
        wait_until(&format!("{numbers:?} in the table"), || self.result() == numbers);
    }

    /// The copier's server process that waits at the gate.
    fn wait_at_gate(&mut self) -> i32 {
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
    fn is_behind(&mut self) -> bool {
        self.session.one("select pending_events > 0 from pgq.get_consumer_info('numbers', 'copier')", &[])
    }
}

/// A program in the background; killed at the end of the test.
struct Daemon(Pid);

impl Daemon {
    fn wait_for_end(&self) {
        wait_until("the daemon to end", || !alive(self.0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

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
fn nobody_to_be_told_is_a_warning_or_an_error_for_who_wants_it() {
    let copier = Copier::new("nobody");
    let tell = |arguments: &[&str], status: i32, why: &str| {
        for switch in ["-r", "-s", "-k"] {
            let output = copier.run(&[arguments, &["copier.ini", switch]].concat());
            assert_eq!(output.status.code(), Some(status), "{output:?}");
            assert!(told(&output).contains(why), "{output:?}");
        }
    };
    tell(&[], 0, "no process is running");
    tell(&["--must-run"], 1, "no process is running");
    tell(&["--set", "pidfile="], 0, "no pidfile is configured");
    copier.workplace.write("copier.pid", "");
    tell(&[], 0, "no process is running");
    copier.workplace.write("copier.pid", "2147483647\n");
    tell(&["--must-run"], 1, "no process is running");
    copier.workplace.write("copier.pid", "somebody\n");
    tell(&[], 1, "is no process number");
    let output = copier.run(&["copier.ini", "--must-run"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_pid_file_of_the_dead_is_told_and_replaced() {
    let mut copier = Copier::new("stale");
    copier.workplace.write("copier.pid", "2147483647\nwhatever\n");
    let mut running = copier.started();
    copier.wait_for_log("stale pid file");
    copier.put(&[1]);
    copier.wait_for(&[1]);
    running.signal(Signal::SIGINT);
    assert_eq!(running.exit_code(), 0);
    assert!(!copier.pid_file().exists());

    copier.workplace.write("copier.pid", "somebody\n");
    let output = copier.run(&["copier.ini"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("is no process number"), "{output:?}");
    assert_eq!(copier.workplace.read("copier.pid"), "somebody\n");
}

#[test]
fn a_process_of_the_older_line_keeps_us_out() {
    let copier = Copier::new("older");
    copier.workplace.write("copier.pid", &format!("{}\n", std::process::id()));
    let output = copier.run(&["copier.ini"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("does not hold its lock"), "{output:?}");
}

#[test]
fn after_a_kill_nine_it_starts_again_and_goes_on() {
    let mut copier = Copier::new("kill9");
    copier.session.exec(GATE);
    copier.put(&[1, 2]);
    let mut running = copier.started();
    copier.wait_at_gate();
    running.signal(Signal::SIGKILL);
    running.end();
    assert!(copier.pid_file().exists());
    copier.session.exec(OPEN_GATE);
    let mut again = copier.started();
    // The server may have let the first one's statement through after its end.
    wait_until("both numbers", || {
        let mut result = copier.result();
        result.dedup();
        result == [1, 2]
    });
    again.signal(Signal::SIGINT);
    assert_eq!(again.exit_code(), 0);
}

#[test]
fn of_starters_at_the_same_time_one_comes_through() {
    let copier = Copier::new("starters");
    for round in 0..15 {
        let left_behind = ["", "2147483647\n", "2147483647\n\n"][round % 3];
        copier.workplace.write("copier.pid", left_behind);
        let mut starters: Vec<_> = (0..3)
            .map(|number| copier.workplace.start(&format!("starter{number}"), PROGRAM, &["copier.ini"]))
            .collect();
        let mut refused = 0;
        wait_until("all starters but one to give up", || {
            starters.retain_mut(|starter| match starter.ended() {
                None => true,
                Some(status) => {
                    refused += 1;
                    assert_eq!(status.code(), Some(1), "{}", starter.said());
                    assert!(starter.said().contains("another process running"), "{}", starter.said());
                    false
                }
            });
            refused >= 2
        });
        assert_eq!(refused, 2);
        let mut winner = starters.pop().unwrap();
        assert_eq!(copier.pid(), Some(winner.pid()));
        winner.signal(Signal::SIGINT);
        assert_eq!(winner.exit_code(), 0, "{}", winner.said());
        assert!(!copier.pid_file().exists());
    }
}

#[test]
fn an_interrupt_finishes_the_round() {
    let mut copier = Copier::new("interrupt");
    copier.session.exec(GATE);
    copier.put(&[1, 2]);
    copier.put(&[3]);
    let mut running = copier.started();
    copier.wait_at_gate();
    running.signal(Signal::SIGINT);
    running.wait_for("ending after this round");
    copier.session.exec(OPEN_GATE);
    assert_eq!(running.exit_code(), 0);
    assert_eq!(copier.result(), [1, 2]);
    assert!(!copier.pid_file().exists());
    let _again = copier.started();
    copier.wait_for(&[1, 2, 3]);
}

#[test]
fn an_interrupt_ends_each_sleep() {
    let copier = Copier::new("sleep");
    let mut idle = {
        copier.configure(&[("loop_delay", "3600")]);
        copier.started()
    };
    idle.signal(Signal::SIGINT);
    assert_eq!(idle.exit_code(), 0);

    copier.configure(&[("src_db", "host=/nowhere"), ("exception_sleep", "3600")]);
    let mut failed = copier.started();
    failed.wait_for("Job copier crashed: src_db: ");
    failed.signal(Signal::SIGINT);
    assert_eq!(failed.exit_code(), 0);
}

#[test]
fn two_interrupts_within_a_second_are_the_end() {
    let mut copier = Copier::new("impatient");
    copier.session.exec(GATE);
    copier.put(&[1]);
    let mut running = copier.started();
    copier.wait_at_gate();
    // Two signals of a kind may become one, so it takes patience to be impatient.
    wait_until("the end", || {
        let ended = running.ended();
        if ended.is_none() {
            running.signal(Signal::SIGINT);
        }
        ended.is_some()
    });
    assert_eq!(running.exit_code(), 1);
    assert!(!copier.pid_file().exists());
}

#[test]
fn a_later_interrupt_gives_the_batch_up_between_two_events() {
    let mut copier = Copier::new("later");
    copier.session.exec(GATE);
    copier.put(&[1, 2]);
    let mut running = copier.started();
    copier.wait_at_gate();
    running.signal(Signal::SIGINT);
    running.wait_for("ending after this round");
    std::thread::sleep(Duration::from_secs(1)); // what makes it another interrupt, and not an impatient one
    running.signal(Signal::SIGINT);
    running.wait_for("ending before the next event");
    copier.session.exec(OPEN_GATE);
    assert_eq!(running.exit_code(), 0);
    assert_eq!(copier.result(), [1]);
    assert!(copier.is_behind());
    let _again = copier.started();
    copier.wait_for(&[1, 1, 2]);
}

#[test]
fn a_termination_drops_the_work_and_is_what_it_dies_of() {
    let mut copier = Copier::new("terminated");
    copier.session.exec(GATE);
    copier.put(&[1]);
    let mut running = copier.started();
    let backend = copier.wait_at_gate();
    let begun = Instant::now();
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().signal(), Some(Signal::SIGTERM as i32));
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(!copier.pid_file().exists());
    copier.session.exec(&format!("select pg_terminate_backend({backend})"));
    assert!(copier.is_behind());
}

#[test]
fn a_reader_of_the_log_that_is_stuck_keeps_nobody_alive() {
    let copier = Copier::new("stuck");
    copier.configure(&[("src_db", "host=/nowhere")]);
    for (signals, end) in [
        (&[Signal::SIGTERM][..], ExitStatus::from_raw(Signal::SIGTERM as i32)),
        (&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM], ExitStatus::from_raw(Signal::SIGTERM as i32)),
    ] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        while writer.write(b"full\n").is_ok() {}
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let mut command = copier.workplace.program(PROGRAM, &["copier.ini"]);
        let mut child = command.stderr(writer).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        wait_until("its number in the pid file", || copier.pid() == Some(pid));
        for signal in signals {
            kill(pid, *signal).unwrap();
        }
        let mut ended = None;
        wait_until("the end", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        assert_eq!(ended, Some(end));
        assert!(!copier.pid_file().exists());
        drop(reader);
    }
}

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
fn dead_letters_are_looked_at_beside_the_running_job() {
    let copier = Copier::new("beside");
    copier.configure(&[("event_policy", "park")]);
    let mut running = copier.started();
    copier.wait_for_log("");
    wait_until("the table of dead letters", || {
        copier.run(&["copier.ini", "--dead-letters"]).status.success()
    });
    assert_eq!(copier.pid(), Some(running.pid()));
    let refused = copier.run(&["copier.ini", "--register"]);
    assert!(told(&refused).contains("another process running"), "{refused:?}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.exit_code(), 0);
}

#[test]
fn the_scripts_of_others_can_use_the_pid_file() {
    let copier = Copier::new("scripts");
    let running = copier.started();
    for script in [
        "kill -0 $(cat copier.pid)",
        "test -d \"/proc/$(cat copier.pid)\"",
        "read pid < copier.pid; kill -0 $pid",
    ] {
        let output = copier.workplace.run("/bin/sh", &["-c", script]);
        assert!(output.status.success(), "{script}: {output:?}");
    }
    drop(running);
}

#[test]
fn a_broken_file_at_a_reload_changes_nothing() {
    let mut copier = Copier::new("broken");
    let running = copier.started();
    copier.put(&[1]);
    copier.wait_for(&[1]);
    copier.workplace.write("copier.ini", "[simple_consumer]\nqueue_name = %(nothing)s\n");
    running.signal(Signal::SIGHUP);
    copier.wait_for_log("the old one stays in force");
    copier.put(&[2]);
    copier.wait_for(&[1, 2]);
    copier.configure(&[("dst_query", "select take((1000 + %(id)s::int)::text)")]);
    running.signal(Signal::SIGHUP);
    copier.wait_for_log("Config reloaded");
    copier.put(&[3]);
    copier.wait_for(&[1, 2, 1003]);
}

#[test]
fn a_reload_opens_the_log_anew() {
    let copier = Copier::new("logrotate");
    let running = copier.started();
    copier.wait_for_log("");
    std::fs::rename(copier.workplace.path("copier.log"), copier.workplace.path("copier.old")).unwrap();
    running.signal(Signal::SIGHUP);
    copier.wait_for_log("Config reloaded");
}

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

#[test]
fn a_terminal_that_is_gone_does_not_stop_the_work() {
    let mut copier = Copier::new("gone");
    let mut command = copier.workplace.program(PROGRAM, &["copier.ini"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    for number in 1..4 {
        copier.put(&[number]);
        let all: Vec<i32> = (1..=number).collect();
        copier.wait_for(&all);
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(child.wait().unwrap().success());
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
