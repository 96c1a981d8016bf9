//! From the command line to the work: daemon, log, pid file, signals, runtime.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tracing::{error, warn};

pub use crate::script::control::Control;
use crate::script::daemon::{self, Daemon};
use crate::script::log::{self, Log};
use crate::script::pidfile::PidFile;
use crate::script::signals::{Fate, Signals};
use crate::script::{Loader, Script};
use crate::{Error, Result};

/// What the switches ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The work itself.
    Run {
        /// In the background.
        daemon: bool,
    },
    /// A signal to the process that the pid file names.
    Signal {
        /// Which.
        control: Control,
        /// Whether it is an error when there is none.
        must_run: bool,
    },
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// And what happens.
    #[default]
    Normal,
    /// And how.
    Verbose,
    /// And everything else.
    Trace,
}

/// Does what the switches ask for. `work` runs with a script whose configuration is loaded, and gives the exit status.
/// An error of this function has not been logged, because the log was not there yet.
pub fn launch(
    loader: &Loader,
    action: Action,
    verbosity: Verbosity,
    work: impl AsyncFnOnce(&mut Script) -> Result<u8>,
) -> Result<u8> {
    match action {
        Action::Signal { control, must_run } => {
            let config = loader.load()?;
            let log = log::start(&config, verbosity, true)?;
            Ok(told(&log, control.tell(&config, must_run).map(|()| 0)))
        }
        Action::Run { daemon: true } if !daemon::is_daemon() => daemon::start(),
        Action::Run { daemon } => {
            let daemon = daemon.then(Daemon::enter).transpose()?;
            let config = loader.load()?;
            let log = Arc::new(log::start(&config, verbosity, daemon.is_none())?);
            // A panic of a thread or a task would otherwise be told on a terminal that a daemon has not got.
            std::panic::set_hook(Box::new(|panic| error!("{panic}")));
            let script = Script::launched(config, loader.clone(), daemon);
            let fate = attend(script, &log, work);
            let fate = fate.unwrap_or_else(|failure| Fate::Status(told(&log, Err(failure))));
            drop(log);
            match fate {
                Fate::Status(status) => Ok(status),
                killed @ Fate::Killed(_) => killed.meet(),
            }
        }
    }
}

/// The exit status. What went wrong goes into the log, and to whoever has started us.
fn told(log: &Log, ended: Result<u8>) -> u8 {
    ended.unwrap_or_else(|failure| {
        error!("{failure}");
        if !log.has_console() {
            // Nothing is left to be done when the terminal is gone.
            let _ = writeln!(std::io::stderr(), "{failure}");
        }
        1
    })
}

/// Has the work done, holding the pid file and listening to signals.
fn attend(
    mut script: Script,
    log: &Arc<Log>,
    work: impl AsyncFnOnce(&mut Script) -> Result<u8>,
) -> Result<Fate> {
    let signals = Signals::keep()?;
    let pid_file = match script.config.optional_file("pidfile") {
        Some(path) => Some(Arc::new(PidFile::take(&path)?)),
        None if script.daemon.is_some() => {
            return Err(Error::usage("-d needs a pidfile, and none is configured"));
        }
        None => None,
    };
    if script.daemon.is_some() && log.has_console_only() {
        warn!("nothing is logged in the background, since no logfile is configured");
    }
    let fate = signals.listen(script.stop(), script.reload(), Arc::downgrade(log), pid_file.clone())?;
    let runtime = runtime()?;
    let stop = script.stop();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.wanted_at_once() => Err(Error::Stopped),
                ended = work(&mut script) => ended,
            }
        })
    }));
    drop(script);
    // Not even a blocking call in some thread keeps us.
    runtime.shutdown_background();
    if let Some(pid_file) = pid_file {
        pid_file.remove();
    }
    match fate.get() {
        Some(fate) => Ok(*fate),
        // What has panicked was told by the hook.
        None => ended.unwrap_or(Ok(1)).map(Fate::Status),
    }
}

/// The work has the main thread; the drivers of connections have one of their own, which never waits for the work.
fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(Error::io("start the runtime"))
}
