//! From the command line to the work: log, pid file, daemon, runtime.

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
    Signal(Control),
}

/// What a running program can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Read the configuration again: SIGHUP.
    Reload,
    /// End when the round is done: SIGINT.
    Stop,
    /// End at once: SIGTERM.
    Kill,
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
pub fn launch(
    loader: &Loader,
    _action: Action,
    _verbosity: Verbosity,
    work: impl AsyncFnOnce(&mut Script) -> Result<u8>,
) -> Result<u8> {
    let config = loader.load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Error::io("start the runtime"))?;
    runtime.block_on(async { work(&mut Script::new(config)).await })
}
