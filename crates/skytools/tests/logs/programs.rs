//! What the log of a whole program looks like from outside.

use pgq_tests::client::wait_until;

use super::text;
use crate::kit::Workplace;

/// The INI file of a program that fails in every round, which it logs.
pub fn failing(workplace: &Workplace, keys: &str) {
    let nowhere = text(workplace.folder());
    workplace.write(
        "copier.ini",
        &format!(
            "[simple_consumer]\nsrc_db = host={nowhere} dbname=x\ndst_db = host={nowhere} dbname=x\nqueue_name = orders\n\
             dst_query = select 1\nexception_sleep = 0.02\n{keys}\n"
        ),
    );
}

#[test]
fn a_program_logs_to_standard_error_and_to_its_file() {
    let workplace = Workplace::new();
    failing(&workplace, "logfile = ~/%(job_name)s.log\nlogfmt_console = on %%(hostname)s: %%(message)s");
    let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    copier.wait_for(&format!("on {host}: Job copier crashed: "));
    let line = format!(" {} ERROR Job copier crashed: ", copier.pid());
    wait_until("the file to tell it", || workplace.read("copier.log").contains(&line));
}

#[test]
fn a_program_without_its_skylog_ini_ends() {
    let workplace = Workplace::new();
    failing(&workplace, "use_skylog = 1");
    let ended = workplace.run(env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    assert_eq!(ended.status.code(), Some(1));
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(
        told.contains("use_skylog is set, but there is no skylog.ini: looked for skylog.ini, "),
        "{told}"
    );
}

#[test]
fn why_a_program_ends_is_told_on_standard_error_too() {
    let workplace = Workplace::new();
    failing(&workplace, "log_handlers = file\nlogfile = copier.log");
    let program = env!("CARGO_BIN_EXE_simple_consumer");
    let ended = workplace.run(program, &["copier.ini", "--set", "queue_name="]);
    assert_eq!(ended.status.code(), Some(1));
    let told = "config parameter not set: queue_name\n";
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), told);
    assert!(workplace.read("copier.log").ends_with(told));
}

#[test]
fn standard_error_hears_of_a_failing_handler_once_in_a_while() {
    let workplace = Workplace::new();
    failing(&workplace, "log_handlers = syslog:/nonexistent, json:log.json");
    let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    let complaint = "copier: log syslog: send to /nonexistent: ";
    copier.wait_for(complaint);
    wait_until("many records", || workplace.read("log.json").lines().count() > 20);
    assert_eq!(copier.said().matches(complaint).count(), 1, "{}", copier.said());
}
