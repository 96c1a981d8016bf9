//! A file that is read again while the program runs.

use nix::sys::signal::Signal;

use crate::kit::Copier;

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
