//! Signals: how much is still done, and what cannot keep the program from its end.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgq_tests::client::wait_until;

use crate::kit::{Copier, GATE, OPEN_GATE, PROGRAM};

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
