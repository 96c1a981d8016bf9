//! The background, without fork: the starter runs this program once more and waits until that one is at work.
//!
//! The daemon has the starter's standard error until then, so what it has to say is seen where it was started, and
//! its standard output is a pipe to the starter. A word on the pipe means that it is at work; the pipe's end without
//! the word, that it has ended.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::RawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt, parent_id};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use nix::unistd::{close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::{Error, Result};

/// The starter's process number, so that it marks the daemon and none of the daemon's own children.
const STARTED_BY: &str = "SKYTOOLS_STARTED_BY";

const AT_WORK: &str = "\u{1}at work";

/// What a daemon does before it is at work needs no server and no other machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs this program again, with the same arguments, as a daemon. Gives the exit status for the starter.
pub fn start() -> Result<u8> {
    let program = std::env::current_exe().map_err(Error::io("find this program"))?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let daemon = command
        .args(arguments)
        .env(STARTED_BY, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::io("start the daemon"))?;
    wait_for(daemon, PATIENCE)
}

/// Waits until the daemon is at work (status 0) or has ended (its own status).
fn wait_for(mut daemon: Child, patience: Duration) -> Result<u8> {
    let pipe = daemon.stdout.take().expect("its output is a pipe");
    let (tell, told) = channel();
    std::thread::spawn(move || {
        // Nobody listens any more when the patience is over.
        let _ = tell.send(comes_to_work(pipe));
    });
    match told.recv_timeout(patience) {
        Ok(Ok(true)) => Ok(0),
        Ok(Ok(false)) => daemon.wait().map_err(Error::io("wait for the daemon")).and_then(status),
        Ok(Err(error)) => Err(Error::io("wait for the daemon")(error)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            daemon.kill().and_then(|()| daemon.wait()).map_err(Error::io("end the daemon"))?;
            let patience = patience.as_secs_f64();
            Err(Error::bad(format!("the daemon was not at work after {patience} seconds and was killed")))
        }
    }
}

/// Reads until the word comes, or the end. What else is said there, is said to our caller.
fn comes_to_work(pipe: impl Read) -> io::Result<bool> {
    for line in BufReader::new(pipe).lines() {
        match line?.as_str() {
            AT_WORK => return Ok(true),
            other => writeln!(io::stdout(), "{other}")?,
        }
    }
    Ok(false)
}

fn status(ended: ExitStatus) -> Result<u8> {
    match (ended.code(), ended.signal()) {
        (Some(code), _) => Ok(u8::try_from(code).unwrap_or(1)),
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            Err(Error::bad(format!("the daemon was killed by signal {signal} before it was at work")))
        }
    }
}

/// Whether this process is the daemon that a starter waits for.
pub fn is_daemon() -> bool {
    std::env::var(STARTED_BY).is_ok_and(|starter| starter == parent_id().to_string())
}

/// This process, in the background but not yet at work.
#[derive(Debug)]
pub struct Daemon {
    inherited: Vec<RawFd>,
}

impl Daemon {
    /// Leaves the starter's session: its terminal's signals are not for us.
    pub fn enter() -> Result<Self> {
        setsid().map_err(|errno| Error::io("leave the session")(errno.into()))?;
        Ok(Self { inherited: inherited() })
    }

    /// Tells the starter that we are at work, and lets go of its terminal, and of what else it had open: a lock, or
    /// the end of a pipe, that would be held as long as we live.
    pub fn at_work(self) -> Result<()> {
        let gone = Error::io("tell the starter that the daemon is at work");
        let mut pipe = io::stdout();
        writeln!(pipe, "{AT_WORK}").and_then(|()| pipe.flush()).map_err(gone)?;
        let failed = || Error::io("let go of the terminal");
        let null = File::options().read(true).write(true).open("/dev/null").map_err(failed())?;
        dup2_stdin(&null)
            .and_then(|()| dup2_stdout(&null))
            .and_then(|()| dup2_stderr(&null))
            .map_err(|errno| failed()(errno.into()))?;
        for descriptor in self.inherited {
            close(descriptor).map_err(|errno| failed()(errno.into()))?;
        }
        Ok(())
    }
}

/// What is open besides the standard streams, before this program has opened anything itself.
fn inherited() -> Vec<RawFd> {
    let Ok(listed) = std::fs::read_dir("/dev/fd") else { return Vec::new() };
    let listed: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    // One of them was the folder that was read.
    let open = listed.iter().filter(|path| path.symlink_metadata().is_ok());
    let numbers = open.filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    numbers.filter(|number| *number > 2).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn fate(script: &str, patience: Duration) -> Result<u8> {
        let daemon = Command::new("/bin/sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        wait_for(daemon, patience)
    }

    #[test]
    fn the_starter_goes_when_the_daemon_is_at_work() {
        assert_eq!(fate("printf '\\001at work\\n'; exec >/dev/null; exec sleep 0.1", PATIENCE).unwrap(), 0);
    }

    #[test]
    fn the_starter_ends_as_a_daemon_that_was_never_at_work() {
        assert_eq!(fate("exit 0", PATIENCE).unwrap(), 0);
        assert_eq!(fate("exit 3", PATIENCE).unwrap(), 3);
        let killed = fate("kill -9 $$", PATIENCE).unwrap_err().to_string();
        assert_eq!(killed, "the daemon was killed by signal 9 before it was at work");
    }

    #[test]
    fn a_daemon_that_hangs_is_killed_and_told() {
        let hung = fate("exec sleep 1000", Duration::from_millis(50)).unwrap_err().to_string();
        assert_eq!(hung, "the daemon was not at work after 0.05 seconds and was killed");
    }

    #[test]
    fn what_the_daemon_prints_is_passed_on() {
        assert!(comes_to_work(format!("a line\n{AT_WORK}\n").as_bytes()).unwrap());
        assert!(!comes_to_work("a line\nat work\n".as_bytes()).unwrap());
    }
}
