//! What a running program can be told by another run of it: `-r`, `-s`, `-k`.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use tracing::warn;

use crate::script::{Config, pidfile};
use crate::{Error, Result};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Read the configuration again: SIGHUP.
    Reload,
    /// End when the round is done: SIGINT.
    Stop,
    /// End at once: SIGTERM.
    Kill,
}

impl Control {
    /// Tells the process that the pid file names. When there is none, it is an error for those who rely on one
    /// (`must_run`), and worth a warning for others.
    pub fn tell(self, config: &Config, must_run: bool) -> Result<()> {
        let Err(nobody) = self.send(config)? else { return Ok(()) };
        if must_run {
            return Err(Error::usage(nobody));
        }
        warn!("{nobody}");
        Ok(())
    }

    /// Sends the signal, or says why there is nobody to send it to.
    fn send(self, config: &Config) -> Result<Result<(), String>> {
        let Some(path) = config.optional_file("pidfile") else {
            return Ok(Err("no pidfile is configured, so nobody can be told".to_owned()));
        };
        let gone = format!("nobody to be told: no process is running for {}", path.display());
        let Some(pid) = pidfile::running(&path)? else { return Ok(Err(gone)) };
        let signal = match self {
            Self::Reload => Signal::SIGHUP,
            Self::Stop => Signal::SIGINT,
            Self::Kill => Signal::SIGTERM,
        };
        match kill(pid, signal) {
            Ok(()) => Ok(Ok(())),
            Err(Errno::ESRCH) => Ok(Err(gone)),
            Err(errno) => Err(Error::io(format!("send {signal} to process {pid}"))(errno.into())),
        }
    }
}
