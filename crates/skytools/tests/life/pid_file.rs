//! The pid file: whom it keeps out, and whom it helps to find the program.

use nix::sys::signal::Signal;
use pgq_tests::client::wait_until;

use crate::kit::{Copier, GATE, OPEN_GATE, PROGRAM, told};

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
